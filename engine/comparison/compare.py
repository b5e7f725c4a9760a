"""Compare two dictionaries on the text that both have indexed.

Shapes: A and B features of the two, U units, P pairs of documents, R resamplings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.comparison.assignment import Matching, match_decoders
from engine.comparison.correlation import Partners, Sums, best_partners, shifted
from engine.comparison.paired_figures import (
    DocumentSums,
    intervals,
    mutual_of,
    of_pairs,
    partners_acts,
    resamplings,
)
from engine.comparison.unit_matrix import Sparse, unit_activations
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
from store.files.errors import MonosemError
from store.index.neuron_file import NeuronActs
from store.index.reader import FeatureStore
from store.query.text_units import LONGEST, DocumentTexts, TextUnits, shared_units
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
class _Halves:
    """The activations of both sides over the units of one half."""

    acts: tuple[Sparse, Sparse]
    document_U: NDArray[np.int32]


def compare(first: IndexedRun, second: IndexedRun, settings: CompareSettings, progress: Progress) -> Comparison:
    """Compare two dictionaries.

    Raises:
        MonosemError: the indexes have no text in common, or are of rows of an array.
    """
    both = (first, second)
    units = shared_text(first, second, settings, progress)
    with progress.task("activations of units", 2, "runs") as bar:
        acts = []
        for one, unit_N in zip(both, units.unit_N, strict=True):
            acts.append(unit_activations(one.store, unit_N, units.n_units))
            bar.advance(1)
    whole = _Halves((acts[0], acts[1]), units.document_U)
    choosing = _half(whole, ~units.measuring_U)
    judged = _judged(whole, choosing, settings.least)
    with progress.task("partners", 1 + settings.shifts, "searches") as bar:
        partners = best_partners(*choosing.acts, judged, settings.memory)
        del choosing
        bar.advance(1)
        nulls = []
        for by in shifts_of(units, settings):
            nulls.append(_null(whole, units, by, judged, settings.memory))
            bar.advance(1)
    measuring = _half(whole, units.measuring_U)
    decoders, encoders = _shared_decoders(both), _shared_encoders(both)
    sides = _sides(whole, measuring, partners, judged, (decoders, encoders), progress)
    return Comparison(_summary(both, units, measuring, sides, nulls, decoders, settings, progress), sides)


def shared_text(first: IndexedRun, second: IndexedRun, settings: CompareSettings, progress: Progress) -> TextUnits:
    """Return the units of text of both sides.

    Raises:
        MonosemError: the indexes have no text in common, or are of rows of an array.
    """
    for one in (first, second):
        if one.store.plan.of_array:
            raise MonosemError(f"{one.name} is an index of rows, which have no text to compare by")
    with progress.task("texts", 2, "runs") as bar:
        texts = []
        for one in (first, second):
            texts.append(DocumentTexts.of(one.store))
            bar.advance(1)
    units = shared_units(texts[0], texts[1], settings.unit)
    for one, unpaired, text in zip((first, second), units.unpaired, texts, strict=True):
        if unpaired:
            progress.say(f"{unpaired} of {len(text.tokens_D)} documents of {one.name} are not in the other index")
    return units


def _half(whole: _Halves, wanted_U: NDArray[np.bool_]) -> _Halves:
    first, second = (acts[:, np.flatnonzero(wanted_U)] for acts in whole.acts)
    _, document_U = np.unique(whole.document_U[wanted_U], return_inverse=True)
    return _Halves((first, second), document_U.astype(np.int32))


def _judged(whole: _Halves, choosing: _Halves, least: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which features of each side fire on enough units, half of them in each half."""
    counts = [[acts.getnnz(axis=1) for acts in part.acts] for part in (whole, choosing)]
    first, second = (
        (all_F >= least) & (chosen_F >= least // 2) & (all_F - chosen_F >= least // 2)
        for all_F, chosen_F in zip(*counts, strict=True)
    )
    return first, second


def shifts_of(units: TextUnits, settings: CompareSettings) -> list[int]:
    """Return by how many units the second side is shifted: to starts of documents, none of them the first."""
    starts = units.starts_P[1:]
    if not len(starts):
        return []
    drawn = np.random.default_rng(settings.seed)
    return [int(by) for by in drawn.choice(starts, min(settings.shifts, len(starts)), replace=False)]


def _null(
    whole: _Halves,
    units: TextUnits,
    by: int,
    judged: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    memory: int,
) -> tuple[Shares, Shares]:
    """Return how well features are matched by features whose text was shifted."""
    moved = replace(whole, acts=(whole.acts[0], shifted(whole.acts[1], by)))
    found = best_partners(*_half(moved, ~units.measuring_U).acts, judged, memory)
    measuring = _half(moved, units.measuring_U)
    first, second = (_measured(measuring, side, found[side].partner_F)[judged[side]] for side in BOTH)
    return shares_of(first), shares_of(second)


def _measured(half: _Halves, side: int, partner_F: NDArray[np.int64]) -> NDArray[np.float64]:
    beside = partners_acts(half.acts[1 - side], partner_F)
    return DocumentSums.of(half.acts[side], beside, np.zeros(beside.shape[1], np.int32)).r()


def _sides(
    whole: _Halves,
    measuring: _Halves,
    partners: tuple[Partners, Partners],
    judged: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    shared: tuple[Directions | None, Directions | None],
    progress: Progress,
) -> tuple[Side, Side]:
    """Return every feature of both sides beside its partner; `shared` are their decoders and encoders."""
    sides = []
    with progress.task("figures of features", 2, "runs") as bar:
        for side in BOTH:
            partner_F = partners[side].partner_F
            found = of_pairs(measuring.acts[side], measuring.acts[1 - side], partner_F, measuring.document_U)
            sides.append(
                Side(
                    partner_F.astype(np.int32),
                    found.r_F.astype(np.float32),
                    partners[side].r_F.astype(np.float32),
                    whole.acts[side].getnnz(axis=1).astype(np.int64),
                    found.joint_F,
                    found.jaccard_F.astype(np.float32),
                    found.coverage_F.astype(np.float32),
                    found.covered_F.astype(np.float32),
                    _cosines(shared[0], side, partner_F),
                    _cosines(shared[1], side, partner_F),
                    judged[side],
                    mutual_of(partner_F, partners[1 - side].partner_F),
                )
            )
            bar.advance(1)
    return sides[0], sides[1]


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
    both: Sequence[IndexedRun],
    units: TextUnits,
    measuring: _Halves,
    sides: tuple[Side, Side],
    nulls: Sequence[tuple[Shares, Shares]],
    decoders: Directions | None,
    settings: CompareSettings,
    progress: Progress,
) -> Summary:
    matching: Matching | None = None
    if decoders is not None:
        progress.say("matching decoders one to one")
        matching = match_decoders(*decoders)
    told = [
        _side_summary(both[side], units, measuring, sides, side, [null[side] for null in nulls], settings)
        for side in BOTH
    ]
    return Summary(
        settings.unit,
        units.n_units,
        int(units.measuring_U.sum()),
        units.n_documents,
        units.too_long,
        unit_bytes(units),
        None if matching is None else matching.mean_cosine,
        matching is not None and matching.exact,
        (told[0], told[1]),
    )


def _side_summary(
    one: IndexedRun,
    units: TextUnits,
    measuring: _Halves,
    sides: tuple[Side, Side],
    side: int,
    nulls: Sequence[Shares],
    settings: CompareSettings,
) -> SideSummary:
    mine = sides[side]
    judged = np.flatnonzero(mine.judged_F)
    squares = Sums.of(measuring.acts[side]).square_F * one.store.columns.decoder_norm_F.astype(np.float64) ** 2
    return SideSummary(
        one.name,
        one.digest,
        len(mine.r_F),
        len(judged),
        int((mine.units_F == 0).sum()),
        units.unpaired[side],
        shares_of(mine.r_F[judged]),
        _intervals(measuring, side, mine.partner_F.astype(np.int64), judged, settings),
        mean_shares(nulls),
        float(mine.mutual_F[judged].mean()) if len(judged) else 0.0,
        float(squares[mine.r_F >= SHARED].sum() / max(squares.sum(), 1e-300)),
    )


def _intervals(
    half: _Halves, side: int, partner_F: NDArray[np.int64], judged: NDArray[np.int64], settings: CompareSettings
) -> tuple[tuple[float, ...], ...]:
    """Return the intervals of judged features from resampled documents."""
    mine, beside = half.acts[side][judged], partners_acts(half.acts[1 - side], partner_F)[judged]
    sums = DocumentSums.of(mine, beside, half.document_U)
    return intervals(sums.r(resamplings(len(sums.units_D), settings.resamplings, settings.seed)))


def unit_bytes(units: TextUnits) -> tuple[int, ...]:
    """Return the numbers of units of 1, 2, … bytes."""
    return tuple(np.bincount(units.length_U, minlength=LONGEST + 1)[1:].tolist())


def mean_shares(nulls: Sequence[Shares]) -> Shares | None:
    """Return the means of nulls; None without any."""
    if not nulls:
        return None
    share_r = np.mean([null.share_r for null in nulls], axis=0)
    return Shares(float(np.mean([null.median_r for null in nulls])), tuple(share_r.tolist()))
