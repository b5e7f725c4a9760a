"""The training of a run, followed in Runs; the order of the list of runs; the first start."""

from __future__ import annotations

import os
import platform
import shutil
import threading
import time
from pathlib import Path

import pytest
from textual.pilot import Pilot

from monosem_tui.app import MonosemApp
from monosem_tui.draw.palette import Palette
from monosem_tui.draw.safe_text import cut_middle
from monosem_tui.model.runs_watch import RunState, RunsWatch
from monosem_tui.screens.health import HealthScreen
from monosem_tui.screens.patience import Waiting
from monosem_tui.screens.runs import RunsScreen
from monosem_tui.screens.session import Session, Tuning
from store.run.events import EventLog
from store.run.folder import Results, RunFolder, RunRecord
from store.run.spec import SaeSpec
from tests.sample_run import build_sample
from tests.tui.conftest import train
from tests.tui.screens import assert_golden, screen_text, style_digest, until

SPEC = SaeSpec(model="stories260K", layer=2, site="resid_post", arch="topk", d_in=64, d_sae=1000, k=16)
LONG = "stories260K-resid_post-2-topk-1024-learning-rate-0.001-k"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run in training, two that have long names with equal beginnings, and one that can be browsed."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.chdir(tmp_path)
    runs = Path("runs")
    busy = RunFolder(runs / "busy")
    here = {"pid": os.getpid(), "host": platform.node()}
    busy.create(
        RunRecord(status="training", spec=SPEC, created=3600.0, config={"train": {"tokens": 81_920}}, **here)  # type: ignore[arg-type]
    )
    train(busy, 40, end=False)
    for k, variance in ((16, 0.9), (32, 0.95)):
        done = RunRecord(
            status="done",
            spec=SPEC,
            created=86_400.0 * k,
            results=Results(tokens=1000 * k, explained_variance=variance),
        )
        RunFolder(runs / f"{LONG}{k}").create(done)
    build_sample(runs / "sample")
    for age, name in enumerate(["busy", f"{LONG}16", f"{LONG}32", "sample"]):
        os.utime(runs / name / "run.json", (10_000 - age, 10_000 - age))
    return runs


def app(root: Path, **tuning: float) -> MonosemApp:
    return MonosemApp(Session(None, root, Palette(), tuning=Tuning(**{"pause": 0.0, "training": 0.1} | tuning)))


def runs(pilot: Pilot[None]) -> RunsScreen:
    assert isinstance(pilot.app.screen, RunsScreen)
    return pilot.app.screen


async def listed(pilot: Pilot[None]) -> RunsScreen:
    await until(pilot, lambda: bool(runs(pilot).runs.states))
    return runs(pilot)


def names(pilot: Pilot[None]) -> list[str]:
    return [state.row.name.removeprefix(LONG) for state in runs(pilot).runs.states]


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (200, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_training_as_it_goes_on(size: tuple[int, int], root: Path) -> None:
    async with app(root, training=1000.0).run_test(size=size) as pilot:
        await listed(pilot)
        await pilot.press("enter", "j", "k")
        await pilot.pause()
        assert_golden(f"training-{size[0]}x{size[1]}", screen_text(pilot) + "\n" + style_digest(pilot, Palette()))


async def test_curves_grow_with_the_log_and_stay_when_it_is_cut_or_gone(root: Path) -> None:
    busy = RunFolder(root / "busy")
    async with app(root).run_test(size=(80, 24)) as pilot:
        screen = await listed(pilot)
        await pilot.press("enter")
        assert "41k of 82k tokens   5k tok/s   8.2 s left" in screen_text(pilot)
        assert "● training   · indexing   · evaluating" in screen_text(pilot)
        train(busy, 60, first=40, end=False)
        await until(pilot, lambda: "61k of 82k tokens" in screen_text(pilot))
        assert "dead 0 (0 %)" in screen_text(pilot)
        drawn: list[object] = []
        screen.view.refresh = lambda *regions, **_: drawn.append(regions) or screen.view  # type: ignore[method-assign,assignment]
        await pilot.pause(0.2)
        assert not drawn  # nothing new, nothing drawn
        del screen.view.refresh
        busy.events.write_text("")
        await pilot.pause(0.1)
        assert "61k of 82k tokens" in screen_text(pilot)
        train(busy, 70, first=69, end=False)  # as a resumed training writes it anew
        await until(pilot, lambda: "72k of 82k tokens" in screen_text(pilot))
        busy.update(status="indexing")
        await until(pilot, lambda: "✓ training   ● indexing" in screen_text(pilot))
        shutil.rmtree(busy.path)
        await until(pilot, lambda: "the run's files are gone" in screen_text(pilot))
        assert "EV 0.9" in screen_text(pilot)
        await pilot.press("q")
        await until(pilot, lambda: "busy" not in screen_text(pilot))
        assert not screen.training.open


async def test_health_of_a_run_that_is_not_open_is_its_training(root: Path) -> None:
    async with app(root).run_test(size=(80, 24)) as pilot:
        screen = await listed(pilot)
        await pilot.press("j", "4")
        await pilot.pause()
        assert (screen.training.open, pilot.app.screen) == (True, screen)
        assert "no log points" in screen_text(pilot)
        await pilot.press("escape", "k", "t")
        await pilot.pause()
        assert "training of busy" in screen_text(pilot)
        await pilot.press("escape", "G", "enter")
        await until(pilot, lambda: pilot.app.screen is not screen)
        await pilot.press("5", "4")
        await until(pilot, lambda: isinstance(pilot.app.screen, HealthScreen))
    run = pilot.app.session.run  # type: ignore[attr-defined]
    run.store.close()


async def test_a_run_that_is_followed_shows_its_training_first(root: Path) -> None:
    made = app(root)
    made.session.followed = root / f"{LONG}32"
    async with made.run_test(size=(80, 24)) as pilot:
        screen = await listed(pilot)
        await until(pilot, lambda: screen.training.open)
        assert "no log points" in screen_text(pilot)
        await pilot.press("escape")
        assert screen.runs.chosen is not None and screen.runs.chosen.path == root / f"{LONG}32"
        await pilot.pause(0.3)
        assert not screen.training.open


async def test_a_key_pressed_before_the_runs_are_read_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go, poll = threading.Event(), RunsWatch.poll

    def held(watch: RunsWatch) -> tuple[RunState, ...]:
        go.wait(10)
        return poll(watch)

    monkeypatch.setattr(RunsWatch, "poll", held)
    async with app(root).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen))
        await pilot.press("t")
        assert "t: the folder of runs is still being read" in screen_text(pilot)
        go.set()
        await listed(pilot)
        await pilot.press("t")
        await until(pilot, lambda: "training of busy" in screen_text(pilot))


async def test_runs_are_sorted_and_filtered(root: Path) -> None:
    async with app(root).run_test(size=(120, 40)) as pilot:
        screen = await listed(pilot)
        assert names(pilot) == ["busy", "16", "32", "sample"]
        for keys, order in (
            ("s", ["busy", "sample", "16", "32"]),  # by name
            ("S", ["32", "16", "sample", "busy"]),
            ("ss", ["32", "16", "busy", "sample"]),  # by status, then by date
            ("s", ["busy", "32", "16", "sample"]),  # by trained tokens
        ):
            await pilot.press(*keys)
            await pilot.pause()
            assert names(pilot) == order, keys
        assert "trained ↓" in screen_text(pilot)
        await pilot.press("slash", *"rate-0.001-k1")
        await pilot.pause()
        assert names(pilot) == ["16"]
        assert "every word must be in" in screen_text(pilot)
        await pilot.press("ctrl+u", *"!done stories260K", "enter")
        await pilot.pause()
        assert names(pilot) == ["busy"]
        assert "1 of 4 runs in ./runs · /!done" in screen_text(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert len(screen.runs.states) == 4
        await pilot.press("slash", *"nothing has this", "enter")
        await pilot.pause()
        assert "no run has these words" in screen_text(pilot)


async def test_long_names_end_differently(root: Path) -> None:
    async with app(root).run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        rows = [text for text in screen_text(pilot).splitlines() if "stories260K-" in text]
        assert [row.split()[1][-3:] for row in rows[:2]] == ["k16", "k32"]
        assert "1970-01-17" in rows[0]
    assert [cut_middle("abcdefghij", cells) for cells in (0, 1, 5, 10)] == ["", "…", "ab…ij", "abcdefghij"]


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (200, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_first_start_says_what_to_run(size: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    async with app(tmp_path / "none").run_test(size=size) as pilot:
        await until(pilot, lambda: "Welcome" in screen_text(pilot))
        for command in ("monosem demo", "monosem train --model", "monosem import FOLDER"):
            assert command in screen_text(pilot)
        await pilot.press("j", "enter", "slash", "s", "4")
        await pilot.pause()
        assert "no run is open" in screen_text(pilot)
        busy = RunFolder(tmp_path / "none" / "new")
        busy.create(RunRecord(status="training", spec=SPEC, pid=os.getpid(), host=platform.node()))
        EventLog(busy.events)
        runs(pilot).files.look()
        await until(pilot, lambda: "new" in screen_text(pilot))
        await pilot.press("enter")
        await pilot.pause()
        assert "no log point yet" in screen_text(pilot)


async def test_work_that_takes_a_while_shows_its_seconds_until_a_key(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(Waiting, "clock", staticmethod(lambda: now[0]))
    monkeypatch.setattr(MonosemApp, "_open", lambda self, path: None)  # never done
    async with app(root, seconds=0.05).run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("G", "enter")
        await pilot.pause()
        assert screen_text(pilot).splitlines()[-1].split() == ["opening", "sample"]
        now[0] += 13
        await until(pilot, lambda: "◓ opening sample · 13 s" in screen_text(pilot))
        await pilot.press("k")
        now[0] += 1
        await pilot.pause(0.1)
        assert "opening" not in screen_text(pilot)


async def test_a_stopped_training_names_the_way_on(root: Path) -> None:
    RunFolder(root / "busy").update(status="stopped")
    async with app(root).run_test(size=(120, 40)) as pilot:
        await listed(pilot)
        await pilot.press("g", "enter")
        await pilot.pause()
        assert "monosem train --resume --out runs/busy goes on" in screen_text(pilot)
