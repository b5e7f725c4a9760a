"""A terminal that is gone: what is written to it is dropped, and nothing waits."""

from __future__ import annotations

import errno
import io
import threading

from monosem_tui.terminal.textual_patches import LineWriter
from tests.patience import PATIENCE


class _Line(io.StringIO):
    """A terminal that takes a number of writes, then hangs up."""

    def __init__(self, takes: int) -> None:
        super().__init__()
        self._takes = takes

    def write(self, text: str) -> int:
        if not self._takes:
            raise OSError(errno.EIO, "Input/output error")
        self._takes -= 1
        return super().write(text)

    def flush(self) -> None:
        if not self._takes:
            raise OSError(errno.EIO, "Input/output error")


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
    line = _Line(takes=3)
    writer = LineWriter(line)
    writer.start()
    assert _write_all(writer)
    assert line.getvalue() == "xxx"


def test_everything_reaches_a_line_that_stays() -> None:
    line = _Line(takes=1_000)
    writer = LineWriter(line)
    writer.start()
    assert _write_all(writer)
    assert line.getvalue() == "x" * 200
