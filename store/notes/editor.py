"""Changes to notes in one session, with undo and redo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from store.notes.note_file import FeatureNotes, Notes, Statement
from store.notes.statements import Name


@dataclass(frozen=True)
class Undone:
    """The result of an undo or a redo."""

    outcome: Literal["undone", "changed elsewhere", "nothing"]
    """`changed elsewhere`: another terminal has changed the same label, tag, … since; its change stays."""
    feature: int = -1
    name: Name = "label"
    """The field whose change was undone, or was to be: `tag` or `untag` where tags were added or removed."""


@dataclass(frozen=True)
class _Change:
    """A statement, its inverse, and the version of its field before and after it (see `Notes.version`)."""

    statement: Statement
    back: Statement
    before: int
    after: int


class NoteEditor:
    """Changes notes, undoes its own changes, the last first, and makes them again until another change is made."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self._changes: list[list[_Change]] = []
        self._undone: list[list[_Change]] = []
        """Inverses of the changes that were undone: to undo these is to make the changes again."""

    def label(self, feature: int, text: str) -> bool:
        """Label a feature; an empty text removes the label. Return whether that is a change: else nothing is written.

        Raises:
            MonosemError: the text cannot be stored, or the notes cannot be read or written.
        """
        return self.say([Statement(feature, "label", text)])

    def comment(self, feature: int, text: str) -> bool:
        """Set a feature's comment, as `label` does."""
        return self.say([Statement(feature, "comment", text)])

    def bookmark(self, feature: int, on: bool) -> bool:
        """Set a bookmark or remove it, as `label` does."""
        return self.say([Statement(feature, "bookmark", on)])

    def tags(self, feature: int, add: Sequence[str], remove: Sequence[str] = ()) -> bool:
        """Add some tags and remove others, as `label` does."""
        added = [Statement(feature, "tag", tag) for tag in add]
        return self.say([*added, *(Statement(feature, "untag", tag) for tag in remove)])

    def say(self, statements: Sequence[Statement]) -> bool:
        """Make several statements as one change, as `label` does; of two about the same field the last counts."""
        cleaned = {_subject(statement): statement for statement in (each.cleaned() for each in statements)}
        change: list[_Change] = []

        def decide(present: dict[int, FeatureNotes]) -> list[Statement]:
            for statement in cleaned.values():
                back = reverse(statement, present.get(statement.feature, FeatureNotes()))
                if back is not None:
                    known = self.notes.version(statement)
                    change.append(_Change(statement, back, known, known + 1))
            return [made.statement for made in change]

        self.notes.change(decide)
        if change:
            self._changes.append(change)
            self._undone.clear()
        return bool(change)

    def undo(self) -> Undone:
        """Undo the last change by appending its inverse, unless another terminal has changed the same field since.

        Such a change is forgotten: the next undo takes the one before.

        Raises:
            MonosemError: the notes cannot be read or written; the change can be undone later.
        """
        return self._take_back(self._changes, self._undone)

    def redo(self) -> Undone:
        """Make the change again that was undone last, as `undo` does; the next undo undoes it.

        Raises:
            MonosemError: the notes cannot be read or written; the change can be made later.
        """
        return self._take_back(self._undone, self._changes)

    def _take_back(self, made_before: list[list[_Change]], inverses: list[list[_Change]]) -> Undone:
        """Append the inverse of the last change of a list, and put it on the other list."""
        if not made_before:
            return Undone("nothing")
        change, free = made_before[-1], True

        def decide(_: dict[int, FeatureNotes]) -> list[Statement]:
            nonlocal free
            free = all(self.notes.version(made.statement) == made.after for made in change)
            return [made.back for made in change] if free else []

        self.notes.change(decide)
        made_before.pop()
        if free:
            for made in change:
                _forget(made_before, made)
            inverses.append([_Change(made.back, made.statement, made.after, made.after + 1) for made in change])
        first = change[0].statement
        return Undone("undone" if free else "changed elsewhere", first.feature, first.name)


def _forget(changes: list[list[_Change]], gone: _Change) -> None:
    """Let the change before `gone` be the last one of its field again."""
    for change in changes:
        for i, made in enumerate(change):
            if _subject(made.statement) == _subject(gone.statement) and made.after == gone.before:
                change[i] = replace(made, after=gone.after + 1)


def reverse(statement: Statement, note: FeatureNotes) -> Statement | None:
    """Return the inverse of a statement, given the feature's notes before it; None if it changes nothing."""
    feature = statement.feature
    if statement.name == "tag":
        return None if statement.value in note.tags else Statement(feature, "untag", statement.value)
    if statement.name == "untag":
        return Statement(feature, "tag", statement.value) if statement.value in note.tags else None
    before = getattr(note, statement.name)
    return None if before == statement.value else Statement(feature, statement.name, before)


def _subject(statement: Statement) -> tuple[int, str, object]:
    """Return the feature and field of a statement; each tag is a field of its own."""
    if statement.name in ("tag", "untag"):
        return statement.feature, "tag", statement.value
    return statement.feature, statement.name, None
