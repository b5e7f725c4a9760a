"""Requests as they come in, of whoever sends them, and the way back to each."""

from __future__ import annotations

import os
import queue
import select
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from store.live import wire

WATCH_SECONDS = 2.0
"""How often it is looked whether the parent is alive."""


class Client(Protocol):
    """Whoever asks."""

    @property
    def gone(self) -> bool:
        """Whether answers reach nobody any more."""

    def send(self, answer: wire.Answer) -> None:
        """Answer; to one who has gone, nothing happens."""


class ClientRequest(NamedTuple):
    """A request, and whom the answer is for."""

    request: wire.Request | wire.WireError
    peer: Client


class RequestQueue:
    """What has been asked and not been met yet, in its order. Filled by one thread for each peer."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[ClientRequest] = queue.Queue()
        self._stops: list[Client] = []

    def take(self, line: bytes, peer: Client) -> None:
        """A line has come."""
        if not line.strip():
            return
        try:
            message = wire.decode(line)
        except wire.WireError as error:
            self._waiting.put(ClientRequest(error, peer))
            return
        if isinstance(message, wire.Request):
            if isinstance(message, wire.Stop):
                self._stops.append(peer)
            self._waiting.put(ClientRequest(message, peer))
        else:
            name = type(message).__name__.lower()
            self._waiting.put(ClientRequest(wire.WireError(f"{name} is an answer, not a request"), peer))

    def next(self, timeout: float) -> ClientRequest | None:
        """The next one of somebody who is still there; None when none has come within `timeout` seconds."""
        ends = time.monotonic() + timeout
        while True:
            left = max(0.0, ends - time.monotonic())
            try:
                found = self._waiting.get(block=left > 0, timeout=left or None)
            except queue.Empty:
                return None
            if isinstance(found.request, wire.Stop):
                self._stops.remove(found.peer)
            if not found.peer.gone:
                return found

    def stop_waits(self, peer: Client) -> bool:
        """Whether what is done for somebody is to be broken off: as asked for, or because nobody would hear of it."""
        return peer in self._stops or peer.gone


class LineBuffer:
    """Bytes as they come, cut into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def of(self, piece: bytes) -> Iterator[bytes]:
        """The lines that a piece completes.

        Raises:
            wire.WireError: a line is longer than any message.
        """
        *lines, self._rest = (self._rest + piece).split(b"\n")
        yield from lines
        if len(self._rest) > wire.LONGEST:
            raise wire.WireError(f"a line of more than {wire.LONGEST} bytes")


class PipeClient:
    """The terminal that started this process: when it is no more, neither is this process."""

    gone = False

    def __init__(self, inbox: RequestQueue, requests: int, answers: int, parent: int) -> None:
        """Begin to listen.

        Args:
            inbox: takes what comes.
            requests: descriptor to read from.
            answers: descriptor to write to.
            parent: the process without which this one ends.
        """
        self._inbox, self._requests, self._answers, self._parent = inbox, requests, answers, parent
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, answer: wire.Answer) -> None:
        """Answer."""
        line = wire.encode(answer)
        try:
            while line:
                line = line[os.write(self._answers, line) :]
        except OSError:
            os._exit(0)  # nobody reads

    def _read(self) -> None:
        lines = LineBuffer()
        while True:
            ready, _, _ = select.select([self._requests], [], [], WATCH_SECONDS)
            if os.getppid() != self._parent:
                os._exit(0)
            if not ready:
                continue
            piece = os.read(self._requests, 1 << 16)
            if not piece:
                os._exit(0)  # in the middle of whatever it is: nobody would hear of it
            try:
                for line in lines.of(piece):
                    self._inbox.take(line, self)
            except wire.WireError:
                os._exit(1)
