"""Figures of features beside chosen partners: r, joint units, Jaccard, coverage; intervals by resampling documents.

Shapes: F pairs of features, U units, D documents, R resamplings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from engine.comparison.correlation import Figures
from engine.comparison.unit_matrix import Sparse
from store.comparison.figures import LEVELS, NO_PARTNER

FEATURES = 256
"""Features measured at once."""


@dataclass(frozen=True)
class DocumentSums:
    """Per document and pair: Σab, Σa, Σb, Σa², Σb² (sparse, [F, D] each), and the units of each document."""

    sums: tuple[Sparse, Sparse, Sparse, Sparse, Sparse]
    units_D: Figures

    @classmethod
    def of(cls, first_FU: Sparse, second_FU: Sparse, document_U: NDArray[np.int32]) -> DocumentSums:
        """Sum over the units of each document.

        Args:
            first_FU: activations of features.
            second_FU: activations of each one's partner.
            document_U: document of each unit, ascending from 0.
        """
        n_documents = int(document_U.max(initial=-1)) + 1
        member = csr_matrix(
            (np.ones(len(document_U)), (np.arange(len(document_U)), document_U)), (len(document_U), n_documents)
        )
        units_D = np.bincount(document_U, minlength=n_documents).astype(float)
        blocks = [
            _document_sums(first_FU[rows].astype(np.float64), second_FU[rows].astype(np.float64), member)
            for rows in _blocks(first_FU.shape[0])
        ]
        ab, a, b, aa, bb = (vstack(each, format="csr") for each in zip(*blocks, strict=True))
        return cls((ab, a, b, aa, bb), units_D)

    def r(self, weight_DR: Figures | None = None) -> Figures:
        """Return r of each pair [F], or [F, R] with documents weighted; 0 where one of the two is constant."""
        weights = np.ones((len(self.units_D), 1)) if weight_DR is None else weight_DR
        found = r_of_sums(self.units_D @ weights, *(np.asarray(part @ weights) for part in self.sums))
        return found[:, 0] if weight_DR is None else found


@dataclass(frozen=True)
class PairFigures:
    """Figures of each feature beside its partner; zeros without one."""

    r_F: Figures
    joint_F: NDArray[np.int64]
    """Units on which both fire."""
    jaccard_F: Figures
    """Joint units among those on which one of the two fires."""
    coverage_F: Figures
    """Share of the feature's activation on units where its partner fires."""
    covered_F: Figures
    """Share of the partner's activation on units where the feature fires."""


def r_of_sums(units: Figures | int, ab: Figures, a: Figures, b: Figures, aa: Figures, bb: Figures) -> Figures:
    """Return r from Σab, Σa, Σb, Σa² and Σb² over some units; 0 where one of the two is constant."""
    below = np.sqrt(np.maximum(units * aa - a * a, 0) * np.maximum(units * bb - b * b, 0))
    found: Figures = np.divide(units * ab - a * b, below, out=np.zeros_like(ab), where=below > 0)
    return found


def of_pairs(
    acts_AU: Sparse, acts_BU: Sparse, partner_A: NDArray[np.int64], document_U: NDArray[np.int32]
) -> PairFigures:
    """Measure every feature of one dictionary beside its partner in the other."""
    beside_AU = partners_acts(acts_BU, partner_A)
    parts = [_overlap(acts_AU[rows], beside_AU[rows]) for rows in _blocks(acts_AU.shape[0])]
    joint, jaccard, coverage, covered = (np.concatenate(each) for each in zip(*parts, strict=True))
    r_A = DocumentSums.of(acts_AU, beside_AU, document_U).r()
    return PairFigures(r_A, joint.astype(np.int64), jaccard, coverage, covered)


def _overlap(first_FU: Sparse, second_FU: Sparse) -> tuple[Figures, Figures, Figures, Figures]:
    """Return joint units, Jaccard, and the share of each one's activation where the other fires."""
    first, second = first_FU.astype(np.float64), second_FU.astype(np.float64)
    fires = first.getnnz(axis=1), second.getnnz(axis=1)
    joint = csr_matrix(first.sign().multiply(second.sign())).getnnz(axis=1)
    covering, covered = first.multiply(second.sign()), second.multiply(first.sign())
    return (
        joint,
        ratio(joint, fires[0] + fires[1] - joint),
        ratio(_row_sums(covering), _row_sums(first)),
        ratio(_row_sums(covered), _row_sums(second)),
    )


def _document_sums(first: Sparse, second: Sparse, member: Sparse) -> tuple[Sparse, ...]:
    parts = (first.multiply(second), first, second, first.power(2), second.power(2))
    return tuple(csr_matrix(part) @ member for part in parts)


def _blocks(n_features: int) -> list[slice]:
    return [slice(start, start + FEATURES) for start in range(0, max(1, n_features), FEATURES)]


def _row_sums(matrix: Sparse) -> Figures:
    return np.asarray(matrix.sum(axis=1), np.float64).ravel()


def partners_acts(acts_BU: Sparse, partner_A: NDArray[np.int64]) -> Sparse:
    """Return the activations of each feature's partner [A, U]; none where it has none."""
    having = np.flatnonzero(partner_A != NO_PARTNER)
    choice = csr_matrix(
        (np.ones(len(having), np.float32), (having, partner_A[having])), (len(partner_A), acts_BU.shape[0])
    )
    return choice @ acts_BU


def resamplings(n_documents: int, times: int, seed: int = 0) -> Figures:
    """Return how often each document is drawn in each resampling [D, R]: as many as there are, with replacement."""
    drawn = np.random.default_rng(seed)
    return drawn.multinomial(n_documents, np.full(n_documents, 1 / n_documents), times).T.astype(np.float64)


def intervals(r_JR: Figures) -> tuple[tuple[float, ...], ...]:
    """Return 95 % intervals of the median of r and of the shares above each of LEVELS; zeros of no pairs.

    Args:
        r_JR: r of some pairs on resampled documents.
    """
    if not len(r_JR):
        return ((0.0, 0.0),) * (1 + len(LEVELS))
    figures = [np.median(r_JR, axis=0), *((r_JR > level).mean(axis=0) for level in LEVELS)]
    return tuple(tuple(np.quantile(one, (0.025, 0.975)).tolist()) for one in figures)


def mutual_of(partner_F: NDArray[np.int64], others_partner_F: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which features of one side are their partner's partner."""
    having = np.flatnonzero(partner_F != NO_PARTNER)
    mutual_F = np.zeros(len(partner_F), bool)
    mutual_F[having] = others_partner_F[partner_F[having]] == having
    return mutual_F


def ratio(part: NDArray[np.generic], whole: NDArray[np.generic]) -> Figures:
    """Return part / whole of each, 0 where the whole is."""
    share: Figures = np.divide(part, whole, out=np.zeros(len(part)), where=np.asarray(whole) > 0)
    return share
