"""Undo: it takes back what this session said last, and never what another terminal has said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.files.errors import MonosemError
from store.notes.editor import NoteEditor, Undone
from store.notes.note_file import FeatureNotes, Notes, Statement


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.jsonl"


def test_each_kind_is_taken_back(path: Path) -> None:
    Notes(path).append([Statement(7, "label", "before"), Statement(7, "tag", "old"), Statement(7, "comment", "why")])
    before = Notes(path).load()
    editor = NoteEditor(Notes(path))
    assert editor.label(7, "after")
    assert editor.comment(7, "")
    assert editor.bookmark(7, True)
    assert editor.tags(7, ["new", "#newer"], ["old"])
    assert Notes(path).load() == {7: FeatureNotes("after", True, "", ["new", "newer"])}
    assert [editor.undo() for _ in range(5)] == [
        Undone("undone", 7, "tag"),
        Undone("undone", 7, "bookmark"),
        Undone("undone", 7, "comment"),
        Undone("undone", 7, "label"),
        Undone("nothing"),
    ]
    assert Notes(path).load() == before


def test_what_changes_nothing_is_not_written(path: Path) -> None:
    editor = NoteEditor(Notes(path))
    editor.tags(3, ["a"])
    content = path.read_bytes()
    assert not editor.label(3, "")
    assert not editor.bookmark(3, False)
    assert not editor.tags(3, ["a"], ["b"])
    assert path.read_bytes() == content
    assert editor.undo() == Undone("undone", 3, "tag")
    assert editor.undo() == Undone("nothing")


def test_undo_only_adds_lines(path: Path) -> None:
    editor = NoteEditor(Notes(path))
    editor.label(1, "a")
    editor.label(1, "b")
    content = path.read_bytes()
    editor.undo()
    assert path.read_bytes().startswith(content)
    assert editor.notes.by_feature == {1: FeatureNotes("a")}
    editor.undo()
    assert editor.notes.by_feature == {1: FeatureNotes("")}


def test_what_another_terminal_said_meanwhile_stays(path: Path) -> None:
    mine, theirs = NoteEditor(Notes(path)), NoteEditor(Notes(path))
    mine.label(1, "first")
    mine.label(2, "other")
    mine.label(1, "mine")
    theirs.label(1, "theirs")
    assert mine.undo() == Undone("changed elsewhere", 1, "label")
    assert Notes(path).load()[1].label == "theirs"
    assert mine.undo() == Undone("undone", 2, "label")  # the next undo goes on with what was before
    assert mine.undo() == Undone("changed elsewhere", 1, "label")
    assert mine.undo() == Undone("nothing")
    assert theirs.undo() == Undone("undone", 1, "label")
    assert Notes(path).load()[1].label == "mine"


def test_the_same_words_from_another_terminal_are_theirs(path: Path) -> None:
    mine, theirs = NoteEditor(Notes(path)), NoteEditor(Notes(path))
    mine.label(1, "sea")
    theirs.label(1, "boats")
    theirs.label(1, "sea")
    assert mine.undo().outcome == "changed elsewhere"
    assert Notes(path).load()[1].label == "sea"


def test_own_changes_around_theirs(path: Path) -> None:
    mine, theirs = NoteEditor(Notes(path)), NoteEditor(Notes(path))
    mine.label(1, "x")
    theirs.label(1, "y")
    theirs.label(1, "x")
    mine.label(1, "z")
    assert mine.undo().outcome == "undone"
    assert mine.undo().outcome == "changed elsewhere"  # it is their x again
    assert Notes(path).load()[1].label == "x"


def test_other_things_said_of_the_same_feature_do_not_stand_in_the_way(path: Path) -> None:
    mine, theirs = NoteEditor(Notes(path)), NoteEditor(Notes(path))
    mine.tags(1, ["a"])
    theirs.tags(1, ["b"])
    theirs.label(1, "theirs")
    assert mine.undo() == Undone("undone", 1, "tag")
    assert Notes(path).load() == {1: FeatureNotes("theirs", tags=["b"])}
    mine.tags(1, ["a"])
    theirs.notes.set(1, "tags", ["c"])  # all tags at once, as an import says them
    assert mine.undo() == Undone("changed elsewhere", 1, "tag")
    assert Notes(path).load()[1].tags == ["c"]


def test_redo_makes_again_what_was_taken_back(path: Path) -> None:
    mine, theirs = NoteEditor(Notes(path)), NoteEditor(Notes(path))
    assert mine.redo() == Undone("nothing")
    mine.label(1, "a")
    mine.label(1, "b")
    mine.tags(1, ["t"])
    before = comparable(Notes(path).load())
    for _ in range(2):
        assert [mine.undo().outcome for _ in range(3)] == ["undone"] * 3
        assert comparable(Notes(path).load()) == {}
        assert [mine.redo().outcome for _ in range(4)] == ["undone"] * 3 + ["nothing"]
        assert comparable(Notes(path).load()) == before
    mine.undo()
    mine.undo()
    theirs.label(1, "theirs")
    assert mine.redo() == Undone("changed elsewhere", 1, "label")
    assert mine.redo().outcome == "undone"
    assert Notes(path).load()[1] == FeatureNotes("theirs", tags=["t"])
    mine.undo()
    mine.label(2, "new")
    assert mine.redo() == Undone("nothing")  # another change was made since


def test_an_undo_that_cannot_be_written_can_be_tried_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = NoteEditor(Notes(path))
    editor.label(1, "x")

    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("os.open", denied)
        with pytest.raises(MonosemError, match="Permission denied"):
            editor.undo()
        with pytest.raises(MonosemError, match="Permission denied"):
            editor.label(1, "y")
    assert editor.undo() == Undone("undone", 1, "label")
    assert editor.undo() == Undone("nothing")


TEXT = st.sampled_from(["", "a", "b", "c"])
STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["label", "comment", "bookmark", "tags", "undo", "redo"]),
        st.integers(0, 1),
        TEXT,
        TEXT,
    ),
    max_size=14,
)


def speak(editor: NoteEditor, name: str, feature: int, one: str, two: str) -> bool:
    if name == "label":
        return editor.label(feature, one)
    if name == "comment":
        return editor.comment(feature, one)
    if name == "bookmark":
        return editor.bookmark(feature, one > two)
    return editor.tags(feature, [one] if one else [], [two] if two and two != one else [])


def comparable(notes: dict[int, FeatureNotes]) -> dict[int, tuple]:
    """Tags are a set: one that was taken away and comes back stands last."""
    return {f: (n.label, n.bookmark, n.comment, frozenset(n.tags)) for f, n in notes.items() if not n.empty}


@settings(max_examples=80)
@given(STEPS)
def test_alone_undo_and_redo_go_through_every_state(tmp_path: Path, steps: list) -> None:
    path = tmp_path / "alone.jsonl"
    path.unlink(missing_ok=True)
    editor, states, undone = NoteEditor(Notes(path)), [comparable({})], []
    for _, name, feature, one, two in steps:
        if name == "undo":
            assert editor.undo().outcome == ("undone" if len(states) > 1 else "nothing")
            undone += states[1:][-1:]
            states = states[:-1] or states
        elif name == "redo":
            assert editor.redo().outcome == ("undone" if undone else "nothing")
            states += undone[-1:]
            undone = undone[:-1]
        elif speak(editor, name, feature, one, two):
            undone = []
            states.append(comparable(Notes(path).load()))
        assert comparable(Notes(path).load()) == states[-1]
    for state in reversed(states[:-1]):
        editor.undo()
        assert comparable(Notes(path).load()) == state
    assert editor.undo() == Undone("nothing")


@settings(max_examples=80)
@given(STEPS)
def test_two_terminals_never_undo_each_other(tmp_path: Path, steps: list) -> None:
    """Undo and redo leave a label, comment or bookmark alone that another writer has changed since."""
    path = tmp_path / "two.jsonl"
    path.unlink(missing_ok=True)
    editors = [NoteEditor(Notes(path)), NoteEditor(Notes(path))]
    last: dict[tuple[int, str], int] = {}
    for who, name, feature, one, two in steps:
        before = Notes(path).load()
        if name in ("undo", "redo"):
            done = editors[who].undo() if name == "undo" else editors[who].redo()
        elif speak(editors[who], name, feature, one, two):
            last[feature, name] = who
            continue
        else:
            continue
        after = Notes(path).load()
        if done.outcome != "undone":
            assert after == before
        elif done.name in ("label", "comment", "bookmark"):
            assert last[done.feature, done.name] == who
