"""Text that tries to take over the terminal, through the real app on a pseudo-terminal: every screen and prompt."""

from __future__ import annotations

import re
import shutil
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monosem_tui.keys.actions import VIEWS
from store.notes.note_file import Notes
from tests.hostile_run import ALL, CLIPBOARD, MARK, PAYLOADS, build_hostile
from tests.patience import PATIENCE
from tests.sample_run import Sample
from tests.tui.pty_bytes import ROOT, PtyApp
from tests.tui.wire_screen import FORBIDDEN, WireScreen, cells

pytestmark = pytest.mark.skipif(not Path("/dev/ptmx").exists(), reason="needs pseudo-terminals")
SIZES = ((60, 20), (120, 36))
SOON = 0.01
"""Seconds until the page follows the cursor: short, so that tests do not wait for it."""


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return build_hostile(tmp_path_factory.mktemp("hostile"))


class Seen:
    """The app, and what a terminal makes of it."""

    def __init__(self, app: PtyApp, width: int, height: int) -> None:
        self.app, self.screen = app, WireScreen(width, height)

    def press(self, keys: bytes, awaited: str = "") -> str:
        """The screen after some keys; it must stay in its columns, and show `awaited` at last."""
        self.screen.feed(self.app.press(keys) if keys else self.app.rest())
        deadline = time.monotonic() + PATIENCE
        while not re.search(awaited, self.screen.text()):
            assert time.monotonic() < deadline, f"{awaited!r} never came:\n{self.screen.text()}"
            self.screen.feed(self.app.rest())
        self.screen.done()
        assert_aligned(self.screen)
        return self.screen.text()


def assert_aligned(screen: WireScreen) -> None:
    """No sequence holds text of the store, and between two panes the wall is straight."""
    for sequence in screen.sequences:
        assert MARK not in sequence
        assert CLIPBOARD not in sequence or sequence.startswith("\x1b]52;c;")
        assert "666" not in re.split(r"\D+", sequence)
    screen.sequences.clear()
    for row in screen.rows:
        assert sum(cells(cell[0]) for cell in row if cell) == screen.width
    forks = [(x, y) for y, row in enumerate(screen.rows) for x, cell in enumerate(row) if cell == "┬"]
    for x, y in forks:
        below = screen.column(x)[y + 1 : -1]
        first_other = next((place for place, cell in enumerate(below) if cell != "│"), len(below))
        assert first_other > 3, screen.text()
        assert "│" not in below[first_other:], screen.text()


LAYERS = 4
"""Most things that `q` closes before it quits: a page, a document, a help, the screen."""


@contextmanager
def visiting(run: Path, size: tuple[int, int], folder: Path, model: str = "") -> Iterator[Seen]:
    """The app on a run, which keeps its state and writes its files in `folder`, and ends in good order."""
    environ = {"XDG_STATE_HOME": str(folder), "EXPORT_TO": str(folder), "FAKE_MODEL": model, "PYTHONPATH": str(ROOT)}
    with PtyApp(run, *size, debounce=SOON, TERM="xterm-256color", **environ) as app:
        there = Seen(app, *size)
        there.screen.feed(app.read_until(b"features"))
        there.press(b"", r"\? help")
        yield there
        assert app.process.poll() is None
        there.press(b"\x1b\x1b")
        for _ in range(LAYERS):
            if app.process.poll() is None:
                app.press(b"q")
        assert app.wait() == 0


@pytest.fixture(
    params=[SIZES[0], pytest.param(SIZES[1], marks=pytest.mark.slow)], ids=lambda size: f"{size[0]}x{size[1]}"
)
def seen(evil: Sample, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Seen]:
    with visiting(evil.run.path, request.param, tmp_path, "quick evil") as there:
        yield there


def test_list_and_page(seen: Seen) -> None:
    assert MARK in seen.press(b"\x0c")
    for keys in (b"\x04", b"G", b"g", b"s", b"ssss", b"S", b"d", b"d"):
        seen.press(keys)
    for row in (0, 2, 4, 9):
        seen.press(b"g" + b"j" * row + b"\r", r"TOP|PROMOTES|Dead")
        for keys in (b"\x04", b"G", b"m", b"m", b"mhJ"):
            seen.press(keys)
        seen.press(b"\x1b", r"\? help")


def test_help_commands_and_prompts(seen: Seen) -> None:
    seen.press(b"?", "esc closes")
    seen.press(b"?", "keys in the list")
    seen.press(b"?")
    seen.press(b"\x10", "⏎ go")
    seen.press(b"lab", "label")
    seen.press(b"\x15PW", "PW")
    seen.press(b"\x1b[B\x1b[B\x1b[B")
    seen.press(b"\x1b", r"\? help")
    seen.press(b"/")
    for keys in (b"PW", b"\x7f\x7f", b"\x1b[200~\x1b[31mPWNED\x9d\xe2\x80\xae[red]\x1b[201~", b"\x1b"):
        seen.press(keys)
    for feature in (b"7", b"13", b"18"):
        seen.press(b":" + feature + b"\r")
        for prompt in (b"l", b"t", b"C"):
            seen.press(prompt, "⏎ keep")
            seen.press(b"\x01\x1b[C\x05\x1b[D\x1b[D")
            seen.press(b"\x1b", r"\? help")
    seen.press(b":3\r")
    seen.press(b"lx\r", "label")
    seen.press(b"u")


def test_every_other_screen(seen: Seen) -> None:
    for view in VIEWS:
        text = seen.press(view.key.encode(), f"{view.key}\\S* ?{view.title}|{view.key}")
        assert text
        for keys in (b"j", b"\x06", b"G", b"g", b"?", b"?", b"?"):
            seen.press(keys)
    seen.press(b"1")


def test_what_is_copied_and_written_is_harmless(seen: Seen, tmp_path: Path) -> None:
    seen.press(b":0\r")
    seen.press(b"y", "copied|too large")
    for form in (b"m", b"h", b"j", b"s"):
        seen.press(b"e", "JSON")
        seen.press(form, "written to|nothing written")
    seen.press(b"P", "written to|nothing written")
    written = sorted(tmp_path.glob("evil*"))
    assert {path.suffix for path in written} == {".md", ".html", ".json", ".svg"}
    for text in (*seen.screen.copied, *(path.read_text() for path in written)):
        assert MARK in text
        assert harmless(text)


def harmless(text: str) -> bool:
    """Whether a terminal may be shown a file, or a person's shell given what was copied."""
    return not {unicodedata.category(character) for character in text if character != "\n"} & set(FORBIDDEN)


def pasted(text: str) -> bytes:
    """A paste, as a terminal sends it: nothing in it ends it before its end."""
    return b"\x1b[200~" + text.replace("\x1b[201~", "").encode() + b"\x1b[201~"


def test_find(seen: Seen) -> None:
    seen.press(b"2", "pattern")
    seen.press(b"/" + pasted(f"{ALL}(") + b"\r", "expression")
    seen.press(b"\x1b")
    seen.press(f":find {MARK}|日本\r".encode(), "tokens match")
    for keys in (
        b"jj",
        b"G",
        b"s",
        b"w",
        b"a",
        b"2",
        b"v",
        b"f",
        b"\t",
        b"G",
        b"?",
        b"?",
        b"?",
        b"/\x1b[A\x1b[A",
        b"\x1b",
    ):
        seen.press(keys)
    seen.press(b"/" + pasted(ALL) + b"x")
    seen.press(b"\x1b")


def test_what_is_typed_behind_a_colon(seen: Seen) -> None:
    for words in (ALL, f"find {ALL}", f"filter {ALL}", f"sort {ALL}", f"theme {ALL}", "x" * 10_000, "日" * 500):
        seen.press(b":" + pasted(words))
        seen.press(b"\t")
        seen.press(b"\r")
        seen.press(b"\x1b\x1b")
        seen.press(b"1", "features")


def test_live(seen: Seen, tmp_path: Path) -> None:
    seen.press(b"ccjc3", "PROMPT")
    seen.press(b"g max=40\r")
    seen.press(b"p" + pasted(ALL))
    seen.press(b"\r", "perplexity")
    for keys in (b"hhhh", b"l", b"j", b"]", b"x", b"m", b"?", b"?", b"?", b"a" + pasted(ALL) + b"\r", b"\x1b"):
        seen.press(keys)
    seen.press(b"s\x15" + pasted("13=1,2,3") + b"\r", "KL")
    seen.press(b"\x1b")
    seen.press(b"w\x15sent.json\r")
    seen.press(b"e\x15text.txt\r")
    seen.press(b"e\x15text.json\r")
    files = {path.name: path.read_text() for path in tmp_path.iterdir() if path.suffix in (".txt", ".json")}
    assert MARK in files["text.json"]
    assert harmless(files["text.json"])
    assert harmless(files["sent.json"])


def test_inspect(seen: Seen) -> None:
    seen.press(b"3i", "a text through")
    seen.press(b"p" + pasted(" ".join(PAYLOADS)) + b"\r", "token 2 of")
    for keys in (b"l", b"llllll", b"j", b" ", b"j ", b"x", b"c", b"?", b"?", b"?"):
        seen.press(keys)
    seen.press(b"\r", r"\? help")
    seen.press(b"3", "token [0-9]+ of")


@pytest.mark.parametrize("model", ["slow evil", "refuses evil", "mute evil"])
def test_a_model_that_does_not_come(model: str, evil: Sample, tmp_path: Path) -> None:
    with visiting(evil.run.path, (60, 20), tmp_path, model) as seen:
        seen.press(b"3pthe sea\r", "weights|there is no model|stopped")
        seen.press(b"i")
        seen.press(b"R")


def test_notes_of_another_terminal(evil: Sample, tmp_path: Path) -> None:
    own = Path(shutil.copytree(evil.run.path, tmp_path / "own"))
    theirs = Notes(own / "notes.jsonl")
    with visiting(own, (120, 36), tmp_path) as seen:
        feature = int(re.findall(r"\d+", seen.screen.lines()[3])[0])
        for payload in PAYLOADS:
            theirs.set(feature, "label", f"{payload} seen")
            theirs.set(feature, "tags", [payload[:200]])
            theirs.set(feature, "comment", payload)
        seen.press(b"", "seen")
        seen.press(b"\r", "seen")


def test_the_list_of_runs(evil: Sample, tmp_path: Path) -> None:
    with PtyApp(evil.run.path.parent, 80, 24, TERM="xterm-256color", XDG_STATE_HOME=str(tmp_path)) as app:
        there = Seen(app, 80, 24)
        there.press(b"", MARK)
        for keys in (b"j", b"?", b"?", b"?", b"\r"):
            there.press(keys)
        there.press(b"5", MARK)
