"""Notes read as they are added: the same as reading the whole file, whatever happened to it meanwhile."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.notes.note_file import FeatureNotes, Notes

PLAIN = settings(max_examples=60)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.jsonl"


def said(feature: int, **what: object) -> bytes:
    """A line as any version may have written it."""
    return json.dumps({"feature": feature, **what}).encode() + b"\n"


def add(path: Path, data: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(data)


def test_what_was_added_since(path: Path) -> None:
    mine, theirs = Notes(path), Notes(path)
    assert mine.follow() == frozenset()
    theirs.set(3, "label", "sea")
    theirs.set(4, "bookmark", True)
    held = mine.by_feature
    assert mine.follow() == {3, 4}
    assert mine.follow() == frozenset()
    theirs.set(3, "label", "boats")
    theirs.set(4, "bookmark", True)  # says nothing new
    assert mine.follow() == {3}
    assert held is mine.by_feature
    assert held == {3: FeatureNotes(label="boats"), 4: FeatureNotes(bookmark=True)}


def test_nothing_added_costs_one_stat(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = Notes(path)
    notes.set(3, "label", "sea")
    notes.follow()
    monkeypatch.setattr("store.notes.line_file.read_stream", None)
    assert notes.follow() == frozenset()


def test_only_what_was_added_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = Notes(path)
    for i in range(50):
        notes.set(i, "label", "x" * 1000)
    notes.follow()
    read: list[int] = []
    pread = os.pread

    def counted(descriptor: int, size: int, offset: int) -> bytes:
        data = pread(descriptor, size, offset)
        read.append(len(data))
        return data

    add(path, said(3, label="sea"))
    monkeypatch.setattr(os, "pread", counted)
    assert notes.follow() == {3}
    assert sum(read) < 1000


def test_a_line_that_is_being_written_waits_for_its_end(path: Path) -> None:
    notes = Notes(path)
    line = said(1, label="sea")
    for i in range(len(line) - 2):
        add(path, line[i : i + 1])
        assert notes.follow() == frozenset()
        assert notes.damaged == []
    add(path, line[-2:-1])  # whole but for its newline
    assert notes.follow() == {1}
    add(path, b"\n" + said(2, label="boats") + b"damaged\n")
    assert notes.follow() == {2}
    assert notes.damaged == [3]


def test_what_looked_whole_and_was_not(path: Path) -> None:
    notes = Notes(path)
    add(path, said(1, label="sea")[:-1])
    assert notes.follow() == {1}
    add(path, b" and more\n" + said(2, label="boats"))
    assert notes.follow() == {1, 2}
    assert notes.by_feature == {2: FeatureNotes(label="boats")}
    assert notes.damaged == [1]


def test_a_file_in_its_place(path: Path) -> None:
    notes = Notes(path)
    add(path, said(1, label="sea") + said(2, label="boats") + said(3, label="stays"))
    notes.follow()
    held = notes.by_feature
    other = path.with_name("other")
    other.write_bytes(said(2, label="ships") + said(3, label="stays") + said(4, label="more, so that it is longer"))
    other.replace(path)
    assert notes.follow() == {1, 2, 4}
    assert held is notes.by_feature
    assert {feature: note.label for feature, note in held.items() if feature < 4} == {2: "ships", 3: "stays"}
    path.unlink()
    assert notes.follow() == {2, 3, 4}
    assert held == {}
    notes.set(5, "label", "again")
    assert notes.follow() == {5}


@pytest.mark.parametrize("label", ["cat", "sea and boats, which are many", ""])
def test_an_editor_that_wrote_into_the_file(path: Path, label: str) -> None:
    notes = Notes(path)
    add(path, said(1, label="sea") + said(2, label="boats"))
    notes.follow()
    inode = path.stat().st_ino
    path.write_bytes(said(1, label=label) + said(2, label="boats"))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000))
    assert path.stat().st_ino == inode
    assert notes.follow() == {1}
    assert notes.by_feature[1].label == label


def test_a_writer_looks_again_where_the_file_was_replaced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes taken while an editor replaces the file are in the file that stays."""
    import fcntl

    add(path, said(1, label="sea"))
    flock, waited = fcntl.flock, []

    def replaced(descriptor: int, how: int) -> None:
        flock(descriptor, how)
        if not waited:
            other = path.with_name("other")
            other.write_bytes(said(1, label="edited"))
            other.replace(path)
        waited.append(descriptor)

    monkeypatch.setattr(fcntl, "flock", replaced)
    notes = Notes(path)
    notes.set(2, "label", "mine")
    assert len(waited) == 2
    assert notes.load() == {1: FeatureNotes(label="edited"), 2: FeatureNotes(label="mine")}


TEXT = st.text(max_size=5)
LINES = st.one_of(
    st.builds(lambda f, t: said(f, label=t), st.integers(0, 2), TEXT),
    st.builds(lambda f, t: said(f, tag=t), st.integers(0, 2), TEXT),
    st.builds(lambda f, t: said(f, untag=t), st.integers(0, 2), TEXT),
    st.builds(lambda f, t: said(f, tags=t), st.integers(0, 2), st.lists(TEXT, max_size=3)),
    st.builds(lambda f, t, u: said(f, label=t, comment=t, untag=u, tag=t), st.integers(0, 2), TEXT, TEXT),
    st.sampled_from([b"\n", b"garbage\n", b"{}\n", b"\xff\xfe\n", b"[]\n", b'{"feature": -1, "label": "x"}\n']),
)


def folded(content: bytes) -> dict[int, FeatureNotes]:
    """The rule, said once more and simply: what each line says, one after the other."""
    found: dict[int, dict] = {}
    for line in content.split(b"\n"):
        try:
            data = json.loads(line)
            feature = data["feature"]
        except (ValueError, TypeError, KeyError):
            continue
        if feature < 0:
            continue
        note = found.setdefault(feature, {"label": "", "comment": "", "tags": []})
        for name in ("label", "comment"):
            note[name] = data.get(name, note[name])

        def word(text: str) -> str:
            return "-".join(text.split()).lstrip("#")

        if "tags" in data:
            note["tags"] = [tag for tag in dict.fromkeys(map(word, data["tags"])) if tag]
        if "untag" in data:
            note["tags"] = [tag for tag in note["tags"] if tag != word(data["untag"])]
        if "tag" in data and word(data["tag"]) not in ["", *note["tags"]]:
            note["tags"] = [*note["tags"], word(data["tag"])]
    return {feature: FeatureNotes(**note) for feature, note in found.items()}


@PLAIN
@given(st.lists(LINES, max_size=12), st.lists(st.integers(1, 40), max_size=12))
def test_in_any_pieces_it_comes_to_the_same(tmp_path: Path, lines: list[bytes], cuts: list[int]) -> None:
    path = tmp_path / "notes.jsonl"
    path.write_bytes(b"")
    notes = Notes(path)
    content, changed = b"".join(lines), set()
    rest = content
    for cut in [*cuts, len(content)]:
        before = dict(notes.by_feature)
        add(path, rest[:cut])
        rest = rest[cut:]
        told = notes.follow()
        assert told == {f for f in before.keys() | notes.by_feature if before.get(f) != notes.by_feature.get(f)}
        changed |= told
    assert notes.by_feature == folded(content) == Notes(path).load()
    assert changed <= notes.by_feature.keys()
    damaged = [number for number, line in enumerate(lines, 1) if line[:1] in (b"g", b"\xff", b"[") or b"-1" in line]
    assert notes.damaged == damaged
