"""The contexts in which features fire, as rows whose cosine says how far two features fire in the same ones.

Shapes: F features, N of them with a profile, B blocks of contexts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from store.index.reader import FeatureStore
from store.rules.feature_blocks import feature_blocks

BLOCKS = 2048
"""Most blocks: of a longer index, neighbouring contexts are put together."""
FEWEST = 5
"""Blocks in which a feature fires at least. Features of fewer are alike by chance: all that fire in one and the same
block only have cosine 1."""


def context_profiles(store: FeatureStore) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the features that fire in some blocks of contexts and not in all, and in which.

    A block is a context, or several where there are more than `BLOCKS`. The cosine of two rows is the phi coefficient
    of "fires in the block" (Li et al. 2024, *The Geometry of Concepts*, arXiv 2410.19750, section 4).

    Returns:
        Features [N] that fire in at least `FEWEST` blocks, ascending; rows [N, B] of mean 0 and length 1.
    """
    n_contexts = store.n_contexts
    n_blocks = min(n_contexts, BLOCKS)
    fires_FB = np.zeros((store.d_sae, n_blocks), bool)
    for found in feature_blocks(store):
        block_E = store.contexts_of(found.place_E) * n_blocks // n_contexts
        fires_FB[found.first + found.feature_E, block_E] = True
    fired_F = np.count_nonzero(fires_FB, axis=1)
    feature_N = np.flatnonzero((fired_F >= FEWEST) & (fired_F < n_blocks)).astype(np.int32)
    rows_NB = fires_FB[feature_N].astype(np.float32)
    share_N = fired_F[feature_N].astype(np.float32) / n_blocks
    rows_NB -= share_N[:, None]
    rows_NB /= np.sqrt(n_blocks * share_N * (1 - share_N))[:, None]
    return feature_N, rows_NB
