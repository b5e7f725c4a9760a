"""Candidates for the next token: the most probable ones with and without clamps, and those moved most.

Shapes: V vocabulary, N tokens above `LEAST`, R rows.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from store.live.model_outputs import NextTokens

SHOWN, MOVED = 8, 6
"""Most tokens of each distribution, and of those that clamps move most."""
LEAST = 1e-4
"""Probability below which a token is no candidate."""
WHOLE = 4096
"""Tokens of a vocabulary that is not worth sifting first."""
_Floats = NDArray[np.float32]


def candidates(clamped_V: Tensor, own_V: Tensor) -> NextTokens:
    """Return the candidates of two distributions, given as log-probabilities.

    A token below `LEAST` in both is left out: so a large vocabulary is read once, without sorting it.
    """
    token_N: list[int] | None = None
    least = math.log(LEAST)
    if len(own_V) > WHOLE:
        at_N = torch.nonzero((clamped_V > least) | (own_V > least))[:, 0]
        clamped_V, own_V, token_N = clamped_V[at_N], own_V[at_N], at_N.tolist()
    if not len(own_V):  # no token is at all probable
        return NextTokens((), (), ())
    both_2N = torch.stack([clamped_V, own_V]).cpu().numpy()
    odds_2N = np.exp(both_2N)
    moved_1N = np.abs(odds_2N[:1] - odds_2N[1:])
    kept = np.unique(np.concatenate([_largest(both_2N, SHOWN), _largest(moved_1N, MOVED)]))
    kept = kept[both_2N[:, kept].max(0) > least]
    places, (clamped, own) = kept.tolist(), both_2N[:, kept].astype(np.float64).round(4).tolist()
    tokens = places if token_N is None else [token_N[place] for place in places]
    return NextTokens(tuple(tokens), tuple(clamped), tuple(own))


def _largest(values_RN: _Floats, wanted: int) -> NDArray[np.int64]:
    """Return the places of the largest values of each row, in no order."""
    wanted = min(wanted, values_RN.shape[1])
    return np.argpartition(values_RN, -wanted, axis=1)[:, values_RN.shape[1] - wanted :].ravel()
