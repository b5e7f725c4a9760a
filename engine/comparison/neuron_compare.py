"""Compare features with an MLP's neurons, or neurons with neurons, over units of text.

As engine.comparison.compare, but at least one side is dense and signed: partners have the largest |r|, the sign of r on
the choosing half says which direction of the neuron is meant, and figures are of that direction on the measuring half.
Values are read in blocks; every pair of rows is looked at. Shapes: A and B rows of the two sides, a and b of a block, s
pairs of rows, U units, V units of a half, W document shifts, R resamplings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engine.comparison.compare import IndexedRun, mean_shares, shared_text, shifts_of, unit_bytes
from engine.comparison.correlation import Figures
from engine.comparison.dense_units import FeatureRows, NeuronRows, UnitRows, dense, firing_units, some_units
from engine.comparison.paired_figures import DocumentSums, intervals, mutual_of, r_of_sums, ratio, resamplings
from engine.comparison.unit_matrix import ArrayRoom, Sparse, unit_activations
from engine.runtime.progress import Progress
from store.comparison.figures import NO_PARTNER, SHARED, Comparison, Side, SideSummary, Summary, shares_of
from store.query.text_units import TextUnits
from store.settings.compare import CompareSettings

BOTH = (0, 1)


@dataclass
class _Best:
    """The best partner so far of each row of a side, for each shift of the other side; shift 0 is none."""

    partner_WF: NDArray[np.int64]
    r_WF: Figures
    """With its sign, on the choosing half."""

    @classmethod
    def of(cls, shifts: int, rows: int) -> _Best:
        return cls(np.full((shifts, rows), NO_PARTNER), np.zeros((shifts, rows)))

    def improve(self, shift: int, rows: slice, others: slice, r_ab: Figures) -> None:
        """Take over correlations [a, b] that are larger; at the same |r| the lower number wins."""
        if not r_ab.size:
            return
        best = np.abs(r_ab).argmax(axis=1)
        r_a = np.take_along_axis(r_ab, best[:, None], 1)[:, 0]
        better = np.abs(r_a) > np.abs(self.r_WF[shift, rows])
        at = np.arange(rows.start, rows.stop)[better]
        self.partner_WF[shift, at], self.r_WF[shift, at] = best[better] + others.start, r_a[better]


@dataclass
class _Measured:
    """Figures of the rows of a side on the measuring half, filled in as blocks are read; zeros without a partner."""

    r_WF: Figures
    r_FR: Figures
    """The same on resampled documents, without a shift."""
    joint_F: NDArray[np.int64]
    jaccard_F: Figures
    coverage_F: Figures
    covered_F: Figures
    square_F: Figures
    units_F: NDArray[np.int64]
    judged_F: NDArray[np.bool_]

    @classmethod
    def of(cls, shifts: int, rows: int, resampled: int) -> _Measured:
        return cls(
            r_WF=np.zeros((shifts, rows)),
            r_FR=np.zeros((rows, resampled)),
            joint_F=np.zeros(rows, np.int64),
            jaccard_F=np.zeros(rows),
            coverage_F=np.zeros(rows),
            covered_F=np.zeros(rows),
            square_F=np.zeros(rows),
            units_F=np.zeros(rows, np.int64),
            judged_F=np.zeros(rows, bool),
        )


@dataclass(frozen=True)
class _Text:
    """The units of both halves, and what is drawn at random."""

    units: TextUnits
    settings: CompareSettings
    shifts: Sequence[int]
    """Units by which the second side is shifted: 0, then those of the null."""

    @cached_property
    def halves(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Units that choose, and units that measure."""
        measuring_U = self.units.measuring_U
        return np.flatnonzero(~measuring_U), np.flatnonzero(measuring_U)

    @cached_property
    def begins_D(self) -> NDArray[np.int64]:
        """First unit of each document of the measuring half, counted in that half."""
        return np.unique(self.units.document_U[self.halves[1]], return_index=True)[1].astype(np.int64)

    @cached_property
    def units_D(self) -> Figures:
        """Units of each document of the measuring half."""
        return np.diff(self.begins_D, append=len(self.halves[1])).astype(np.float64)

    @cached_property
    def weight_DR(self) -> Figures:
        """How often each document is drawn in each resampling."""
        return resamplings(len(self.begins_D), self.settings.resamplings, self.settings.seed)

    def shifted(self, values: Sparse, half: int, by: int) -> Sparse:
        """Return values at the units of a half, moved on by some units, cyclically."""
        return some_units(values, (self.halves[half] - by) % self.units.n_units)


def compare_neurons(first: IndexedRun, second: IndexedRun, settings: CompareSettings, progress: Progress) -> Comparison:
    """Compare two sides of which at least one is neurons.

    Raises:
        MonosemError: the indexes have no text in common, or are of rows of an array.
    """
    both = (first, second)
    units = shared_text(first, second, settings, progress)
    text = _Text(units, settings, (0, *shifts_of(units, settings)))
    sides = tuple(_rows(one, units, side, settings) for side, one in enumerate(both))
    n = len(text.shifts)
    measured = tuple(_Measured.of(n, rows.n_rows, settings.resamplings) for rows in sides)
    best = tuple(_Best.of(n, rows.n_rows) for rows in sides)
    for rows, found in zip(sides, measured, strict=True):
        _judge(rows, text, found)
    for half, done in ((0, "partners of neurons"), (1, "figures of pairs")):
        with progress.task(done, n * sides[0].n_rows, "rows") as bar:
            for shift in range(n):
                for at, values in _block_pairs(sides, text, half, shift):
                    if half == 0:
                        _choose(best, measured, shift, at, values)
                    else:
                        _measure(best, measured, sides, text, shift, at, values)
                    if at[1].stop == sides[1].n_rows:
                        bar.advance(at[0].stop - at[0].start)
    return _comparison(both, text, best, measured)


def _block_pairs(
    sides: Sequence[UnitRows], text: _Text, half: int, shift: int
) -> Iterator[tuple[tuple[slice, slice], tuple[Sparse, Sparse]]]:
    """Yield every block of the first side with every one of the second, at the units of a half, one of them shifted."""

    def others() -> Iterator[tuple[slice, Sparse]]:
        for b, values_bU in sides[1].blocks():
            yield b, text.shifted(values_bU, half, text.shifts[shift])

    kept = None if sides[1].signed else list(others())  # features are one block, and sparse
    for a, values_aU in sides[0].blocks():
        mine = some_units(values_aU, text.halves[half])
        for b, theirs in others() if kept is None else kept:
            yield (a, b), (mine, theirs)


def _rows(one: IndexedRun, units: TextUnits, side: int, settings: CompareSettings) -> UnitRows:
    memory, value = settings.memory, settings.value
    if one.neurons is None:
        return FeatureRows(unit_activations(one.store, units, side, value, ArrayRoom(memory)))
    return NeuronRows(one.neurons, units.valued_N(side, value), units.n_units, memory, summed=value == "sum")


def _judge(rows: UnitRows, text: _Text, found: _Measured) -> None:
    """Count the units at which each row is not 0, and decide whether it is judged."""
    least = text.settings.least
    for at, values in rows.blocks():
        choosing, measuring = (firing_units(values[:, half]) for half in text.halves)
        found.units_F[at] = choosing + measuring
        found.judged_F[at] = (choosing + measuring >= least) & (choosing >= least // 2) & (measuring >= least // 2)
        squares = values[:, text.halves[1]].astype(np.float64)
        squares = squares**2 if isinstance(squares, np.ndarray) else squares.power(2)
        found.square_F[at] = np.asarray(squares.sum(axis=1)).ravel()


def _choose(
    best: Sequence[_Best],
    measured: Sequence[_Measured],
    shift: int,
    at: tuple[slice, slice],
    values: tuple[Sparse, Sparse],
) -> None:
    """Look for better partners among the pairs of two blocks."""
    r_ab = correlations(*values)
    r_ab[~measured[0].judged_F[at[0]]] = 0
    r_ab[:, ~measured[1].judged_F[at[1]]] = 0
    best[0].improve(shift, at[0], at[1], r_ab)
    best[1].improve(shift, at[1], at[0], r_ab.T)


def correlations(mine: Sparse, theirs: Sparse) -> Figures:
    """Return r of every row of one matrix [a, V] with every row of another [b, V]; 0 where one is constant."""
    if not isinstance(theirs, np.ndarray):
        return correlations(theirs, mine).T
    centred_bV = theirs - theirs.mean(axis=1, keepdims=True)
    product_ab = np.asarray(mine @ centred_bV.T)
    n = theirs.shape[1]
    if isinstance(mine, np.ndarray):
        spread_a = np.sqrt(((mine - mine.mean(axis=1, keepdims=True)) ** 2).sum(axis=1))
    else:
        sums, squares = (np.asarray(one.sum(axis=1)).ravel() for one in (mine, mine.power(2)))
        spread_a = np.sqrt(np.maximum(squares - sums**2 / n, 0))
    below_ab = np.outer(spread_a, np.sqrt((centred_bV**2).sum(axis=1)))
    r_ab: Figures = np.divide(product_ab, below_ab, out=np.zeros_like(product_ab), where=below_ab > 0)
    return r_ab


def pair_r(first: Sparse, second: Sparse) -> Figures:
    """Return r of each row of one matrix [s, V] with the same row of another; 0 where one is constant."""
    if isinstance(first, np.ndarray) and not isinstance(second, np.ndarray):
        return pair_r(second, first)
    n = first.shape[1]
    product = first * second if isinstance(first, np.ndarray) else first.multiply(second)
    squares = [one**2 if isinstance(one, np.ndarray) else one.power(2) for one in (first, second)]
    ab, a, b, aa, bb = (np.asarray(one.sum(axis=1)).ravel() for one in (product, first, second, *squares))
    return r_of_sums(n, ab, a, b, aa, bb)


def _measure(
    best: Sequence[_Best],
    measured: Sequence[_Measured],
    sides: Sequence[UnitRows],
    text: _Text,
    shift: int,
    at: tuple[slice, slice],
    values: tuple[Sparse, Sparse],
) -> None:
    """Measure the rows of both blocks whose partner is in the other block."""
    for side in BOTH:
        mine, theirs = at[side], at[1 - side]
        partner = best[side].partner_WF[shift, mine]
        wanted = np.flatnonzero((partner >= theirs.start) & (partner < theirs.stop))
        sign = np.sign(best[side].r_WF[shift, mine])
        for some in _pieces(wanted, values[side].shape[1], text.settings.memory):
            pair = values[side][some], values[1 - side][partner[some] - theirs.start]
            if shift:
                measured[side].r_WF[shift, mine.start + some] = sign[some] * pair_r(*pair)
                continue
            first_sV, second_sV = (dense(one) for one in pair)
            turned = second_sV if sides[1 - side].signed else first_sV
            turned *= sign[some][:, None]
            _take(measured[side], mine.start + some, first_sV, second_sV, text)


def _pieces(rows: NDArray[np.int64], units: int, memory: int) -> Iterator[NDArray[np.int64]]:
    step = max(1, memory // (64 * max(1, units)))
    return (rows[start : start + step] for start in range(0, len(rows), step))


def _take(found: _Measured, rows: NDArray[np.int64], first_sV: Figures, second_sV: Figures, text: _Text) -> None:
    """Measure pairs of rows, both turned so that they rise together."""
    parts = (first_sV * second_sV, first_sV, second_sV, first_sV**2, second_sV**2)
    ab, a, b, aa, bb = (np.add.reduceat(part, text.begins_D, axis=1) for part in parts)
    sums = DocumentSums((ab, a, b, aa, bb), text.units_D)
    found.r_WF[0, rows] = sums.r()
    found.r_FR[rows] = sums.r(text.weight_DR)
    fires, others = first_sV > 0, second_sV > 0
    joint, either = (fires & others).sum(axis=1), (fires | others).sum(axis=1)
    found.joint_F[rows] = joint
    found.jaccard_F[rows] = ratio(joint, either)
    found.coverage_F[rows] = _mass(first_sV, fires, others)
    found.covered_F[rows] = _mass(second_sV, others, fires)


def _mass(values_sV: Figures, fires: NDArray[np.bool_], others: NDArray[np.bool_]) -> Figures:
    """Return the share of rows' values above 0 that lies where the other one is above 0."""
    return ratio((values_sV * (fires & others)).sum(axis=1), (values_sV * fires).sum(axis=1))


def _comparison(
    both: Sequence[IndexedRun], text: _Text, best: Sequence[_Best], measured: Sequence[_Measured]
) -> Comparison:
    units = text.units
    sides = tuple(_side(side, best, measured) for side in BOTH)
    told = tuple(_summary(both[side], side, sides[side], measured[side], text) for side in BOTH)
    lengths = unit_bytes(units)
    n_measured = len(text.halves[1])
    summary = Summary(
        text.settings.unit,
        units.n_units,
        n_measured,
        units.n_documents,
        units.too_long,
        lengths,
        None,
        False,
        told,
        one_sided=units.one_sided,
        value=text.settings.value,
    )
    return Comparison(summary, (sides[0], sides[1]))


def _side(side: int, best: Sequence[_Best], measured: Sequence[_Measured]) -> Side:
    mine, found = best[side], measured[side]
    partner_F = mine.partner_WF[0]
    return Side(
        partner_F.astype(np.int32),
        found.r_WF[0].astype(np.float32),
        mine.r_WF[0].astype(np.float32),
        found.units_F,
        found.joint_F,
        found.jaccard_F.astype(np.float32),
        found.coverage_F.astype(np.float32),
        found.covered_F.astype(np.float32),
        np.full(len(partner_F), np.nan, np.float32),
        np.full(len(partner_F), np.nan, np.float32),
        found.judged_F,
        mutual_of(partner_F, best[1 - side].partner_WF[0]),
    )


def _summary(one: IndexedRun, number: int, side: Side, found: _Measured, text: _Text) -> SideSummary:
    judged = side.judged_F
    norm_F = 1.0 if one.neurons else one.store.columns.decoder_norm_F.astype(np.float64)
    squares = found.square_F * norm_F**2
    return SideSummary(
        one.name,
        one.digest,
        len(side.r_F),
        int(judged.sum()),
        int((side.units_F == 0).sum()),
        text.units.unpaired[number],
        shares_of(side.r_F[judged]),
        intervals(found.r_FR[judged]),
        mean_shares([shares_of(r_F[judged]) for r_F in found.r_WF[1:]]),
        float(side.mutual_F[judged].mean()) if judged.any() else 0.0,
        float(squares[side.r_F >= SHARED].sum() / max(squares.sum(), 1e-300)),
    )
