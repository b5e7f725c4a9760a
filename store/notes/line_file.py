"""A file of lines that several processes append to: locked writes, and readers that take in what was added.

Each append is one write under `flock`, synced before the call returns; a failed one leaves nothing. Readers need no
lock. A last line without its newline (a power cut) is closed by the next writer.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from store.files.atomic import sync_folder, sync_open
from store.files.errors import MonosemError, disk_errors
from store.files.regular_file import open_regular, read_stream

LARGEST_LINES = 256 << 20
"""Bytes of a file of lines that is read."""
_SEAM = 256
"""Bytes before the offset reached that are compared: if they differ, the file was replaced."""


class Added(NamedTuple):
    """Lines that a reader has not seen before, without their newlines."""

    lines: list[bytes]
    afresh: bool
    """Whether they begin at the beginning of the file: what was read before counts no more."""


class LineFile:
    """One file of lines, read from where the last call ended, and appended to.

    Args:
        path: the file; it need not be there.
        is_whole: tells whether a last line is complete but for its newline.
        denied: advice where writing is forbidden.
    """

    def __init__(self, path: Path, is_whole: Callable[[bytes], bool], denied: str) -> None:
        self.path, self._is_whole, self._denied = path, is_whole, denied
        self._start_over()

    def _start_over(self) -> None:
        self._offset = 0
        self._seam, self._ended = b"", True
        self._seen: tuple[int, ...] | None = None
        self._inode = -1

    # Writing

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Yield the file's descriptor for appending, under the lock.

        Raises:
            MonosemError: the file cannot be opened for writing.
        """
        descriptor = self._open_locked()
        try:
            yield descriptor
        finally:
            os.close(descriptor)  # releases the lock

    def _open_locked(self) -> int:
        from store.files.owner_lock import file_lock

        while True:
            with disk_errors(self.path, denied=self._denied):
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

    def append(self, descriptor: int, lines: bytes) -> None:
        """Append lines, newlines included, to the descriptor of `locked`: all or none.

        Raises:
            MonosemError: the disk is full, or they cannot be written.
        """
        if not lines:
            return
        with disk_errors(self.path, denied=self._denied):
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

    def added(self) -> Added | None:
        """Return the lines added since the last call; None where there is nothing new, which costs one `stat`.

        Raises:
            MonosemError: the file exists but cannot be read.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            if self._inode == -1:
                return None
            self._start_over()
            return Added([], afresh=True)
        except OSError as error:
            raise _unreadable(self.path, error.strerror) from error
        if not stat.S_ISREG(found.st_mode):
            raise _unreadable(self.path, "it is not a regular file")
        if found.st_size > LARGEST_LINES:
            raise _unreadable(self.path, f"it has more than {LARGEST_LINES >> 20} MiB")
        if _signature(found) == self._seen:
            return None
        try:
            with read_stream(self.path) as stream:
                return self._read(stream.fileno())
        except OSError as error:
            raise _unreadable(self.path, error.strerror) from error

    def _read(self, descriptor: int) -> Added:
        found = os.fstat(descriptor)
        if not self._continues(descriptor, found):
            self._start_over()
            self._inode = found.st_ino
        is_new = self._seen is None
        self._seen = _signature(found)
        added = _read_span(descriptor, self._offset, found.st_size)
        *lines, rest = added.removeprefix(b"" if self._ended else b"\n").split(b"\n")
        if rest and self._is_whole(rest):
            lines.append(rest)
            rest = b""
        if lines:
            read = added[: len(added) - len(rest)]
            self._ended = read.endswith(b"\n")
            self._offset += len(read)
            self._seam = (self._seam + read)[-_SEAM:]
        return Added(lines, is_new)

    def _continues(self, descriptor: int, found: os.stat_result) -> bool:
        """Return whether this is the file that was read before, with at most some lines added."""
        if self._seen is None or found.st_ino != self._inode or found.st_size <= self._offset:
            return False  # one of the same length was changed, too
        seam = os.pread(descriptor, len(self._seam) + 1, self._offset - len(self._seam))
        return seam[:-1] == self._seam and (self._ended or seam.endswith(b"\n"))


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
