"""A small run with labels, opened; and apps on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monosem_tui.app import MonosemApp
from monosem_tui.draw.palette import Palette
from monosem_tui.model.open_run import OpenRun, open_run
from monosem_tui.model.session_state import Memory
from monosem_tui.screens.session import Session, Tuning
from store.notes.note_file import Notes
from store.run.events import EndEvent, EventLog, TrainEvent
from store.run.folder import RunFolder
from tests.sample_run import Sample, build_sample

EVALUATION = {
    "l0": 4.0,
    "explained_variance": 0.91,
    "mse": 0.025,
    "ce_clean": 1.5,
    "ce_sae": 1.6,
    "ce_zero": 9.5,
    "ce_mean": 5.5,
    "ce_recovered_zero": 0.9875,
    "ce_recovered_mean": 0.975,
    "alive": 46,
    "dead": 2,
    "d_sae": 48,
    "tokens": 930,
    "split": "heldout",
}


def train(run: RunFolder, points: int, *, first: int = 0, end: bool = True) -> None:
    """Append log points to a run's events, as a training does: the loss falls from 1 to 1 / `points`."""
    log = EventLog(run.events)
    for n in range(first, points):
        log.append(
            TrainEvent(
                step=n + 1,
                tokens=1024 * (n + 1),
                loss=1 / (n + 1),
                l0=4.0,
                explained_variance=0.91 * (n + 1) / points,
                dead=max(0, 10 - n),
                lr=1e-3,
                grad_norm=1.0,
                tok_s=5000.0,
            )
        )
    if end:
        log.append(EndEvent(tokens=1024 * points, seconds=8.0, tok_s=128 * points))


MakeApp = Callable[..., MonosemApp]


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """48 features, of which the last two never fire; feature 0 is labelled and bookmarked. Nobody writes to it.

    Its training has 40 log points, and its record holds what only a hostile hand would write.
    """
    made = build_sample(tmp_path_factory.mktemp("runs") / "sample")
    notes = Notes(made.run.notes)
    notes.set(0, "label", "water, boats, the sea")
    notes.set(0, "bookmark", True)
    notes.set(0, "tags", ["place"])
    notes.set(2, "label", "she\x1b[33m and [b]her[/b]")
    train(made.run, 40)
    made.run.update(evaluation=EVALUATION, config={"train": {"tokens": 40_960, "data": "a\x1b]0;x\x07\n[b]b[/b].txt"}})
    return made


@pytest.fixture
def opened(sample: Sample) -> Iterator[OpenRun]:
    """The opened sample run."""
    run = open_run(sample.run.path)
    yield run
    run.store.close()


@pytest.fixture
def make_app(
    opened: OpenRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> MakeApp:
    """Make an app on the sample, or on another run; what it copies and writes goes to a folder of the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "TMUX"):
        monkeypatch.delenv(name, raising=False)

    def make(
        run: OpenRun | None = None, palette: Palette | None = None, memory: Memory | None = None, **tuning: Any
    ) -> MonosemApp:
        pace = Tuning(**{"rest": 0.01, "index": 0.1, "pause": 0.0} | tuning)
        known = palette or Palette(), memory or Memory()
        return MonosemApp(Session(run or opened, tmp_path / "runs", *known, tuning=pace))

    return make
