"""The file notes.jsonl: append-only, the last line about a field wins. User data, so it is never inside an HDF5 file.

Lines are appended under a lock and synced, so terminals that share a run never lose each other's notes; readers need no
lock. The content of a line is defined in `store.notes.statements`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from store.notes.line_file import LARGEST_LINES, LineFile
from store.notes.statements import FeatureNotes, Fold, Name, Statement, Value, read_line, written

__all__ = ["FeatureNotes", "Notes", "Statement", "notes_path"]

LARGEST_NOTES = LARGEST_LINES
"""Bytes of a notes.jsonl that is read."""
_COPY = "Notes are kept beside the run or index. If you may not write there, copy it and take notes on the copy."


def beside(path: Path, name: str) -> Path:
    """Return the path of a companion of a run folder or an index file.

    It is `name` in the folder or beside `features.h5`, and `OTHER.name` beside an index called `OTHER.h5`.
    """
    if not path.is_file():
        return path / name
    return path.with_name(name if path.name == "features.h5" else f"{path.stem}.{name}")


def notes_path(path: Path) -> Path:
    """Return the path of the notes on a run folder or an index file, as `beside` does."""
    return beside(path, "notes.jsonl")


class Notes:
    """The notes of one run: `by_feature` as read so far; `follow` brings it up to date."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = LineFile(path, lambda line: read_line(line) is not None, _COPY)
        self.by_feature: dict[int, FeatureNotes] = {}
        """Updated in place, so every holder of the dictionary sees the changes of `follow`."""
        self.revision = 0
        """Counts the changes of `by_feature`."""
        self._changed: set[int] = set()
        self._start_over()

    def _start_over(self) -> None:
        self._fold, self._lines = Fold(), 0
        self.damaged: list[int] = []
        """Line numbers, from 1, of unreadable lines. They stay in the file."""

    def load(self) -> dict[int, FeatureNotes]:
        """Read the whole file and return the notes by feature; damaged lines are skipped.

        Raises:
            MonosemError: the file exists but cannot be read.
        """
        fresh = Notes(self.path)
        fresh.follow()
        return fresh.by_feature

    def follow(self) -> frozenset[int]:
        """Read lines that were appended, here or by others, and return the features whose notes have changed.

        Costs one `stat` where nothing was appended. An incomplete last line is left for the next call. A file that was
        replaced is read from its beginning.

        Raises:
            MonosemError: the file exists but cannot be read.
        """
        self._catch_up()
        changed, self._changed = frozenset(self._changed), set()
        return changed

    def version(self, statement: Statement) -> int:
        """Return the version counter of the field (a label, one tag, …) that `statement` sets."""
        return self._fold.version(statement)

    def set(self, feature: int, name: Name, value: Value) -> None:
        """Append one statement; it survives a power cut once this returns."""
        self.append([Statement(feature, name, value)])

    def append(self, statements: Sequence[Statement]) -> None:
        """Append statements, all or none.

        Raises:
            MonosemError: they cannot be stored, or the file cannot be written.
        """
        with self._file.locked() as descriptor:
            self._write(descriptor, statements)

    def append_line(self, line: bytes) -> None:
        """Append a line that is not about a feature, its newline included, as `append` does.

        Raises:
            MonosemError: the file cannot be written.
        """
        with self._file.locked() as descriptor:
            self._file.append(descriptor, line)

    def change(self, decide: Callable[[dict[int, FeatureNotes]], Sequence[Statement]]) -> None:
        """Append the statements that `decide` returns for the present notes; no other process writes in between.

        Raises:
            MonosemError: as `append` and `follow` do.
        """
        with self._file.locked() as descriptor:
            self._catch_up()
            self._write(descriptor, decide(self.by_feature))
            self._catch_up()

    def _write(self, descriptor: int, statements: Sequence[Statement]) -> None:
        now = time.time()
        self._file.append(descriptor, b"".join(written(statement.cleaned(), now) for statement in statements))

    def _catch_up(self) -> None:
        added = self._file.added()
        if added is None:
            return
        if added.afresh:
            self._start_over()
        features = [feature for line in added.lines for feature in self._take(line)]
        self._show(None if added.afresh else features)

    def _take(self, line: bytes) -> list[int]:
        """Apply one line and return the features it is about."""
        self._lines += 1
        statements = read_line(line) if line.strip() else []
        if statements is None:
            self.damaged.append(self._lines)
            return []
        for statement in statements:
            self._fold.add(statement)
        return [statement.feature for statement in statements]

    def _show(self, features: Iterable[int] | None = None) -> None:
        """Bring `by_feature` up to date for `features`, or for all, and record which have changed."""
        present = self._fold.notes
        for feature in features if features is not None else present.keys() | self.by_feature.keys():
            before, after = self.by_feature.get(feature), present.get(feature)
            if before == after:
                continue
            self._changed.add(feature)
            self.revision += 1
            if after is None:
                del self.by_feature[feature]
            else:
                self.by_feature[feature] = after
