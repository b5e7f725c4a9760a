"""Detectors and sets of them against brute force over all thresholds, on matrices small enough to be written out.

Shapes: N tokens, F detectors.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from engine.evaluation.planted_detectors import (
    GRID,
    ActiveFeatures,
    DenseDetectors,
    Detectors,
    feature_thresholds,
    grid,
    neuron_levels,
    neuron_thresholds,
    sparse_detectors,
)
from engine.evaluation.planted_scores import MOST, score

Bools = NDArray[np.bool_]
Acts = NDArray[np.float32]


def f1(fires: Bools, has: Bools) -> float:
    """By its definition; 0 where nothing fires or is there."""
    tp = int((fires & has).sum())
    return 2 * tp / (2 * tp + int((fires & ~has).sum()) + int((~fires & has).sum())) if tp else 0.0


def sparse_rules(acts_NF: Acts, other_NF: Acts) -> list[list[tuple[Bools, Bools]]]:
    """By feature, what each of its possible thresholds does on both halves."""
    return [
        [((a > 0) & (a >= t), (b > 0) & (b >= t)) for t in sorted(set(a[a > 0].tolist()))]
        for a, b in zip(acts_NF.T, other_NF.T, strict=True)
    ]


def dense_rules(acts_NF: Acts, other_NF: Acts) -> list[list[tuple[Bools, Bools]]]:
    """First every neuron from below, then every neuron from above."""
    above = [[(a >= t, b >= t) for t in sorted(set(a.tolist()))] for a, b in zip(acts_NF.T, other_NF.T, strict=True)]
    return above + [[(~here, ~there) for here, there in rules] for rules in above]


def by_hand(rules: list[list[tuple[Bools, Bools]]], has: Bools, has_too: Bools) -> tuple[float, float, list[int]]:
    """Greedy forward selection, every union written out."""
    here, there = np.zeros(len(has), bool), np.zeros(len(has_too), bool)
    taken: list[int] = []
    single, best = 0.0, 0.0
    while len(taken) < MOST:
        tried = [
            (f1(here | a, has), -number, -level)
            for number, levels in enumerate(rules)
            if number not in taken
            for level, (a, _) in enumerate(levels)
        ]
        if not tried or max(tried)[0] <= best:
            break
        best, number, level = max(tried)
        a, b = rules[-number][-level]
        here, there = here | a, there | b
        taken.append(-number)
        if len(taken) == 1:
            single = f1(there, has_too)
    return single, f1(there, has_too), taken


def sparse(acts_NF: Acts, thresholds: Acts | None = None) -> tuple[Detectors, Acts]:
    active_NF = acts_NF > 0
    feature = np.nonzero(active_NF)[1].astype(np.int64)
    entries = ActiveFeatures(active_NF.sum(1).astype(np.int64), feature, acts_NF[active_NF])
    if thresholds is None:
        thresholds = feature_thresholds(entries, acts_NF.shape[1])
    return sparse_detectors(entries, thresholds), thresholds


def dense(acts_NF: Acts, thresholds: Acts | None = None) -> tuple[Detectors, Acts]:
    thresholds = neuron_thresholds(acts_NF) if thresholds is None else thresholds
    return DenseDetectors(neuron_levels(acts_NF, thresholds)), thresholds


@st.composite
def halves(draw: st.DrawFn, low: int) -> tuple[Acts, Acts, Bools, Bools]:
    """Activations and labels of two halves, with ties and features that never fire."""
    n, m, f = draw(st.integers(1, 24)), draw(st.integers(1, 12)), draw(st.integers(1, 6))
    values = st.integers(low, 6).map(lambda i: i / 4)
    acts = [draw(hnp.arrays(np.float32, (rows, f), elements=values)) for rows in (n, m)]
    labels = [draw(hnp.arrays(np.bool_, rows)) for rows in (n, m)]
    return acts[0], acts[1], labels[0], labels[1]


def check(kind: str, drawn: tuple[Acts, Acts, Bools, Bools]) -> None:
    acts, other, has, has_too = drawn
    make, rules = (sparse, sparse_rules) if kind == "sparse" else (dense, dense_rules)
    selecting, thresholds = make(acts)
    measuring, _ = make(other, thresholds)
    (got,) = score(selecting, measuring, [np.flatnonzero(has)], [np.flatnonzero(has_too)])
    single, union, taken = by_hand(rules(acts, other), has, has_too)
    assert got.detectors == taken
    if not has_too.any() or not taken:
        assert got.f1 is None and got.f1_set is None
    else:
        assert (got.f1, got.f1_set) == (pytest.approx(single), pytest.approx(union))


@given(halves(low=-2))
def test_features_against_brute_force(drawn: tuple[Acts, Acts, Bools, Bools]) -> None:
    check("sparse", drawn)


@given(halves(low=-4))
def test_neurons_against_brute_force(drawn: tuple[Acts, Acts, Bools, Bools]) -> None:
    check("dense", drawn)


@given(halves(low=-2), st.data())
def test_counts_are_counts(drawn: tuple[Acts, Acts, Bools, Bools], data: st.DataObject) -> None:
    """Scores of any set of tokens, in any order."""
    for make in (sparse, dense):
        detectors, _ = make(drawn[0])
        tokens = np.array(data.draw(st.permutations(np.flatnonzero(drawn[2]).tolist())), np.int64)
        counts_MG = detectors.counts(tokens)
        for detector, level in np.ndindex(*counts_MG.shape):
            assert counts_MG[detector, level] == detectors.fires(detector, level)[tokens].sum()


def test_a_class_split_over_features_is_found_by_the_set_alone() -> None:
    """Three features of a third each, one that fires everywhere, and a threshold that leaves noise out."""
    rng = np.random.default_rng(0)
    which_N = rng.integers(0, 12, 4000)
    acts_NF = np.zeros((4000, 5), np.float32)
    for f in range(3):
        acts_NF[:, f] = np.where(which_N == f, 2 + rng.random(4000), 0.5 * (rng.random(4000) < 0.2))
    acts_NF[:, 4] = 1
    has = which_N < 3
    selecting, thresholds = sparse(acts_NF[:2000])
    measuring, _ = sparse(acts_NF[2000:], thresholds)
    (got,) = score(selecting, measuring, [np.flatnonzero(has[:2000])], [np.flatnonzero(has[2000:])])
    assert sorted(got.detectors) == [0, 1, 2]
    assert got.f1_set is not None and got.f1_set > 0.95  # the grid has a threshold within 4 % of the best one
    assert got.f1 is not None and got.f1 < 0.55


def test_the_grid_reaches_rare_values() -> None:
    """Thresholds separate the strongest 0.1 % of ten thousand, and the weakest."""
    values = np.arange(10_000, dtype=np.float32)
    thresholds = grid(values)
    assert len(thresholds) == GRID and thresholds[0] == 0
    assert (np.diff(thresholds) > 0).all()
    shares = (values[:, None] >= thresholds).mean(0)
    assert shares.min() < 3e-4 and ((shares > 5e-4) & (shares < 2e-3)).any()
    assert ((shares < 1 - 5e-4) & (shares > 1 - 2e-3)).any()
    assert np.abs(np.diff(shares)).max() < 0.05
