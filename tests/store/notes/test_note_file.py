"""notes.jsonl: nothing that was said is lost, and nothing that is broken gets in the way."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.files.errors import MonosemError
from store.notes.note_file import FeatureNotes, Notes, Statement, notes_path

HOSTILE = "a\nb\r\n\t\x00\x1b[31m\x85 \u2028 \u2029 \x1c “é” 日本 🧑‍🚀 \"'\\ {}"


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    """Notes of a run without any."""
    return Notes(tmp_path / "notes.jsonl")


def test_the_last_line_wins(notes: Notes) -> None:
    assert notes.load() == {}
    notes.set(3, "label", "sea")
    notes.set(3, "bookmark", True)
    notes.set(7, "comment", "why?")
    notes.set(3, "label", "boats")
    notes.set(3, "tags", ["a", "b"])
    notes.set(7, "bookmark", True)
    notes.set(7, "bookmark", False)
    assert notes.load() == {
        3: FeatureNotes(label="boats", bookmark=True, tags=["a", "b"]),
        7: FeatureNotes(comment="why?"),
    }


STATEMENTS = st.tuples(
    st.integers(0, 3),
    st.one_of(
        st.tuples(st.sampled_from(["label", "comment"]), st.text() | st.just(HOSTILE)),
        st.tuples(st.just("bookmark"), st.booleans()),
        st.tuples(st.just("tags"), st.lists(st.text() | st.sampled_from(["#a", "a", " a b ", "##"]))),
    ),
)


def words(tags: list[str]) -> list[str]:
    """Tags as they are kept: without `#` and white space, each once, none of them empty."""
    kept: list[str] = []
    for tag in tags:
        word = "-".join(tag.split())
        while word.startswith("#"):
            word = word[1:]
        if word and word not in kept:
            kept.append(word)
    return kept


@settings(max_examples=30)
@given(st.lists(STATEMENTS, max_size=6))
def test_any_statements(tmp_path: Path, statements: list) -> None:
    path = tmp_path / "notes.jsonl"
    path.unlink(missing_ok=True)
    expected: dict[int, dict] = {}
    for feature, (name, value) in statements:
        Notes(path).set(feature, name, value)
        expected.setdefault(feature, {})[name] = words(value) if name == "tags" else value
    assert Notes(path).load() == {feature: FeatureNotes(**fields) for feature, fields in expected.items()}


def test_each_statement_is_on_the_disk_once_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notes.jsonl"
    done: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append((os.fstat(descriptor).st_ino, path.stat().st_size)))
    for label in ("one", "two"):
        Notes(path).set(1, "label", label)
        assert done[0] == (path.stat().st_ino, path.stat().st_size)
        assert [inode for inode, _ in done[1:]] == ([tmp_path.stat().st_ino] if label == "one" else [])
        done.clear()


def test_one_line_a_statement_and_no_control_character_in_the_file(notes: Notes, tmp_path: Path) -> None:
    notes.set(1, "label", HOSTILE)
    notes.set(2, "label", HOSTILE)
    content = (tmp_path / "notes.jsonl").read_bytes()
    assert content.count(b"\n") == 2
    assert all(32 <= byte < 127 for byte in content.replace(b"\n", b""))
    assert [note.label for note in notes.load().values()] == [HOSTILE, HOSTILE]


def test_earlier_lines_are_never_touched(notes: Notes, tmp_path: Path) -> None:
    path, before = tmp_path / "notes.jsonl", b""
    for i in range(4):
        notes.set(i, "label", f"{i}")
        content = path.read_bytes()
        assert content.startswith(before)
        before = content


@pytest.mark.parametrize("kept", [1, 10, -2, -1])
def test_a_torn_last_line(notes: Notes, tmp_path: Path, kept: int) -> None:
    """A writer died inside its line, or before the newline after it."""
    path = tmp_path / "notes.jsonl"
    notes.set(1, "label", "whole")
    first = path.read_bytes()
    notes.set(2, "label", "torn")
    path.write_bytes(first + path.read_bytes()[len(first) :][:kept])
    torn = {2: FeatureNotes(label="torn")} if kept == -1 else {}
    assert notes.load() == {1: FeatureNotes(label="whole")} | torn
    notes.set(3, "label", "after")
    assert notes.load() == {1: FeatureNotes(label="whole")} | torn | {3: FeatureNotes(label="after")}


BROKEN = [
    "",
    "null",
    "[]",
    '"feature"',
    "{}",
    '{"label": "nobody\'s"}',
    '{"feature": null, "label": "x"}',
    '{"feature": [1], "label": "x"}',
    '{"feature": 1e999, "label": "x"}',
    '{"feature": NaN, "label": "x"}',
    '{"feature": 1.5, "label": "x"}',
    '{"feature": true, "label": "x"}',
    '{"feature": ' + "9" * 5000 + ', "label": "x"}',
    '{"feature": 5, "label": "x"',
    "[" * 100_000,
    "\x00\x1b",
]


def test_damaged_lines_are_skipped(notes: Notes, tmp_path: Path) -> None:
    notes.set(1, "label", "before")
    with (tmp_path / "notes.jsonl").open("ab") as stream:
        stream.write("".join(line + "\n" for line in BROKEN).encode() + b"\xff\xfe\n")
    notes.set(2, "label", "after")
    assert notes.load() == {1: FeatureNotes(label="before"), 2: FeatureNotes(label="after")}


def test_values_of_another_kind_are_left_out(notes: Notes, tmp_path: Path) -> None:
    notes.set(1, "label", "kept")
    line = {"feature": 1, "label": 5, "bookmark": "yes", "comment": None, "tags": "x", "recipe": {"from": "later"}}
    with (tmp_path / "notes.jsonl").open("a") as stream:
        stream.write(json.dumps(line) + "\n" + json.dumps({"feature": 1, "tags": [1, "b"]}) + "\n")
    assert notes.load() == {1: FeatureNotes(label="kept", tags=["1", "b"])}


def test_text_that_another_program_did_not_escape(notes: Notes, tmp_path: Path) -> None:
    label = "line\u2028separator \x85 \u2029 é"
    line = json.dumps({"feature": 4, "label": label}, ensure_ascii=False)
    (tmp_path / "notes.jsonl").write_text(line + "\n", encoding="utf-8")
    assert notes.load()[4].label == label


def _append(path: Path, writer: int) -> None:
    for i in range(40):
        Notes(path).set(writer, "label", f"{writer}-{i}" + "x" * 300)
        Notes(path).set(1000 + 40 * writer + i, "bookmark", True)


def test_several_writers(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append, args=(path, writer)) for writer in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert len(path.read_text().splitlines()) == 4 * 80
    found = Notes(path).load()
    assert {w: found[w].label.rstrip("x") for w in range(4)} == {w: f"{w}-39" for w in range(4)}
    assert sum(note.bookmark for note in found.values()) == 160


def test_a_writer_waits_for_the_one_before(notes: Notes, tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    with path.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        waiting = threading.Thread(target=notes.set, args=(1, "label", "mine"))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        other.write(b'{"feature": 1, "label": "theirs"}\n')
    waiting.join()
    assert notes.load() == {1: FeatureNotes(label="mine")}


def test_notes_that_may_not_be_read(notes: Notes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes.set(1, "label", "x")

    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("store.notes.line_file.read_stream", denied)
        with pytest.raises(MonosemError, match=r"cannot read .*notes\.jsonl: Permission denied"):
            notes.load()
    (tmp_path / "folder").mkdir()
    with pytest.raises(MonosemError, match="folder: it is not a regular file"):
        Notes(tmp_path / "folder").load()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MonosemError, match="pipe: it is not a regular file"):  # and it waits for no writer
        Notes(tmp_path / "pipe").load()


@pytest.mark.parametrize("place", ["/sys/notes.jsonl", "{folder}/none/notes.jsonl", "{folder}"])
def test_notes_that_cannot_be_written(tmp_path: Path, place: str) -> None:
    path = Path(place.format(folder=tmp_path))
    with pytest.raises(MonosemError) as failed:
        Notes(path).set(1, "label", "x")
    assert str(path) in failed.value.what
    assert ("copy it" in failed.value.hint) == place.startswith("/sys")


def test_no_space_left_leaves_no_half_line(notes: Notes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes.set(1, "label", "kept")
    before = (tmp_path / "notes.jsonl").read_bytes()
    write = os.write
    room = [10]

    def full(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        done = write(descriptor, data[: room[0]])
        room[0] -= done
        return done

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(MonosemError, match="no space left"):
            notes.set(1, "label", "lost")
    assert (tmp_path / "notes.jsonl").read_bytes() == before
    notes.set(2, "label", "after")
    assert notes.load() == {1: FeatureNotes(label="kept"), 2: FeatureNotes(label="after")}


def test_a_write_in_pieces(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    notes.set(1, "label", "long enough")
    monkeypatch.undo()
    assert notes.load() == {1: FeatureNotes(label="long enough")}


def test_tags_one_by_one(notes: Notes) -> None:
    for name, tag in (("tag", "a"), ("tag", "b"), ("tag", "a"), ("tag", "#c d"), ("untag", "a"), ("untag", "none")):
        notes.set(5, name, tag)
    assert notes.load()[5].tags == ["b", "c-d"]
    notes.set(5, "tags", ["z"])
    notes.set(5, "tag", "b")
    assert notes.load()[5].tags == ["z", "b"]


def test_what_is_no_note_is_refused_and_nothing_is_written(notes: Notes, tmp_path: Path) -> None:
    with pytest.raises(MonosemError, match="not a tag"):
        notes.set(1, "tag", " # ")
    with pytest.raises(MonosemError, match="a comment of 65537 characters"):
        notes.append([Statement(1, "label", "fine"), Statement(1, "comment", "x" * 65_537)])
    assert notes.load() == {}
    notes.set(1, "comment", "x" * 65_536)
    notes.set(2, "label", "half \ud800 of a pair \udfff")  # as a command line's invalid bytes arrive
    assert notes.load()[2].label == "half � of a pair �"


def test_damaged_lines_are_reported_and_stay(notes: Notes, tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    notes.set(1, "label", "before")
    with path.open("ab") as stream:
        stream.write(
            b'garbage\n\n{"recipe": "calm", "clamps": ["1=off"]}\n{"feature": 1, "recipe": "x"}\n\xff\n{"torn": '
        )
    notes.set(2, "label", "after")
    content = path.read_bytes()
    notes.follow()
    assert notes.damaged == [2, 6, 7]  # not the empty line, nor what another version may understand
    assert notes.by_feature == {1: FeatureNotes(label="before"), 2: FeatureNotes(label="after")}
    assert path.read_bytes() == content
    assert b'garbage\n\n{"recipe"' in content


def test_where_notes_lie(tmp_path: Path) -> None:
    (tmp_path / "features.h5").touch()
    (tmp_path / "gpt2 l8.h5").touch()
    assert notes_path(tmp_path) == tmp_path / "notes.jsonl"
    assert notes_path(tmp_path / "not there yet") == tmp_path / "not there yet" / "notes.jsonl"
    assert notes_path(tmp_path / "features.h5") == tmp_path / "notes.jsonl"
    assert notes_path(tmp_path / "gpt2 l8.h5") == tmp_path / "gpt2 l8.notes.jsonl"


def test_notes_that_lead_elsewhere_are_neither_read_nor_written(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"")
    (tmp_path / "run").mkdir()
    notes = Notes(tmp_path / "run" / "notes.jsonl")
    notes.path.symlink_to(victim)
    with pytest.raises(MonosemError, match="link out of its folder"):
        notes.set(3, "label", "sea")
    with pytest.raises(MonosemError, match="link out of its folder"):
        notes.follow()
    notes.path.unlink()
    os.mkfifo(notes.path)
    with pytest.raises(MonosemError, match="not a regular file"):
        notes.set(3, "label", "sea")
    assert victim.read_bytes() == b""


def test_notes_in_a_folder_under_a_link(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    Notes(tmp_path / "link" / "notes.jsonl").set(3, "label", "sea")
    assert Notes(tmp_path / "run" / "notes.jsonl").load()[3].label == "sea"
