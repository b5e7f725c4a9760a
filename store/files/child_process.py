"""Child processes of this package: started and ended alike, they speak in lines and end when their parent does."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[2]
"""The folder that this package is imported from."""


def start_child(module: str, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
    """Start `python -m module arguments`, with pipes for standard input and output.

    Args:
        module: full name of a module of this package.
        arguments: for its command line.
        environ: environment variables that it has besides ours.
    """
    # Without -P a module in the current folder could shadow a real one.
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(PACKAGE), "PYTHONFAULTHANDLER": "", **environ},
    )


def end_child(child: subprocess.Popen[bytes]) -> int:
    """Kill a child if it still runs, close its pipes, and return its exit code (minus the signal that ended it)."""
    child.kill()
    code = child.wait()
    for stream in (child.stdin, child.stdout):
        with suppress(BrokenPipeError):
            assert stream is not None
            stream.close()
    return code


def exit_reason(code: int) -> str:
    """Return an exit code in words, such as `SIGKILL` or `exit code 1`."""
    if code >= 0:
        return f"exit code {code}"
    return signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"


def ask(child: subprocess.Popen[bytes], question: str) -> None:
    """Send a child a line; nothing happens if it has ended, which reading its answer shows."""
    assert child.stdin is not None
    with suppress(BrokenPipeError):
        child.stdin.write(f"{question}\n".encode())
        child.stdin.flush()


# In the child


def answer(message: Mapping[str, Any]) -> None:
    """Write a line of JSON to standard output."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def end_with_standard_input() -> None:
    """Let the kernel end this process when its parent is gone, even while no Python code runs.

    Until `outlive_standard_input`, whatever arrives on standard input ends it too.
    """
    if not (hasattr(fcntl, "F_SETOWN") and hasattr(os, "O_ASYNC")):
        return
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    with suppress(OSError):
        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([0], [], [], 0)[0]:
        sys.exit(1)


def outlive_standard_input() -> None:
    """Undo `end_with_standard_input`: the parent may write again."""
    if hasattr(fcntl, "F_SETOWN") and hasattr(os, "O_ASYNC"):
        with suppress(OSError):
            fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) & ~os.O_ASYNC)
