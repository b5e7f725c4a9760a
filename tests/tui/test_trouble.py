"""A store that breaks while it is open: a sentence on the screen, never a traceback, and the app goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from monosem_tui.model.open_run import OpenRun, open_run
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from tests.sample_run import build_sample
from tests.tui.conftest import MakeApp
from tests.tui.screens import browse_screen, press, screen_text, settle, until

BROKEN = MonosemError("/runs/x/features.h5 is damaged: wrong fletcher32", "`monosem verify` says what is readable.")


def _breaks(*_: object) -> None:
    raise BROKEN


async def test_a_page_that_cannot_be_read(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        monkeypatch.setattr(FeatureStore, "logits", _breaks)
        await press(pilot, "enter")
        assert "features.h5 is damaged: wrong fletcher32" in screen_text(pilot)
        assert "monosem verify" in screen_text(pilot)
        monkeypatch.undo()
        await press(pilot, "escape", "j", "enter")
        assert "TOP" in screen_text(pilot)


async def test_a_vocabulary_that_cannot_be_read(
    make_app: MakeApp, opened: OpenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FeatureStore, "vocabulary", property(_breaks))
    async with make_app().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await until(pilot, lambda: "features.h5 is damaged" in screen_text(pilot))
        text = screen_text(pilot)
        assert " 6.1 " in text  # what can be read is there
        assert "water, boats, the sea" in text
        await press(pilot, "slash", "s")
        assert "features.h5 is damaged" in screen_text(pilot) or browse_screen(pilot).line.typing
        await press(pilot, "escape", "y")
        assert "features.h5 is damaged" in screen_text(pilot)


async def test_a_file_that_was_cut_while_open(make_app: MakeApp, tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "cut", n_contexts=400)
    run = open_run(sample.run.path)
    async with make_app(run).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        with sample.run.features.open("r+b") as stream:
            stream.truncate(4096)
        await press(pilot, *"jjjj")
        await settle(pilot)
        assert "has changed while it was open" in screen_text(pilot)
        assert pilot.app.is_running
        assert len(browse_screen(pilot).pane.state.listing.order) == 47
    run.store.close()


async def test_a_folder_that_was_removed_while_open(make_app: MakeApp, tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "gone")
    run = open_run(sample.run.path)
    async with make_app(run).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        sample.run.features.unlink()
        await press(pilot, *"jjj")
        assert "TOP" in screen_text(pilot)  # what is open stays readable
    run.store.close()


def test_there_is_nothing_to_browse_yet(tmp_path: Path) -> None:
    with pytest.raises(MonosemError, match="has no feature index yet"):
        open_run(tmp_path)


def test_a_features_file_by_itself(tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "sample")
    alone = tmp_path / "copied home.h5"
    sample.run.features.rename(alone)
    run = open_run(alone)
    assert (run.name, run.record, run.notes) == ("copied home.h5", None, {})
    assert run.store.d_sae == 48
    run.store.close()
