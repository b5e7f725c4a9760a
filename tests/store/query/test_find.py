"""Ranking, intervals, sets and halves against brute force over dense activations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.query import inverted_scan as sweep
from store.query.detectors import Choice
from store.query.find import FindOptions, Found, Question, UnevenHalves, find, search
from store.query.inverted_scan import InvertedScan, feature_runs
from store.query.scores import Tally, wilson
from tests.store.raw import Raw, build_store, random_raw

Bools = NDArray[np.bool_]
Dense = NDArray[np.float64]


@contextmanager
def opened(raw: Raw, per_segment: int, *, merged: bool) -> Iterator[FeatureStore]:
    """An index of `raw`, gone when the block ends."""
    with TemporaryDirectory() as folder:
        build_store(Path(folder) / "run", raw, per_segment, merged=merged)
        with FeatureStore.open(Path(folder) / "run") as store:
            yield store


def dense_of(raw: Raw) -> Dense:
    acts_NF = np.zeros((len(raw.tokens), raw.d_sae))
    for entry in raw.entries():
        acts_NF[entry.place, entry.feature] = entry.act
    return acts_NF


def f1(fires: Bools, has: Bools) -> float:
    hits = int((fires & has).sum())
    return 2 * hits / (int(fires.sum()) + int(has.sum())) if fires.any() or has.any() else 0.0


def auroc(acts: Dense, has: Bools) -> float | None:
    """Every pair of a matching token and another, ties half."""
    if has.all() or not has.any():
        return None
    ours, others = acts[has][:, None], acts[~has][None]
    return float(((ours > others) + 0.5 * (ours == others)).mean())


def best_of(acts_NF: Dense, has: Bools, base: Bools, skip: list[int]) -> tuple[float, int, float]:
    """F1, feature and threshold of the best union with `base`; ties to the lower feature, then threshold."""
    tried = [
        (-f1(base | (acts_NF[:, f] >= t), has), f, float(t))
        for f in range(acts_NF.shape[1])
        if f not in skip
        for t in np.unique(acts_NF[:, f][(acts_NF[:, f] > 0) & ~base])
    ]
    value, feature, threshold = min(tried, default=(0.0, -1, 0.0))
    return -value, feature, threshold


def set_of(acts_NF: Dense, has: Bools, most: int) -> list[tuple[int, float]]:
    chosen: list[tuple[int, float]] = []
    fires, best = np.zeros(len(has), bool), 0.0
    while len(chosen) < most:
        value, feature, threshold = best_of(acts_NF, has, fires, [f for f, _ in chosen])
        if value <= best:
            break
        best = value
        chosen.append((feature, threshold))
        fires = fires | (acts_NF[:, feature] >= threshold)
    return chosen


def tally(fires: Bools, has: Bools) -> Tally:
    return Tally(int((fires & has).sum()), int(fires.sum()), int(has.sum()))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Raw, int, bool, Bools]:
    """An index in a few segments or merged, and any tokens to tell."""
    n_contexts = draw(st.integers(2, 6))
    raw = random_raw(draw(st.integers(0, 10**6)), d_sae=draw(st.integers(4, 9)), n_contexts=n_contexts, longest=6)
    n = len(raw.tokens)
    matched = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    return raw, draw(st.integers(1, n_contexts)), draw(st.booleans()), matched


def check_whole(found: Found, acts_NF: Dense, scored: Bools, matched: Bools) -> None:
    """Everything that is said, where nothing is held out."""
    acts, has = acts_NF[scored], matched[scored]
    assert (found.matched, found.scored, found.measured) == (has.sum(), len(has), has.sum())
    expected = []
    for feature in range(acts.shape[1]):
        value, _, threshold = best_of(acts[:, [feature]], has, np.zeros(len(has), bool), [])
        if value > 0:
            fires = acts[:, feature] >= threshold
            expected.append((-value, feature, threshold, tally(fires, has), auroc(acts[:, feature], has)))
    expected.sort(key=lambda one: one[:2])
    assert len(found.results) == len(expected)
    for got, (value, feature, threshold, counts, area) in zip(found.results, expected, strict=True):
        assert got.choice == Choice(feature, threshold)
        assert (got.tally, got.tally.f1) == (counts, -value)
        assert got.auroc == (None if area is None else pytest.approx(area, abs=1e-12))
        assert got.n_active == (acts_NF[:, feature] > 0).sum()
    chosen = set_of(acts, has, 5)
    if chosen:
        assert found.union is not None
        assert found.union.choices == tuple(Choice(*one) for one in chosen)
        fires = np.logical_or.reduce([acts[:, f] >= t for f, t in chosen])
        assert found.union.tally == tally(fires, has)
    else:
        assert found.union is None


@settings(max_examples=25)
@given(cases(), st.sampled_from([3, 40, 1 << 20]))
def test_every_score_is_brute_force(case: tuple[Raw, int, bool, Bools], entries: int) -> None:
    """Merged or in segments, whatever the block size: with 3, single features come in pieces.

    Scoring only two tokens of three is scoring the dense rows of those: the others do not exist.
    """
    raw, per_segment, merged, matched = case
    scored = np.array([token.counted for token in raw.tokens])
    some = scored & (np.arange(len(raw.tokens)) % 3 > 0)
    with opened(raw, per_segment, merged=merged) as store:
        if (some & matched).any():
            found = find(store, Question("x", some, matched), FindOptions(top=raw.d_sae))
            check_whole(found, dense_of(raw), some, matched)
        check_held_out(store, raw, scored, matched)
        question = Question("x", scored, matched)
        if not (scored & matched).any():
            with pytest.raises(MonosemError, match="nothing in the indexed corpus matches x"):
                find(store, question)
            return
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sweep.InvertedScan.__init__, "__defaults__", (entries,))
            *parts, last = search(store, question, FindOptions(top=raw.d_sae))
        check_whole(last, dense_of(raw), scored, matched)
        assert last.finished and last.done == 1.0 and not any(one.finished for one in parts)
        assert [one.done for one in parts] == sorted(one.done for one in parts)


def check_held_out(store: FeatureStore, raw: Raw, scored: Bools, matched: Bools) -> None:
    """Choose on one half, measure on the other."""
    odd = np.repeat(np.arange(len(raw.contexts)) % 2 == 1, [len(context) for context in raw.contexts])
    here, there = scored & ~odd, scored & odd
    question = Question("x", scored, matched)
    if not (here & matched).any() or not (there & matched).any():
        with pytest.raises(UnevenHalves if (scored & matched).any() else MonosemError):
            find(store, question, FindOptions(held_out=True))
        return
    chosen = find(store, Question("x", here, matched), FindOptions(top=raw.d_sae))
    found = find(store, question, FindOptions(top=raw.d_sae, held_out=True))
    assert [one.choice for one in found.results] == [one.choice for one in chosen.results]
    acts, has = dense_of(raw)[there], matched[there]
    assert found.measured == has.sum()
    for one in found.results:
        assert one.tally == tally(acts[:, one.choice.feature] >= one.choice.threshold, has)
        area = auroc(acts[:, one.choice.feature], has)
        assert one.auroc == (None if area is None else pytest.approx(area, abs=1e-12))
    if found.union is not None and chosen.union is not None:
        assert found.union.choices == chosen.union.choices
        fires = np.logical_or.reduce([acts[:, c.feature] >= c.threshold for c in found.union.choices])
        assert found.union.tally == tally(fires, has)


def test_ranked_by_auroc_and_cut() -> None:
    raw = random_raw(5, n_contexts=8)
    scored = np.array([token.counted for token in raw.tokens])
    matched = np.arange(len(raw.tokens)) % 4 == 0
    with opened(raw, 3, merged=True) as store:
        every = find(store, Question("x", scored, matched), FindOptions(top=99))
        found = find(store, Question("x", scored, matched), FindOptions(top=3, by="auroc", most=0))
    areas = sorted((one.auroc or 0 for one in every.results), reverse=True)
    assert [one.auroc for one in found.results] == areas[:3]
    assert found.union is None


@given(st.integers(0, 50), st.integers(0, 50))
def test_wilson_solves_its_equation(hits: int, misses: int) -> None:
    """Its ends are where an observed share lies 1.96 standard errors away."""
    n = hits + misses
    low, high = wilson(hits, n)
    if not n:
        assert (low, high) == (0, 1)
        return
    assert 0 <= low <= hits / n <= high <= 1
    for end in {low, high} - {0.0, 1.0}:
        distance = abs(hits / n - end) / math.sqrt(end * (1 - end) / n)
        assert distance == pytest.approx(1.959964, rel=1e-5)


def test_the_interval_of_f1_covers() -> None:
    """In 93 to 97 % of 4 000 samples of 300 tokens, the interval holds the true F1."""
    rng = np.random.default_rng(0)
    shares = np.array([0.1, 0.05, 0.07, 0.78])  # both, fired on only, matching only, neither
    truth = 2 * shares[0] / (2 * shares[0] + shares[1] + shares[2])
    counts = rng.multinomial(300, shares, 4000)
    covered = [
        low <= truth <= high
        for both, fired, matched, _ in counts.tolist()
        for low, high in [Tally(both, both + fired, both + matched).f1_ci]
    ]
    assert 0.93 < np.mean(covered) < 0.97


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.data())
def test_runs_hold_what_is_wanted_and_little_else(count: list[int], data: st.DataObject) -> None:
    wanted = np.array(sorted(data.draw(st.sets(st.integers(0, len(count) - 1)))), np.int64)
    runs = list(feature_runs(np.array(count), wanted, entries=12, gap=3))
    inside = [feature for first, last in runs for feature in range(first, last)]
    assert inside == sorted(set(inside)) and set(wanted.tolist()) <= set(inside)
    for first, last in runs:
        assert first in wanted and last - 1 in wanted
        assert last - first == 1 or sum(count[first:last]) <= 12
        for a, b in pairwise(wanted.tolist()):
            if first <= a and b < last:
                assert sum(count[a + 1 : b]) <= 3


@pytest.mark.parametrize("merged", [True, False])
def test_only_features_that_fire_on_a_match_are_swept(merged: bool) -> None:
    raw = random_raw(3)
    scored = np.array([token.counted for token in raw.tokens])
    matched = np.zeros(len(scored), bool)
    matched[np.flatnonzero(scored)[[2, -2]]] = True
    with opened(raw, 4, merged=merged) as store:
        found = InvertedScan(store, scored, matched).features()
    assert found.tolist() == np.flatnonzero(dense_of(raw)[matched].any(axis=0)).tolist()
