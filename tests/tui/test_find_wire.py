"""Find in a pseudo-terminal: bytes on the wire, at rest and while a pattern is typed and searched."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE, wait_for_end
from tests.sample_run import Sample, build_sample
from tests.store.query.test_find_process import ENDLESS, at_work
from tests.tui.pty_bytes import PtyApp
from tests.tui.test_wire import text

pytestmark = pytest.mark.skipif(not Path("/dev/ptmx").exists(), reason="needs pseudo-terminals")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return build_sample(tmp_path_factory.mktemp("wire") / "sample", n_features=200, n_contexts=60)


@pytest.fixture
def app(run: Sample) -> Iterator[PtyApp]:
    with PtyApp(run.run.path, 80, 24, TERM="xterm-256color") as there:
        there.read_until(b"features")
        there.rest()
        yield there


def test_typing_costs_its_line_and_a_result_two_rows(run: Sample) -> None:
    with PtyApp(run.run.path, 200, 50, debounce=PATIENCE, TERM="xterm-256color") as app:
        app.read_until(b"features")
        app.rest()
        assert len(app.press(b"2")) <= 90_000  # a slow machine paints it twice
        app.press(b"/")
        assert 0 < len(app.press(b"s")) <= 2_500  # the examples of patterns go
        for letter in b"ea|she":
            assert 0 < len(app.press(bytes([letter]))) <= 600
        os.write(app.master, b"\r")
        found = app.read_until(b"together") + app.rest()
        assert len(found) <= 90_000
        assert "tokens match" in text(found)
        for _ in range(3):
            assert 0 < len(app.press(b"j")) <= 2_500


def test_a_search_that_never_ends_writes_nothing_and_keys_go_on(app: PtyApp) -> None:
    app.send(b":find " + ENDLESS.encode() + b"\r")
    app.read_until(b"esc stops the search")
    at_work(int(_children(app.process.pid)[0]))  # it has said all that it has to say
    app.rest(children=False)
    assert app.read(2.0) == b""
    app.send(b"?")
    app.read_until(b"esc closes")
    app.send(b"??")
    app.rest(children=False)
    app.send(b"\x1b")
    app.read_until(b"search stopped")
    app.send(b"q")
    assert app.wait() == 0


def test_a_line_that_drops_ends_the_search_too(run: Sample) -> None:
    with PtyApp(run.run.path, 80, 24, TERM="xterm-256color") as app:
        app.read_until(b"features")
        app.send(b":find " + ENDLESS.encode() + b"\r")
        app.read_until(b"esc stops the search")
        searching = [int(found) for found in _children(app.process.pid)]
        app.hang_up()
        assert app.process.wait(PATIENCE) == 128 + signal.SIGHUP
        assert searching
        for pid in searching:
            wait_for_end(pid)


def _children(pid: int) -> list[str]:
    return [found for task in Path(f"/proc/{pid}/task").iterdir() for found in (task / "children").read_text().split()]


def test_keys_of_one_packet_reach_the_screen_they_lead_to(app: PtyApp) -> None:
    found = text(app.press(b":find sea\r/\x7f\x7f\x7fshe\r"))
    assert re.search(r"━\s+she\s+━", found)
    assert "tokens match" in found
    found = text(app.press(b":theme light\r:health\r1"))
    assert "features" in found
