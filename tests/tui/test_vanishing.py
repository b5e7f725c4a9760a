"""The terminal, the store or the run vanish or break while the app is open. Nothing is lost."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monosem_tui.keys.actions import VIEWS
from store.notes.note_file import Notes
from store.run.folder import RunFolder
from tests.patience import PATIENCE
from tests.sample_run import Sample, build_sample
from tests.tui.conftest import train
from tests.tui.pty_bytes import PtyApp
from tests.tui.wire_screen import WireScreen

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs pseudo-terminals and /proc")
SOON = 0.01
"""Seconds until the page follows the cursor: short, so that tests do not wait for it."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    made = build_sample(tmp_path_factory.mktemp("vanishing") / "sample", n_features=200, n_contexts=400)
    train(made.run, 20)
    return made


@pytest.fixture
def own(original: Sample, tmp_path: Path) -> RunFolder:
    """A copy that may be broken."""
    return RunFolder(Path(shutil.copytree(original.run.path, tmp_path / "runs" / "own")))


@pytest.fixture
def app(own: RunFolder, tmp_path: Path) -> Iterator[PtyApp]:
    (tmp_path / "here").mkdir()
    environ = {"XDG_STATE_HOME": str(tmp_path / "state"), "TRACES": str(tmp_path / "traces")}
    environ["EXPORT_TO"] = str(tmp_path / "here")
    with PtyApp(own.path, 120, 36, debounce=SOON, TERM="xterm-256color", **environ) as there:
        there.read_until(b"PROMOTES")
        there.rest()
        yield there
    assert not (tmp_path / "traces").exists(), (tmp_path / "traces").read_text()


def of_session(leader: int) -> list[int]:
    """Processes of the session that the app was the first of."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        if int(after_name[3]) == leader and after_name[0] != "Z":
            found.append(int(folder.name))
    return found


def ended_by(how: str, app: PtyApp) -> int:
    """The exit code, after something has ended the app."""
    if how == "terminal gone":
        app.hang_up()
        return app.process.wait(timeout=PATIENCE)
    app.process.send_signal(signal.SIGHUP if how == "hangup" else signal.SIGTERM)
    return app.wait()


@pytest.mark.parametrize("how", ["hangup", "term", "terminal gone"])
def test_no_note_and_no_state_is_lost(how: str, app: PtyApp, own: RunFolder, tmp_path: Path) -> None:
    app.press(b"/density>0\r:17\rlkept\r")
    app.press(b"bttagged \rCsaid\r")
    app.press(b"lhalf a lab")  # not finished, so not said
    assert ended_by(how, app) == 128 + (signal.SIGTERM if how == "term" else signal.SIGHUP)
    note = Notes(own.notes).load()[17]
    assert (note.label, note.bookmark, note.comment) == ("kept", True, "said")
    assert list(note.tags) == ["tagged"]
    (kept,) = (tmp_path / "state" / "monosem" / "stores").iterdir()
    assert '"feature": 17' in kept.read_text()
    assert '"text": "density>0"' in kept.read_text()
    assert of_session(app.process.pid) == []
    assert not list(tmp_path.rglob("*.tmp-*"))


def test_a_signal_on_every_screen(own: RunFolder, tmp_path: Path) -> None:
    for view in VIEWS:
        with PtyApp(own.path, 80, 24, debounce=SOON, TERM="xterm-256color", TRACES=str(tmp_path / "traces")) as app:
            app.read_until(b"features")
            app.press(view.key.encode())
            app.hang_up()
            assert app.process.wait(timeout=PATIENCE) == 128 + signal.SIGHUP
            assert of_session(app.process.pid) == []
    assert not (tmp_path / "traces").exists()


def truncated(run: RunFolder) -> None:
    os.truncate(run.features, 4096)


def emptied(run: RunFolder) -> None:
    os.truncate(run.features, 0)


def overwritten(run: RunFolder) -> None:
    with run.features.open("r+b") as stream:
        stream.seek(512)
        size = run.features.stat().st_size - 512
        stream.write(bytes(range(256)) * (size // 256 + 1))
        stream.truncate(size + 512)


def deleted(run: RunFolder) -> None:
    run.features.unlink()


def replaced(run: RunFolder) -> None:
    other = build_sample(run.path.parent / "other", n_features=16, n_contexts=10)
    other.run.features.replace(run.features)
    shutil.rmtree(other.run.path)


def replaced_by_text(run: RunFolder) -> None:
    run.features.unlink()
    run.features.write_text("nothing of the kind\n" * 1000)


def removed(run: RunFolder) -> None:
    shutil.rmtree(run.path)


def record_broken(run: RunFolder) -> None:
    (run.path / "run.json").write_text('{"status": [')
    run.events.write_bytes(b"\xff\x00{]\n" * 50)
    run.notes.write_bytes(b"\xfe\x00{\n")


DAMAGE = [truncated, emptied, overwritten, deleted, replaced, replaced_by_text, removed, record_broken]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_every_screen_stays_readable(damage: Callable[[RunFolder], None], app: PtyApp, own: RunFolder) -> None:
    screen, said = WireScreen(120, 36), ""
    screen.feed(app.press(b"\x0c"))
    damage(own)
    for keys in (b"j", b"jjjj", b"G", b"\r", b"\x1b", b"s", b"S", b"D", b"/token:sea", b"\x1b", b"/like:3\r", b"\x1b"):
        screen.feed(app.press(keys))
        assert "own" in screen.lines()[0]
        said += screen.text()
    if damage in (truncated, emptied, overwritten):
        assert re.search(r"has changed|is\s+damaged", said)
    else:
        assert "TOP" in said  # what is open stays readable
    for keys in (b"y", b"em", b"eh", b"lxyz\r", b"u", b"b"):
        screen.feed(app.press(keys))
    for view in VIEWS:
        for keys in (view.key.encode(), b"jG", b"\r", b"?", b"?"):
            screen.feed(app.press(keys))
            assert "Traceback" not in screen.text()
            assert screen.text().count("\n") == 35
            assert any(line.strip() for line in screen.lines()[1:])
    assert app.process.poll() is None
    for keys in (b"\x1b", b"\x1b", b"q"):
        app.press(keys)
    assert app.wait() == 0
    assert of_session(app.process.pid) == []
