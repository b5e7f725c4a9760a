"""The real app in a pseudo-terminal: bytes on the wire, keys that come together, lines that drop."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from store.notes.note_file import Notes
from store.run.folder import RunFolder
from tests.patience import PATIENCE, eventually
from tests.sample_run import Sample, build_sample
from tests.tui import pty_bytes
from tests.tui.pty_bytes import PtyApp

pytestmark = pytest.mark.skipif(not Path("/dev/ptmx").exists(), reason="needs pseudo-terminals")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return build_sample(tmp_path_factory.mktemp("wire") / "sample", n_features=200, n_contexts=60)


def started(run: Sample, *size: int, debounce: float | None = None, fresh: bool = False) -> PtyApp:
    return PtyApp(run.run.path, *size, debounce=debounce, fresh=fresh, TERM="xterm-256color")


@pytest.fixture
def app(run: Sample) -> Iterator[PtyApp]:
    with started(run, 200, 50) as there:
        there.read_until(b"PROMOTES")
        there.rest()
        yield there


def text(written: bytes) -> str:
    """Written text without escape sequences."""
    return re.sub(r"\x1b(\[[0-9;?<>]*[a-zA-Z$]|\][^\x07]*\x07|[=>])", " ", written.decode())


def test_start_and_rest(run: Sample) -> None:
    with started(run, 200, 50, fresh=True) as app:
        start = app.read_until(b"PROMOTES") + app.rest()
        assert len(start) <= 90_000
        assert app.press(b"\x1b[O\x1b[I") == b""  # another window takes the keyboard, and gives it back


def settle(app: PtyApp) -> None:
    """Wait until the rows' examples are there: nothing comes for a second."""
    app.rest()
    while app.read(1.0):
        pass


def test_a_step_costs_two_rows(run: Sample) -> None:
    with started(run, 200, 50, debounce=PATIENCE) as app:
        app.read_until(b"features")
        settle(app)
        for _ in range(5):
            assert 0 < len(app.press(b"j")) <= 1_500
        steps = [len(app.press(b"j")) for _ in range(60)]  # over the edge of the screen, too
        assert max(steps) <= 6_000
        held = sum(steps)
    with started(run, 200, 50) as app:
        app.read_until(b"PROMOTES")
        app.rest()
        page = len(app.press(b"j" * 65))
        assert (held + page) / 60 <= 1_500


def test_a_letter_of_a_lookup_costs_little(app: PtyApp) -> None:
    opened = app.press(b"\x10")
    assert b"filter the list" in opened
    assert len(opened) <= 6_000  # the panel alone, which covers a part of the list and of the page
    for letter in (b"s", b"e", b"a", b"\x7f", b"\x1b[B", b"\x1b[B"):
        assert 0 < len(app.press(letter)) <= 6_000
    closed = app.press(b"\x1b")
    assert b"quit" in closed
    assert len(closed) <= 9_000  # what the panel covered


def test_the_pages_cursor_costs_two_rows(app: PtyApp) -> None:
    app.press(b"\t")
    app.press(b"n")
    assert 0 < len(app.press(b"n")) <= 1_500
    assert b"document" in app.press(b"\r")
    assert b"PROMOTES" in app.press(b"\x1b")


def test_keys_that_arrive_in_one_packet_keep_their_order(app: PtyApp) -> None:
    app.press(b"/sea\rjj:3\r\tz")
    found = text(app.press(b"\x0c"))  # all of the screen: before, only what has changed was written
    assert "help" in found
    assert re.search(r"[─━] +3 ", found), found[-3000:]
    assert "PROMOTES" in found


def test_nothing_but_known_sequences_is_written(app: PtyApp) -> None:
    written = app.press(b"?") + app.press(b"?mmG\x0c") + app.press(b"/\x1b")
    assert not re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]", text(written))
    assert b"\x1b[5m" not in written  # nothing blinks


def test_quitting_gives_the_terminal_back(app: PtyApp) -> None:
    os.write(app.master, b"q")
    written = app.read_until(b"\x1b[?1049l")
    _, cleared, after = written.partition(b"\x1b[H\x1b[J")
    assert cleared  # else tmux keeps rows of the screen after its window was resized
    assert not text(after.partition(b"\x1b[?1049l")[0]).strip()
    assert b"\x1b[?25h" in written + app.rest()
    assert app.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_signals_end_it_in_good_order(app: PtyApp, number: signal.Signals) -> None:
    app.process.send_signal(number)
    app.read_until(b"\x1b[?1049l")
    assert app.wait() == 128 + number


CUT_SHORT = """
from textual.drivers.linux_driver import LinuxDriver
LinuxDriver.stop_application_mode = LinuxDriver.disable_input = LinuxDriver.close = lambda self: None
"""


@pytest.mark.parametrize("gone", [False, True], ids=["there", "gone"])
def test_no_thread_outlives_an_end_that_was_cut_short(run: Sample, monkeypatch: pytest.MonkeyPatch, gone: bool) -> None:
    """The driver's threads are told to end even where Textual has not come to it."""
    monkeypatch.setattr(pty_bytes, "_LAUNCH", CUT_SHORT + pty_bytes._LAUNCH)
    with PtyApp(run.run.path, 80, 24, TERM="xterm-256color") as app:
        app.read_until(b"features")
        if gone:
            app.hang_up()
        else:
            app.process.send_signal(signal.SIGTERM)
        assert app.process.wait(timeout=PATIENCE) == 128 + (signal.SIGHUP if gone else signal.SIGTERM)


def test_a_dropped_line_ends_it(app: PtyApp) -> None:
    app.hang_up()
    assert app.process.wait(timeout=PATIENCE) == 128 + signal.SIGHUP


def test_a_new_size_is_taken(app: PtyApp) -> None:
    app.resize(80, 24)
    found = text(app.rest())
    assert "features" in found
    app.resize(130, 24)
    assert "PROMOTES" in text(app.read_until(b"PROMOTES"))


def colours(written: bytes) -> set[str]:
    """The kinds of colours that SGR sequences ask for."""
    kinds = set()
    for sequence in re.findall(rb"\x1b\[([0-9;]+)m", written):
        codes = iter(map(int, sequence.split(b";")))
        for code in codes:
            if code in (38, 48):
                kinds.add({5: "cube", 2: "rgb"}[next(codes)])
                next(codes)
            elif (30 <= code <= 47 and code != 39) or 90 <= code <= 107:
                kinds.add("sixteen")
    return kinds


@pytest.mark.parametrize(
    ("environ", "kinds"),
    [
        ({"TERM": "xterm-256color"}, {"cube", "sixteen"}),
        ({"TERM": "xterm-ghostty"}, {"cube", "sixteen"}),
        ({"TERM": "xterm"}, {"sixteen"}),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, set()),
    ],
    ids=["256", "truecolor", "16", "none"],
)
def test_colours_are_those_of_the_terminal(run: Sample, environ: dict[str, str], kinds: set[str]) -> None:
    with PtyApp(run.run.path, 120, 40, **environ) as app:
        assert colours(app.read_until(b"PROMOTES") + app.rest()) == kinds


def test_over_ssh_no_mouse_is_asked_for(run: Sample) -> None:
    with PtyApp(run.run.path, 80, 24, TERM="xterm-256color", SSH_CONNECTION="a 1 b 2") as app:
        assert b"\x1b[?1003h" not in app.read_until(b"features")
    with PtyApp(run.run.path, 80, 24, TERM="xterm-256color") as app:
        assert b"\x1b[?1003h" in app.read_until(b"features")


def test_a_damaged_store_is_a_sentence_before_the_screen_is_taken(tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "sample")
    with sample.run.features.open("r+b") as stream:
        stream.truncate(1000)
    with PtyApp(sample.run.path, 80, 24, TERM="xterm-256color") as app:
        written = app.read_until(b"MonosemError")
        written += app.rest()
        assert app.wait() == 1
    assert b"1049" not in written
    assert b"features.h5" in written


def test_stopping_and_going_on_draws_everything_again(app: PtyApp) -> None:
    os.write(app.master, b"\x1a")
    app.read_until(b"\x1b[?1049l")
    status = Path(f"/proc/{app.process.pid}/stat")
    eventually(lambda: status.read_text().rpartition(")")[2].split()[0] == "T")
    app.process.send_signal(signal.SIGCONT)
    found = text(app.read_until(b"PROMOTES") + app.rest())
    assert "monosem" in found
    assert app.process.poll() is None


def test_notes_of_another_terminal_cost_their_row(run: Sample, tmp_path: Path) -> None:
    own = RunFolder(Path(shutil.copytree(run.run.path, tmp_path / "own")))
    theirs = Notes(own.notes)
    theirs.set(199, "label", "so that there is a column for labels")
    with PtyApp(own.path, 200, 50, TERM="xterm-256color") as app:
        app.read_until(b"PROMOTES")
        settle(app)
        theirs.set(3, "label", "seen at once")
        seen = app.read_until(b"seen at once") + app.rest()
        assert len(seen) <= 1_500
        theirs.set(3, "bookmark", False)  # nothing that shows
        assert app.read(3.0) == b""
        app.press(b"bu")
        assert Notes(own.notes).load()[3].label == "seen at once"


@pytest.mark.parametrize(("key", "awaited"), [(b"4", b"DENSITY"), (b"5", b"dictionary")], ids=["health", "runs"])
def test_other_screens_cost_no_more_than_a_start(app: PtyApp, key: bytes, awaited: bytes) -> None:
    os.write(app.master, key)
    shown = app.read_until(awaited) + app.rest()
    assert len(shown) <= 40_000
    assert len(app.press(b"1")) <= 90_000


def test_screens_and_keys_in_one_packet_keep_their_order(app: PtyApp) -> None:
    found = text(app.press(b"4j\r"))
    assert "ultra-low" in found
    assert "this group has no features" in found or "dead" in found
    found = text(app.press(b"1jj5"))
    assert "dictionary" in found


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, None], ids=["hangup", "term", "q"])
def test_the_state_is_kept_however_it_ends(run: Sample, tmp_path: Path, number: signal.Signals | None) -> None:
    with PtyApp(run.run.path, 80, 24, TERM="xterm-256color", XDG_STATE_HOME=str(tmp_path)) as app:
        app.read_until(b"features")
        app.press(b"jjT")
        if number is None:
            app.press(b"q")
        else:
            app.process.send_signal(number)
        app.wait()
    kept = json.loads(next((tmp_path / "monosem" / "stores").iterdir()).read_text())
    assert kept["store"] == str(run.run.path.resolve())
    assert kept["theme"] == "light"
    order = np.argsort(-run.dense_NF.max(0), kind="stable")
    assert kept["browse"]["feature"] == int(order[2])
