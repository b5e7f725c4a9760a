"""One person's changes to notes in one session, which can be taken back one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from store.notes.note_file import FeatureNotes, Notes, Statement
from store.notes.statements import Name


@dataclass(frozen=True)
class Undone:
    """What an undo did."""

    outcome: Literal["undone", "changed elsewhere", "nothing"]
    """`changed elsewhere`: another terminal has spoken about the same thing since; what it said stays."""
    feature: int = -1
    name: Name = "label"
    """What was taken back, or was to be: `tag` or `untag` where tags were added or removed."""


@dataclass(frozen=True)
class _Said:
    """A statement, what takes it back, and how often its subject had been spoken about before and with it."""

    statement: Statement
    back: Statement
    before: int
    after: int


class NoteEditor:
    """Says things about features, and takes back what it said, the last first."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self._changes: list[list[_Said]] = []

    def label(self, feature: int, text: str) -> bool:
        """Label a feature; an empty text takes its label away. Whether that was a change: else nothing is written.

        Raises:
            MonosemError: the text cannot be stored, or the notes cannot be read or written.
        """
        return self.say([Statement(feature, "label", text)])

    def comment(self, feature: int, text: str) -> bool:
        """Comment on a feature, as `label` does."""
        return self.say([Statement(feature, "comment", text)])

    def bookmark(self, feature: int, on: bool) -> bool:
        """Set a bookmark or remove it, as `label` does."""
        return self.say([Statement(feature, "bookmark", on)])

    def tags(self, feature: int, add: Sequence[str], remove: Sequence[str] = ()) -> bool:
        """Add tags and remove others, as `label` does; those of which nothing is said stay."""
        added = [Statement(feature, "tag", tag) for tag in add]
        return self.say([*added, *(Statement(feature, "untag", tag) for tag in remove)])

    def say(self, statements: Sequence[Statement]) -> bool:
        """Say several things as one change, as `label` does; of two about the same subject, the last."""
        cleaned = {_subject(statement): statement for statement in (each.cleaned() for each in statements)}
        change: list[_Said] = []

        def decide(present: dict[int, FeatureNotes]) -> list[Statement]:
            for statement in cleaned.values():
                back = reverse(statement, present.get(statement.feature, FeatureNotes()))
                if back is not None:
                    known = self.notes.version(statement)
                    change.append(_Said(statement, back, known, known + 1))
            return [said.statement for said in change]

        self.notes.change(decide)
        if change:
            self._changes.append(change)
        return bool(change)

    def undo(self) -> Undone:
        """Append what restores the state before the last change, unless others have spoken since.

        A change that cannot be taken back is forgotten all the same: the next undo goes to the one before.

        Raises:
            MonosemError: the notes cannot be read or written; the change can be taken back later.
        """
        if not self._changes:
            return Undone("nothing")
        change, free = self._changes[-1], True

        def decide(_: dict[int, FeatureNotes]) -> list[Statement]:
            nonlocal free
            free = all(self.notes.version(said.statement) == said.after for said in change)
            return [said.back for said in change] if free else []

        self.notes.change(decide)
        self._changes.pop()
        if free:
            for said in change:
                self._forget(said)
        first = change[0].statement
        return Undone("undone" if free else "changed elsewhere", first.feature, first.name)

    def _forget(self, gone: _Said) -> None:
        """Let a change from which `gone` went on be the last word again."""
        for change in self._changes:
            for i, said in enumerate(change):
                if _subject(said.statement) == _subject(gone.statement) and said.after == gone.before:
                    change[i] = replace(said, after=gone.after + 1)


def reverse(statement: Statement, note: FeatureNotes) -> Statement | None:
    """What takes a statement back that is made where `note` holds; None if it changes nothing there."""
    feature = statement.feature
    if statement.name == "tag":
        return None if statement.value in note.tags else Statement(feature, "untag", statement.value)
    if statement.name == "untag":
        return Statement(feature, "tag", statement.value) if statement.value in note.tags else None
    before = getattr(note, statement.name)
    return None if before == statement.value else Statement(feature, statement.name, before)


def _subject(statement: Statement) -> tuple[int, str, object]:
    """What a statement speaks about."""
    if statement.name in ("tag", "untag"):
        return statement.feature, "tag", statement.value
    return statement.feature, statement.name, None
