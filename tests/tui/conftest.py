"""A small run with labels, opened; and apps on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monosem_tui.app import MonosemApp
from monosem_tui.screens import paged
from monosem_tui.screens.session import Session
from monosem_tui.text.opened import OpenRun, open_run
from monosem_tui.text.palette import Palette
from store.notes import Notes
from tests.sample_run import Sample, build_sample

MakeApp = Callable[..., MonosemApp]


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """48 features, of which the last two never fire; feature 0 is labelled and bookmarked. Nobody writes to it."""
    made = build_sample(tmp_path_factory.mktemp("runs") / "sample")
    notes = Notes(made.run.notes)
    notes.set(0, "label", "water, boats, the sea")
    notes.set(0, "bookmark", True)
    notes.set(0, "tags", ["place"])
    notes.set(2, "label", "she\x1b[33m and [b]her[/b]")
    return made


@pytest.fixture
def opened(sample: Sample) -> Iterator[OpenRun]:
    """The sample, opened."""
    run = open_run(sample.run.path)
    yield run
    run.store.close()


@pytest.fixture
def make_app(
    opened: OpenRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> MakeApp:
    """Make an app on the sample, or on another run; what it copies goes to a folder of the test."""
    monkeypatch.setattr(paged, "DEBOUNCE", 0.01)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("NO_COLOR", "TMUX"):
        monkeypatch.delenv(name, raising=False)

    def make(run: OpenRun | None = None, palette: Palette | None = None) -> MonosemApp:
        return MonosemApp(Session(run or opened, tmp_path, palette or Palette()))

    return make
