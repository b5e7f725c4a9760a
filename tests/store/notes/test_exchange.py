"""CSV and JSON of notes: the round trip is exact, a spreadsheet runs nothing, and nothing that is here is lost."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from store.files.errors import MonosemError
from store.notes.exchange import Outcome, is_export, merging, read_entries, to_csv, to_json
from store.notes.note_file import FeatureNotes, Notes
from tests.store.notes.test_note_file import HOSTILE, words

WRITERS = {".csv": to_csv, ".json": to_json}
TEXT = st.text() | st.sampled_from([HOSTILE, "=1+1", "'=x", "'", "''", "\t=x", "\r", "a\r\nb", "\n", '"', ",;\t", "﻿x"])
NOTES = st.dictionaries(
    st.integers(0, 2**31 - 1),
    st.builds(FeatureNotes, TEXT, st.booleans(), TEXT, st.lists(TEXT | st.sampled_from(["a", "=b"])).map(words)),
    max_size=4,
)


def imported(path: Path, into: Notes, *, overwrite: bool = False) -> Outcome:
    outcome = Outcome()
    into.change(merging(read_entries(path), outcome, overwrite=overwrite))
    return outcome


@pytest.mark.parametrize("suffix", [".csv", ".json"])
@settings(max_examples=120)
@given(notes=NOTES)
@example(notes={0: FeatureNotes(HOSTILE, True, HOSTILE, words([HOSTILE]))})
def test_the_round_trip(tmp_path: Path, suffix: str, notes: dict[int, FeatureNotes]) -> None:
    path, empty = tmp_path / f"notes{suffix}", Notes(tmp_path / "notes.jsonl")
    empty.path.unlink(missing_ok=True)
    path.write_bytes(WRITERS[suffix](notes).encode())
    imported(path, empty)
    said = {feature: note for feature, note in notes.items() if not note.empty}
    assert empty.load() == said
    assert WRITERS[suffix](empty.load()) == WRITERS[suffix](notes)
    before = empty.path.read_bytes() if said else b""
    outcome = imported(path, empty, overwrite=True)  # once more: there is nothing left to say
    assert (outcome.added, outcome.kept) == ([], [])
    assert (empty.path.read_bytes() if said else b"") == before


@given(NOTES)
def test_a_spreadsheet_finds_no_formula(notes: dict[int, FeatureNotes]) -> None:
    rows = list(csv.reader(io.StringIO(to_csv(notes), newline="")))
    assert rows[0] == ["feature", "label", "bookmark", "comment", "tags"]
    assert not [cell for row in rows for cell in row if cell[:1] in tuple("=+-@\t\r\n＝＋－＠") and cell]


def test_json_is_what_other_programs_read() -> None:
    found = to_json(
        {7: FeatureNotes("sea “é” \x1b\x9b\u2028", True, "", ["a", "b"]), 3: FeatureNotes(), 5: FeatureNotes("x")}
    )
    assert json.loads(found) == [
        {"feature": 5, "label": "x", "bookmark": False, "comment": "", "tags": []},
        {"feature": 7, "label": "sea “é” \x1b\x9b\u2028", "bookmark": True, "comment": "", "tags": ["a", "b"]},
    ]
    assert "“é”" in found
    assert not {"\x1b", "\x9b", "\u2028"} & set(found)


@pytest.fixture
def here(tmp_path: Path) -> Notes:
    """Notes of which a file says much the same, and much otherwise."""
    notes = Notes(tmp_path / "notes.jsonl")
    notes.set(1, "label", "mine")
    notes.set(1, "comment", "my comment")
    notes.set(1, "tags", ["a", "b"])
    notes.set(1, "bookmark", True)
    notes.set(2, "label", "only here")
    return notes


FILE = """feature;label;bookmark;comment;tags;colour
1;theirs;;;b c;red
3;new;TRUE;;;
"""


def test_what_is_here_stays(here: Notes, tmp_path: Path) -> None:
    path = tmp_path / "theirs.CSV"
    path.write_text(f"\ufeff{FILE}")  # as a spreadsheet writes it where a comma is the decimal point
    outcome = imported(path, here)
    assert outcome.kept == [(1, "label")]
    assert [(said.feature, said.name, said.value) for said in outcome.added] == [
        (1, "tag", "c"),
        (3, "label", "new"),
        (3, "bookmark", True),
    ]
    assert here.load() == {
        1: FeatureNotes("mine", True, "my comment", ["a", "b", "c"]),
        2: FeatureNotes("only here"),
        3: FeatureNotes("new", True),
    }


def test_the_file_wins_where_it_is_told_to(here: Notes, tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text(FILE)
    assert imported(path, here, overwrite=True).kept == []
    assert here.load() == {
        1: FeatureNotes("theirs", False, "", ["b", "c"]),
        2: FeatureNotes("only here"),
        3: FeatureNotes("new", True),
    }


def test_a_column_that_is_missing_says_nothing(here: Notes, tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("label,feature\n,1\n\n\n")
    imported(path, here, overwrite=True)
    assert here.load()[1] == FeatureNotes("", True, "my comment", ["a", "b"])
    path = tmp_path / "theirs.json"
    path.write_text('[{"feature": 1, "tags": [], "label": null, "more": 1}]')
    imported(path, here, overwrite=True)
    assert here.load()[1] == FeatureNotes("", True, "my comment", [])


BROKEN = {
    "a.txt": (b"", "neither .csv nor .json"),
    "a.csv": (b"", "no column named feature"),
    "b.csv": (b"id,label\n1,x\n", "no column named feature"),
    "c.csv": (b"feature,label\n1,x\nx,y\n", "c.csv, line 3: no feature has the number 'x'"),
    "d.csv": (b"feature,label\n-1,x\n", "line 2"),
    "e.csv": (b"feature,bookmark\n1,perhaps\n", "line 2: bookmark is 'perhaps'"),
    "f.csv": (b"feature,label\n1,x\n2,y\n1,z\n", "line 4: feature 1 again, as in line 2"),
    "g.csv": (b'feature,label\n1,"x\n', "g.csv, line"),
    "h.csv": (b"feature,label\n1,\xff\n", "not UTF-8 text"),
    "i.csv": (b"feature,label\n2147483648,x\n", "2147483648"),
    "a.json": (b"[", "not JSON"),
    "b.json": (b'{"feature": 1}', "the value is an object, not a list"),
    "c.json": (b"[1]", "[0] is 1, not an object"),
    "d.json": (b'[{"feature": 1}, {"feature": true}]', "[1].feature is true, not an integer"),
    "e.json": (b'[{"feature": 1, "label": 5}]', "[0].label is 5, not text"),
    "f.json": (b'[{"feature": 1, "tags": [5]}]', "[0].tags[0] is 5, not text"),
    "g.json": (b"[" * 100_000, "not JSON"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_whole(tmp_path: Path, name: str) -> None:
    content, message = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MonosemError) as failed:
        read_entries(tmp_path / name)
    assert message in failed.value.what


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MonosemError, match=r"cannot read .*none\.csv: No such file"):
        read_entries(tmp_path / "none.csv")


def test_an_apostrophe_that_another_program_wrote_is_a_letter(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("feature,label,tags\n1,'tis,#place  '90s\n2,'=1+1,\n")
    assert [(entry.label, entry.tags) for entry in read_entries(path)] == [
        ("'tis", ["place", "'90s"]),
        ("=1+1", []),
    ]


def test_what_is_an_export(tmp_path: Path) -> None:
    notes = {3: FeatureNotes(label="=1+1", tags=["a"]), 4: FeatureNotes(bookmark=True)}
    texts = {
        "all.csv": to_csv(notes),
        "none.csv": to_csv({}),
        "sheet.csv": "feature;label\r\n3;water\r\n",
        "all.json": to_json(notes),
        "none.json": to_json({}),
    }
    others = {
        "keep.csv": "keep\n",
        "features.csv": "feature,label,bookmark,tags,n_active\n3,,,,7\n",
        "run.json": "{}",
        "list.json": '[{"feature": 3, "density": 0.5}]',
        "notes.txt": to_csv(notes),
    }
    for name, text in (texts | others).items():
        (tmp_path / name).write_text(text, newline="")
    assert {path.name for path in tmp_path.iterdir() if is_export(path)} == set(texts)
