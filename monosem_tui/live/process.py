"""Connections to the model server that never block the screen.

One thread starts the process and writes requests, another reads answers and calls `wake`. An object is one connection,
so messages of an earlier one can be told apart. `ModelProcess` is a child that ends with the terminal;
`AttachedProcess` connects to `monosem serve`, which stays.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from store.files.child_process import exit_reason
from store.files.errors import MonosemError
from store.live import wire
from store.live.socket_file import connect, peer_of

LARGEST_LOG = 1_000_000
"""Bytes after which the log is started again."""
OTHER = "the model process is of another monosem version: restart it (monosem serve) with the version of this terminal"


@dataclass(frozen=True)
class ConnectionEnd:
    """The process has ended, or could not be started or reached."""

    why: str
    """The reason, as a sentence."""
    idle: bool = False
    """Whether the server ended by itself after its idle time."""


ProcessMessage = wire.Answer | ConnectionEnd
Command = Callable[[Path], Sequence[str]]


class ProcessConnection:
    """The queues and threads of a connection. No method blocks; each may be called at any time."""

    def __init__(self, wake: Callable[[Any], object]) -> None:
        """Start in a thread of its own.

        Args:
            wake: called from another thread when the queue of answers stops being empty.
        """
        self._wake = wake
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._inbox: deque[ProcessMessage] = deque()
        self._lock = threading.Lock()
        self._life = threading.Lock()
        self._closed = False
        threading.Thread(target=self._run, daemon=True).start()

    def tell(self, request: wire.Request) -> None:
        """Send a request; after the server has ended it is dropped, and `ConnectionEnd` reports the end."""
        line = wire.encode(request)
        if len(line) > wire.LONGEST_REQUEST:
            self._hear(wire.Failed(id=request.id, what="the text is too long", hint=f"{len(line):,} bytes"))
        else:
            self._outbox.put(line)

    def take(self) -> list[ProcessMessage]:
        """Return the messages received since the last call."""
        with self._lock:
            found = list(self._inbox)
            self._inbox.clear()
        return found

    def close(self) -> None:
        """Close the connection."""
        with self._life:
            self._closed = True
        self._outbox.put(None)
        with suppress(OSError):
            self._end()

    def _connect(self) -> tuple[IO[bytes], IO[bytes]]:
        """Return the ends to read answers from and to write requests to.

        Raises:
            MonosemError: the server could not be started or reached.
        """
        raise NotImplementedError

    def _end(self) -> None:
        """Break the connection, if there is one."""
        raise NotImplementedError

    def _why(self) -> str:
        """Return the reason for an unexplained end, once there are no more answers."""
        raise NotImplementedError

    def _run(self) -> None:
        """Connect, then write requests."""
        try:
            with self._life:
                if self._closed:
                    return
                answers, requests = self._connect()
        except MonosemError as error:
            self._hear(ConnectionEnd(" · ".join(filter(None, (error.what, error.hint)))))
            return
        threading.Thread(target=self._read, args=(answers,), daemon=True).start()
        self._write(requests)

    def _read(self, answers: IO[bytes]) -> None:
        with answers:
            gone = self._listen(answers)
        why = self._why()
        self._hear(ConnectionEnd(f"it was {gone}" if gone else why, idle=bool(gone)))

    def _write(self, lines: IO[bytes]) -> None:
        """Write requests until the connection is closed from either side."""
        while (line := self._outbox.get()) is not None:
            try:
                lines.write(line)
                lines.flush()
            except (OSError, ValueError):  # the reading thread reports it
                break
        with suppress(OSError):
            lines.close()

    def _listen(self, answers: IO[bytes]) -> str:
        """Read answers until they end; return the server's own reason, if any."""
        gone = ""
        for line in _lines(answers):
            try:
                message = wire.decode(line)
            except wire.WireError:  # a line cut by the process's death, or output of another program
                continue
            if isinstance(message, wire.Gone):
                gone = message.why
            elif isinstance(message, wire.Hello) and message.protocol != wire.PROTOCOL:
                self._hear(ConnectionEnd(OTHER))
                self.close()
            elif isinstance(message, wire.Answer):
                self._hear(message)
        self._outbox.put(None)
        return gone

    def _hear(self, message: ProcessMessage) -> None:
        with self._lock:
            first = not self._inbox
            self._inbox.append(message)
        if first and not self._closed:
            self._wake(self)


class ModelProcess(ProcessConnection):
    """A server process that is our child."""

    def __init__(self, log: Path, wake: Callable[[ModelProcess], object], command: Command = wire.command) -> None:
        """Start the process.

        Args:
            log: file for its stderr.
            wake: see `ProcessConnection`.
            command: returns the command line for a log.
        """
        self._log, self._command = _opened(log), command
        self._process: subprocess.Popen[bytes] | None = None
        super().__init__(wake)

    @property
    def pid(self) -> int | None:
        """Process id, once it has been started."""
        return self._process.pid if self._process else None

    def _connect(self) -> tuple[IO[bytes], IO[bytes]]:
        pipe = subprocess.PIPE
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(list(self._command(self._log)), stdin=pipe, stdout=pipe, stderr=log)
        except OSError as error:
            raise MonosemError(f"the model's process could not be started: {error}") from error
        assert self._process.stdin is not None and self._process.stdout is not None
        return self._process.stdout, self._process.stdin

    def _end(self) -> None:
        """End the process; it has nothing to save."""
        if self._process is not None:
            self._process.kill()

    def _why(self) -> str:
        assert self._process is not None
        code = self._process.wait()
        if code < 0:
            why = ", often out of memory" if -code == signal.SIGKILL else ""
            return f"killed ({exit_reason(code)}){why}"
        try:
            with self._log.open("rb") as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - 4096))
                lines = stream.read().decode(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return f"exited with code {code}" + (f": {lines[-1].strip()}" if code and lines else "")


class AttachedProcess(ProcessConnection):
    """A connection to a server started by `monosem serve`; closing it leaves the server running."""

    def __init__(self, socket_path: Path, wake: Callable[[AttachedProcess], object]) -> None:
        """Connect.

        Args:
            socket_path: the server's socket.
            wake: see `ProcessConnection`.
        """
        self._path = socket_path
        self._connection: socket.socket | None = None
        super().__init__(wake)

    @property
    def pid(self) -> int | None:
        """Process id of the server once connected; None where the system does not report it."""
        peer = peer_of(self._connection) if self._connection else None
        return peer.pid if peer else None

    def tell(self, request: wire.Request) -> None:
        """Send a request, with a run's path made absolute because the server may run in another folder."""
        if isinstance(request, wire.Load):
            request = replace(request, run=str(Path(request.run).absolute()))
        super().tell(request)

    def _connect(self) -> tuple[IO[bytes], IO[bytes]]:
        self._connection = connect(self._path)
        return self._connection.makefile("rb"), self._connection.makefile("wb")

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.shutdown(socket.SHUT_RDWR)

    def _why(self) -> str:
        return f"no server answers at {self._path} any more: monosem serve RUN --socket {self._path} starts it again"


def _lines(answers: IO[bytes]) -> Iterator[bytes]:
    """Yield lines until either side disconnects."""
    with suppress(OSError):
        yield from iter(lambda: answers.readline(wire.LONGEST), b"")


def _opened(log: Path) -> Path:
    """Return a log file that can be appended to, truncated if too long, else the null device."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        mode = "wb" if log.exists() and log.stat().st_size > LARGEST_LOG else "ab"
        with log.open(mode):
            return log
    except OSError:
        return Path(os.devnull)
