"""The file notes.jsonl: append-only, the last line about a field wins. User data, so it is never inside an HDF5 file.

Lines are appended under a lock and synced, so terminals that share a run never lose each other's notes; readers need no
lock. The content of a line is defined in `store.notes.statements`.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from store.files.atomic import sync_folder, sync_open
from store.files.errors import MonosemError, disk_errors
from store.files.regular_file import open_regular, read_stream
from store.notes.statements import FeatureNotes, Fold, Name, Statement, Value, read_line, written

__all__ = ["FeatureNotes", "Notes", "Statement", "notes_path"]

_COPY = "Notes are kept beside the run or index. If you may not write there, copy it and take notes on the copy."
_SEAM = 256
"""Bytes before the offset reached that are compared: if they differ, the file was replaced."""


def notes_path(path: Path) -> Path:
    """Return the path of the notes on a run folder or an index file.

    It is `notes.jsonl` in the folder or beside `features.h5`, and `NAME.notes.jsonl` beside an index called `NAME.h5`.
    """
    if not path.is_file():
        return path / "notes.jsonl"
    return path.with_name("notes.jsonl" if path.name == "features.h5" else f"{path.stem}.notes.jsonl")


class Notes:
    """The notes of one run: `by_feature` as read so far; `follow` brings it up to date."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.by_feature: dict[int, FeatureNotes] = {}
        """Updated in place, so every holder of the dictionary sees the changes of `follow`."""
        self.revision = 0
        """Counts the changes of `by_feature`."""
        self._changed: set[int] = set()
        self._start_over()

    def _start_over(self) -> None:
        self._fold = Fold()
        self._offset, self._lines = 0, 0
        self._seam, self._ended = b"", True
        self._seen: tuple[int, ...] | None = None
        self._inode = -1
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
        with self._locked() as descriptor:
            self._write(descriptor, statements)

    def append_line(self, line: bytes) -> None:
        """Append a line that is not about a feature, its newline included, as `append` does.

        Raises:
            MonosemError: the file cannot be written.
        """
        with self._locked() as descriptor:
            self._write_lines(descriptor, line)

    def change(self, decide: Callable[[dict[int, FeatureNotes]], Sequence[Statement]]) -> None:
        """Append the statements that `decide` returns for the present notes; no other process writes in between.

        Raises:
            MonosemError: as `append` and `follow` do.
        """
        with self._locked() as descriptor:
            self._catch_up()
            self._write(descriptor, decide(self.by_feature))
            self._catch_up()

    # Writing

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Yield the file's descriptor for appending, under the lock."""
        descriptor = self._open_locked()
        try:
            yield descriptor
        finally:
            os.close(descriptor)  # releases the lock

    def _open_locked(self) -> int:
        from store.files.owner_lock import file_lock

        while True:
            with disk_errors(self.path, denied=_COPY):
                descriptor = open_regular(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
                try:
                    file_lock(descriptor, fcntl.LOCK_EX)
                    if self._is_at_its_place(descriptor):
                        return descriptor
                except BaseException:
                    os.close(descriptor)
                    raise
                os.close(descriptor)

    def _is_at_its_place(self, descriptor: int) -> bool:
        """Return whether the file still has its name: an editor may have replaced it while we waited."""
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def _write(self, descriptor: int, statements: Sequence[Statement]) -> None:
        now = time.time()
        self._write_lines(descriptor, b"".join(written(statement.cleaned(), now) for statement in statements))

    def _write_lines(self, descriptor: int, lines: bytes) -> None:
        if not lines:
            return
        with disk_errors(self.path, denied=_COPY):
            before = os.fstat(descriptor).st_size
            if before and os.pread(descriptor, 1, before - 1) != b"\n":  # a writer was killed inside a line
                lines = b"\n" + lines
            done = 0
            try:
                while done < len(lines):
                    done += os.write(descriptor, lines[done:])
                sync_open(descriptor)
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(descriptor, before)  # we hold the lock, so all after it is ours
                    if not before:
                        self.path.unlink()
                raise
            if not before:
                sync_folder(self.path.parent)

    # Reading

    def _catch_up(self) -> None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            if self._inode != -1:
                self._start_over()
                self._show()
            return
        except OSError as error:
            raise _unreadable(self.path, error.strerror) from error
        if not stat.S_ISREG(found.st_mode):
            raise _unreadable(self.path, "it is not a regular file")
        if _signature(found) == self._seen:
            return
        try:
            with read_stream(self.path) as stream:
                self._read(stream.fileno())
        except OSError as error:
            raise _unreadable(self.path, error.strerror) from error

    def _read(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        if not self._continues(descriptor, found):
            self._start_over()
            self._inode = found.st_ino
        is_new = self._seen is None
        self._seen = _signature(found)
        added = _read_span(descriptor, self._offset, found.st_size)
        *lines, rest = added.removeprefix(b"" if self._ended else b"\n").split(b"\n")
        if rest and read_line(rest) is not None:  # complete but for its newline, which the next writer adds
            lines.append(rest)
            rest = b""
        features = [feature for line in lines for feature in self._take(line)]
        if lines:
            read = added[: len(added) - len(rest)]
            self._ended = read.endswith(b"\n")
            self._offset += len(read)
            self._seam = (self._seam + read)[-_SEAM:]
        self._show(None if is_new else features)

    def _continues(self, descriptor: int, found: os.stat_result) -> bool:
        """Return whether this is the file that was read before, with at most some lines added."""
        if self._seen is None or found.st_ino != self._inode or found.st_size <= self._offset:
            return False  # one of the same length was changed, too
        seam = os.pread(descriptor, len(self._seam) + 1, self._offset - len(self._seam))
        return seam[:-1] == self._seam and (self._ended or seam.endswith(b"\n"))

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


def _signature(found: os.stat_result) -> tuple[int, ...]:
    """Return numbers that change when a file is written to or replaced."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _read_span(descriptor: int, start: int, end: int) -> bytes:
    """Read bytes `start` to `end` (exclusive), or as many as there are."""
    parts: list[bytes] = []
    while start < end and (part := os.pread(descriptor, end - start, start)):
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def _unreadable(path: Path, why: str | None) -> MonosemError:
    return MonosemError(f"cannot read {path}: {why}")
