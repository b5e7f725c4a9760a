"""The real app in a pseudo-terminal whose bytes are counted: what a slow line would have to carry."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from functools import partial
from pathlib import Path
from types import TracebackType

from tests.patience import PATIENCE
from tests.tui.nursery import Child, nursery, own_terminal

ROOT = Path(__file__).parents[2]
_LAUNCH = """
import os, sys
from pathlib import Path
from monosem_tui.terminal import capabilities as terminal
from monosem_tui.launch import browse
terminal.apply(terminal.decide(os.environ).settings())
from monosem_tui.screens.session import Tuning
tuning = Tuning(pause=0.0, **({"rest": float(sys.argv[2])} if len(sys.argv) > 2 else {}))
if os.environ.get("FAKE_MODEL"):
    terminal.apply(terminal.decide(os.environ).settings())
    from tests.tui.live_app import ModelConnection, fake
    ModelConnection.command = staticmethod(fake(*os.environ["FAKE_MODEL"].split()))
path = Path(sys.argv[1])
os.chdir(os.environ.pop("EXPORT_TO", "."))
if "TRACES" in os.environ:
    import threading, traceback
    def trace(kind, error, where, *_):
        with open(os.environ["TRACES"], "a") as stream:
            traceback.print_exception(kind, error, where, file=stream)
    sys.excepthook = trace
    threading.excepthook = sys.unraisablehook = lambda raised: trace(*raised[:3])
    from textual.app import App
    fatal = App._fatal_error
    App._fatal_error = lambda self: (trace(*sys.exc_info()), fatal(self))[1]
alone = (path / "run.json").exists() or path.is_file()
sys.exit(browse(path, tuning=tuning) if alone else browse(None, root=path, tuning=tuning))
"""
_NOWHERE = "/dev/null/state"
"""A folder that keeps nothing: each app starts without state."""
LOOK, REST, FOLLOWS, ESCAPES = 0.02, 0.07, 0.08, 0.11
"""Seconds between two looks at an app; that it must have slept to be at rest: more than until its next frame; that it
may sleep before the page follows; and before an escape character at the end of what it has read is a key."""
TRIFLE, IDLE = 1_000_000, 5_000_000
"""Nanoseconds of work that lead to nothing, at least and per second: a thread that looks whether there are keys."""


class PtyApp:
    """`monosem tui` on a run or a folder of runs, as a child on its own pseudo-terminal that answers no queries.

    It starts with its modules loaded already, or `fresh`, as a person starts it. A digit shows its screen at once: what
    is awaited next would else have to be waited for, whatever a press returns.
    `debounce` is the wait, in seconds, before the page follows the cursor: PATIENCE keeps the page out of what a step
    costs, however busy the machine is, and nothing waits for it. Among the variables, `EXPORT_TO` is
    the folder that the app is started in; `TRACES` a file that takes the traceback of every exception that nobody has
    caught; `FAKE_MODEL` how a pretended model behaves that Live then talks to.

    Example:
        >>> with PtyApp(run, 200, 50, TERM="xterm-256color") as app:
        ...     start = app.read_until(b"features")
        ...     step = app.press(b"j")
    """

    def __init__(
        self, run: Path, width: int, height: int, debounce: float | None = None, fresh: bool = False, **environ: str
    ) -> None:
        self._follows = FOLLOWS if debounce is None else debounce % PATIENCE
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        dropped = ("COLORTERM", "NO_COLOR", "TMUX", "SSH_CONNECTION", "SSH_TTY", "MONOSEM_COLOR", "MONOSEM_THEME")
        environ = {k: v for k, v in os.environ.items() if k not in dropped} | {"XDG_STATE_HOME": _NOWHERE} | environ

        arguments = [str(run), *([] if debounce is None else [str(debounce)])]
        self.process: subprocess.Popen[bytes] | Child
        if fresh:
            command = [sys.executable, "-c", _LAUNCH, *arguments]
            self.process = subprocess.Popen(
                command,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                cwd=ROOT,
                env=environ,
                preexec_fn=partial(own_terminal, slave),
            )
        else:
            self.process = nursery(environ).start(_LAUNCH, arguments, environ, slave)
        os.close(slave)

    def __enter__(self) -> PtyApp:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.hang_up()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def press(self, keys: bytes, quiet: float | None = None) -> bytes:
        """Send keys; everything written until the app is at rest, or from the first answer until none for `quiet` s.

        With `quiet`, the keys must have an answer.
        """
        self.send(keys)
        if quiet is None:
            return self.rest(ESCAPES if keys.endswith(b"\x1b") else 0.0)
        return self.piece() + self.read(quiet)

    def send(self, keys: bytes) -> None:
        """Send keys, and read nothing."""
        os.write(self.master, keys)

    def rest(self, longer: float = 0.0, *, children: bool = True) -> bytes:
        """Everything written until the app, and its children if asked for, sleep `longer` seconds more than usual.

        Waits no longer than it must, and on a busy machine as long as it must, which no fixed time does.
        """
        asleep, found = REST + self._follows + longer, b""
        trifle = max(TRIFLE, IDLE * asleep)
        begun = since = time.monotonic()
        work = working(self.process.pid, children)
        while (now := time.monotonic()) < since + asleep and now < begun + PATIENCE:
            if select.select([self.master], [], [], LOOK)[0]:
                piece = self._read()
                if not piece:
                    break
                found += piece
                since, work = time.monotonic(), None
            done = working(self.process.pid, children)
            if done is None or work is None or done - work > trifle:
                since, work = time.monotonic(), done
        return found

    def read(self, quiet: float) -> bytes:
        """Everything written until nothing comes for `quiet` seconds."""
        found = b""
        while select.select([self.master], [], [], quiet)[0]:
            piece = self._read()
            if not piece:
                break
            found += piece
        return found

    def piece(self, patience: float = PATIENCE) -> bytes:
        """The next piece; empty if none comes within `patience` seconds, or at the end."""
        return self._read() if select.select([self.master], [], [], patience)[0] else b""

    def read_until(self, awaited: bytes) -> bytes:
        """Everything written up to and including the piece that holds `awaited`."""
        found, deadline = b"", time.monotonic() + PATIENCE
        while awaited not in found:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise AssertionError(f"{awaited!r} never came; what did: {found[-2000:]!r}")
            piece = self._read()
            if not piece:
                raise AssertionError(f"the app ended before {awaited!r}: {found[-2000:]!r}")
            found += piece
        return found

    def resize(self, width: int, height: int) -> None:
        """Change the window's size."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.process.send_signal(signal.SIGWINCH)

    def wait(self) -> int:
        """The exit code, once the app has ended; reads on meanwhile, so that it can."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read(0.05)
        return self.process.wait(timeout=1)

    def hang_up(self) -> None:
        """The line drops."""
        if self.master >= 0:
            os.close(self.master)
            self.master = -1

    def _read(self) -> bytes:
        try:
            return os.read(self.master, 65536)
        except OSError:  # Linux says EIO where the other side has closed
            return b""


def working(pid: int, children: bool = True) -> int | None:
    """Nanoseconds that a process, with its `children`, has worked; None while one of them has something to do."""
    done = 0
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            if (thread / "stat").read_text().rpartition(")")[2].split()[0] not in "SZXT":
                return None
            done += int((thread / "schedstat").read_text().split()[0])
            for child in (thread / "children").read_text().split() if children else ():
                below = working(int(child))
                if below is None:
                    return None
                done += below
    except (FileNotFoundError, ProcessLookupError):  # one of them has ended meanwhile
        return None
    return done
