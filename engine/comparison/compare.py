"""Compare two dictionaries on the text that both have indexed.

Shapes: A and B features of the two, U units, P pairs of documents, R resamplings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.comparison.assignment import Matching, match_decoders
from engine.comparison.correlation import Partners, Sums, best_partners
from engine.comparison.paired_figures import (
    PairFigures,
    UnitDocuments,
    intervals,
    mutual_of,
    of_pairs,
    pair_correlations,
    resamplings,
)
from engine.comparison.unit_matrix import Alignment, ArrayRoom, Sparse, by_unit, unit_activations
from engine.runtime.progress import Progress
from store.comparison.figures import (
    NO_PARTNER,
    SHARED,
    Comparison,
    Shares,
    Side,
    SideSummary,
    Summary,
    shares_of,
)
from store.files.cores import usable_cores
from store.files.errors import MonosemError
from store.index.neuron_file import NeuronActs
from store.index.reader import FeatureStore
from store.query.text_units import LONGEST, TextUnits, UnitValue, shared_units, texts_of
from store.settings.compare import CompareSettings

BOTH = (0, 1)
Directions = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Directions [F, D] of both sides, in one space: rows of W_dec, or columns of W_enc."""


@dataclass(frozen=True)
class IndexedRun:
    """One side of a comparison."""

    name: str
    store: FeatureStore
    digest: str = ""
    """Seal of its features.h5."""
    neurons: NeuronActs | None = None
    """Neurons on the tokens of `store`, which then are compared in place of its features."""


@dataclass(frozen=True)
class _Text:
    """The activations of both sides over units of text."""

    units: TextUnits
    acts: tuple[Sparse, Sparse]
    """Activations [F, U]."""
    second_UF: Sparse
    """The second side's by unit."""

    @property
    def choosing(self) -> Alignment:
        """The units on which partners are chosen."""
        return Alignment(~self.units.measuring_U)

    @property
    def measuring(self) -> Alignment:
        """The units on which they are measured."""
        return Alignment(self.units.measuring_U)

    def sums(self, aligned: Alignment) -> tuple[Sums, Sums]:
        """Return the sums of both sides over the units that count."""
        return Sums.of(self.acts[0], 0, aligned), Sums.of(self.acts[1], 1, aligned)


def compare(first: IndexedRun, second: IndexedRun, settings: CompareSettings, progress: Progress) -> Comparison:
    """Compare two dictionaries.

    Raises:
        MonosemError: the indexes have no text in common, or are of rows of an array.
    """
    both, memory = (first, second), settings.memory // 2
    jobs = settings.jobs or usable_cores()
    text = _read(both, shared_text(first, second, settings, progress), settings.value, ArrayRoom(memory), progress)
    choosing, measured = text.sums(text.choosing), text.sums(text.measuring)
    judged = _judged(choosing, measured, settings.least)
    with progress.task("partners", 1 + settings.shifts, "searches") as bar:
        partners = best_partners(text.acts[0], text.second_UF, text.choosing, choosing, judged, memory, jobs)
        bar.advance(1)
        nulls = []
        for by in shifts_of(text.units, settings):
            nulls.append(_null(text, by, judged, memory, jobs))
            bar.advance(1)
    decoders, encoders = _shared_decoders(both), _shared_encoders(both)
    found = _pair_figures(text, partners, settings, jobs, progress)
    sides = [_side(side, found[side], partners, (choosing, measured), judged, (decoders, encoders)) for side in BOTH]
    matching: Matching | None = None
    if decoders is not None:
        progress.say("matching decoders one to one")
        matching = match_decoders(*decoders)
    told = [
        _side_summary(both[side], text.units, (sides[side], found[side]), measured[side], side, nulls) for side in BOTH
    ]
    return Comparison(_summary(text.units, settings, matching, (told[0], told[1])), (sides[0], sides[1]))


def _read(both: Sequence[IndexedRun], units: TextUnits, value: UnitValue, room: ArrayRoom, progress: Progress) -> _Text:
    """Read the activations of both sides."""
    with progress.task("activations of units", 3, "matrices") as bar:
        acts = []
        for side, one in enumerate(both):
            acts.append(unit_activations(one.store, units, side, value, room))
            bar.advance(1)
        second_UF = by_unit(acts[1], room)
        bar.advance(1)
    return _Text(units, (acts[0], acts[1]), second_UF)


def shared_text(first: IndexedRun, second: IndexedRun, settings: CompareSettings, progress: Progress) -> TextUnits:
    """Return the units of text of both sides.

    Raises:
        MonosemError: the indexes have no text in common, or are of rows of an array.
    """
    for one in (first, second):
        if one.store.plan.of_array:
            raise MonosemError(f"{one.name} is an index of rows, which have no text to compare by")
    with progress.task("texts", 2, "runs") as bar:
        texts = texts_of((first.store, second.store))
        bar.advance(2)
    units = shared_units(texts[0], texts[1], settings.unit)
    for one, unpaired, text in zip((first, second), units.unpaired, texts, strict=True):
        if unpaired:
            progress.say(f"{unpaired} of {len(text.digest_D)} documents of {one.name} are not in the other index")
    return units


def _judged(
    choosing: tuple[Sums, Sums], measuring: tuple[Sums, Sums], least: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which features of each side fire on enough units, half of them in each half."""
    first, second = (
        (one.count_F + other.count_F >= least) & (np.minimum(one.count_F, other.count_F) >= least // 2)
        for one, other in zip(choosing, measuring, strict=True)
    )
    return first, second


def shifts_of(units: TextUnits, settings: CompareSettings) -> list[int]:
    """Return by how many units the second side is shifted: to starts of documents, none of them the first."""
    starts = np.unique(units.starts_P[1:])
    starts = starts[(starts > 0) & (starts < units.n_units)]
    if not len(starts):
        return []
    drawn = np.random.default_rng(settings.seed)
    return [int(by) for by in drawn.choice(starts, min(settings.shifts, len(starts)), replace=False)]


def _null(
    text: _Text, by: int, judged: tuple[NDArray[np.bool_], NDArray[np.bool_]], memory: int, jobs: int
) -> tuple[Shares, Shares]:
    """Return how well features are matched by features whose text was shifted."""
    choosing = replace(text.choosing, by=by)
    found = best_partners(text.acts[0], text.second_UF, choosing, text.sums(choosing), judged, memory, jobs)
    measuring = replace(text.measuring, by=by)
    first, second = (
        pair_correlations(text.acts, side, found[side].partner_F, measuring, jobs)[judged[side]] for side in BOTH
    )
    return shares_of(first), shares_of(second)


def _pair_figures(
    text: _Text, partners: tuple[Partners, Partners], settings: CompareSettings, jobs: int, progress: Progress
) -> tuple[PairFigures, PairFigures]:
    """Measure every feature of both sides beside its partner."""
    documents = UnitDocuments.of(text.units.document_U, text.measuring)
    weight_DR = resamplings(len(documents.units_D), settings.resamplings, settings.seed)
    found = []
    with progress.task("figures of features", 2, "runs") as bar:
        for side in BOTH:
            partner_F = partners[side].partner_F
            found.append(of_pairs(text.acts, side, partner_F, text.measuring, documents, weight_DR, jobs))
            bar.advance(1)
    return found[0], found[1]


def _side(
    side: int,
    found: PairFigures,
    partners: tuple[Partners, Partners],
    halves: tuple[tuple[Sums, Sums], tuple[Sums, Sums]],
    judged: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    shared: tuple[Directions | None, Directions | None],
) -> Side:
    """Return every feature of a side beside its partner; `shared` are the decoders and encoders of both."""
    partner_F = partners[side].partner_F
    return Side(
        partner_F.astype(np.int32),
        found.r_F.astype(np.float32),
        partners[side].r_F.astype(np.float32),
        halves[0][side].count_F + halves[1][side].count_F,
        found.joint_F,
        found.jaccard_F.astype(np.float32),
        found.coverage_F.astype(np.float32),
        found.covered_F.astype(np.float32),
        _cosines(shared[0], side, partner_F),
        _cosines(shared[1], side, partner_F),
        judged[side],
        mutual_of(partner_F, partners[1 - side].partner_F),
    )


def _shared_decoders(both: Sequence[IndexedRun]) -> Directions | None:
    """Return the decoders of both, if they write to one place of one model; else None."""
    if not _is_one_place(both, [one.store.spec.written for one in both]):
        return None
    first, second = (np.concatenate(list(one.store.decoder_rows())) for one in both)
    return (first, second) if first.shape[1] == second.shape[1] else None


def _shared_encoders(both: Sequence[IndexedRun]) -> Directions | None:
    """Return the encoders of both, if they read one place of one model; else None."""
    if not _is_one_place(both, [one.store.spec.read for one in both]):
        return None
    first, second = (one.store.encoder_columns() for one in both)
    return (first, second) if first.shape[1] == second.shape[1] else None


def _is_one_place(both: Sequence[IndexedRun], sites: Sequence[tuple[str, int | None]]) -> bool:
    models = [one.store.plan.model_digest for one in both]
    return models[0] == models[1] != "" and sites[0] == sites[1]


def _cosines(shared: Directions | None, side: int, partner_F: NDArray[np.int64]) -> NDArray[np.float32]:
    cosine_F = np.full(len(partner_F), np.nan, np.float32)
    if shared is not None:
        having = np.flatnonzero(partner_F != NO_PARTNER)
        mine, theirs = shared[side][having], shared[1 - side][partner_F[having]]
        norms = np.linalg.norm(mine, axis=1) * np.linalg.norm(theirs, axis=1)
        cosine_F[having] = np.einsum("fd,fd->f", mine, theirs) / np.where(norms > 0, norms, 1)
    return cosine_F


def _summary(
    units: TextUnits, settings: CompareSettings, matching: Matching | None, told: tuple[SideSummary, SideSummary]
) -> Summary:
    return Summary(
        settings.unit,
        units.n_units,
        int(units.measuring_U.sum()),
        units.n_documents,
        units.too_long,
        unit_bytes(units),
        None if matching is None else matching.mean_cosine,
        matching is not None and matching.exact,
        told,
        one_sided=units.one_sided,
        value=settings.value,
    )


def _side_summary(
    one: IndexedRun,
    units: TextUnits,
    measured: tuple[Side, PairFigures],
    sums: Sums,
    side: int,
    nulls: Sequence[tuple[Shares, Shares]],
) -> SideSummary:
    mine, found = measured
    judged = np.flatnonzero(mine.judged_F)
    squares = sums.square_F * one.store.columns.decoder_norm_F.astype(np.float64) ** 2
    return SideSummary(
        one.name,
        one.digest,
        len(mine.r_F),
        len(judged),
        int((mine.units_F == 0).sum()),
        units.unpaired[side],
        shares_of(mine.r_F[judged]),
        intervals(found.r_FR[judged]),
        mean_shares([null[side] for null in nulls]),
        float(mine.mutual_F[judged].mean()) if len(judged) else 0.0,
        float(squares[mine.r_F >= SHARED].sum() / max(squares.sum(), 1e-300)),
    )


def unit_bytes(units: TextUnits) -> tuple[int, ...]:
    """Return the numbers of units of 1, 2, … bytes."""
    return tuple(np.bincount(units.length_U, minlength=LONGEST + 1)[1:].tolist())


def mean_shares(nulls: Sequence[Shares]) -> Shares | None:
    """Return the means of nulls; None without any."""
    if not nulls:
        return None
    share_r = np.mean([null.share_r for null in nulls], axis=0)
    return Shares(float(np.mean([null.median_r for null in nulls])), tuple(share_r.tolist()))
