"""Every number of a feature's page against counting in a dense matrix, for features.h5 and for segments alike.

Shapes: N corpus places, F features.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.index.columns import QUANTILES
from store.index.merge import merge
from store.index.reader import FeatureStore
from store.index.segment import write_common
from store.query.cofiring import MINIMUM, Companion, cofiring
from store.query.drift import drift
from store.query.examples import RANDOM, TOP, sections
from store.query.histogram import activation_histogram, log_histogram, logit_histogram, zeros
from store.query.intervals import rank_name
from store.run.spec import SaeSpec
from tests.store.index.test_segment import RAWS
from tests.store.raw import (
    Raw,
    build_store,
    plan_of,
    random_raw,
    static_columns,
    vocabulary,
    weights,
)

F64 = NDArray[np.float64]


def dense(raw: Raw) -> F64:
    """Stored activations [N, F]."""
    found = np.zeros((len(raw.tokens), raw.d_sae))
    for entry in raw.entries():
        found[entry.place, entry.feature] = entry.act
    return found


@contextmanager
def opened(raw: Raw, per_segment: int, merged: bool) -> Iterator[FeatureStore]:
    with (
        TemporaryDirectory() as folder,
        FeatureStore.open(build_store(Path(folder), raw, per_segment, merged=merged).path) as store,
    ):
        yield store


MANY_RAWS = RAWS | st.builds(random_raw, st.integers(0, 10**6), d_sae=st.integers(3, 7), n_contexts=st.integers(1, 20))
Draw = Callable[[st.SearchStrategy[Any]], Any]


def counts_by_hand(values: F64, edges: F64) -> list[int]:
    """Bins hold their lower edge, the last one its upper edge too."""
    inside = [int(((values >= low) & (values < high)).sum()) for low, high in pairwise(edges)]
    inside[-1] += int((values == edges[-1]).sum())
    return inside


def count_density_extremes_quantiles_and_histograms(store: FeatureStore, raw: Raw, draw: Draw) -> None:
    counted, bins = sum(token.counted for token in raw.tokens), draw(st.integers(1, 9))
    for feature, act_N in enumerate(dense(raw).T):
        fires = np.sort(act_N[act_N > 0])
        columns, n = store.columns, len(fires)
        assert columns.count_F[feature] == n
        assert columns.density_F[feature] == n / max(1, counted)
        assert columns.max_F[feature] == max(fires, default=0)
        assert columns.mean_F[feature] == pytest.approx(fires.mean() if n else 0.0, rel=1e-6)
        assert zeros(store, feature) == counted - n
        quantiles = store.quantiles(feature)
        assert quantiles.q == QUANTILES
        falling = fires[::-1]
        assert quantiles.value.tolist() == [falling[round((1 - q) * (n - 1))] for q in QUANTILES if n]
        linear, logs = activation_histogram(store, feature, bins), log_histogram(store, feature, bins)
        assert linear.counts.tolist() == counts_by_hand(fires, linear.edges)
        assert logs.counts.tolist() == counts_by_hand(fires, logs.edges)
        assert linear.counts.sum() == logs.counts.sum() == n
        if n:
            low = fires[0] if fires[0] < fires[-1] else fires[-1] / 2
            assert (logs.edges[0], logs.edges[-1]) == (low, fires[-1])
            ratios = np.diff(np.log(logs.edges))
            assert ratios == pytest.approx(math.log(fires[-1] / low) / bins, rel=1e-6)


def companions_by_hand(dense_NF: F64, n_counted: int, feature: int, minimum: int) -> list[Companion]:
    """All of them, counted token by token; G² in the form of entropies, which shares no step with the module's."""
    fires = dense_NF > 0
    found = []
    for other in range(fires.shape[1]):
        table = Counter(zip(fires[:, feature].tolist(), fires[:, other].tolist(), strict=True))
        both, only_i, only_j = table[True, True], table[True, False], table[False, True]
        neither = n_counted - both - only_i - only_j
        n_i, n_j = both + only_i, both + only_j
        if other == feature or both < max(minimum, 1) or both * n_counted <= n_i * n_j:
            continue

        def h(*cells: int) -> float:
            return sum(cell * math.log(cell) for cell in cells if cell)

        g2 = 2 * (h(both, only_i, only_j, neither) - h(n_i, n_counted - n_i) - h(n_j, n_counted - n_j) + h(n_counted))
        lift = (both / n_counted) / ((n_i / n_counted) * (n_j / n_counted))
        found.append(Companion(other, both, both / n_i, lift, math.log(lift), g2))
    return sorted(found, key=lambda c: (-round(c.g2, 6), c.feature))


def assert_companions(found: list[Companion], expected: list[Companion]) -> None:
    assert [c.feature for c in sorted(found, key=lambda c: (-round(c.g2, 6), c.feature))] == [
        c.feature for c in expected
    ]
    for one, other in zip(
        sorted(found, key=lambda c: c.feature), sorted(expected, key=lambda c: c.feature), strict=True
    ):
        assert (one.joint, one.share) == (other.joint, other.share)
        assert (one.lift, one.pmi) == (pytest.approx(other.lift), pytest.approx(other.pmi, abs=1e-9))
        assert one.g2 == pytest.approx(other.g2, rel=1e-6, abs=1e-6)


def companions(store: FeatureStore, raw: Raw, draw: Draw) -> None:
    minimum = draw(st.sampled_from([0, 1, 2, MINIMUM]))
    dense_NF, counted = dense(raw), sum(token.counted for token in raw.tokens)
    block, few = draw(st.integers(1, 40)), draw(st.integers(0, 9))
    for part in store.parts:
        part.tokens_at_once, part.few_rows = block, few
    for feature in range(raw.d_sae):
        found = cofiring(store, feature, limit=100, minimum=minimum)
        assert found.n_active == found.n_used == (dense_NF[:, feature] > 0).sum()
        assert not found.sampled
        assert_companions(found.companions, companions_by_hand(dense_NF, counted, feature, minimum))
        assert [c.g2 for c in found.companions] == sorted((c.g2 for c in found.companions), reverse=True)
        some = cofiring(store, feature, limit=2, minimum=minimum).companions
        assert some == found.companions[:2]


def test_companions_of_planted_features(tmp_path: Path) -> None:
    """A steady companion comes before a fluke of larger PMI; one that fires everywhere does not come at all."""
    raw = random_raw(5, d_sae=6, n_contexts=200, longest=12, rate=0.0)
    for place, token in enumerate(raw.tokens):
        token.acts.clear()
        token.acts[0] = 1.0
        if place % 10 == 0:
            token.acts[1] = 1.0
        if place % 10 == 0 or place % 37 == 0:
            token.acts[2] = 1.0
        if place in (0, 10, 20, 30, 40, 50):
            token.acts[3] = 1.0
        if place % 10 == 5:
            token.acts[4] = 1.0
    with FeatureStore.open(build_store(tmp_path, raw, 50, merged=True).path) as store:
        found = cofiring(store, 1, minimum=1).companions
    assert [c.feature for c in found] == [2, 3]
    assert found[1].pmi > found[0].pmi


def test_a_sample_says_that_it_is_one(tmp_path: Path) -> None:
    raw = random_raw(8, d_sae=7, n_contexts=300, rate=0.3)
    dense_NF = dense(raw)
    with FeatureStore.open(build_store(tmp_path, raw, 100, merged=True).path) as store:
        exact, some = cofiring(store, 1, minimum=1), cofiring(store, 1, sample=60, minimum=1)
        again, other = cofiring(store, 1, sample=60, minimum=1), cofiring(store, 1, sample=60, minimum=1, seed=1)
        enough = cofiring(store, 1, sample=10**6, minimum=1)
    assert (some.sampled, some.n_used, some.n_active) == (True, 60, int((dense_NF[:, 1] > 0).sum()))
    assert some == again != other
    assert enough == exact
    assert not exact.sampled
    assert all(c.share == c.joint / 60 for c in some.companions)


def drift_by_hand(store: FeatureStore, raw: Raw, draw: Draw) -> None:
    counted_N, dense_NF = np.array([token.counted for token in raw.tokens]), dense(raw)
    n, stretches = len(raw.tokens), draw(st.integers(1, 50))
    for feature in range(raw.d_sae):
        found = drift(store, feature, stretches)
        assert len(found.counted_S) == min(stretches, n)
        assert (found.edges[0], found.edges[-1]) == (0, n)
        assert np.ptp(np.diff(found.edges)) <= 1
        for i, (a, b) in enumerate(zip(found.edges[:-1], found.edges[1:], strict=True)):
            fires = int((dense_NF[a:b, feature] > 0).sum())
            assert (found.counted_S[i], found.count_S[i]) == (counted_N[a:b].sum(), fires)
            assert found.density_S[i] == (fires / counted_N[a:b].sum() if fires else 0)
    for a, b in ((0, n), (n // 3, n // 2), (n // 2, n + 5)):
        assert store.counted(a, b).tolist() == counted_N[a:b].tolist()


def intervals_and_the_top(store: FeatureStore, raw: Raw, draw: Draw) -> None:
    intervals, each, top = draw(st.integers(1, 14)), draw(st.integers(1, 4)), draw(st.integers(1, 6))
    documents = draw(st.booleans())
    group_N = [token.document for token in raw.tokens]
    if not documents:
        group_N = [number for number, context in enumerate(raw.contexts) for _ in context]
    dense_NF, half = dense(raw), Fraction(1, 2)
    for feature in range(raw.d_sae):
        falling = [e.place for e in raw.falling(feature)]
        found = sections(
            store, feature, top=top, intervals=intervals, each=each, one_per_document=documents, before=3, after=1
        )
        if not falling:
            assert found == []
            continue
        firsts: dict[int, int] = {}
        for place in falling:
            firsts.setdefault(group_N[place], place)
        assert [e.start + e.peak for e in found[0].examples] == list(firsts.values())[:top]
        halves = [Fraction(i * len(falling), intervals) for i in range(intervals + 1)]
        cuts = [int(h) if h % 1 < half or (h % 1 == half and int(h) % 2 == 0) else int(h) + 1 for h in halves]
        bounds = list(pairwise(cuts))
        names = [rank_name(1 - (i + 1) / intervals, 1 - i / intervals) for i in range(intervals)]
        held = [(name, at) for name, at in zip(names, bounds, strict=True) if at[0] < at[1]]
        assert [s.title for s in found] == [TOP, *(name for name, _ in held if len(falling) > top)]
        for section, (_, (first, last)) in zip(found[1:], held, strict=False):
            peaks = [e.start + e.peak for e in section.examples]
            assert 0 < len(peaks) <= each
            assert all(first <= falling.index(place) < last for place in peaks)
            assert len({group_N[place] for place in peaks}) == len(peaks)
        for example in (e for section in found for e in section.examples):
            shown = dense_NF[example.start : example.start + len(example.token_T), feature]
            assert example.act_T.tolist() == shown.tolist()


def random_examples(store: FeatureStore, raw: Raw, draw: Draw) -> None:
    wanted, seed, documents = draw(st.integers(1, 30)), draw(st.integers(0, 5)), draw(st.booleans())
    for feature in range(raw.d_sae):
        falling = [e.place for e in raw.falling(feature)]
        drawn = [
            sections(store, feature, intervals=0, random=wanted, seed=seed, one_per_document=documents)[-1:]
            for _ in range(2)
        ]
        peaks = [[e.start + e.peak for section in found for e in section.examples] for found in drawn]
        assert peaks[0] == peaks[1]
        if not falling:
            assert peaks[0] == []
            continue
        assert (drawn[0][0].title, drawn[0][0].n_entries) == (RANDOM, len(falling))
        ranks = [falling.index(place) for place in peaks[0]]
        assert ranks == sorted(set(ranks))
        distinct = {raw.tokens[place].document for place in falling}
        assert len(ranks) == min(wanted, len(distinct) if documents else len(falling))
        if documents:
            assert len({raw.tokens[place].document for place in peaks[0]}) == len(peaks[0])


CLAIMS = (
    count_density_extremes_quantiles_and_histograms,
    companions,
    drift_by_hand,
    intervals_and_the_top,
    random_examples,
)


@settings(max_examples=15)
@given(MANY_RAWS, st.integers(1, 6), st.booleans(), st.data())
def test_every_number_is_counted_by_hand(raw: Raw, per_segment: int, merged: bool, data: st.DataObject) -> None:
    """Every claim on each of the indexes: to make one takes longer than to try them all."""
    with opened(raw, per_segment, merged) as store:
        for claim in CLAIMS:
            claim(store, raw, data.draw)


def test_random_examples_are_uniform(tmp_path: Path) -> None:
    """Over many seeds every activation is drawn about as often as any other."""
    raw = random_raw(3, n_contexts=12)
    with FeatureStore.open(build_store(tmp_path, raw, 6, merged=True).path) as store:
        n = int(store.columns.count_F[1])
        drawn: Counter[int] = Counter()
        for seed in range(600):
            (_, chosen) = sections(store, 1, intervals=0, random=3, seed=seed)
            drawn.update(e.start + e.peak for e in chosen.examples)
    expected = 600 * 3 / n
    chi2 = sum((drawn[e.place] - expected) ** 2 / expected for e in raw.falling(1))
    assert chi2 < n + 5 * math.sqrt(2 * n)


@pytest.mark.parametrize("merged", [True, False])
def test_columns_from_the_weights(merged: bool) -> None:
    raw = random_raw(2)
    columns = static_columns(raw.d_sae)
    with opened(raw, 5, merged) as store:
        for feature in range(raw.d_sae):
            found = logit_histogram(store, feature)
            assert found is not None
            assert columns.logit_histogram_FB is not None
            assert found.counts.tolist() == columns.logit_histogram_FB[feature].tolist()
            edges = columns.logit_bottom_value_FT[feature, 0], columns.logit_top_value_FT[feature, 0]
            assert (found.edges[0], found.edges[-1], len(found.edges)) == (*edges, len(found.counts) + 1)
            assert columns.neuron_id_FT is not None
            assert columns.neuron_cosine_FT is not None
            assert store.neurons(feature).id.tolist() == columns.neuron_id_FT[feature].tolist()
            assert store.neurons(feature).value.tolist() == columns.neuron_cosine_FT[feature].tolist()


@pytest.mark.parametrize("merged", [True, False])
def test_a_file_without_these_columns_opens(merged: bool, tmp_path: Path) -> None:
    raw = random_raw(2)
    run = build_store(tmp_path, raw, 5, merged=False)
    older = replace(static_columns(raw.d_sae), logit_histogram_FB=None, neuron_id_FT=None, neuron_cosine_FT=None)
    write_common(run.index, plan_of(raw), vocabulary(), weights(raw.d_sae), older)
    if merged:
        merge(run.index, run.features)
    with FeatureStore.open(run.path) as store:
        assert logit_histogram(store, 1) is None
        assert [len(values) for values in store.neurons(1)] == [0, 0]
        assert len(store.neighbours(1).id)


ASKED: list[Any] = [
    lambda store, feature: store.quantiles(feature),
    lambda store, feature: store.neurons(feature),
    lambda store, feature: store.places(feature),
    log_histogram,
    logit_histogram,
    zeros,
    cofiring,
    drift,
]


@pytest.mark.parametrize("ask", ASKED)
@pytest.mark.parametrize("feature", [-1, 9])
def test_no_such_feature(ask: Any, feature: int, tmp_path: Path) -> None:
    run = build_store(tmp_path, random_raw(1), 50, merged=True)
    with FeatureStore.open(run.path) as store, pytest.raises(MonosemError, match=f"there is no feature {feature}"):
        ask(store, feature)


@pytest.mark.parametrize(
    ("site", "layer", "expected"),
    [
        ("resid_post", 2, 2), ("mlp_out", 2, 2), ("mlp_act", 0, 0), ("resid_pre", 2, 1), ("resid_mid", 1, 0),
        ("resid_pre", 0, None), ("resid_mid", 0, None), ("attn_out", 2, None), ("mlp_in", 2, None),
        ("transformer.h.0", None, None),
    ],
)  # fmt: skip
def test_the_layer_of_the_neurons(site: str, layer: int | None, expected: int | None) -> None:
    assert SaeSpec(site=site, layer=layer).neuron_layer == expected
    assert SaeSpec(site="mlp_in", layer=7, site_out=site, layer_out=layer).neuron_layer == expected
