"""Opening files of a folder that may come from a stranger: regular files only, and no link out of the folder.

The folder itself may be reached through links, so a run that lies on another disk is usable under a link's name. A name
in it may be a link to a file in the same folder. Every other link is refused, so that an unpacked archive can neither
show nor change a file outside itself; so are fifos, devices, sockets and folders, and opening never waits for one.
Files that a person names are opened with `follow`: all links are followed, and only regular files are read.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

from store.files.errors import MonosemError

LARGEST = 64 << 20
"""Bytes of a file that is read as a whole."""


def open_regular(path: Path, flags: int = os.O_RDONLY, *, follow: bool = False) -> int:
    """Open a regular file and return its descriptor; see the module for which links are followed.

    Args:
        path: the file.
        flags: as of `os.open`; with `os.O_CREAT` a missing file is made.
        follow: follow every link.

    Raises:
        MonosemError: it is a link out of its folder, or not a regular file.
        OSError: as `os.open` does.
    """
    flags |= os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, or a fifo that nobody reads
            raise _irregular(path, follow) from error
        if follow or error.errno not in (errno.ELOOP, errno.EMLINK):
            raise
        target = Path(os.path.realpath(path))
        if target.parent != path.parent.resolve() or target.is_symlink():
            raise MonosemError(
                f"{path} is a link out of its folder", "Put the file itself there, or open the folder that has it."
            ) from error
        descriptor = os.open(target, flags, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _irregular(path, follow)
    return descriptor


def own_folder(folder: Path) -> Path:
    """Return a folder inside another, there or not, in which files are written.

    Raises:
        MonosemError: it is a link.
    """
    if folder.is_symlink():
        raise MonosemError(f"{folder} is a link", "Remove it: nothing is written through links of a run.")
    return folder


def read_stream(path: Path, *, follow: bool = False) -> io.BufferedReader:
    """Open a regular file for reading bytes, as `open_regular` does."""
    return os.fdopen(open_regular(path, follow=follow), "rb")


def read_whole(path: Path, most: int = LARGEST, *, follow: bool = False) -> bytes:
    """Return the content of a regular file, opened as `open_regular` does.

    Raises:
        MonosemError: it cannot be read, or has more than `most` bytes.
    """
    try:
        with read_stream(path, follow=follow) as stream:
            content = stream.read(most + 1)
    except OSError as error:
        raise MonosemError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > most:
        raise MonosemError(f"{path} is too large: monosem reads {most >> 20} MiB of such a file at most")
    return content


def stamp(path: Path) -> tuple[int, ...]:
    """Return inode, time and size: they change when a file or folder is written or replaced. Empty if there is none."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _irregular(path: Path, is_named: bool) -> MonosemError:
    return MonosemError(f"{path} is not a regular file", "Write what it gives into a file first." if is_named else "")
