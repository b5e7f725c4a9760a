"""`monosem serve` with a real model: terminals hang up, come back, take over and find their text."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from store.live import wire
from store.live.recipe import Recipe
from store.live.sampling import Sampling
from store.live.socket_file import connect
from store.run.folder import RunFolder
from tests.cli.live_runs import live_run
from tests.cli.running import ENTRY, clean_environment
from tests.engine.small import words
from tests.patience import PATIENCE

PROMPT = words([5, 9, 33, 12])
RECIPE = Recipe(
    prompt=PROMPT,
    clamps=("3=max*40@response", "7=off"),
    sampling=Sampling(temperature=1.2, seed=40, max_new=50),
)
START = wire.Start(id=2, recipe=RECIPE)
A = TypeVar("A")


class Line:
    """A terminal's end of a connection."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._connection.settimeout(PATIENCE)
        self._answers = self._connection.makefile("rb")
        self.said: list[wire.Request | wire.Answer] = []

    def tell(self, *requests: wire.Request) -> None:
        self._connection.sendall(b"".join(map(wire.encode, requests)))

    def raw(self, line: bytes) -> None:
        self._connection.sendall(line)

    def until(self, kind: type[A]) -> A:
        while True:
            line = self._answers.readline()
            assert line, f"it hung up; it had said {self.said}"
            self.said.append(wire.decode(line))
            if isinstance(self.said[-1], kind):
                return self.said[-1]

    def tokens(self, number: int) -> list[int]:
        """Clamped tokens that were told with an id, after a check that none is missing."""
        steps = [one.step for one in self.said if isinstance(one, wire.Stepped) and one.id == number]
        assert [one.number for one in steps] == list(range(len(steps)))
        return [one.clamped.token for one in steps if one.clamped]

    def hung_up_on(self) -> bool:
        return self._answers.readline() == b""

    def hang_up(self) -> None:
        self._answers.close()
        self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()


class Served:
    """A server of its own for one test."""

    def __init__(self, run: Path, place: Path, *more: str, script: str = ENTRY) -> None:
        self.place = place
        words_ = [sys.executable, "-c", script, "serve", str(run), "--socket", str(place), "--device", "cpu", *more]
        self.process = subprocess.Popen(
            words_,
            env=clean_environment(OMP_NUM_THREADS="1"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stderr is not None
        self.narrated = b""
        while b"--attach" not in self.narrated:
            line = self.process.stderr.readline()
            assert line, self.narrated
            self.narrated += line

    def ended(self) -> int:
        return self.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return live_run(tmp_path_factory.mktemp("live") / "run")


@pytest.fixture
def serve(run: RunFolder, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    begun: list[Served] = []

    def begin(*more: str, script: str = ENTRY) -> Served:
        begun.append(Served(run.path, tmp_path / "own" / "s", *more, script=script))
        return begun[-1]

    yield begin
    for one in begun:
        one.process.kill()
        one.process.communicate()


@pytest.fixture(scope="module")
def served(run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all tests that leave it alive; its text is whatever the last one left."""
    one = Served(run.path, tmp_path_factory.mktemp("served") / "own" / "s")
    yield one
    one.process.terminate()
    assert one.ended() == 0
    one.process.communicate()


def test_a_text_goes_on_without_its_line_and_is_told_to_the_next(served: Served, run: RunFolder) -> None:
    alone = Line(served.place)
    assert alone.until(wire.Hello).pid == served.process.pid
    alone.tell(wire.Load(id=1, run=str(run.path)))
    ready = alone.until(wire.Ready)
    assert not any(isinstance(answer, wire.Working) for answer in alone.said)  # it was open
    assert (ready.d_sae, ready.knows_maxima) == (40, True)
    alone.tell(START, wire.Go(id=3))
    alone.until(wire.Rested)
    whole = alone.tokens(3)
    assert len(whole) == 50
    alone.tell(START, wire.Go(id=4))
    alone.until(wire.Stepped)
    alone.hang_up()

    os.kill(served.process.pid, signal.SIGHUP)  # the terminal that it was started in goes as well
    back = Line(served.place)
    back.tell(wire.Load(id=1, run=str(run.path)), wire.Recall(id=2))
    recalled = back.until(wire.Recalled)
    assert recalled.recipe == RECIPE
    rested = back.until(wire.Rested)
    assert (rested.id, rested.clamped_end) == (2, "length")
    assert back.tokens(2) == whole
    assert len(recalled.prompt) > 4

    back.tell(wire.Branch(id=3, token=20), wire.ChangeClamps(id=4, clamps=()), wire.Go(id=5, tokens=5))
    back.until(wire.Rested)
    back.tell(wire.Recall(id=6))
    recalled = back.until(wire.Recalled)
    assert recalled.recipe == replace(RECIPE, clamps=())
    assert (recalled.tokens, recalled.writing) == (25, False)
    assert back.until(wire.Rested).clamped_end is None
    assert back.tokens(6)[:20] == whole[:20]


def test_whoever_asks_last_is_listened_to_and_the_other_is_told(served: Served) -> None:
    first = Line(served.place)
    first.tell(START)
    first.until(wire.Started)
    second = Line(served.place)  # to look is not to take over
    second.until(wire.Hello)
    first.tell(wire.Go(id=3, tokens=2))
    first.until(wire.Rested)
    second.tell(wire.Recall(id=9))
    assert second.until(wire.Recalled).tokens == 2
    gone = first.until(wire.Gone)
    assert gone.why.startswith("taken over by ")
    assert str(os.getpid()) in gone.why
    assert first.hung_up_on()
    third = Line(served.place)
    third.tell(wire.Stop(id=1), wire.Recall(id=2))
    assert third.until(wire.Recalled).recipe is None


def test_one_who_does_not_read_keeps_nobody_out(served: Served) -> None:
    stuck = Line(served.place)
    stuck.raw(b"".join(wire.encode(wire.Inspect(id=n, text=words([5] * 400))) for n in range(200)))
    other = Line(served.place)
    other.tell(wire.Recall(id=1))
    other.until(wire.Recalled)


def test_lines_that_are_no_requests_and_one_without_an_end(served: Served) -> None:
    line = Line(served.place)
    line.raw(b"\xff\x00{\n")
    assert line.until(wire.Failed).what.startswith("not understood")
    line.raw(b"[" * 1000)
    line.hang_up()
    again = Line(served.place)
    again.tell(wire.Recall(id=1))
    again.until(wire.Recalled)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_ends_it_tidily(serve: Callable[..., Served], number: signal.Signals) -> None:
    served = serve()
    line = Line(served.place)
    line.tell(START, wire.Go(id=3))
    line.until(wire.Stepped)
    os.kill(served.process.pid, number)
    assert line.until(wire.Gone).why == f"ended by {number.name}"
    assert served.ended() == 0
    assert not served.place.exists()
    assert served.process.stdout is not None
    assert served.process.stdout.read() == b""


@pytest.mark.slow
def test_it_ends_by_itself_and_one_that_was_killed_is_replaced(serve: Callable[..., Served]) -> None:
    served = serve()
    served.process.kill()
    served.ended()
    assert served.place.exists()
    again = serve("--idle", "0.0003")
    line = Line(again.place)
    assert line.until(wire.Gone).why == "idle for 1.08 seconds"
    assert again.ended() == 0
    assert not again.place.exists()


def test_a_run_that_was_trained_anew_is_opened_anew(served: Served, run: RunFolder) -> None:
    line = Line(served.place)
    line.tell(START)
    line.until(wire.Started)
    os.utime(run.sae)
    line.tell(wire.Load(id=4, run=str(run.path)))
    line.until(wire.Ready)
    assert any(isinstance(answer, wire.Working) for answer in line.said)
    line.tell(wire.Recall(id=5))
    assert line.until(wire.Recalled).recipe is None


@pytest.mark.slow
def test_an_error_of_the_model_leaves_it_serving(serve: Callable[..., Served]) -> None:
    broken = (
        "from engine.live import decoder\n"
        "def feed(*_): raise RuntimeError('CUDA error: device-side assert\\nat x.cpp')\n"
        "decoder.Decoder.feed = feed\n"
    )
    served = serve(script=broken + ENTRY)
    line = Line(served.place)
    line.tell(START, wire.Go(id=3))
    assert line.until(wire.Failed).what == "RuntimeError: CUDA error: device-side assert"
    line.tell(wire.Recall(id=4))
    assert line.until(wire.Recalled).recipe is None
    log = served.place.with_name("s.log")
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0
