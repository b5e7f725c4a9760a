"""A terminal that is gone: what is written to it is dropped, and nothing waits."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

from monosem_tui.terminal.textual_patches import LineWriter
from tests.patience import PATIENCE


def _write_all(writer: LineWriter) -> bool:
    """Write far more than the queue holds, then stop; whether that ended."""

    def write() -> None:
        for _ in range(200):
            writer.write("x")
        writer.stop()

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return not (thread.is_alive() or writer.is_alive())


def test_writes_after_the_line_is_gone_wait_for_nothing() -> None:
    """Nor is anything kept that Python would write at its end, and fail."""
    there, here = os.pipe()
    os.close(there)
    with os.fdopen(here, "w") as line:
        writer = LineWriter(line)
        writer.start()
        assert _write_all(writer)
        line.flush()
        assert os.path.samestat(os.fstat(here), Path(os.devnull).stat())


def test_everything_reaches_a_line_that_stays() -> None:
    line = io.StringIO()
    writer = LineWriter(line)
    writer.start()
    assert _write_all(writer)
    assert line.getvalue() == "x" * 200
