"""The lines of notes.jsonl, and the notes that follow from them: for each field the last line wins.

A line is a JSON object with the number of a feature and one or more of `label`, `bookmark`, `comment`, `tag` and
`untag` (add, remove one tag) and `tags` (these and no others). Other objects belong to other versions of the program;
they are skipped and stay in the file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from store.files.errors import MonosemError

Name = Literal["label", "bookmark", "comment", "tags", "untag", "tag"]
NAMES: tuple[Name, ...] = get_args(Name)
"""In the order in which the fields of one line are applied."""
Value = str | bool | list[str]
MOST_FEATURES = 2**31
"""Feature numbers are below it."""
LONGEST = 65_536
"""Characters of one text: more is a file pasted by mistake. Existing lines are read at any length."""


@dataclass(frozen=True)
class FeatureNotes:
    """The notes on one feature. Text is as typed; `monosem_tui.draw.safe_text` makes it printable."""

    label: str = ""
    bookmark: bool = False
    comment: str = ""
    tags: list[str] = field(default_factory=list)
    """Words, each once, in the order they were added."""

    @property
    def empty(self) -> bool:
        """Whether there are no notes, or all were removed."""
        return not (self.label or self.bookmark or self.comment or self.tags)


@dataclass(frozen=True)
class Statement:
    """One change to one feature's notes. `value` is a bool for a bookmark, a list for `tags`, else text."""

    feature: int
    name: Name
    value: Value

    def cleaned(self) -> Statement:
        """Return it as it is stored: without halves of surrogate pairs, tags as words.

        Raises:
            MonosemError: a tag is empty, or a text longer than `LONGEST`.
        """
        if not 0 <= self.feature < MOST_FEATURES:
            raise ValueError(f"no feature has the number {self.feature}")
        value = _value(self.name, self.value)
        if value is None:
            raise ValueError(f"{self.value!r} is not a {self.name}")
        if self.name in ("tag", "untag") and not value:
            raise MonosemError(f"{self.value!r} is not a tag", "A tag is a word, such as place or to-check.")
        texts = value if isinstance(value, list) else [value] if isinstance(value, str) else []
        size = max(map(len, texts), default=0)
        if size > LONGEST:
            raise MonosemError(
                f"a {self.name} of {size} characters is too long", f"A note has at most {LONGEST} characters."
            )
        return Statement(self.feature, self.name, value)


def valid_text(text: str) -> str:
    """Return `text` with `�` for each half of a surrogate pair, which no encoding can write."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def tag_word(text: str) -> str:
    """Return a tag as it is stored: `#to check` becomes `to-check`; empty where nothing is left."""
    return "-".join(valid_text(text).split()).lstrip("#")


def tag_words(texts: Iterable[str]) -> list[str]:
    """Return tags as they are stored, each once."""
    return list(dict.fromkeys(word for word in map(tag_word, texts) if word))


def _value(name: Name, value: Any) -> Value | None:
    """Return a value as it is stored; None where it is of the wrong kind."""
    if name == "bookmark":
        return value if isinstance(value, bool) else None
    if name == "tags":
        return tag_words(map(str, value)) if isinstance(value, (list, tuple)) else None
    if not isinstance(value, str):
        return None
    return valid_text(value) if name in ("label", "comment") else tag_word(value)


def written(statement: Statement, time: float) -> bytes:
    """Return the line of a statement, in ASCII, its newline included. `time`: seconds since the epoch."""
    data = {"feature": statement.feature, statement.name: statement.value, "time": round(time, 3)}
    return json_line(data)


def json_line(data: Mapping[str, Any]) -> bytes:
    """Return a line of the notes file: ASCII without control characters."""
    return (json.dumps(data).replace("\x7f", "\\u007f") + "\n").encode()


def read_line(line: bytes) -> list[Statement] | None:
    """Return the statements of a line that this version knows; None where it is damaged."""
    try:
        data = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    if "feature" not in data:
        return []
    feature = data["feature"]
    if type(feature) is not int or not 0 <= feature < MOST_FEATURES:
        return None
    found = ((name, _value(name, data[name])) for name in NAMES if name in data)
    return [Statement(feature, name, value) for name, value in found if value is not None]


class Fold:
    """The notes that follow from all statements so far."""

    def __init__(self) -> None:
        self.notes: dict[int, FeatureNotes] = {}
        """By feature. An entry is replaced, never changed: a thread may hold one."""
        self._said: Counter[tuple[int, str, str]] = Counter()

    def add(self, statement: Statement) -> None:
        """Apply one more statement."""
        feature, name, value = statement.feature, statement.name, statement.value
        note = self.notes.get(feature, FeatureNotes())
        if name in ("tag", "untag"):
            others = [tag for tag in note.tags if tag != value]
            # An existing tag keeps its place.
            tags = others if name == "untag" else list(note.tags) if value in note.tags else [*note.tags, str(value)]
            self.notes[feature] = replace(note, tags=[tag for tag in tags if tag])
            self._said[feature, "tag", str(value)] += 1
        else:
            changes: dict[str, Any] = {name: value}
            self.notes[feature] = replace(note, **changes)
            self._said[feature, name, ""] += 1

    def version(self, statement: Statement) -> int:
        """Return the version counter of the field that a statement sets."""
        if statement.name in ("tag", "untag"):
            whole = self._said[statement.feature, "tags", ""]
            return whole + self._said[statement.feature, "tag", str(statement.value)]
        return self._said[statement.feature, statement.name, ""]
