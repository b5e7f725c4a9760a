"""The model's own process, as the terminal holds it: started when needed, spoken to without ever waiting for it.

Three threads keep the screen free of it: one starts it and writes, one reads and decodes, and whoever asked hears of
answers by a call from the second. An object stands for one life of the process: what comes from an earlier life can be
told by it.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from store import wire

LARGEST_LOG = 1_000_000
"""Bytes after which the log begins anew."""
OTHER = "the model's process speaks another version of the protocol: terminal and engine must be of one installation"


@dataclass(frozen=True)
class Ended:
    """The process is no more, or never was."""

    why: str
    """A sentence."""
    idle: bool = False
    """Whether it ended by itself, as nobody had asked for anything."""


Heard = wire.Answer | Ended
Command = Callable[[Path], Sequence[str]]


class ModelProcess:
    """One life of the process. Nothing here blocks; every method may be called at any time."""

    def __init__(self, log: Path, wake: Callable[[ModelProcess], object], command: Command = wire.command) -> None:
        """Start it, away from whoever asks.

        Args:
            log: file for what the process has to say beside its answers.
            wake: called from another thread when answers are there and none were: `take` has them.
            command: what to run, given the log.
        """
        self._log, self._wake, self._command = _opened(log), wake, command
        self._process: subprocess.Popen[bytes] | None = None
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._inbox: deque[Heard] = deque()
        self._lock = threading.Lock()
        self._life = threading.Lock()
        self._closed = False
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def pid(self) -> int | None:
        """Of the process, once it has been started."""
        return self._process.pid if self._process else None

    def tell(self, request: wire.Request) -> None:
        """Send a request; one to a process that has ended goes nowhere, and `Ended` says so."""
        self._outbox.put(wire.encode(request))

    def take(self) -> list[Heard]:
        """What has been heard since the last time."""
        with self._lock:
            found = list(self._inbox)
            self._inbox.clear()
        return found

    def close(self) -> None:
        """End it. It has nothing to save, so it is not asked twice."""
        with self._life:
            self._closed = True
            process = self._process
        self._outbox.put(None)
        if process is not None:
            with suppress(OSError):
                process.kill()

    def _run(self) -> None:
        """Start it, and write what is to be sent."""
        try:
            with self._life:
                if self._closed:
                    return
                self._process = process = self._popen()
        except OSError as error:
            self._hear(Ended(f"the model's process could not be started: {error}"))
            return
        assert process.stdin is not None
        threading.Thread(target=self._read, args=(process,), daemon=True).start()
        while (line := self._outbox.get()) is not None:
            try:
                process.stdin.write(line)
                process.stdin.flush()
            except OSError:  # the reader tells
                break
        with suppress(OSError):
            process.stdin.close()

    def _popen(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                list(self._command(self._log)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        """Answers until there are no more."""
        assert process.stdout is not None
        gone = ""
        with process.stdout as answers:
            for line in iter(lambda: answers.readline(wire.LONGEST), b""):
                try:
                    message = wire.decode(line)
                except wire.WireError:  # a line that was cut by its death, or by something that is no engine
                    continue
                if isinstance(message, wire.Gone):
                    gone = message.why
                elif isinstance(message, wire.Hello) and message.protocol != wire.PROTOCOL:
                    self._hear(Ended(OTHER))
                    self.close()
                elif isinstance(message, wire.Answer):
                    self._hear(message)
        code = process.wait()
        self._outbox.put(None)
        self._hear(Ended(f"it was {gone}" if gone else self._last_words(code), idle=bool(gone)))

    def _hear(self, message: Heard) -> None:
        with self._lock:
            first = not self._inbox
            self._inbox.append(message)
        if first and not self._closed:
            self._wake(self)

    def _last_words(self, code: int) -> str:
        """Why a process ended that did not say so."""
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            why = ": often memory has run out" if -code == signal.SIGKILL else ""
            return f"it was ended by {name}{why}"
        try:
            with self._log.open("rb") as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - 4096))
                lines = stream.read().decode(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return f"it ended with code {code}" + (f": {lines[-1].strip()}" if code and lines else "")


def _opened(log: Path) -> Path:
    """A file that can be appended to, not too long; where there can be none, nowhere."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        mode = "wb" if log.exists() and log.stat().st_size > LARGEST_LOG else "ab"
        with log.open(mode):
            return log
    except OSError:
        return Path(os.devnull)
