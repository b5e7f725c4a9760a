"""Figures of features beside chosen partners: r, joint units, Jaccard, coverage; intervals by resampling documents.

Shapes: F pairs of features, U units, D documents, R resamplings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from engine.comparison.block_threads import in_order
from engine.comparison.correlation import Figures, feature_blocks
from engine.comparison.unit_matrix import Alignment, Sparse, release_pages
from store.comparison.figures import LEVELS, NO_PARTNER


@dataclass(frozen=True)
class UnitDocuments:
    """The documents of the units that count."""

    member_UD: Sparse
    """1 where a unit is of a document."""
    units_D: Figures
    """Units that count of each document; only documents that have some are there."""

    @classmethod
    def of(cls, document_U: NDArray[np.int32], aligned: Alignment) -> UnitDocuments:
        """Number the documents anew, from 0."""
        kept = np.flatnonzero(aligned.kept_U)
        _, number = np.unique(document_U[kept], return_inverse=True)
        units_D = np.bincount(number).astype(float)
        shape = (len(document_U), len(units_D))
        return cls(csr_matrix((np.ones(len(kept)), (kept, number)), shape), units_D)


@dataclass(frozen=True)
class DocumentSums:
    """Per document and pair: Σab, Σa, Σb, Σa², Σb² (sparse, [F, D] each), and the units of each document."""

    sums: tuple[Sparse, Sparse, Sparse, Sparse, Sparse]
    units_D: Figures

    @classmethod
    def of(cls, first_FU: Sparse, second_FU: Sparse, documents: UnitDocuments) -> DocumentSums:
        """Sum activations of features, and of each one's partner, over the units of each document."""
        parts = _products(first_FU, second_FU)
        ab, a, b, aa, bb = (csr_matrix(part) @ documents.member_UD for part in parts)
        return cls((ab, a, b, aa, bb), documents.units_D)

    def r(self, weight_DR: Figures | None = None) -> Figures:
        """Return r of each pair [F], or [F, R] with documents weighted; 0 where one of the two is constant."""
        weights = np.ones((len(self.units_D), 1)) if weight_DR is None else weight_DR
        found = r_of_sums(self.units_D @ weights, *(np.asarray(part @ weights) for part in self.sums))
        return found[:, 0] if weight_DR is None else found


@dataclass(frozen=True)
class PairFigures:
    """Figures of each feature beside its partner; zeros without one."""

    r_F: Figures
    r_FR: Figures
    """The same with resampled documents."""
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
    acts: tuple[Sparse, Sparse],
    side: int,
    partner_F: NDArray[np.int64],
    aligned: Alignment,
    documents: UnitDocuments,
    weight_DR: Figures,
    jobs: int = 1,
) -> PairFigures:
    """Measure every feature of one side beside its partner in the other.

    Args:
        acts: activations [F, U] of both sides.
        side: whose features are measured.
        partner_F: partners of its features; NO_PARTNER for none.
        aligned: the units that count.
        documents: their documents.
        weight_DR: how often each document is drawn in each resampling.
        jobs: threads.
    """

    def measured(rows: slice) -> PairFigures:
        mine, beside = _beside_partners(acts, side, partner_F, aligned, rows)
        sums = DocumentSums.of(mine, beside, documents)
        return PairFigures(sums.r(), sums.r(weight_DR), *_overlap(mine, beside))

    parts = in_order(measured, feature_blocks(len(partner_F)), jobs)
    fields = zip(*(vars(part).values() for part in parts), strict=True)
    return PairFigures(*(np.concatenate(each) for each in fields))


def pair_correlations(
    acts: tuple[Sparse, Sparse], side: int, partner_F: NDArray[np.int64], aligned: Alignment, jobs: int = 1
) -> Figures:
    """Return r of every feature of one side with its partner in the other; 0 without one."""

    def r_of(rows: slice) -> Figures:
        products = _products(*_beside_partners(acts, side, partner_F, aligned, rows))
        return r_of_sums(aligned.n_units, *(_row_sums(part) for part in products))

    return np.concatenate(list(in_order(r_of, feature_blocks(len(partner_F)), jobs)))


def _beside_partners(
    acts: tuple[Sparse, Sparse], side: int, partner_F: NDArray[np.int64], aligned: Alignment, rows: slice
) -> tuple[Sparse, Sparse]:
    """Return the activations of some features of one side, and those of their partners."""
    beside = aligned.align(partners_acts(acts[1 - side], partner_F[rows]), 1 - side)
    mine = aligned.align(acts[side][rows], side)
    for acts_FU in acts:
        release_pages(acts_FU.indices, acts_FU.data)
    return mine, beside


def _products(first: Sparse, second: Sparse) -> tuple[Sparse, Sparse, Sparse, Sparse, Sparse]:
    """Return ab, a, b, a² and b²."""
    return first.multiply(second), first, second, first.power(2), second.power(2)


def _overlap(first: Sparse, second: Sparse) -> tuple[NDArray[np.int64], Figures, Figures, Figures]:
    """Return joint units, Jaccard, and the share of each one's activation where the other fires."""
    fires = first.getnnz(axis=1), second.getnnz(axis=1)
    joint = csr_matrix(first.sign().multiply(second.sign())).getnnz(axis=1)
    covering, covered = first.multiply(second.sign()), second.multiply(first.sign())
    return (
        joint.astype(np.int64),
        ratio(joint, fires[0] + fires[1] - joint),
        ratio(_row_sums(covering), _row_sums(first)),
        ratio(_row_sums(covered), _row_sums(second)),
    )


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
