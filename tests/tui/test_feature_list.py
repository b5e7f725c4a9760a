"""The feature list on the screen: its examples, its order, and the names of its columns under the mouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot

from monosem_tui.model.open_run import OpenRun, open_run
from monosem_tui.screens.catalogue import Catalogue, Ordering
from monosem_tui.screens.feature import previews
from monosem_tui.widgets.feature_list import FeatureList
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from tests.sample_run import Sample
from tests.store.raw import Raw, RawToken, build_store
from tests.tui.conftest import MakeApp
from tests.tui.screens import browse_screen, press, screen_text, settle, until


def listing(pilot: Pilot[None]) -> FeatureList:
    return browse_screen(pilot).pane.state.listing


def bottom(pilot: Pilot[None]) -> str:
    return screen_text(pilot).splitlines()[-1]


async def click(pilot: Pilot[None], name: str) -> None:
    """Click the name of a column."""
    head = screen_text(pilot).splitlines()[2]
    await pilot.click(FeatureList, offset=(head.index(name), 1))
    await settle(pilot)


async def test_rows_show_the_strongest_example(make_app: MakeApp, sample: Sample, opened: OpenRun) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for line, feature in zip(screen_text(pilot).splitlines()[3:], listing(pilot).order[:20].tolist(), strict=False):
            token = opened.store.vocabulary.token(int(sample.token_N[sample.dense_NF[:, feature].argmax()]))
            if token[:1] == b" ":  # a byte of a character is completed by others
                assert token.decode() in line


async def test_rows_out_of_sight_are_read_before_they_come(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(60, 20)) as pilot:
        await settle(pilot)
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        await settle(pilot)
        assert not listing(pilot).lacking(1.0)
        await press(pilot, "G")
        await pilot.app.workers.wait_for_complete()
        assert not listing(pilot).lacking()


async def test_examples_of_the_state_before_stay_until_others_are_read(make_app: MakeApp, opened: OpenRun) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        before = screen_text(pilot)
        listing(pilot).take_run(opened)
        assert len(listing(pilot).lacking()) == 20
        listing(pilot).refresh()
        await pilot.pause()
        assert screen_text(pilot) == before
        await settle(pilot)
        assert not listing(pilot).lacking()


async def test_a_feature_that_cannot_be_read_costs_no_other_row(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = previews.read_preview

    def fails(store: FeatureStore, feature: int) -> object:
        if feature == 2:
            raise MonosemError("its entries are damaged")
        return read(store, feature)

    monkeypatch.setattr(previews, "read_preview", fails)
    async with make_app().run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "its entries are damaged" in bottom(pilot))
        await settle(pilot)
        lines = screen_text(pilot).splitlines()
        assert not listing(pilot).lacking()
        assert " ?  " in lines[4] and " ?  " not in lines[5]


async def test_a_click_on_a_name_sorts_and_another_reverses(make_app: MakeApp, opened: OpenRun) -> None:
    density_F = opened.store.columns.density_F
    async with make_app().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await click(pilot, "1 in")
        assert "density ↓" in screen_text(pilot) and "1 in↓" in screen_text(pilot)
        assert (np.diff(density_F[listing(pilot).order]) <= 0).all()
        await click(pilot, "1 in")
        assert "density ↑" in screen_text(pilot) and (np.diff(density_F[listing(pilot).order]) >= 0).all()
        await click(pilot, "id")
        assert listing(pilot).order.tolist() == sorted(listing(pilot).order.tolist())
        await click(pilot, "strongest")
        assert "these sort the list: id, density, max, mean" in bottom(pilot)
        assert "id ↑" in screen_text(pilot)


async def test_sorting_says_where_the_feature_has_gone(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "s")
        assert "sorted by mean ↓" in bottom(pilot)
        await press(pilot, "j", "j", "S")
        shown = listing(pilot)
        assert f"sorted by mean ↑ · {shown.feature} is {shown.cursor + 1} of 46, g goes to the top" in bottom(pilot)


def test_a_column_that_is_the_same_everywhere_is_left_out(opened: OpenRun) -> None:
    assert "norm" not in Catalogue(opened).sort_keys
    norm_F = opened.store.columns.decoder_norm_F
    norm_F[3] = 2.0
    assert "norm" in Catalogue(opened).sort_keys


@pytest.fixture
def outlying(tmp_path: Path) -> Iterator[OpenRun]:
    """Features 0 and 1 fire strongest on an outlier, 2 and 3 elsewhere, 4 never."""
    far = RawToken(1, 0, True, {0: 900.0, 1: 700.0, 2: 1.0}, outlier=True)
    near = RawToken(2, 0, True, {1: 1.0, 2: 5.0, 3: 6.0})
    made = build_store(tmp_path / "outlying", Raw(5, [[far, near], [near, near]]), 1, merged=True)
    run = open_run(made.features)
    yield run
    run.store.close()


def test_by_the_maximum_features_led_by_outliers_come_last(outlying: OpenRun) -> None:
    catalogue = Catalogue(outlying)
    assert catalogue.ids.tolist() == [3, 2, 0, 1]
    assert catalogue.sorted_as() == "max ↓ outliers last"
    catalogue.order(Ordering(descending=False, dead=True))
    assert catalogue.ids.tolist() == [2, 3, 1, 0, 4]
    catalogue.order(Ordering(sort="mean"))
    assert catalogue.ids.tolist() == [0, 1, 3, 2]
    assert catalogue.sorted_as() == "mean ↓"


async def test_their_maxima_are_marked(outlying: OpenRun, make_app: MakeApp) -> None:
    async with make_app(outlying).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        text = screen_text(pilot)
        assert "max ↓ outliers last" in text
        assert [line[1:].split()[2] for line in text.splitlines()[3:7]] == ["6.0", "5.0", "900!", "700!"]
