"""The app on a sealed store that makes no sense: a sentence on the screen, never a traceback, and the app goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from monosem_tui.model.open_run import open_run
from store.files.errors import MonosemError
from tests.forged_run import FORGERIES, forge
from tests.sample_run import Sample
from tests.tui.conftest import MakeApp

KEYS = (
    "j",
    "enter",
    "n",
    "enter",
    "escape",
    "escape",
    "t",
    "escape",
    "slash",
    "s",
    "enter",
    "2",
    "s",
    "e",
    "a",
    "enter",
)
VISITS = (*KEYS, "escape", "4", "j", "j", "1", "G", "k", "y")
SHOWN = ("vocabulary offsets that fall", "negative tokens", "quantiles that are NaN", "contexts out of order")
"""Forgeries that open, and are met on different screens. Every test run tries the first."""


@pytest.mark.parametrize(
    "name", [name if name == SHOWN[0] else pytest.param(name, marks=pytest.mark.slow) for name in FORGERIES]
)
async def test_every_screen_of_a_senseless_store(name: str, make_app: MakeApp, sample: Sample, tmp_path: Path) -> None:
    path = Path(shutil.copy(sample.run.features, tmp_path / "forged.h5"))
    forge(path, FORGERIES[name])
    try:
        run = open_run(path)
        _ = run.store.columns  # as the app does before it shows a run
    except MonosemError as error:
        assert name not in SHOWN, error
        return
    with run.store:
        async with make_app(run).run_test(size=(100, 30)) as pilot:
            for key in VISITS:
                await pilot.press(key)
                await pilot.app.workers.wait_for_complete()
            assert pilot.app.is_running
