"""Notes taken in the app: in the row and on the page at once, in the file, taken back; and those of other terminals."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from monosem_tui.keys.table import ACTIONS
from monosem_tui.model.open_run import OpenRun, open_run
from store.notes.note_file import FeatureNotes, Notes
from tests.sample_run import Sample
from tests.tui.conftest import MakeApp
from tests.tui.screens import browse_screen, press, screen_text, settle, until


@pytest.fixture
def path(sample: Sample, tmp_path: Path) -> Path:
    """Notes of a run of this test's own: feature 0, the list's first, is labelled, bookmarked and tagged."""
    return Path(shutil.copytree(sample.run.path, tmp_path / "own")) / "notes.jsonl"


@pytest.fixture
def own(path: Path) -> Iterator[OpenRun]:
    run = open_run(path.parent)
    yield run
    run.store.close()


def said(path: Path, feature: int) -> FeatureNotes:
    return Notes(path).load().get(feature, FeatureNotes())


def row(pilot: Pilot[None], feature: int) -> str:
    """The feature's line in the list."""
    lines = [line.partition("│")[0] for line in screen_text(pilot).splitlines()[1:-1]]
    found = [line for line in lines if re.match(rf"[ ▌]*{feature}[ ★]", line)]
    assert len(found) == 1, lines
    return found[0]


def bottom(pilot: Pilot[None]) -> str:
    return screen_text(pilot).splitlines()[-1]


async def write(pilot: Pilot[None], text: str) -> None:
    await press(pilot, *("space" if c == " " else c for c in text))


def test_keys_are_those_that_are_promised() -> None:
    keys = {action.id: action.keys for action in ACTIONS if action.id.startswith("note.")}
    assert keys == {
        "note.keep": ("enter",),
        "note.leave": ("escape", "ctrl+c"),
        "note.complete": ("tab",),
        "note.complete-back": ("shift+tab",),
        "note.label": ("l",),
        "note.bookmark": ("b",),
        "note.tags": ("t",),
        "note.comment": ("C",),
        "note.explain": ("E",),
        "note.undo": ("u",),
        "note.redo": ("ctrl+r",),
    }


async def test_a_label_is_in_the_row_on_the_page_and_in_the_file(make_app: MakeApp, own: OpenRun, path: Path) -> None:
    async with make_app(own).run_test(size=(120, 40)) as pilot:
        await press(pilot, "colon", "5", "enter", "l")
        await write(pilot, "q: the sea")
        assert "label q: the sea" in bottom(pilot)
        assert said(path, 5) == FeatureNotes()
        await press(pilot, "enter")
        assert said(path, 5).label == "q: the sea"
        assert "q: the sea" in row(pilot, 5)
        assert "5  q: the sea" in screen_text(pilot).splitlines()[1]
        assert "labelled 5 “q: the sea” · u undoes it" in bottom(pilot)
        await press(pilot, "u")
        assert said(path, 5).label == ""
        assert "q: the sea" not in screen_text(pilot)
        assert "undone: label of 5 · none" in bottom(pilot)
        await press(pilot, "u")
        assert "nothing to undo" in bottom(pilot)
        await press(pilot, "ctrl+r")
        assert said(path, 5).label == "q: the sea"
        assert "redone: label of 5 · “q: the sea”" in bottom(pilot)
        await press(pilot, "ctrl+r")
        assert "nothing to redo" in bottom(pilot)


async def test_the_line_of_a_note_says_what_it_is_about(make_app: MakeApp, own: OpenRun) -> None:
    async with make_app(own).run_test(size=(80, 24)) as pilot:
        for key in "ltC":
            await press(pilot, "colon", "5", "enter", key, "x")
            assert bottom(pilot).endswith("feature 5")
            browse_screen(pilot).retell()  # as when something has been read meanwhile
            assert bottom(pilot).endswith("feature 5")
            await press(pilot, "escape")


async def test_from_the_page_too(make_app: MakeApp, own: OpenRun, path: Path) -> None:
    async with make_app(own).run_test(size=(80, 24)) as pilot:
        await press(pilot, "enter", "l", "ctrl+u")
        await write(pilot, "boats")
        await press(pilot, "enter")
        assert said(path, 0).label == "boats"
        assert "0  boats" in screen_text(pilot).splitlines()[1]
        await press(pilot, "b")
        assert not said(path, 0).bookmark
        assert "★" not in screen_text(pilot)
        await press(pilot, "C")
        await write(pilot, "why?")
        await press(pilot, "enter")
        assert said(path, 0).comment == "why?"
        assert "why?" in screen_text(pilot)
        await press(pilot, "u", "u", "u")
        assert said(path, 0) == FeatureNotes("water, boats, the sea", True, "", ["place"])
        assert "water, boats, the sea" in screen_text(pilot).splitlines()[1]
        assert "★ #place" in screen_text(pilot).splitlines()[1]


async def test_bookmark(make_app: MakeApp, own: OpenRun, path: Path) -> None:
    async with make_app(own).run_test(size=(120, 40)) as pilot:
        await press(pilot, "colon", "5", "enter", "b")
        assert said(path, 5).bookmark
        assert "★" in row(pilot, 5)
        assert "bookmarked 5" in bottom(pilot)
        await press(pilot, "b")
        assert not said(path, 5).bookmark
        assert "★" not in row(pilot, 5)
        await press(pilot, "u")
        assert said(path, 5).bookmark
        assert "undone: bookmark of 5 · set" in bottom(pilot)


async def test_tags_are_words_typed_and_deleted(make_app: MakeApp, own: OpenRun, path: Path) -> None:
    async with make_app(own).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "t")
        await write(pilot, "sea #big")
        Notes(path).set(0, "tag", "theirs")  # another terminal, meanwhile
        await press(pilot, "enter")
        assert said(path, 0).tags == ["place", "theirs", "sea", "big"]
        assert "#place #theirs #sea #big" in screen_text(pilot).splitlines()[1]
        await press(pilot, "t", "ctrl+u")
        await write(pilot, "sea theirs")
        await press(pilot, "enter")
        assert set(said(path, 0).tags) == {"sea", "theirs"}
        await press(pilot, "u", "u")
        assert set(said(path, 0).tags) == {"place", "theirs"}
        assert "undone: tags of 0 · #" in bottom(pilot)


async def test_escape_and_unchanged_text_write_nothing(make_app: MakeApp, own: OpenRun, path: Path) -> None:
    content = path.read_bytes()
    async with make_app(own).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for key in "ltC":
            await press(pilot, key)
            await write(pilot, "x")
            await press(pilot, "down", "escape")
            assert not browse_screen(pilot).line.typing
            await press(pilot, key, "enter")
            assert not browse_screen(pilot).line.typing
        assert browse_screen(pilot).pane.state.feature == 0
    assert path.read_bytes() == content


async def test_hostile_text_is_shown_harmless_and_edited_as_it_is(make_app: MakeApp, own: OpenRun, path: Path) -> None:
    hostile = "\x1b[31m[b]x[/b]\n\u202eabc"
    Notes(path).set(0, "label", hostile)
    async with make_app(own).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        browse_screen(pilot).pane.notes.look()
        await press(pilot, "l")
        await write(pilot, "!")
        assert "\x1b" not in screen_text(pilot).replace("\n", "")
        await press(pilot, "enter")
        assert said(path, 0).label == f"{hostile}!"
        text = screen_text(pilot)
        assert "\x1b" not in text
        assert "⟨0x1B⟩[31m[b]x[/b]↵⟨U+202E⟩abc!" in text


async def test_another_terminals_notes_appear_by_themselves(make_app: MakeApp, own: OpenRun, path: Path) -> None:
    async with make_app(own, notes=0.1).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        theirs = Notes(path)
        theirs.set(0, "label", "theirs here")
        theirs.set(7, "label", "theirs there")
        await until(pilot, lambda: "theirs there" in row(pilot, 7))
        await until(pilot, lambda: "0  theirs here" in screen_text(pilot).splitlines()[1])
        assert "theirs here" in row(pilot, 0)


async def test_undo_leaves_what_another_terminal_has_said(make_app: MakeApp, own: OpenRun, path: Path) -> None:
    async with make_app(own).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "l", "x", "enter")
        Notes(path).set(0, "label", "theirs")
        await press(pilot, "u")
        assert said(path, 0).label == "theirs"
        assert "the label of 0 changed in another terminal since: left as it is" in bottom(pilot)
        assert "theirs" in row(pilot, 0)


async def test_notes_that_cannot_be_written_are_one_line(
    make_app: MakeApp, own: OpenRun, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(30, "Read-only file system")

    async with make_app(own).run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        with monkeypatch.context() as patch:
            patch.setattr("store.notes.line_file.os.open", denied)
            await press(pilot, "b")
        assert "notes.jsonl: Read-only file system" in bottom(pilot)
        assert "★" in row(pilot, 0)
        await press(pilot, "j", "b")  # and it goes on
        assert "bookmarked" in bottom(pilot)
        with monkeypatch.context() as patch:
            patch.setattr("store.notes.line_file.os.open", denied)
            await press(pilot, "l", "ctrl+u", *"boats", "enter")
        screen = browse_screen(pilot)
        assert (screen.line.typing, screen.input.text) == (True, "boats")  # what was typed is not lost
        assert "notes.jsonl: Read-only file system" in screen_text(pilot)
        await press(pilot, "enter")
        assert "labelled" in bottom(pilot)


async def test_notes_that_become_unreadable_are_told_once(make_app: MakeApp, own: OpenRun, path: Path) -> None:
    async with make_app(own).run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        path.unlink()
        path.mkdir()
        screen = browse_screen(pilot)
        screen.pane.notes.look()
        assert "cannot read" in bottom(pilot)
        await press(pilot, "j")
        assert "cannot read" not in bottom(pilot)
        screen.pane.notes.look()
        assert "cannot read" not in bottom(pilot)
        assert "water, boat" in row(pilot, 0)


async def test_damaged_lines_are_told_at_the_start(make_app: MakeApp, path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"garbage\n")
    run = open_run(path.parent)
    async with make_app(run).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.pause()
        assert "1 damaged line in the notes ignored and left in the file (line 5)" in bottom(pilot)
    run.store.close()


async def test_a_store_by_itself_keeps_its_notes_beside_it(make_app: MakeApp, path: Path, tmp_path: Path) -> None:
    run = open_run(Path(shutil.copy(path.parent / "features.h5", tmp_path / "home.h5")))
    async with make_app(run).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "l")
        await write(pilot, "here")
        await press(pilot, "enter")
        assert "here" in row(pilot, 0)  # the first label of all: there is a column for it now
    run.store.close()
    assert Notes(tmp_path / "home.notes.jsonl").load() == {0: FeatureNotes("here")}
