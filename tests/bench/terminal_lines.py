"""Costs of the open app: bytes on the line, waits after keys, memory, through a pseudo-terminal of 200×50.

Bytes are those of 256 colours. A wait is from the key to the first bytes of what it asks for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from monosem_tui.model.open_run import open_run
from monosem_tui.screens.catalogue import Catalogue, Ordering
from tests.bench.timing import grouped
from tests.tui.live_app import ROOT
from tests.tui.pty_bytes import PtyApp

Row = tuple[str, str, str]
"""Name, figure, and budget."""
SIZE = 200, 50
KEPT = 10.0
"""Seconds between a long debounce and a step: the page stays out of what the step costs."""
HELD = 1 / 30
"""Seconds between the letters of a key that is held down."""
STEPS = 20
TOKENS = 120
IDLE: dict[str, tuple[bytes, bytes]] = {
    "Browse": (b"", b""),
    "a page": (b"\r", b"scroll"),
    "Find": (b":find ba\r", b"together"),
    "Live": (b"3", b"PROMPT"),
    "Health": (b"4", b"DENSITY"),
    "Runs": (b"5", b"dictionary"),
}
"""Keys that lead to each screen, and what is there then."""


@contextmanager
def opened(run: Path, **settings: str) -> Iterator[PtyApp]:
    """The app, its first page drawn."""
    with PtyApp(run, *SIZE, fresh=True, TERM="xterm-256color", PYTHONPATH=str(ROOT), **settings) as app:
        app.read_until(b"PROMOTES")
        app.rest()
        yield app


def memory(run: Path, what: str) -> Row:
    """Resident size once the first page stands."""
    with opened(run) as app:
        status = Path(f"/proc/{app.process.pid}/status").read_text()
    size = next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))
    return (f"`monosem tui`, resident, {what}", f"{size:.0f} MiB", "budget 150 MB")


def ordering(run: Path, what: str, times: int) -> list[Row]:
    """Another order, and filters, of the whole list."""
    there = open_run(run)
    try:
        catalogue = Catalogue(there)
        orders = {
            "sorting by density": Ordering(sort="density"),
            "sorting by id": Ordering(sort="id", descending=False),
            "filter `density>1e-4`": Ordering(text="density>1e-4"),
            "filter `ba`, words": Ordering(text="ba"),
            "filter `ba density>1e-5`": Ordering(text="ba density>1e-5"),
        }
        began = time.perf_counter()
        catalogue.order(Ordering(text="ba"))
        took = 1e3 * (time.perf_counter() - began)
        rows = [(f"the first filter for words, {what}", f"{took:.0f} ms", "budget 50 ms")]
        for name, order in orders.items():
            found = []
            for _ in range(times):
                catalogue.order(Ordering())
                began = time.perf_counter()
                catalogue.order(order)
                found.append(1e3 * (time.perf_counter() - began))
            rows.append((f"{name}, {what}", f"{np.median(found):.0f} ms", "budget 50 ms"))
        return rows
    finally:
        there.store.close()


def bytes_of_keys(run: Path) -> list[Row]:
    """Start, a step, `j` held down, another page."""
    with PtyApp(run, *SIZE, fresh=True, TERM="xterm-256color") as app:
        start = len(app.read_until(b"PROMOTES") + app.rest())
        page = float(np.median([len(app.press(b"J")) for _ in range(7)]))
        held = 0
        for _ in range(STEPS):
            held += len(app.press(b"j", HELD))
        held += len(app.rest())
    with PtyApp(run, *SIZE, debounce=KEPT, fresh=True, TERM="xterm-256color") as app:
        app.read_until(b"features")
        app.read(1.0)
        steps = [len(app.press(b"j", 0.2)) for _ in range(SIZE[1])]
    return [
        ("bytes, start", grouped(start), "budget 90 000"),
        ("bytes, a step in the list", grouped(sorted(steps)[-2]), "budget 1 500"),
        ("bytes, a step that scrolls it", grouped(max(steps)), "budget 6 000"),
        (f"bytes, `j` held for {STEPS} rows, with the page behind it", grouped(held), ""),
        ("bytes, another page", grouped(page), ""),
    ]


def idle(run: Path, wait: float) -> Row:
    """Bytes that all screens write together while no key is pressed."""
    with ExitStack() as stack:
        apps = {name: stack.enter_context(opened(run)) for name in IDLE}
        for name, (keys, awaited) in IDLE.items():
            os.write(apps[name].master, keys)
            if awaited:
                apps[name].read_until(awaited)
            apps[name].rest()
        time.sleep(wait)
        written = {name: len(app.read(0)) for name, app in apps.items()}
    most = ", ".join(f"{name} {size}" for name, size in written.items() if size)
    return (f"bytes in {wait:.0f} s of rest: {', '.join(written)}", most or "0", "budget 0")


def first_bytes(app: PtyApp, keys: bytes, awaited: bytes = b"") -> float:
    """Milliseconds from keys to what they ask for, or to anything."""
    began = time.perf_counter()
    os.write(app.master, keys)
    app.read_until(awaited) if awaited else app.piece()
    return 1e3 * (time.perf_counter() - began)


def last_bytes(app: PtyApp, keys: bytes) -> float:
    """Milliseconds from keys to the end of what they lead to."""
    last = began = time.perf_counter()
    os.write(app.master, keys)
    while app.piece(0.3):
        last = time.perf_counter()
    return 1e3 * (last - began)


def shown(waits: Sequence[float]) -> str:
    """Median and 95th percentile."""
    p50, p95 = np.percentile(waits, (50, 95))
    return f"p50 {p50:.0f} ms, p95 {p95:.0f} ms"


def waits_for_pages(run: Path, what: str, steps: int) -> list[Row]:
    """A step while pages are read, and a whole page."""
    with opened(run) as app:
        keys = []
        for _ in range(steps):
            keys.append(first_bytes(app, b"j"))
            app.read(HELD)
        app.rest()
    with PtyApp(run, *SIZE, debounce=0.0, fresh=True, TERM="xterm-256color") as app:
        app.read_until(b"PROMOTES")
        app.rest()
        pages = []
        for _ in range(steps):
            pages.append(last_bytes(app, b"J"))
    return [
        (f"`j` held down, to the row, {what}", shown(keys), ""),
        (f"`J` to the whole page, {what}", shown(pages), ""),
    ]


def live(run: Path, steps: int) -> list[Row]:
    """Live beside a pretended model: keys while it writes 50 tokens a second, and what a token costs."""
    with opened(run, FAKE_MODEL="ever") as app:
        app.press(b"cjc3")
        app.press(b"pba be", 0.3)
        os.write(app.master, b"\x07")
        app.read(HELD)
        waits = []
        for _ in range(steps):
            app.press(b"?", 0.0)  # what the cursor is on; the second one lists the keys, the third closes them
            waits.append(first_bytes(app, b"?", b"keys in "))
            app.press(b"?", 0.0)
            until = time.monotonic() + 0.2
            while time.monotonic() < until:
                app.piece(0.01)
    with opened(run, FAKE_MODEL="calm") as app:
        app.press(b"cjc3")
        app.press(b"g max=%d\r" % TOKENS)
        app.press(b"pba be", 0.3)
        os.write(app.master, b"\x07")
        written = len(app.read_until(b"(limit)") + app.rest())
    return [
        ("Live, a key while it writes 50 tokens/s", shown(waits), "budget 50 ms"),
        (f"Live, bytes a token, {TOKENS} tokens, 2 clamps", grouped(written / TOKENS), "budget 1 200"),
    ]


def cold(run: Path) -> list[Row]:
    """Live with a model that is not loaded yet: the screen, and the first token of a tiny model."""
    with opened(run) as app:
        screen = first_bytes(app, b"3", b"PROMPT")
        app.rest()
        app.press(b"g max=8\r")
        app.press(b"pw5 w9", 0.3)
        began = time.perf_counter()
        os.write(app.master, b"\x07")
        app.read_until(b"(limit)")
        written = time.perf_counter() - began
    return [
        ("Live, to the screen, no model loaded", f"{screen:.0f} ms", ""),
        ("Live, from `ctrl+g` to 8 tokens of a tiny model, PyTorch and the model cold", f"{written:.1f} s", ""),
    ]
