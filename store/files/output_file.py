"""Files that a person names for output: none is written over a file of another kind, and no folder is made for them.

A fifo, a character device and the process's own standard output are written into and stay what they are; a fifo that
nobody reads is refused after two seconds. A link stays too: the file it leads to is written. Disks and sockets are
refused.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from store.files.atomic import atomic_path, require_folder
from store.files.errors import MonosemError, disk_errors

_MOST = 10_000
"""Files of one name beside each other, after which something else is wrong."""
WAIT = 2.0
"""Seconds in which the reader of a fifo may come."""


def write_output(
    path: Path, text: str, kind: str = "", is_kind: Callable[[Path], bool] | None = None, *, overwrite: bool = False
) -> None:
    """Write a text to a file that a person has named, all or nothing.

    Args:
        path: the file; its folder exists.
        text: UTF-8.
        kind: noun for a file of this kind, such as "recipe".
        is_kind: returns whether an existing file is of this kind and may be replaced. Without it, and otherwise, only
            an empty file is.
        overwrite: replace a file of any kind.

    Raises:
        MonosemError: another file is there, the folder is missing, or it cannot be written.
    """
    with disk_errors(path):
        check_output(path, kind, is_kind, overwrite=overwrite)
        if not _written_into(path, text):
            target = Path(os.path.realpath(path))
            is_new = _claim(target)
            if not is_new:
                check_output(path, kind, is_kind, overwrite=overwrite)
            _fill(target, text, is_new=is_new)


def check_output(
    path: Path, kind: str = "", is_kind: Callable[[Path], bool] | None = None, *, overwrite: bool = False
) -> None:
    """Refuse what `write_output` would refuse, before the work whose result is to be written.

    Raises:
        MonosemError: another file is there, or the folder is missing or read-only.
    """
    with disk_errors(path):
        target = Path(os.path.realpath(path))
        if target.is_symlink():
            raise MonosemError(f"{path} is a link that leads back to itself", "Choose another name.")
        if not path.exists():
            require_folder(target.parent)
        elif _is_written_into(path):
            return
        elif not target.is_file():
            raise MonosemError(f"{path} is not a file", "Choose another name.")
        elif path.stat().st_size and not overwrite and not (is_kind and is_kind(target)):
            wrong = f"is there already, and is not a {kind}" if is_kind else "is there already"
            raise MonosemError(f"{path} {wrong}", "Choose another name. `overwrite=True` replaces it.")
        if not os.access(target.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def write_new(path: Path, text: str) -> Path:
    """Write a text to a new file and return its path: `NAME-2.md` and so on where there is a file of that name.

    Raises:
        MonosemError: it cannot be written there.
    """
    require_folder(path.parent)
    for name in (path, *(path.with_name(f"{path.stem}-{n}{path.suffix}") for n in range(2, _MOST))):
        with disk_errors(name):
            if _written_into(name, text):
                return name
            if _claim(name):
                _fill(name, text, is_new=True)
                return name
    raise MonosemError(f"there are {_MOST} files like {path}", "Choose another name.")


def _written_into(path: Path, text: str) -> bool:
    """Write into a device, fifo or our own output; False where there is none of them."""
    if not _is_written_into(path):
        return False
    own = _own_stream(path)
    if own:  # its descriptor knows how far it is written; the name of a redirected file does not
        own.flush()
    with os.fdopen(os.dup(own.fileno()) if own else _open_into(path), "wb") as stream:
        stream.write(text.encode())
    return True


def _open_into(path: Path) -> int:
    """Open a device, or a fifo once it has a reader, for writing."""
    end = time.monotonic() + WAIT
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO or not stat.S_ISFIFO(path.stat().st_mode):
                raise
        else:
            os.set_blocking(descriptor, True)
            return descriptor
        if time.monotonic() > end:
            raise MonosemError(f"nobody reads the fifo {path}", "Start its reader first.")
        time.sleep(0.02)


def _is_written_into(path: Path) -> bool:
    if not path.exists():
        return False
    mode = path.stat().st_mode
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode) or _own_stream(path) is not None


def _own_stream(path: Path) -> TextIO | None:
    """Return the standard stream of this process that writes to the file at `path`, as to /dev/stdout."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # it is closed, or has no descriptor
            if os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                return stream
    return None


def _claim(path: Path) -> bool:
    """Make an empty file, so that no other process takes the name; False where it is taken."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        return False
    return True


def _fill(path: Path, text: str, *, is_new: bool) -> None:
    """Replace the content of a file, which keeps its mode; on failure remove one that `_claim` has made."""
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
            with suppress(OSError):  # not every file system has modes
                temporary.chmod(stat.S_IMODE(path.stat().st_mode))
    except BaseException:
        if is_new:
            path.unlink(missing_ok=True)
        raise
