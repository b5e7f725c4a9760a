"""Python processes that have the app's modules loaded already, and become an app at once: a start costs half a second.

`python -m tests.tui.nursery FD` loads them, and forks for each request that comes through the socket FD. What is forked
has the environment, the terminal and the program of its request, and nothing else in common with others.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
OWN = ("XDG_STATE_HOME", "EXPORT_TO", "TRACES", "FAKE_MODEL", "PYTHONPATH", "PYTEST_CURRENT_TEST")
"""Variables that no module reads while it is loaded: apps that differ in them come from the same nursery."""


class Nursery:
    """The loaded process, asked from outside; it ends with the process that asks."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", "tests.tui.nursery", str(theirs.fileno())]
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environ, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )
        self._codes: dict[int, int] = {}
        atexit.register(self._end)

    def start(self, program: str, arguments: list[str], environ: dict[str, str], terminal: int) -> Child:
        """Run a program in a process on a terminal of its own."""
        request = json.dumps({"program": program, "arguments": arguments, "environ": environ})
        socket.send_fds(self._socket, [request.encode()], [terminal])
        while "pid" not in (answer := self._answer()):
            self._codes[answer["ended"]] = answer["code"]
        self._codes.pop(answer["pid"], None)
        return Child(answer["pid"], self)

    def code(self, pid: int, patience: float) -> int | None:
        """The exit code of a child, waited for; None if it goes on."""
        deadline = time.monotonic() + patience
        while pid not in self._codes:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._socket], [], [], left)[0]:
                return None
            answer = self._answer()
            self._codes[answer["ended"]] = answer["code"]
        return self._codes[pid]

    def _end(self) -> None:
        self._socket.close()
        self._process.wait()

    def _answer(self) -> dict[str, int]:
        answer = self._socket.recv(4096)
        assert answer, "the nursery has ended"
        return json.loads(answer)


class Child:
    """As much of a subprocess.Popen as is used."""

    def __init__(self, pid: int, nursery: Nursery) -> None:
        self.pid, self._nursery = pid, nursery

    def poll(self) -> int | None:
        return self._nursery.code(self.pid, 0.0)

    def wait(self, timeout: float = 1e9) -> int:
        code = self._nursery.code(self.pid, min(timeout, 1e6))
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def nursery(environ: dict[str, str]) -> Nursery:
    """The one whose modules were loaded with these variables."""
    return _nursery(tuple(sorted((name, value) for name, value in environ.items() if name not in OWN)))


@cache
def _nursery(environ: tuple[tuple[str, str], ...]) -> Nursery:
    return Nursery(dict(environ))


def own_terminal(terminal: int) -> None:
    """Make this process the first of a session on `terminal`."""
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def serve(asked: socket.socket) -> str:
    """Fork for each request, and tell how each child ended; gives the program, in the child."""
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready = select.select([asked, wake], [], [])[0]
        if wake in ready:
            os.read(wake, 4096)
            while (ended := _reaped()) is not None:
                asked.send(json.dumps({"ended": ended[0], "code": os.waitstatus_to_exitcode(ended[1])}).encode())
        if asked not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(asked, 1 << 20, 1)
        if not message:
            sys.exit()
        request, (terminal,) = json.loads(message), descriptors
        if pid := os.fork():
            os.close(terminal)
            asked.send(json.dumps({"pid": pid}).encode())
            continue
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor in (wake, woken):
            os.close(descriptor)
        asked.close()
        own_terminal(terminal)
        for standard in range(3):
            os.dup2(terminal, standard)
        os.close(terminal)
        sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)
        sys.stdout = sys.__stdout__ = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, closefd=False, errors="backslashreplace")
        os.environ.clear()
        os.environ.update(request["environ"])
        sys.argv = ["-c", *request["arguments"]]
        return request["program"]


def _reaped() -> tuple[int, int] | None:
    try:
        ended = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return ended if ended[0] else None


if __name__ == "__main__":
    from monosem_tui.terminal import capabilities

    capabilities.apply(capabilities.decide(os.environ).settings())
    import monosem_tui.app
    import monosem_tui.launch
    import monosem_tui.screens.session
    import monosem_tui.terminal.textual_patches  # noqa: F401

    gc.freeze()
    program = serve(socket.socket(fileno=int(sys.argv[1])))
    exec(compile(program, "<app>", "exec"), {"__name__": "__main__"})
