"""The queue of requests from all clients, and the client at the other end of the parent's pipes."""

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
"""Seconds between checks that the parent is alive."""
MOST_WAITING = 1000
"""Requests of a client that may wait to be answered."""


class Client(Protocol):
    """The sender of requests."""

    @property
    def gone(self) -> bool:
        """Whether the connection is closed."""

    def send(self, answer: wire.Answer) -> None:
        """Send an answer; nothing happens when the client is gone."""


class ClientRequest(NamedTuple):
    """A request and its client."""

    request: wire.Request
    peer: Client


class RequestQueue:
    """Requests waiting to be answered, in order of arrival; one thread per client adds to it."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[ClientRequest] = queue.Queue()
        self._stops: list[Client] = []

    def take(self, request: wire.Request, peer: Client) -> None:
        """Queue a request.

        Raises:
            wire.WireError: the client sends faster than it can be answered.
        """
        with self._waiting.mutex:
            waiting = sum(one.peer is peer for one in self._waiting.queue)
        if waiting >= MOST_WAITING:
            raise wire.WireError(f"more than {MOST_WAITING} requests waiting")
        if isinstance(request, wire.Stop):
            self._stops.append(peer)
        self._waiting.put(ClientRequest(request, peer))

    def next(self, timeout: float) -> ClientRequest | None:
        """Return the next request of a connected client; None when none arrives within `timeout` seconds."""
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
        """Return whether the client has cancelled its running request, or is gone."""
        return peer in self._stops or peer.gone


class LineBuffer:
    """Joins received bytes into lines."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def of(self, piece: bytes) -> Iterator[bytes]:
        """Yield the lines that a piece completes.

        Raises:
            wire.WireError: a line is longer than any request.
        """
        *lines, rest = piece.split(b"\n")
        for line in lines:
            self._rest += line
            yield bytes(self._rest)
            self._rest.clear()
        self._rest += rest
        if len(self._rest) > wire.LONGEST_REQUEST:
            raise wire.WireError(f"a line of more than {wire.LONGEST_REQUEST} bytes")


def received(line: bytes, peer: Client) -> wire.Request | None:
    """Decode a line of a client; what is not a request is answered at once, and None returned."""
    if not line.strip():
        return None
    try:
        message = wire.decode(line)
        if isinstance(message, wire.Request):
            return message
        why = f"{type(message).__name__.lower()} is an answer, not a request"
    except wire.WireError as error:
        why = str(error)
    peer.send(wire.Failed(id=0, what=f"not understood: {why}"))
    return None


class PipeClient:
    """The parent process over stdin and stdout; this process exits with it."""

    gone = False

    def __init__(self, inbox: RequestQueue, requests: int, answers: int, parent: int) -> None:
        """Start the reading thread.

        Args:
            inbox: queue of requests.
            requests: descriptor to read from.
            answers: descriptor to write to.
            parent: process id; this process exits when it is not the parent any more.
        """
        self._inbox, self._requests, self._answers, self._parent = inbox, requests, answers, parent
        self._writing = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, answer: wire.Answer) -> None:
        """Send an answer."""
        line = wire.encode(answer)
        try:
            with self._writing:
                while line:
                    line = line[os.write(self._answers, line) :]
        except OSError:
            os._exit(0)  # the parent has closed its end

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
                os._exit(0)  # also in the middle of work: the client has gone
            try:
                for line in lines.of(piece):
                    if request := received(line, self):
                        self._inbox.take(request, self)
            except wire.WireError:
                os._exit(1)
