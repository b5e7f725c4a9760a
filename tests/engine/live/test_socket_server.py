"""`monosem serve` with a real model: terminals hang up, come back, take over and find their text."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

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
    assert recalled.obeyed == (wire.ClampStretch(token=0, clamps=RECIPE.clamps),)
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
    assert [(one.token, one.clamps) for one in recalled.obeyed] == [(0, RECIPE.clamps), (20, ())]
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
    stuck.until(wire.Inspected)  # it is the active one now, and reads no further
    other = Line(served.place)
    other.tell(wire.Recall(id=1))
    other.until(wire.Recalled)


NOT_REQUESTS = [
    *(
        b"\xff\x00{",
        b"{",
        b"[]",
        b"null",
        b"3",
        b'"go"',
        b"{}",
        b'{"type": 5}',
        b'{"type": ["go"]}',
        b"\x00",
        b"\xef\xbb\xbf{}",
    ),
    *(b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b'{"id": ' + b"9" * 5000 + b"}", b'{"type": "go", "id": 1e999}'),
    *(b"GET / HTTP/1.1", b"\x16\x03\x01\x02\x00\x01", b"\xc3", b"\xe2\x82", b'{"type": "go", "id": "\xe2\x82"}'),
    *(
        b'{"type": "\\ud800"}',
        b'{"type": "gone", "why": "x"}',
        b'{"type": "launch", "id": 1}',
        '{"type": "go"}'.encode("utf-16"),
    ),
]
ODD = [
    None,
    True,
    -1,
    10**30,
    1e300,
    "",
    "\ud800",
    "\x00",
    "x" * 3000,
    [],
    [[]],
    {},
    {"type": "go"},
    "/dev/zero",
    ["3=1"] * 300,
]
"""Put in place of each field of each request."""
FIELDS: dict[str, Any] = {
    "load": {"run": "/nowhere", "model": "", "device": "cpu", "dtype": "float32"},
    "inspect": {"text": PROMPT, "top": 3, "ablate": False},
    "start": {"recipe": asdict(RECIPE)},
    "go": {"tokens": 3},
    "pause": {},
    "changeclamps": {"clamps": []},
    "branch": {"token": 1, "seed": 2},
    "startsweep": {"recipe": asdict(replace(RECIPE, clamps=(), sweep="3=1", sampling=Sampling(max_new=3)))},
    "stop": {},
    "recall": {},
}


def odd_requests() -> Iterator[dict[str, Any]]:
    """Every request with every odd value in every field, fields of recipes included."""
    for kind, fields in FIELDS.items():
        whole = {"type": kind, "id": 7} | fields
        for name in ["id", *fields]:
            yield from (whole | {name: odd} for odd in ODD)
        for name in fields.get("recipe", {}):
            yield from (whole | {"recipe": fields["recipe"] | {name: odd}} for odd in ODD)
        for name in fields.get("recipe", {}).get("sampling", {}):
            sampling = fields["recipe"]["sampling"]
            yield from (whole | {"recipe": fields["recipe"] | {"sampling": sampling | {name: odd}}} for odd in ODD)


def text_of(line: Line, run: RunFolder) -> list[int]:
    line.tell(wire.Load(id=1, run=str(run.path)), START, wire.Go(id=3))
    line.until(wire.Rested)
    return line.tokens(3)


def test_lines_that_are_not_requests_disturb_nobody(served: Served, run: RunFolder) -> None:
    wanted, good = text_of(Line(served.place), run), Line(served.place)
    good.tell(START, wire.Go(id=3))
    strangers = [Line(served.place) for _ in NOT_REQUESTS]
    for stranger, line in zip(strangers, NOT_REQUESTS, strict=True):
        stranger.raw(line + b"\n")
        assert stranger.until(wire.Failed).what.startswith("not understood")
    endless, flood = Line(served.place), Line(served.place)
    for stranger, piece, why in (
        (endless, b"x" * 10_000, "a line of more than"),
        (flood, b"\n" * 50, "more than 100 lines"),
    ):
        with suppress(OSError):  # it is hung up on meanwhile
            for _ in range(1000):
                stranger.raw(piece)
        assert why in stranger.until(wire.Gone).why
    many = [Line(served.place) for _ in range(80)]
    assert "too many terminals" in strangers[0].until(wire.Gone).why
    good.until(wire.Rested)
    assert good.tokens(3) == wanted
    for one in (good, *strangers, *many):
        one.hang_up()


def test_one_who_asks_faster_than_can_be_answered_is_cut_off(served: Served) -> None:
    line = Line(served.place)
    with suppress(OSError):
        for _ in range(200):
            line.raw(wire.encode(wire.Inspect(id=1, text=PROMPT, ablate=True)) * 20)
    with suppress(OSError):
        assert "requests waiting" in line.until(wire.Gone).why
    again = Line(served.place)
    again.tell(wire.Recall(id=1))
    again.until(wire.Recalled)


def test_requests_with_odd_values_leave_it_serving(served: Served, run: RunFolder) -> None:
    wanted, odd = text_of(Line(served.place), run), list(odd_requests())
    assert len(odd) > 400
    for request in odd:
        line = Line(served.place)
        line.raw(json.dumps(request).encode() + b"\n")
        line.tell(wire.Pause(id=8), wire.Recall(id=9))
        while line.until(wire.Recalled).id != 9:
            pass
        line.hang_up()
    assert text_of(Line(served.place), run) == wanted


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
