"""Live in a pseudo-terminal: what a token costs on the wire, and that nothing outlives the terminal."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from tests.patience import PATIENCE, alive, wait_for_end
from tests.sample_run import Sample, build_sample
from tests.tui.live_app import FAKE, ROOT
from tests.tui.pty_bytes import PtyApp

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
TOKENS = 120
"""Enough for both texts to run over many lines."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return build_sample(tmp_path_factory.mktemp("wire") / "sample")


def started(run: Sample, behaviour: str) -> PtyApp:
    return PtyApp(run.run.path, 200, 50, TERM="xterm-256color", PYTHONPATH=str(ROOT), FAKE_MODEL=behaviour)


def writing(app: PtyApp, *, most: int) -> None:
    """Two features clamped, and a prompt up to the key that begins to write."""
    app.read_until(b"PROMOTES")
    app.rest()
    app.press(b"cjc3")
    app.press(b"g max=%d\r" % most)
    app.press(b"pthe sea")


def child_of(app: PtyApp) -> int:
    """The pretended model's process."""
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0") if folder.name.isdigit() else []
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1] if words else ""
        except OSError:
            continue
        if str(FAKE).encode() in words and parent == str(app.process.pid):
            return int(folder.name)
    raise AssertionError("no process was started")


def test_a_token_costs_no_more_than_it_may(run: Sample) -> None:
    with started(run, "calm varied") as app:
        writing(app, most=TOKENS)
        app.send(b"\x07")
        written = app.read_until(b"(limit)") + app.rest()
        assert len(written) / TOKENS <= 1_200, len(written) / TOKENS
        app.press(b"h")
        assert max(len(app.press(b"h")) for _ in range(5)) <= 1_500  # the cursor's step, and the candidates there
        assert app.read(0.3) == b""
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z$]", "", written.decode())
        assert "sky" in text


@pytest.mark.parametrize("end", ["hang up", "kill", "quit"])
def test_nothing_outlives_the_terminal(end: str, run: Sample) -> None:
    with started(run, "ever") as app:
        writing(app, most=40)
        app.send(b"\x07")
        app.read_until(b"sky")
        pid = child_of(app)
        assert alive(pid)
        if end == "hang up":
            app.hang_up()
        elif end == "kill":
            app.process.send_signal(signal.SIGKILL)
        else:
            app.send(b"q")
        app.process.wait(PATIENCE)
        wait_for_end(pid)


def test_a_stopped_model_keeps_nobody_waiting(run: Sample) -> None:
    with started(run, "ever") as app:
        writing(app, most=40)
        app.send(b"\x07")
        app.read_until(b"sky")
        pid = child_of(app)
        os.kill(pid, signal.SIGSTOP)
        app.read(0.6)
        assert b"on response" in app.press(b"]")  # behind the strength, which is another now
        app.send(b"q")
        assert app.wait() == 0
        wait_for_end(pid)
