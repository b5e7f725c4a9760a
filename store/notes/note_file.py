"""notes.jsonl: labels, bookmarks, comments and tags. User data: append-only, last line wins, never inside the HDF5.

Lines are only ever added, each under a lock and synced, so terminals that share a run never lose each other's notes;
readers need no lock. What a line may say is in `store.notes.statements`.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from store.files.atomic import fsync_folder
from store.files.errors import MonosemError
from store.files.regular_file import open_regular, read_stream
from store.notes.statements import FeatureNotes, Fold, Name, Statement, Value, read_line, written

__all__ = ["FeatureNotes", "Notes", "Statement", "notes_path"]

_SEAM = 256
"""Bytes before the place reached that are compared: if they differ, another file has taken this one's place."""


def notes_path(path: Path) -> Path:
    """Where the notes on a run folder or a store lie: `notes.jsonl` in the folder, and beside a `features.h5`.

    A store of another name, as one copied home, has a file of its own beside it: `NAME.notes.jsonl` for `NAME.h5`.
    """
    if not path.is_file():
        return path / "notes.jsonl"
    return path.with_name("notes.jsonl" if path.name == "features.h5" else f"{path.stem}.notes.jsonl")


class Notes:
    """The notes of one run: `by_feature` as far as they have been read, which `follow` brings up to date."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.by_feature: dict[int, FeatureNotes] = {}
        """The one dictionary, renewed in place: who holds it sees what `follow` has found."""
        self.revision = 0
        """Grows whenever something in `by_feature` has changed."""
        self._changed: set[int] = set()
        self._start_over()

    def _start_over(self) -> None:
        self._fold = Fold()
        self._offset, self._lines = 0, 0
        self._seam, self._ended = b"", True
        self._seen: tuple[int, ...] | None = None
        self._inode = -1
        self.damaged: list[int] = []
        """Numbers, from 1, of lines that say nothing anyone can read. They stay in the file."""

    def load(self) -> dict[int, FeatureNotes]:
        """The present state by feature, all of it read anew; damaged lines are skipped.

        Raises:
            MonosemError: the file is there but may not be read.
        """
        fresh = Notes(self.path)
        fresh.follow()
        return fresh.by_feature

    def follow(self) -> frozenset[int]:
        """Read what has been added, here or by others; the features whose notes differ from the last time.

        Where nothing was added it costs one `stat`. A last line that is still being written waits for its end. A file
        that another has taken the place of is read from its beginning.

        Raises:
            MonosemError: the file is there but may not be read.
        """
        self._catch_up()
        changed, self._changed = frozenset(self._changed), set()
        return changed

    def version(self, statement: Statement) -> int:
        """How often that which `statement` speaks about (a label, one tag) has been spoken about in the file."""
        return self._fold.version(statement)

    def set(self, feature: int, name: Name, value: Value) -> None:
        """Append one statement about a feature; it survives a power cut once this returns."""
        self.append([Statement(feature, name, value)])

    def append(self, statements: Sequence[Statement]) -> None:
        """Append statements in one piece.

        Raises:
            MonosemError: they cannot be stored, or the file may not be written; nothing has been said then.
        """
        with self._locked() as descriptor:
            self._write(descriptor, statements)

    def append_line(self, line: bytes) -> None:
        """Append a line that says nothing about a feature, its newline included, as `append` does.

        Raises:
            MonosemError: the file may not be written; nothing has been said then.
        """
        with self._locked() as descriptor:
            self._write_lines(descriptor, line)

    def change(self, decide: Callable[[dict[int, FeatureNotes]], Sequence[Statement]]) -> None:
        """Append what `decide` makes of the present state, with nobody else writing in between.

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
        """The file, opened for appending, while nobody else appends."""
        descriptor = self._open_locked()
        try:
            yield descriptor
        finally:
            os.close(descriptor)  # which lets the lock go

    def _open_locked(self) -> int:
        while True:
            with _saying(self.path):
                descriptor = open_regular(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                    if self._is_at_its_place(descriptor):
                        return descriptor
                except BaseException:
                    os.close(descriptor)
                    raise
                os.close(descriptor)

    def _is_at_its_place(self, descriptor: int) -> bool:
        """Whether the file still has its name: an editor may have put another there while we waited."""
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
        with _saying(self.path):
            before = os.fstat(descriptor).st_size
            if before and os.pread(descriptor, 1, before - 1) != b"\n":  # a writer died inside its line
                lines = b"\n" + lines
            done = 0
            try:
                while done < len(lines):
                    done += os.write(descriptor, lines[done:])
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(descriptor, before)  # all behind it is ours: we hold the lock
                raise
            os.fsync(descriptor)
            if not before:
                fsync_folder(self.path.parent)

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
            raise _unreadable(self.path, "it is no file")
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
        if rest and read_line(rest) is not None:  # whole, and lacks only its newline: the next writer adds it
            lines.append(rest)
            rest = b""
        said = [feature for line in lines for feature in self._take(line)]
        if lines:
            read = added[: len(added) - len(rest)]
            self._ended = read.endswith(b"\n")
            self._offset += len(read)
            self._seam = (self._seam + read)[-_SEAM:]
        self._show(None if is_new else said)

    def _continues(self, descriptor: int, found: os.stat_result) -> bool:
        """Whether this is the file that was read before, with lines added at most."""
        if self._seen is None or found.st_ino != self._inode or found.st_size <= self._offset:
            return False  # one of the same length has been written to all the same
        seam = os.pread(descriptor, len(self._seam) + 1, self._offset - len(self._seam))
        return seam[:-1] == self._seam and (self._ended or seam.endswith(b"\n"))

    def _take(self, line: bytes) -> list[int]:
        """Fold one line in; the features it speaks about."""
        self._lines += 1
        statements = read_line(line) if line.strip() else []
        if statements is None:
            self.damaged.append(self._lines)
            return []
        for statement in statements:
            self._fold.add(statement)
        return [statement.feature for statement in statements]

    def _show(self, features: Iterable[int] | None = None) -> None:
        """Bring `by_feature` up to date, for `features` or for all, and remember what has changed."""
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
    """What differs once a file has been written to, or replaced."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _read_span(descriptor: int, start: int, end: int) -> bytes:
    """Bytes `start` to `end`, or as many as there are."""
    parts: list[bytes] = []
    while start < end and (part := os.pread(descriptor, end - start, start)):
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def _unreadable(path: Path, why: str | None) -> MonosemError:
    return MonosemError(f"cannot read {path}: {why}")


@contextmanager
def _saying(path: Path) -> Iterator[None]:
    """Turn what keeps a note from being written into a `MonosemError`."""
    try:
        yield
    except OSError as error:
        raise MonosemError(
            f"cannot write {path}: {error.strerror}",
            "Notes lie beside what they are about. Where you may not write, copy it, and take notes on the copy.",
        ) from error
