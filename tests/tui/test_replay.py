"""A whole visit by keys, through every screen of the real app with a pretended model; and what is left of it."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path

import pytest

from monosem_tui.keys.actions import VIEWS
from store.live.recipe import Recipe
from store.notes.note_file import Notes
from store.run.folder import RunFolder
from tests.patience import PATIENCE
from tests.sample_run import build_sample
from tests.tui.conftest import EVALUATION, train
from tests.tui.pty_bytes import ROOT, PtyApp
from tests.tui.wire_screen import WireScreen

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs pseudo-terminals and /proc")
TITLES = {view.name: f"[{view.key}]{view.title}" for view in VIEWS}
Step = tuple[bytes, str, str]
"""Keys, the screen that they lead to, and a pattern that comes up there."""
VISIT: tuple[Step, ...] = (
    (b"", "browse", "46 of 48 features"),
    (b"jj\r", "browse", "TOP"),
    (b"nn\r", "browse", "document"),
    (b"\x1b", "browse", "TOP"),
    (b"G", "browse", "RANDOM"),
    (b"\x1b", "browse", "features"),
    (b"j\r", "browse", "TOP"),
    (b"}}\r", "browse", "history"),
    (b"H", "browse", "TOP"),
    (b"\x1b", "browse", "features"),
    (b"/sea\r", "browse", "/sea"),
    (b"\x1b", "browse", "46 of 48"),
    (b"sS", "browse", "mean ↑"),
    (b"2", "find", "pattern"),
    (b"/sea|she\r", "find", "tokens match"),
    (b"j\r", "browse", "TOP"),
    (b"2", "find", "together"),
    (b"a", "browse", "find sea"),
    (b"\x1b", "find", "together"),
    (b":17\r", "browse", "17"),
    (b"lof the sea\r", "browse", "of the sea"),
    (b"b", "browse", "★|bookmark"),
    (b"tplace\r", "browse", "place|tag"),
    (b"Cseen on a visit\r", "browse", "comment|seen"),
    (b"c", "browse", "tray"),
    (b"3", "live", "max × 1"),
    (b"g max=20\r", "live", "greedy"),
    (b"pthe sea\r", "live", "perplexity"),
    (b"hhh[", "live", "the text is complete"),
    (b"\x1b", "live", "perplexity"),
    (b"s\r", "live", "KL +0"),
    (b"\x1b", "live", "perplexity"),
    (b"w\x15kept.json\r", "live", "kept.json"),
    (b"e\x15texts.txt\r", "live", "texts.txt"),
    (b"i", "live", "through the features|tokens"),
    (b"p\x15the sea and she\r", "live", "token 2 of 5"),
    (b"l ", "live", "token 3"),
    (b"\r", "browse", "features|activation"),
    (b"4", "health", "DENSITY"),
    (b"e", "health", "written here"),
    (b"G", "health", "health|EV|[0-9]"),
    (b"gjj\r", "browse", "24 of 48"),
    (b"\x1b", "health", "DENSITY"),
    (b"5", "runs", "visited"),
    (b"\r", "browse", "features|activation"),
    (b"6", "compare", "monosem compare visited"),
    (b"\x1b", "browse", "features|activation"),
    (b":17\r", "browse", "of the sea"),
    (b"V", "compare", "monosem compare"),
    (b"\x1b", "browse", "of the sea"),
    (b"em", "browse", "written to"),
    (b"eh", "browse", "written to"),
    (b"ej", "browse", "written to"),
    (b"es", "browse", "written to"),
    (b"P", "browse", "written to"),
    (b"y", "browse", "copied"),
    (b"?", "browse", "esc closes"),
    (b"?", "browse", "keys on the page|keys in the list"),
    (b"?", "browse", "of the sea"),
    (b"\x10", "browse", "go to"),
    (b"Health\r", "health", "DENSITY"),
    (b"1", "browse", "of the sea"),
    (b"T", "browse", "light"),
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    made = build_sample(tmp_path_factory.mktemp("runs") / "visited")
    train(made.run, 20)
    made.run.update(evaluation=EVALUATION)
    return made.run


@pytest.mark.parametrize(
    "size", [pytest.param((60, 20), marks=pytest.mark.slow), (120, 36)], ids=lambda size: f"{size[0]}x{size[1]}"
)
def test_a_visit(size: tuple[int, int], original: RunFolder, tmp_path: Path) -> None:
    run = RunFolder(Path(shutil.copytree(original.path, tmp_path / "runs" / "visited")))
    here, screen = tmp_path / "here", WireScreen(*size)
    here.mkdir()
    environ = {"XDG_STATE_HOME": str(tmp_path / "state"), "EXPORT_TO": str(here), "TRACES": str(tmp_path / "traces")}
    environ |= {"FAKE_MODEL": "quick", "PYTHONPATH": str(ROOT)}
    with PtyApp(run.path, *size, debounce=0.01, TERM="xterm-256color", **environ) as app:
        screen.feed(app.read_until(b"features"))
        for keys, view, awaited in VISIT:
            screen.feed(app.press(keys))
            deadline = time.monotonic() + PATIENCE
            while not (re.search(awaited, screen.text()) and TITLES[view] in screen.lines()[0]):
                assert time.monotonic() < deadline, f"{keys!r}: {view}, {awaited!r} never came:\n{screen.text()}"
                screen.feed(app.rest())
            assert screen.lines()[-1].strip(), f"nothing in the bottom line behind {keys!r}"
        for _ in range(3):  # what is open closes first
            if app.process.poll() is None:
                app.press(b"q")
        assert app.wait() == 0
    assert not (tmp_path / "traces").exists(), (tmp_path / "traces").read_text()
    note = Notes(run.notes).load()[17]
    assert (note.label, note.bookmark, list(note.tags), note.comment) == (
        "of the sea",
        True,
        ["place"],
        "seen on a visit",
    )
    assert Recipe.load(here / "kept.json").prompt == "the sea"
    assert "the sea" in (here / "texts.txt").read_text()
    assert {path.suffix for path in here.glob("visited*")} == {".md", ".html", ".json", ".svg"}
    assert any("of the sea" in copied for copied in screen.copied)
    (kept,) = (tmp_path / "state" / "monosem" / "stores").iterdir()
    assert json.loads(kept.read_text())["theme"] == "light"
