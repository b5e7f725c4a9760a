"""Progress in a log and on a terminal."""

from __future__ import annotations

import inspect
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from engine.runtime.progress import Progress, Silent
from monosem_tui.cli.progress import ConsoleProgress, TaskBar, bar_line, duration
from monosem_tui.draw.spans import text_of, width_of
from tests.cli.running import ROOT, clean_environment
from tests.patience import PATIENCE


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(clock: Clock) -> Iterator[ConsoleProgress]:
    yield ConsoleProgress(live=False, clock=clock)


def test_it_has_the_shape_the_engine_asks_for() -> None:
    for name in ("say", "task"):
        theirs, ours = (inspect.signature(getattr(kind, name)) for kind in (Progress, ConsoleProgress))
        assert list(ours.parameters) == list(theirs.parameters)
        assert [p.default for p in ours.parameters.values()] == [p.default for p in theirs.parameters.values()]
    with Silent().task("t", 1, "u") as silent:
        assert (
            list(inspect.signature(silent.advance).parameters)
            == list(inspect.signature(TaskBar.advance).parameters)[1:]
        )


def test_a_log_gets_a_line_when_both_time_and_work_have_passed(
    progress: ConsoleProgress, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    with progress.task("training", 1_000_000, "tokens") as task:
        said.append(capsys.readouterr().err)
        for seconds, amount in ((5, 200_000), (6, 10_000), (30, 40_000), (1, 10_000), (10, 90_000), (10, 650_000)):
            clock.now += seconds
            task.advance(amount, loss=0.5, explained_variance=0.9412, l0=31.96, tok_s=1.0, step=3)
            said.append(capsys.readouterr().err)
    said.append(capsys.readouterr().err)
    assert said[0] == "training: 0 of 1.0M tokens (0 %)\n"
    # 5 s are too short; 11 s with 21 % are enough; 30 s with 4 % are too little work; 41 s with 14 % are enough.
    assert [bool(text) for text in said[1:7]] == [False, True, False, False, True, True]
    assert said[2] == "training: 210k of 1.0M tokens (21 %), 19k/s, 41 s left  loss 0.5  EV 0.941  L0 32.0\n"
    assert said[7] == "training: 1.0M tokens in 62 s (16k/s)  loss 0.5  EV 0.941  L0 32.0\n"


def test_a_resumed_task_counts_its_own_speed(
    progress: ConsoleProgress, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.task("training", 1000, "tokens", done=600) as task:
        clock.now += 20
        task.advance(200)
    assert capsys.readouterr().err.splitlines() == [
        "training: 600 of 1k tokens (60 %)",
        "training: 800 of 1k tokens (80 %), 10/s, 20 s left",
        "training: 200 tokens in 20 s (10/s)",
    ]


def test_work_of_unknown_length(progress: ConsoleProgress, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress.task("reading", None, "documents") as task:
        clock.now += 12
        task.advance(6, file="a\x1b.txt")
    assert capsys.readouterr().err.splitlines() == [
        "reading: 0 documents",
        "reading: 6 documents, 0.5/s  file a⟨0x1B⟩.txt",
        "reading: 6 documents in 12 s (0.5/s)  file a⟨0x1B⟩.txt",
    ]


def test_work_that_fails_says_where(progress: ConsoleProgress, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), progress.task("training", 1000, "tokens") as task:
        task.advance(300)
        raise KeyboardInterrupt
    assert capsys.readouterr().err.splitlines()[-1] == "training: stopped at 300 of 1k tokens"


def test_speed_is_that_of_late(clock: Clock) -> None:
    stretch = TaskBar("t", 10_000, "tokens", 0, clock)
    assert stretch.pace() == ""
    for _ in range(10):
        clock.now += 10
        stretch.advance(10)
    assert stretch.speed() == pytest.approx(1.0)
    for _ in range(10):
        clock.now += 10
        stretch.advance(500)
    assert stretch.speed() == pytest.approx(50.0)


def test_the_speed_of_work_in_bursts_is_that_of_several_bursts(clock: Clock) -> None:
    stretch = TaskBar("training", 20_000, "tokens", 0, clock)
    for _ in range(12):
        clock.now += 48  # the next block is not there yet
        for _ in range(10):
            clock.now += 0.2
            stretch.advance(100)
            assert stretch.speed() < 60
    assert stretch.speed() == pytest.approx(1000 / 50, rel=0.2)


def test_a_bar_fits_its_line_and_shortens_before_it_is_cut(clock: Clock) -> None:
    stretch = TaskBar("training", 2_000_000, "tokens", 0, clock)
    clock.now += 10
    stretch.advance(500_000, loss=0.0166, explained_variance=0.9, l0=32.0)
    full = text_of(bar_line(stretch, 120))
    assert full == (
        "training  █████···············  500k of 2.0M tokens  50k/s, 30 s left  loss 0.0166  EV 0.900  L0 32.0"
    )
    short = text_of(bar_line(stretch, 80))
    assert short == "training  ██▌·······  25 %  50k/s, 30 s left  loss 0.0166  EV 0.900  L0 32.0"
    assert all(width_of(bar_line(stretch, cells)) <= cells for cells in range(1, 120))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "0.4 s"), (9.97, "10 s"), (99, "99 s"), (720, "12 min"), (11_100, "3 h 05 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


LIVE = """
import sys
from monosem_tui.cli.progress import ConsoleProgress
progress = ConsoleProgress()
progress.say("loading [bold]x[/bold]")
with progress.task("training", 100, "tokens") as outer:
    outer.advance(50, loss=0.25)
    with progress.task("evaluating", 10, "batches") as inner:
        inner.advance(10)
    print("a library warns", file=sys.stderr)
    sys.stdout.write("data\\n")
    outer.advance(50, loss=0.125)
"""


def test_live_bars_leave_only_their_last_lines() -> None:
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-c", LIVE], stdout=subprocess.PIPE, stderr=theirs, env=clean_environment(), cwd=ROOT
    )
    os.close(theirs)
    seen = b""
    try:
        while block := os.read(ours, 4096):
            seen += block
    except OSError:
        pass  # Linux reports the end of a terminal as an error
    finally:
        os.close(ours)
    out, _ = done.communicate(timeout=PATIENCE)
    assert (done.returncode, out) == (0, b"data\n")
    text = seen.decode()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert "training\x1b[0m  ········" in text
    lines = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text).replace("\r", "\n").splitlines()
    for said in ("loading [bold]x[/bold]", "a library warns"):
        assert said in lines
    assert any(re.fullmatch(r"training: 100 tokens in \S+ s.*  loss 0\.125", line) for line in lines)
    assert any(line.startswith("evaluating: 10 batches in ") for line in lines)
