"""The app on a run whose index is being written."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot

from monosem_tui.model.open_run import open_run
from monosem_tui.model.store_follower import Follower
from store.files.errors import MonosemError
from store.index.growth import Watch
from store.index.segment import segment_path
from store.run.folder import RunFolder
from tests.sample_run import Sample, build_sample
from tests.tui.conftest import MakeApp
from tests.tui.screens import browse_screen, press, screen_text, settle, until

CONTEXT, PER_SEGMENT = 32, 10


@pytest.fixture
def filling(tmp_path: Path) -> tuple[Sample, Path]:
    """A run with the first of three segments, and a folder with the other files."""
    whole = build_sample(tmp_path / "filling")
    kept = tmp_path / "kept"
    kept.mkdir()
    for path in (whole.run.features, *(segment_path(whole.run.index, number) for number in (1, 2))):
        path.rename(kept / path.name)
    return whole, kept


async def grown(pilot: Pilot[None], contexts: int) -> None:
    """Wait until the screen has taken that many contexts, and the page has followed."""
    await until(pilot, lambda: browse_screen(pilot).pane.state.run.store.n_contexts == contexts)
    await settle(pilot)


def highest(sample: Sample, contexts: int, feature: int) -> float:
    return float(sample.dense_NF[: contexts * CONTEXT, feature].max())


async def test_columns_and_headline_follow(make_app: MakeApp, filling: tuple[Sample, Path]) -> None:
    sample, kept = filling
    async with make_app(open_run(sample.run.path)).run_test(size=(140, 40)) as pilot:
        await press(pilot, *"sjjjj")
        await press(pilot, "slash", *"max>0", "enter")
        screen = browse_screen(pilot)
        feature, ordering = screen.pane.state.listing.feature, screen.order.catalogue.ordering
        assert "index 33.3 %: 10 of 30 contexts" in screen_text(pilot)
        (kept / "seg-00001.h5").rename(segment_path(sample.run.index, 1))
        await grown(pilot, 20)
        assert "index 66.7 %: 20 of 30 contexts" in screen_text(pilot)
        assert (screen.pane.state.listing.feature, screen.order.catalogue.ordering) == (feature, ordering)
        assert feature is not None
        fires = (sample.dense_NF[: 20 * CONTEXT] > 0).sum(axis=0)
        assert screen.pane.state.run.store.columns.count_F.tolist() == fires.tolist()
        assert sorted(screen.pane.state.listing.order.tolist()) == np.flatnonzero(fires).tolist()
        page = screen.pane.state.page
        await until(pilot, lambda: page.card is not None and page.card.count == fires[feature])
        assert screen.pane.state.page.card is not None
        assert screen.pane.state.page.card.max == highest(sample, 20, feature)
        (kept / "seg-00002.h5").rename(segment_path(sample.run.index, 2))
        (kept / "features.h5").rename(sample.run.features)
        shutil.rmtree(sample.run.index)
        await grown(pilot, 30)
        assert "contexts" not in screen_text(pilot).splitlines()[0]
        assert screen.pane.state.run.store.merged
        assert (screen.pane.state.listing.feature, screen.order.catalogue.ordering) == (feature, ordering)


async def test_the_page_stays_where_it_was_scrolled_to(make_app: MakeApp, filling: tuple[Sample, Path]) -> None:
    sample, kept = filling
    async with make_app(open_run(sample.run.path)).run_test(size=(80, 24)) as pilot:
        await press(pilot, "j", "enter", "j", "j")
        screen = browse_screen(pilot)
        feature, first = screen.pane.state.listing.feature, screen.pane.state.page.first
        assert first == 2
        (kept / "seg-00001.h5").rename(segment_path(sample.run.index, 1))
        await grown(pilot, 20)
        assert (screen.pane.state.page.card is not None, screen.pane.state.listing.feature) == (True, feature)
        assert (screen.pane.state.page.first, screen.pane.state.panes.front) == (first, "page")


async def test_growth_while_a_filter_is_typed(make_app: MakeApp, filling: tuple[Sample, Path]) -> None:
    sample, kept = filling
    async with make_app(open_run(sample.run.path)).run_test(size=(80, 24)) as pilot:
        await press(pilot, "slash", *"sea")
        (kept / "seg-00001.h5").rename(segment_path(sample.run.index, 1))
        await grown(pilot, 20)
        await press(pilot, "backspace")
        screen = browse_screen(pilot)
        assert (screen.line.typing, screen.input.text, screen.order.catalogue.ordering.text) == (True, "se", "se")


async def test_what_cannot_be_read_is_said_once(make_app: MakeApp, filling: tuple[Sample, Path]) -> None:
    sample, _ = filling
    async with make_app(open_run(sample.run.path)).run_test(size=(200, 24)) as pilot:
        await settle(pilot)
        segment_path(sample.run.index, 1).write_bytes(b"not a segment")
        await until(pilot, lambda: "seg-00001.h5 is not" in screen_text(pilot))
        await press(pilot, "j")
        await pilot.pause(0.1)
        assert "seg-00001.h5 is not" not in screen_text(pilot)
        assert browse_screen(pilot).pane.state.listing.cursor == 1


def test_an_index_of_another_autoencoder_is_not_mixed_in(tmp_path: Path) -> None:
    small = build_sample(tmp_path / "run", n_features=8, n_contexts=6, merged=False)
    follower = Follower(open_run(small.run.path))
    assert follower.look() is None
    other = build_sample(tmp_path / "other", n_features=9, n_contexts=6)
    other.run.features.rename(small.run.features)
    with pytest.raises(MonosemError, match="made anew with another autoencoder"):
        follower.look()


def test_nothing_more_comes_to_a_finished_run(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = Follower(open_run(sample.run.path))
    assert follower.over
    monkeypatch.setattr(Watch, "changed", lambda self: pytest.fail("a finished run was looked at"))
    assert follower.look() is None
    alone = Follower(open_run(RunFolder(sample.run.path).features))
    assert alone.look() is None
