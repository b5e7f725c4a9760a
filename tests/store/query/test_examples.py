"""The examples of a page: which places are shown, and what is shown of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from store.index.reader import FeatureStore
from store.query import examples
from store.query.examples import Section, sections
from store.query.intervals import activation_intervals, rank_name
from tests.store.raw import Raw, RawToken, build_store, random_raw

RAW = random_raw(21, n_contexts=60, longest=15)
CONTEXT_OF = [number for number, context in enumerate(RAW.contexts) for _ in context]
BEFORE, AFTER = 4, 2


@pytest.fixture(scope="module", params=["merged", "merged, too large to be held", "segments"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeatureStore]:
    """The index of RAW, open."""
    run = build_store(tmp_path_factory.mktemp("run"), RAW, 16, merged=request.param != "segments")
    with FeatureStore.open(run.path) as opened:
        if "large" in request.param:
            opened.few = opened.tokens_held = 1
        yield opened


def of(store: FeatureStore, feature: int, **wanted: int) -> list[Section]:
    return sections(store, feature, before=BEFORE, after=AFTER, **wanted)


def peaks(section: Section) -> list[int]:
    return [example.start + example.peak for example in section.examples]


@pytest.mark.parametrize("feature", range(RAW.d_sae - 2))
@pytest.mark.parametrize("top", [1, 4, 25, 1000])
def test_the_strongest_place_of_each_of_the_strongest_contexts(store: FeatureStore, feature: int, top: int) -> None:
    expected: dict[int, int] = {}
    for entry in RAW.falling(feature):
        expected.setdefault(CONTEXT_OF[entry.place], entry.place)
    found = of(store, feature, top=top)[0]
    assert peaks(found) == list(expected.values())[:top]
    assert (found.title, found.first_rank, found.n_entries) == (examples.TOP, 0, len(RAW.falling(feature)))


@pytest.mark.parametrize("feature", range(RAW.d_sae))
def test_every_example_shows_its_context_and_no_more(store: FeatureStore, feature: int) -> None:
    dense = {e.place: e.act for e in RAW.entries() if e.feature == feature}
    starts = RAW.context_starts()
    for section in of(store, feature):
        for example in section.examples:
            place = example.start + example.peak
            number = CONTEXT_OF[place]
            first = max(starts[number], place - BEFORE)
            last = min(starts[number] + len(RAW.contexts[number]), place + AFTER + 1)
            assert example.interval == section.title
            assert (example.context, example.position, example.start) == (number, place - starts[number], first)
            assert example.token_T.tolist() == [RAW.tokens[i].id for i in range(first, last)]
            assert example.act_T.tolist() == [dense.get(i, 0.0) for i in range(first, last)]
            assert example.act == dense[place]


@pytest.mark.parametrize("feature", range(RAW.d_sae - 2))
@pytest.mark.parametrize("intervals", [1, 3, 4, 10])
def test_intervals_share_out_all_activations(store: FeatureStore, feature: int, intervals: int) -> None:
    falling = [e.place for e in RAW.falling(feature)]
    top, *found = of(store, feature, top=2, intervals=intervals, each=3)
    strongest = peaks(top)
    assert [s.title for s in found] == [rank_name(1 - (i + 1) / intervals, 1 - i / intervals) for i in range(intervals)]
    behind = 0
    for i, section in enumerate(found):
        assert section.first_rank == behind
        behind += section.n_entries
        assert behind == pytest.approx(len(falling) * (i + 1) / intervals, abs=0.5)
        ranks = [falling.index(place) for place in peaks(section)]
        assert 0 < len(ranks) <= 3
        assert ranks == sorted(ranks)
        assert all(section.first_rank <= rank < behind for rank in ranks)
        assert ranks[0] == section.first_rank or falling[section.first_rank] in strongest
        contexts = [example.context for example in section.examples]
        assert len(set(contexts)) == len(contexts)
    assert behind == len(falling)


def test_examples_of_an_interval_are_spread_evenly(tmp_path: Path) -> None:
    """Each activation in a context of its own, so that nothing has to be left out."""
    raw = Raw(2, [[RawToken(1, 0, True, {0: 200.0 - i})] for i in range(100)])
    with FeatureStore.open(build_store(tmp_path, raw, 100, merged=True).path) as store:
        found = sections(store, 0, top=5, intervals=2, each=3)
    assert [peaks(section) for section in found] == [[0, 1, 2, 3, 4], [6, 30, 49], [50, 74, 99]]


@pytest.mark.parametrize("feature", range(RAW.d_sae))
@pytest.mark.parametrize("wanted", [1, 3, 4, 12])
def test_intervals_by_value_hold_what_lies_between_their_ends(store: FeatureStore, feature: int, wanted: int) -> None:
    falling = [e.act for e in RAW.falling(feature)]
    found = activation_intervals(store, feature, wanted, by_value=True)
    assert [one.first for one in found] == [0, *(one.last for one in found[:-1])]
    assert found[-1].last == len(falling)
    top = max(falling, default=0.0)
    for number, one in enumerate(found):
        assert (one.low, one.high) == pytest.approx(
            (top * (wanted - number - 1) / wanted, top * (wanted - number) / wanted)
        )
        held = falling[one.first : one.last]
        assert held == [act for act in falling if one.low <= act < one.high or (number == 0 and act == top)]


def test_sections_by_value_leave_out_the_empty(store: FeatureStore) -> None:
    for feature in range(RAW.d_sae):
        _, *found = of(store, feature, top=1, intervals=12, by_value=True) or [None]
        parts = [one for one in activation_intervals(store, feature, 12, by_value=True) if one.last > one.first]
        assert [section.interval for section in found] == (parts if len(RAW.falling(feature)) > 1 else [])


def test_titles() -> None:
    assert rank_name(0.75, 1.0) == "75–100 %"


def test_few_activations_are_all_at_the_top(store: FeatureStore) -> None:
    once = RAW.d_sae - 2
    (only,) = of(store, once)
    assert peaks(only) == [RAW.falling(once)[0].place]
    assert of(store, RAW.d_sae - 1) == []


def test_one_long_context(tmp_path: Path) -> None:
    """A context appears once, however often the feature fires in it."""
    raw = Raw(2, [[RawToken(i % 5, 0, True, {0: 1.0 + i % 17}) for i in range(500)], [RawToken(1, 0, True, {})]])
    with FeatureStore.open(build_store(tmp_path, raw, 2, merged=True).path) as store:
        found = sections(store, 0, top=3, before=500, after=500)
    assert [len(section.examples) for section in found] == [1] * 5
    assert peaks(found[0]) == [16]
    assert len(found[0].examples[0].token_T) == 500


def test_segments_and_the_merged_file_show_the_same(tmp_path: Path) -> None:
    shown = []
    for merged in (True, False):
        run = build_store(tmp_path / str(merged), RAW, 16, merged=merged)
        with FeatureStore.open(run.path) as store:
            shown.append([peaks(s) for feature in range(RAW.d_sae) for s in of(store, feature)])
    assert shown[0] == shown[1]
    assert np.sum([len(p) for p in shown[0]]) > 50
