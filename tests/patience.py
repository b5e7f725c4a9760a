"""Waiting for what another process or thread does, as long as a busy machine needs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 120.0
"""Seconds after which something that should have come will never come. Only a failing test waits so long."""


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until `holds()`."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs: not if it is a zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def wait_for_end(pid: int) -> None:
    """Wait until a process has ended, whatever its parent."""
    eventually(lambda: not alive(pid))
