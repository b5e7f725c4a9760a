"""Features that fire on the same tokens as a feature, more often than by chance.

With N counted tokens, n_i and n_j of them under features i and j, and n_ij under both: the joint share is n_ij / n_i,
the lift n_ij · N / (n_i · n_j), and the pointwise mutual information log(p(i,j) / (p(i) p(j))) is the lift's logarithm,
in nats. PMI and lift are largest for rare features that coincide by accident, so features are ranked by Dunning's
log-likelihood ratio G² ("Accurate Methods for the Statistics of Surprise and Coincidence", 1993) of the table of the
two features: it grows with the evidence. Only features with a lift above 1 and at least `MINIMUM` joint tokens are
listed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.index.reader import FeatureStore

MINIMUM = 5
"""Least joint tokens of a listed feature: below, expected counts are too small for G²."""


@dataclass(frozen=True)
class Companion:
    """A feature that fires on the same tokens."""

    feature: int
    joint: int
    """Sampled tokens on which it fires, too."""
    share: float
    """`joint` as a share of the sampled tokens."""
    lift: float
    """Ratio of the joint frequency to that of independent features."""
    pmi: float
    """Natural logarithm of the lift."""
    g2: float
    """Log-likelihood ratio against independence over the corpus; an estimate if sampled."""


@dataclass(frozen=True)
class CoFiring:
    """The companions of a feature, the largest G² first."""

    n_active: int
    """Tokens on which the feature fires."""
    n_used: int
    """Tokens sampled: all, or some of them."""
    minimum: int
    companions: list[Companion]

    @property
    def sampled(self) -> bool:
        """Whether the figures are estimates from a sample of the feature's tokens."""
        return self.n_used < self.n_active


def cofiring(
    store: FeatureStore,
    feature: int,
    limit: int = 10,
    sample: int | None = None,
    *,
    minimum: int = MINIMUM,
    seed: int = 0,
) -> CoFiring:
    """Return the `limit` features with the largest G² that fire together with a feature.

    Exact over all of its tokens, whose rows are read block by block. With `sample`, at most that many tokens are used,
    drawn at random by `seed`.

    Raises:
        MonosemError: there is no such feature, or the store is damaged.
    """
    place_P = store.places(feature)
    n_active = len(place_P)
    if sample is not None and sample < n_active:
        rng = np.random.default_rng((seed, feature))
        place_P = rng.choice(place_P, size=max(sample, 1), replace=False)
    used = len(place_P)
    if not used:
        return CoFiring(0, 0, minimum, [])
    joint_F = store.firing_on(np.sort(place_P))
    joint_F[feature] = 0
    count_F = store.columns.count_F
    lift_F = joint_F * store.n_counted / (used * np.maximum(count_F, 1.0))
    ids = np.flatnonzero((joint_F >= max(minimum, 1)) & (lift_F > 1))
    whole_J = (joint_F[ids] * (n_active / used)).astype(np.float64)
    g2_J = log_likelihood(whole_J, float(n_active), count_F[ids].astype(np.float64), float(store.n_counted))
    best = np.lexsort((ids, -g2_J))[:limit]
    columns = (ids, joint_F[ids], joint_F[ids] / used, lift_F[ids], np.log(lift_F[ids]), g2_J)
    rows = zip(*(column_J[best].tolist() for column_J in columns), strict=True)
    return CoFiring(n_active, used, minimum, [Companion(*row) for row in rows])


def log_likelihood(
    joint_J: NDArray[np.float64], n_i: float, n_j_J: NDArray[np.float64], n: float
) -> NDArray[np.float64]:
    """Return G² = 2 Σ observed · ln(observed / expected) over the four cells of each table of two features."""
    # An estimated joint count can exceed the margins of the table.
    joint_J = np.clip(joint_J, np.maximum(0.0, n_i + n_j_J - n), np.minimum(n_i, n_j_J))
    rows, columns = (n_i, n - n_i), (n_j_J, n - n_j_J)
    observed = ((joint_J, n_i - joint_J), (n_j_J - joint_J, n - n_i - n_j_J + joint_J))
    total_J = np.zeros_like(joint_J)
    for row, cells in zip(rows, observed, strict=True):
        for column_J, cell_J in zip(columns, cells, strict=True):
            held = cell_J > 0
            expected_J = np.where(held, row * column_J / n, 1.0)
            total_J += np.where(held, cell_J * np.log(np.where(held, cell_J, 1.0) / expected_J), 0.0)
    return 2 * total_J
