"""Terminals that come and go at a Unix socket, one of which is listened to: the one that has asked for something last.

A terminal that only looks who is there (as a second server does before it begins) takes nothing over. One that asks
does: a line that hangs may keep its terminal alive for hours, and whoever comes back must not be kept out by it.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress

from engine.live.requests import LineBuffer, RequestQueue
from store.live import wire
from store.live.socket_file import Listening, is_ours, peer_of


class SocketClient:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._writing = threading.RLock()
        self.gone = False

    @property
    def name(self) -> str:
        """`process 123`, or less where the system does not tell."""
        peer = peer_of(self._connection)
        return f"the terminal of process {peer.pid}" if peer else "another terminal"

    def send(self, answer: wire.Answer) -> None:
        """Answer; to one who has gone, nothing happens."""
        if self.gone:
            return
        try:
            with self._writing:
                self._connection.sendall(wire.encode(answer))
        except OSError:
            self.leave()

    def leave(self, why: str = "") -> None:
        """Have done with it, in the middle of an answer if need be; where it still reads, it is told why."""
        if not self.gone and why:
            with suppress(OSError):
                self._connection.send(wire.encode(wire.Gone(why=why)), socket.MSG_DONTWAIT)
        self.gone = True
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for it, to read or to write

    def listen(self, inbox: RequestQueue, reception: SocketServer) -> None:
        """Take requests until it hangs up."""
        lines = LineBuffer()
        with self._connection, suppress(OSError, wire.WireError):
            while piece := self._connection.recv(1 << 16):
                for line in lines.of(piece):
                    reception.turn_to(self)
                    inbox.take(line, self)
        self.gone = True


class SocketServer:
    """Takes connections, each read by a thread of its own."""

    def __init__(self, listening: Listening, inbox: RequestQueue) -> None:
        self._listening, self._inbox = listening, inbox
        self._lock = threading.Lock()
        self._there: list[SocketClient] = []
        self._present: SocketClient | None = None
        threading.Thread(target=self._take, daemon=True).start()

    def turn_to(self, terminal: SocketClient) -> None:
        """Listen to this one from here on; the one before is told, and its requests are dropped."""
        with self._lock:
            if terminal.gone:
                return
            before, self._present = self._present, terminal
        if before is not None and before is not terminal:
            before.leave(f"taken over by {terminal.name}")

    def close(self, why: str) -> None:
        """Tell all who are there, and listen no more."""
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
            terminal.send(wire.Hello(protocol=wire.PROTOCOL, pid=os.getpid()))
            self._there = [one for one in self._there if not one.gone] + [terminal]
            threading.Thread(target=terminal.listen, args=(self._inbox, self), daemon=True).start()
