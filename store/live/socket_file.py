"""A Unix socket that only its owner can reach: its path, its lock, and the process at the other end.

The socket has mode 0600 and lies in a folder of mode 0700, and each side checks who the other one is, where the system
reports it (SO_PEERCRED, Linux). A socket whose server has gone does not answer, and is replaced.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from store.files.errors import MonosemError
from store.files.owner_lock import file_lock

LONGEST_PATH = 100
"""Bytes; systems take 104 to 108, the end marked by a zero."""
WAITING = 8
"""Connections that may wait to be taken."""
_CREDENTIALS = struct.Struct("3i")


class Peer(NamedTuple):
    """The process at the other end of a connection."""

    pid: int
    uid: int


def peer_of(connection: socket.socket) -> Peer | None:
    """Return the process at the other end; None where the system does not report it."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    return Peer(pid, uid)


def is_ours(connection: socket.socket) -> bool:
    """Return whether the other end is of the same user, if reported: the folder keeps others out anyway."""
    peer = peer_of(connection)
    return peer is None or peer.uid == os.geteuid()


def connect(path: Path) -> socket.socket:
    """Connect to the server that listens at `path`.

    Raises:
        MonosemError: no server listens there, or the socket is not ours.
    """
    _check(path)
    try:
        connection = _connected(path)
    except FileNotFoundError:
        raise MonosemError(f"{path}: there is no socket", f"monosem serve RUN --socket {path} makes one.") from None
    except ConnectionRefusedError:
        raise MonosemError(
            f"{path}: no server listens there any more", f"Start it again: monosem serve RUN --socket {path}"
        ) from None
    except OSError as error:
        raise MonosemError(f"{path} cannot be connected to: {error.strerror}") from None
    if not is_ours(connection):
        connection.close()
        raise MonosemError(f"{path}: a process of another user listens there", "Choose another socket.")
    return connection


class Listening:
    """A socket that accepts connections."""

    def __init__(self, path: Path) -> None:
        """Listen at `path`, and make its folder if it is missing.

        Raises:
            MonosemError: a server listens there already, or others can reach the folder.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise MonosemError(f"{path.parent} cannot be made: {error.strerror}") from None
        _check(path)
        self.path = path
        with _alone_in(path.parent):
            _clear(path)
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                self.socket.bind(os.fspath(path))
                path.chmod(0o600)
                self.socket.listen(WAITING)
                self._identity = _identity(path)
            except OSError as error:
                self.socket.close()
                raise MonosemError(f"{path} cannot be listened at: {error.strerror}") from None

    def close(self) -> None:
        """Stop listening; remove the file, unless another one has taken its place."""
        with suppress(OSError), _alone_in(self.path.parent):
            if _identity(self.path) == self._identity:
                self.path.unlink()
        self.socket.close()


def _identity(path: Path) -> tuple[int, int]:
    """Identity of a file, distinct from a later file in its place that may reuse its inode."""
    state = path.lstat()
    return state.st_ino, state.st_ctime_ns


def _check(path: Path) -> None:
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise MonosemError(
            f"{path} is too long for a socket: {len(os.fsencode(path))} bytes of {LONGEST_PATH}",
            "Choose a shorter one.",
        )
    folder = path.parent
    try:
        found = folder.stat()
    except OSError as error:
        raise MonosemError(f"{folder}: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode):
        raise MonosemError(f"{folder} is not a folder")
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise MonosemError(
            f"{folder} is open to others, and anyone who reaches the socket can use the model",
            f"Choose a folder of your own (chmod 700), as {Path.home() / '.monosem' / path.name}.",
        )


def _clear(path: Path) -> None:
    """Remove a socket whose server has gone.

    Raises:
        MonosemError: a server listens there, or it is not a socket.
    """
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise MonosemError(f"{path} is there already, and no socket", "Choose another path.")
        pid = _pid_behind(path)
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
        return
    except OSError as error:
        raise MonosemError(f"{path} cannot be looked at: {error.strerror}") from None
    who = f"process {pid}" if pid is not None else "another process"
    stop = f"kill {pid} ends it; or choose another path." if pid is not None else "Choose another path."
    raise MonosemError(f"{path}: {who} serves there already", stop)


def _pid_behind(path: Path) -> int | None:
    with _connected(path) as connection:
        peer = peer_of(connection)
    return peer.pid if peer else None


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(os.fspath(path))
    except OSError:
        connection.close()
        raise
    return connection


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Let one of several starting servers look and bind at a time."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        file_lock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
