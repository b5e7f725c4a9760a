"""Lock files that name their owner: host, boot, process and its start.

On one machine `flock` decides who holds a lock, and it is free once its process is gone. Many file systems of clusters
have no locks, or locks that other machines do not see. So the owner is written into the file as well. An owner on this
machine that is no more is forgotten; one on another machine is respected until a person removes the file.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from store.files.errors import UNSUPPORTED, MonosemError, disk_errors, unguarded
from store.files.regular_file import open_regular
from store.files.typed_json import decode, parse

_LONGEST = 4096
"""Bytes read of a lock file."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A process that holds a lock."""

    host: str
    boot: str
    """Identity of the machine since it was started; empty where the system does not report it."""
    pid: int
    start: str
    """Start of the process in ticks since then; empty where the system does not report it."""

    @classmethod
    def here(cls, pid: int) -> Owner:
        """Return the process of this machine that has this number now."""
        boot = _read(Path("/proc/sys/kernel/random/boot_id")).strip()
        stat = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        return cls(host=platform.node(), boot=boot, pid=pid, start=stat[19] if len(stat) > 19 else "")

    def may_hold(self, *, has_locks: bool) -> bool:
        """Return whether it may hold a lock that `flock` has given to us, or that the file system cannot give."""
        here = Owner.here(self.pid)
        if self.host != here.host:  # containers of one machine share its boot, and its locks
            return not (has_locks and self.boot and self.boot == here.boot)
        return not has_locks and self == here and is_alive(self.pid)


def is_alive(pid: int) -> bool:
    """Return whether a process of this machine has this number."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError, TypeError):
        return False
    except PermissionError:
        return True
    return pid > 0


def file_lock(descriptor: int, how: int) -> bool:
    """Lock an open file as `flock` does; False, with a warning, where the file system has no locks."""
    try:
        fcntl.flock(descriptor, how)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        unguarded("has no locks: let only one process at a time write there")
        return False
    return True


@contextmanager
def owned(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, whose folder exists. A file with other content is locked and left as it is.

    Raises:
        MonosemError: another process holds it, or may hold it, or it cannot be written.
    """
    with disk_errors(path):
        descriptor = open_regular(path, os.O_RDWR | os.O_CREAT)
    with os.fdopen(descriptor, "r+b", buffering=0):
        try:
            has_locks = file_lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _held(path, _owner(descriptor)) from None
        owner = _owner(descriptor)
        if owner and owner.may_hold(has_locks=has_locks):
            raise _held(path, owner)
        is_ours = owner is not None or not os.fstat(descriptor).st_size
        if is_ours:
            _write(descriptor, json.dumps(asdict(Owner.here(os.getpid()))).encode() + b"\n")
        try:
            yield
        finally:
            if is_ours:
                _write(descriptor, b"")


def _write(descriptor: int, line: bytes) -> None:
    with suppress(OSError):  # on a full disk, `flock` alone has to do
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, line, 0)


def _owner(descriptor: int) -> Owner | None:
    """Return the owner that an open lock file names; None for anything else."""
    try:
        return decode(Owner, parse(os.pread(descriptor, _LONGEST, 0)))
    except ValueError:
        return None


def _held(path: Path, owner: Owner | None) -> MonosemError:
    who = f"another monosem (process {owner.pid} on {owner.host})" if owner else "another monosem"
    hint = "Wait for it. `out` takes another folder."
    if owner and owner.host != platform.node():
        hint = f"Wait for it. Where it runs no more, its lock can go: rm {path}"
    return MonosemError(f"{who} is writing to {path.parent}", hint)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
