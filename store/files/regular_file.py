"""Opening files of a folder that may come from a stranger: regular files only, and no link out of the folder.

The folder itself may be reached through links, so a run that lies on another disk is usable under a link's name. A name
in it may be a link to a file in the same folder. Every other link is refused, so that an unpacked archive can neither
show nor change a file outside itself; so are fifos, devices, sockets and folders, and opening never waits for one.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

from store.files.errors import MonosemError

_ALWAYS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file and return its descriptor; see the module for which links are followed.

    Args:
        path: the file.
        flags: as of `os.open`; with `os.O_CREAT` a missing file is made.

    Raises:
        MonosemError: it is a link out of its folder, or not a regular file.
        OSError: as `os.open` does.
    """
    try:
        descriptor = os.open(path, flags | _ALWAYS, 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, or a fifo that nobody reads
            raise _irregular(path) from error
        if error.errno not in (errno.ELOOP, errno.EMLINK):
            raise
        target = Path(os.path.realpath(path))
        if target.parent != path.parent.resolve() or target.is_symlink():
            raise MonosemError(
                f"{path} is a link out of its folder", "Put the file itself there, or open the folder that has it."
            ) from error
        descriptor = os.open(target, flags | _ALWAYS, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _irregular(path)
    return descriptor


def read_stream(path: Path) -> io.BufferedReader:
    """Open a regular file for reading bytes, as `open_regular` does."""
    return os.fdopen(open_regular(path), "rb")


def stamp(path: Path) -> tuple[int, ...]:
    """Return inode, time and size: they change when a file or folder is written or replaced. Empty if there is none."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _irregular(path: Path) -> MonosemError:
    return MonosemError(f"{path} is not a regular file")
