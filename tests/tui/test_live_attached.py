"""The Live screen at a socket: what it wrote is there again after the terminal has gone, and a dead server is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from monosem_tui.app import MonosemApp
from monosem_tui.draw.palette import Palette
from monosem_tui.live.model_client import Phase
from monosem_tui.model.open_run import OpenRun, open_run
from monosem_tui.screens.session import Session, Tuning
from store.run.folder import RunFolder
from tests.cli.live_runs import live_run
from tests.engine.live.test_socket_server import Served
from tests.engine.small import words
from tests.tui.live_app import keys, live
from tests.tui.screens import screen_text, until

PROMPT = words([5, 9, 33, 12])
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return live_run(tmp_path_factory.mktemp("live") / "run")


@pytest.fixture
def opened(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenRun]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    found = open_run(run.path)
    yield found
    found.store.close()


def app(opened: OpenRun, place: Path) -> MonosemApp:
    return MonosemApp(Session(opened, place.parent, Palette(), attach=place, tuning=Tuning(pause=0.0)))


async def test_a_terminal_that_comes_back_finds_its_text(opened: OpenRun, run: RunFolder, tmp_path: Path) -> None:
    served = Served(run.path, tmp_path / "own" / "s")
    try:
        async with app(opened, served.place).run_test(size=(120, 40)) as pilot:
            screen = await live(pilot)
            await pilot.press("g", *keys(" t=1.2 max=20 seed=40"), "enter", "a", *keys("3=max*40@response"), "enter")
            await pilot.press("p", *keys(PROMPT), "enter")
            await until(pilot, lambda: screen.connection.talk.writing.complete)
            before, recipe = screen.connection.talk.writing, screen.connection.talk.recipe
            assert recipe is not None
        assert served.process.poll() is None
        async with app(opened, served.place).run_test(size=(120, 40)) as pilot:
            screen = await live(pilot)
            await until(
                pilot, lambda: screen.connection.talk.phase is Phase.RESTING and screen.connection.talk.writing.complete
            )
            assert screen.connection.talk.writing.clamped == before.clamped
            assert screen.connection.talk.writing.prompt == before.prompt
            assert screen.connection.talk.recipe == recipe
            await pilot.press("R")
            await until(pilot, lambda: screen.connection.talk.phase is Phase.RESTING and screen.connection.talk.is_open)
            assert screen.connection.talk.writing.clamped == before.clamped
            served.process.kill()
            served.ended()
            await until(pilot, lambda: screen.connection.talk.phase is Phase.DEAD)
            assert "monosem serve" in screen.connection.talk.problem
            await until(pilot, lambda: "attached model: no server answers · R connects" in screen_text(pilot))
            assert screen.connection.talk.writing.clamped == before.clamped
            await pilot.press("R")
            await until(pilot, lambda: "no server listens there any more" in screen.connection.talk.problem)
            again = Served(run.path, served.place)
            try:
                await pilot.press("R")
                await until(pilot, lambda: screen.connection.talk.phase is Phase.RESTING)
                assert screen.connection.talk.writing.clamped == before.clamped
            finally:
                again.process.kill()
                again.process.communicate()
    finally:
        served.process.kill()
        served.process.communicate()


async def test_one_terminal_takes_over_from_another(opened: OpenRun, run: RunFolder, tmp_path: Path) -> None:
    served = Served(run.path, tmp_path / "own" / "s")
    try:
        async with app(opened, served.place).run_test(size=(120, 40)) as first:
            screen = await live(first)
            await first.press("p", *keys(PROMPT), "enter")
            await until(first, lambda: screen.connection.talk.writing.complete)
            async with app(opened, served.place).run_test(size=(120, 40)) as second:
                await live(second)
                await until(first, lambda: "taken over by" in screen_text(first))
                assert screen.connection.talk.phase is Phase.NONE
    finally:
        served.process.kill()
        served.process.communicate()
