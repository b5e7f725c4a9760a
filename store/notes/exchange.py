"""Import and export of notes as CSV and JSON, without loss.

CSV has the columns `feature, label, bookmark, comment, tags` (tags separated by spaces). The export puts an apostrophe
before a text that a spreadsheet would take for a formula, and before one that begins with an apostrophe; the import
removes it.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict

from store.files.errors import MonosemError
from store.files.regular_file import read_whole
from store.files.typed_json import JsonError, decode, parse
from store.notes.note_file import FeatureNotes, Statement
from store.notes.statements import MOST_FEATURES, tag_words, valid_text

COLUMNS = ("feature", "label", "bookmark", "comment", "tags")
FORMULA = tuple("=+-@\t\r\n＝＋－＠'")
"""First characters of cells that a spreadsheet may run (OWASP, CSV Injection), and the apostrophe that guards them."""
_CONTROL = re.compile(r"[\x7f-\x9f\u2028\u2029]")
"""Characters that JSON allows unescaped, and that terminals or editors take for commands."""
_TRUE, _FALSE = ("true", "yes", "1", "x", "★"), ("false", "no", "0", "")


class NoteJson(TypedDict):
    """A feature's notes in JSON; programs rely on these keys."""

    feature: int
    label: str
    bookmark: bool
    comment: str
    tags: list[str]


@dataclass(frozen=True)
class NoteEntry:
    """One feature's notes in an imported file; None for a field that the file does not have."""

    feature: int
    label: str | None = None
    bookmark: bool | None = None
    comment: str | None = None
    tags: list[str] | None = None
    where: str = ""
    """Place in the file, for errors."""


@dataclass(frozen=True)
class _JsonEntry:
    feature: int
    label: str | None = None
    bookmark: bool | None = None
    comment: str | None = None
    tags: tuple[str, ...] | None = None


@dataclass
class Outcome:
    """Result of an import."""

    added: list[Statement] = field(default_factory=list)
    """Statements added to the notes."""
    kept: list[tuple[int, Literal["label", "comment"]]] = field(default_factory=list)
    """Features and fields where the file differs and the existing text was kept."""


def note_json(feature: int, note: FeatureNotes) -> NoteJson:
    """Return one feature's notes as JSON values."""
    return NoteJson(
        feature=feature, label=note.label, bookmark=note.bookmark, comment=note.comment, tags=list(note.tags)
    )


def entries_json(notes: Mapping[int, FeatureNotes]) -> list[NoteJson]:
    """Return notes in order of features; features without any are left out."""
    return [note_json(feature, notes[feature]) for feature in sorted(notes) if not notes[feature].empty]


def to_json(notes: Mapping[int, FeatureNotes]) -> str:
    """Return the text of a .json file: an array, one feature per line."""
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries_json(notes))
    lines = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", lines)
    return f"[\n{lines}\n]\n" if lines else "[]\n"


def to_csv(notes: Mapping[int, FeatureNotes]) -> str:
    """Return the text of a .csv file, with the line ends of RFC 4180."""
    text = io.StringIO(newline="")
    table = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    table.writerow(COLUMNS)
    for entry in entries_json(notes):
        cells = (entry["label"], "true" if entry["bookmark"] else "", entry["comment"], " ".join(entry["tags"]))
        table.writerow([entry["feature"], *map(_guarded, cells)])
    return text.getvalue()


def read_entries(path: Path) -> list[NoteEntry]:
    """Read a .csv or .json file of notes.

    Raises:
        MonosemError: it is of another kind, cannot be read, or has an invalid entry; which, and where.
    """
    if path.suffix.lower() not in (".csv", ".json"):
        raise MonosemError(f"{path} is neither .csv nor .json", "Notes are exported to and imported from these two.")
    text = _text(path)
    entries = list(_csv_entries(path, text) if path.suffix.lower() == ".csv" else _json_entries(path, text))
    known: dict[int, str] = {}
    for entry in entries:
        if entry.feature in known:
            raise MonosemError(f"{path}, {entry.where}: feature {entry.feature} again, as in {known[entry.feature]}")
        known[entry.feature] = entry.where
    return entries


def is_export(path: Path) -> bool:
    """Return whether a file is an export of notes: they can be read from it, and it has no other columns."""
    try:
        read_entries(path)
        text = _text(path)
    except MonosemError:
        return False
    if path.suffix.lower() == ".json":
        return set().union(*parse(text)) <= set(COLUMNS)
    return all(name.strip(' "\r').lower() in COLUMNS for name in re.split("[,;\t]", text.partition("\n")[0]))


def _text(path: Path) -> str:
    try:
        return read_whole(path, follow=True).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MonosemError(f"{path} is not UTF-8 text: byte {error.start}", "Save it as CSV UTF-8.") from error


def merging(
    entries: Iterable[NoteEntry], outcome: Outcome, *, overwrite: bool
) -> Callable[[dict[int, FeatureNotes]], list[Statement]]:
    """Return a function for `Notes.change` that merges `entries` into the notes and fills `outcome`.

    Bookmarks and tags are united. Where a label or comment differs, the existing one stays. With `overwrite` the file
    wins in every field it has: an empty cell clears the field, tags that it lacks are removed.
    """

    def decide(present: dict[int, FeatureNotes]) -> list[Statement]:
        for entry in entries:
            _merge(entry, present.get(entry.feature, FeatureNotes()), outcome, overwrite)
        return outcome.added

    return decide


def _merge(entry: NoteEntry, note: FeatureNotes, outcome: Outcome, overwrite: bool) -> None:
    texts: tuple[tuple[Literal["label", "comment"], str | None, str], ...] = (
        ("label", entry.label, note.label),
        ("comment", entry.comment, note.comment),
    )
    for name, given, here in texts:
        if given is None or given == here:
            continue
        if overwrite or (given and not here):
            outcome.added.append(Statement(entry.feature, name, given))
        elif given:
            outcome.kept.append((entry.feature, name))
    if entry.bookmark is not None and entry.bookmark != note.bookmark and (overwrite or entry.bookmark):
        outcome.added.append(Statement(entry.feature, "bookmark", entry.bookmark))
    if entry.tags is not None and overwrite and entry.tags != note.tags:
        outcome.added.append(Statement(entry.feature, "tags", entry.tags))
    elif entry.tags is not None and not overwrite:
        missing = [tag for tag in entry.tags if tag not in note.tags]
        outcome.added.extend(Statement(entry.feature, "tag", tag) for tag in missing)


def _guarded(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def _csv_entries(path: Path, text: str) -> Iterable[NoteEntry]:
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)  # spreadsheets use the one of their country
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = [name.strip().lower() for name in next(table, [])]
        if "feature" not in names:
            raise MonosemError(f"{path} has no column named feature", f"The columns are {', '.join(COLUMNS)}.")
        for cells in table:
            where = f"line {table.line_num}"
            row = {name: cells[i] for i, name in enumerate(names) if i < len(cells)}
            if any(cells):
                yield _entry_of_row(row, f"{path}, {where}", where)
    except csv.Error as error:
        raise MonosemError(f"{path}, line {table.line_num}: {error}") from error


def _entry_of_row(row: Mapping[str, str], place: str, where: str) -> NoteEntry:
    texts = {name: _unguarded(row[name]) for name in ("label", "comment", "tags") if name in row}
    bookmark = row["bookmark"].strip().lower() if "bookmark" in row else None
    if bookmark is not None and bookmark not in (*_TRUE, *_FALSE):
        raise MonosemError(f"{place}: bookmark is {row['bookmark']!r}", "It is true, false or empty.")
    number = row.get("feature", "").strip()
    return NoteEntry(
        feature=_feature(int(number) if number.isdecimal() and len(number) < 12 else number, place),
        label=texts.get("label"),
        bookmark=None if bookmark is None else bookmark in _TRUE,
        comment=texts.get("comment"),
        tags=tag_words(texts["tags"].split()) if "tags" in texts else None,
        where=where,
    )


def _json_entries(path: Path, text: str) -> Iterable[NoteEntry]:
    try:
        entries = decode(list[_JsonEntry], parse(text))
    except JsonError as error:
        raise MonosemError(f"{path}: {error}", f"It is a JSON array of objects with {', '.join(COLUMNS)}.") from error
    for number, entry in enumerate(entries, 1):
        where = f"entry {number}"
        yield NoteEntry(
            feature=_feature(entry.feature, f"{path}, {where}"),
            label=None if entry.label is None else valid_text(entry.label),
            bookmark=entry.bookmark,
            comment=None if entry.comment is None else valid_text(entry.comment),
            tags=None if entry.tags is None else tag_words(entry.tags),
            where=where,
        )


def _feature(value: Any, place: str) -> int:
    if type(value) is not int or not 0 <= value < MOST_FEATURES:
        raise MonosemError(f"{place}: no feature has the number {value!r}"[:200])
    return value
