"""Rank all features by how well they detect a set of tokens, and grow a small set that detects it together.

A feature *fires* at a threshold where its activation is at least the threshold; candidates are its own activations. A
*set* fires where one of its features does, each at its own threshold. It is grown greedily: from the best single
feature, it adds the pair of feature and threshold with the highest F1 (ties: lower feature, then lower threshold) while
F1 rises; candidates are activations on tokens where the set does not fire yet.

The best of thousands of features and thresholds looks better than it is on the tokens it was chosen on. With `held_out`
features and thresholds are chosen on contexts of even number, and every figure is measured on the others.

Shapes: N tokens, F features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isnan
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.index.corpus_text import Mask
from store.index.reader import FeatureStore
from store.query.detectors import Choice, Detectors, FeatureDetectors
from store.query.scores import Scores, Tally, TokenTotals
from store.run.counted_noun import ROW, CountedNoun

MOST = 5
"""Features in a set."""
Order = Literal["f1", "auroc"]
ORDERS: tuple[Order, ...] = get_args(Order)


@dataclass(frozen=True, kw_only=True)
class FindOptions:
    """The figure by which features are ranked."""

    top: int = 20
    """Features in the ranking at most."""
    most: int = MOST
    """Features in the set at most; 0 for no set."""
    held_out: bool = False
    """Choose features and thresholds on one half of the contexts, measure on the other."""
    by: Order = "f1"
    """Order of the ranking; a feature's threshold and the set are always those of the best F1."""


DEFAULTS = FindOptions()


class UnevenHalves(MonosemError):
    """All matches are in one half of the contexts, so nothing can be held out."""


class Question(NamedTuple):
    """Tokens to detect among others."""

    name: str
    """Name of the tokens, for messages."""
    scored_N: Mask
    """Tokens scored, a subset of those that count."""
    matched_N: Mask
    """Positive tokens, scored or not."""
    measured_N: Mask | None = None
    """Tokens that measure where something is held out; None for contexts of odd number."""


@dataclass(frozen=True)
class FeatureScore:
    """Figures of one feature at its best threshold."""

    choice: Choice
    tally: Tally
    auroc: float | None
    """Probability that a matching token has a higher activation than another, ties counting half; None if undefined."""
    n_active: int
    """Tokens of the whole index on which it is active."""


@dataclass(frozen=True)
class SetScore:
    """Figures of a set of features, the best feature first."""

    choices: tuple[Choice, ...]
    tally: Tally


@dataclass(frozen=True)
class Found:
    """An answer, final or intermediate."""

    matched: int
    """Scored tokens that match."""
    scored: int
    measured: int
    """Matching tokens that the figures are measured on: all, or with `held_out` those of the other contexts."""
    results: tuple[FeatureScore, ...]
    """Best first; only features that fire on a matching token. Before `finished`, over the entries read so far, with
    `held_out` on the contexts that choices are made on."""
    union: SetScore | None
    """None before it is known, and if none was asked for."""
    done: float
    """Share of the entries read, in the pass over all features."""
    finished: bool


def find(store: FeatureStore, question: Question, options: FindOptions = DEFAULTS) -> Found:
    """Return the whole answer: the last one of `search`."""
    *_, last = search(store, question, options)
    return last


def search(
    store: FeatureStore, question: Question, options: FindOptions = DEFAULTS, detectors: Detectors | None = None
) -> Iterator[Found]:
    """Yield ever better answers: after every block of features, and after every feature that joins the set.

    Memory is some bytes per token and some arrays of [d_sae], whatever the number of entries.

    Args:
        store: an index.
        question: tokens of it to detect.
        options: what is ranked by what.
        detectors: what is ranked; None for the index's features.

    Raises:
        MonosemError: no scored token matches, or none in one of the halves.
    """
    selecting, measuring = _halves(store, question, held_out=options.held_out)
    detectors = detectors or FeatureDetectors(store)
    scan = detectors.scan(selecting.scored_N, selecting.matched_N)
    totals, scores = _totals(selecting), Scores.empty(detectors.unit_F)
    matched, scored = int((question.scored_N & question.matched_N).sum()), int(question.scored_N.sum())
    measured = int((measuring.scored_N & measuring.matched_N).sum())
    wanted = scan.features()
    entries, read = max(1, int(scan.count_F[wanted].sum())), 0
    found = Found(matched, scored, measured, (), None, 0.0, finished=False)
    for groups in scan.groups(wanted):
        scores.take(groups, totals)
        read += int(groups.entries.sum())
        results = _best(scores, totals, scan.count_F, options.top, options.by)
        found = replace(found, results=results, done=min(1.0, read / entries))
        yield found
    found = replace(found, done=1.0)
    if options.held_out:
        found = replace(found, results=_measured(detectors, measuring, found.results))
    if options.most and len(wanted):
        first = _best(scores, totals, scan.count_F, 1, "f1")[0].choice
        for choices in _grown(detectors, selecting, first, options.most):
            found = replace(found, union=SetScore(choices, tally_of(detectors, measuring, choices)))
            yield found
    yield replace(found, finished=True)


def tally_of(detectors: Detectors, question: Question, choices: tuple[Choice, ...]) -> Tally:
    """Count hits and firings of a set of detectors at given thresholds."""
    fires_N = np.zeros(len(question.scored_N), bool)
    for choice in choices:
        fires_N[detectors.firing_places(choice)] = True
    fires_N &= question.scored_N
    matched_N = question.scored_N & question.matched_N
    return Tally(int((fires_N & matched_N).sum()), int(fires_N.sum()), int(matched_N.sum()))


def firing_places(store: FeatureStore, choice: Choice) -> NDArray[np.int64]:
    """Return the corpus places where a feature fires, the strongest first."""
    return FeatureDetectors(store).firing_places(choice)


def _totals(question: Question) -> TokenTotals:
    return TokenTotals(int(question.scored_N.sum()), int((question.scored_N & question.matched_N).sum()))


def _hint(noun: CountedNoun) -> str:
    """Return what is searched."""
    return "The text of a row is its number, as #12." if noun == ROW else "Only tokens that count are searched."


def _halves(store: FeatureStore, question: Question, *, held_out: bool) -> tuple[Question, Question]:
    """Return the question to choose on and the one to measure on: the same, or contexts of even and of odd number."""
    scored_N = question.scored_N
    if not (scored_N & question.matched_N).any():
        raise MonosemError(f"nothing in the indexed corpus matches {question.name}", _hint(store.plan.noun))
    if not held_out:
        return question, question
    odd_N = question.measured_N
    if odd_N is None:
        lengths = np.diff(store.layout.contexts.start, append=store.n_tokens)
        odd_N = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    halves = question._replace(scored_N=scored_N & ~odd_N), question._replace(scored_N=scored_N & odd_N)
    if not all((half.scored_N & half.matched_N).any() for half in halves):
        pieces = "contexts" if question.measured_N is None else "documents"
        raise UnevenHalves(
            f"{question.name} matches in one half of the {pieces} only",
            "Leave `held_out=True` out, or index more text.",
        )
    return halves


def _best(
    scores: Scores, totals: TokenTotals, count_F: NDArray[np.int64], top: int, by: Order
) -> tuple[FeatureScore, ...]:
    ids = np.flatnonzero(scores.hits_F)
    values = scores.auroc_F[ids] if by == "auroc" else scores.f1_F[ids]
    return tuple(
        FeatureScore(
            Choice(i, float(scores.threshold_F[i])),
            Tally(int(scores.hits_F[i]), int(scores.fired_F[i]), totals.matched),
            None if isnan(scores.auroc_F[i]) else float(scores.auroc_F[i]),
            int(count_F[i]),
        )
        for i in ids[np.lexsort((ids, -values))][:top].tolist()
    )


def _measured(detectors: Detectors, measuring: Question, results: tuple[FeatureScore, ...]) -> tuple[FeatureScore, ...]:
    """Measure the same features at the same thresholds on other tokens, in the same order."""
    totals, scores = _totals(measuring), Scores.empty(detectors.unit_F)
    scan = detectors.scan(measuring.scored_N, measuring.matched_N)
    for groups in scan.groups(np.unique([one.choice.feature for one in results])):
        scores.take(groups, totals)
    judged = []
    for one in results:
        auroc = float(scores.auroc_F[one.choice.feature])
        # Without entries on these tokens all activations are zero, so all pairs tie.
        known = auroc if not isnan(auroc) else (0.5 if totals.matched < totals.scored else None)
        judged.append(replace(one, tally=tally_of(detectors, measuring, (one.choice,)), auroc=known))
    return tuple(judged)


def _grown(detectors: Detectors, selecting: Question, first: Choice, most: int) -> Iterator[tuple[Choice, ...]]:
    """Yield the set after each feature that joins it."""
    choices: tuple[Choice, ...] = (first,)
    yield choices
    whole = _totals(selecting)
    free_N = selecting.scored_N.copy()
    best = tally_of(detectors, selecting, choices).f1
    while len(choices) < most:
        free_N[detectors.firing_places(choices[-1])] = False
        taken_N = selecting.scored_N & ~free_N
        totals = whole._replace(taken=int(taken_N.sum()), taken_hits=int((taken_N & selecting.matched_N).sum()))
        scan, scores = detectors.scan(free_N, selecting.matched_N), Scores.empty(detectors.unit_F)
        for groups in scan.groups(scan.features()):
            scores.take(groups, totals)
        scores.f1_F[[choice.feature for choice in choices]] = 0
        feature = int(scores.f1_F.argmax())
        if scores.f1_F[feature] <= best:
            return
        best = float(scores.f1_F[feature])
        choices = (*choices, Choice(feature, float(scores.threshold_F[feature])))
        yield choices
