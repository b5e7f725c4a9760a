"""Accepts clients on a Unix socket; the client that sent the last request is active.

Connecting alone (as a second server does before it binds) takes nothing over; a request does, so that a hanging
connection cannot keep the user out.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress

from engine.live.requests import LineBuffer, RequestQueue, received
from store.live import wire
from store.live.socket_file import Listening, is_ours, peer_of

MOST_CLIENTS, MOST_STRANGE = 64, 100
"""Clients at once, and lines of a client that are not requests; beyond them a connection is closed."""


class SocketClient:
    """A connected client."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._writing = threading.RLock()
        self.gone = False

    @property
    def name(self) -> str:
        """Name of the client in messages, with its process id where the system reports it."""
        peer = peer_of(self._connection)
        return f"the terminal of process {peer.pid}" if peer else "another terminal"

    def send(self, answer: wire.Answer) -> None:
        """Send an answer; nothing happens when the client is gone."""
        if self.gone:
            return
        try:
            with self._writing:
                self._connection.sendall(wire.encode(answer))
        except OSError:
            self.leave()

    def leave(self, why: str = "") -> None:
        """Close the connection, in the middle of an answer if need be; send `Gone` if the client still reads."""
        if not self.gone and why:
            with suppress(OSError):
                self._connection.send(wire.encode(wire.Gone(why=why)), socket.MSG_DONTWAIT)
        self.gone = True
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)  # wakes threads that wait to read or write

    def listen(self, inbox: RequestQueue, reception: SocketServer) -> None:
        """Queue requests until the client disconnects, or sends what no terminal sends."""
        lines, strange = LineBuffer(), 0
        with self._connection, suppress(OSError):
            try:
                while piece := self._connection.recv(1 << 16):
                    for line in lines.of(piece):
                        if request := received(line, self):
                            reception.turn_to(self)
                            inbox.take(request, self)
                        elif (strange := strange + 1) > MOST_STRANGE:
                            raise wire.WireError(f"more than {MOST_STRANGE} lines that are not requests")
            except wire.WireError as error:
                self.leave(f"cut off: {error}")
        self.gone = True


class SocketServer:
    """Accepts connections, and reads each in a thread of its own."""

    def __init__(self, listening: Listening, inbox: RequestQueue) -> None:
        self._listening, self._inbox = listening, inbox
        self._lock = threading.Lock()
        self._there: list[SocketClient] = []
        self._present: SocketClient | None = None
        self._working: wire.Working | None = None
        threading.Thread(target=self._take, daemon=True).start()

    def turn_to(self, terminal: SocketClient) -> None:
        """Make a client the active one; the previous one gets `Gone`, and its requests are dropped."""
        with self._lock:
            if terminal.gone:
                return
            before, self._present = self._present, terminal
        if before is not None and before is not terminal:
            before.leave(f"taken over by {terminal.name}")

    def tell_all(self, working: wire.Working | None) -> None:
        """Send the progress of loading to every client, and to those that come, until it is None."""
        self._working = working
        if working is not None:
            for terminal in self._there:
                terminal.send(working)

    def close(self, why: str) -> None:
        """Send `Gone` to all clients and stop listening."""
        for terminal in list(self._there):
            terminal.leave(why)
        self._listening.close()

    def _take(self) -> None:
        while True:
            try:
                connection, _ = self._listening.socket.accept()
            except OSError:  # closed
                return
            if not is_ours(connection):
                connection.close()
                continue
            terminal = SocketClient(connection)
            there = [one for one in self._there if not one.gone]
            for oldest in [one for one in there if one is not self._present][: len(there) - MOST_CLIENTS + 1]:
                oldest.leave("cut off: too many terminals")
            terminal.send(wire.Hello(protocol=wire.PROTOCOL, pid=os.getpid()))
            self._there = [*there, terminal]
            if self._working is not None:
                terminal.send(self._working)
            threading.Thread(target=terminal.listen, args=(self._inbox, self), daemon=True).start()
