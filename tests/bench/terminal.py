"""Waits at the terminal, and size of the index on disk.

Uses runs/demo where it is there (`make demo`), else a sample run of the same size.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monosem_tui.model.feature_card import read_card
from monosem_tui.model.snippets import read_preview
from store.index.reader import FeatureStore
from store.query.feature_order import ColumnKey, sort_features
from tests.bench import terminal_lines as lines
from tests.bench.big_store import build_big
from tests.bench.page import Table
from tests.bench.timing import grouped, seconds
from tests.cli.live_runs import live_run
from tests.sample_run import build_sample
from tests.tui.pty_bytes import PtyApp

BIN = Path(sys.executable).parent
KEEPS = {"PYTHONDONTWRITEBYTECODE": ""}
"""An installed package has its bytecode; here the first timed run writes it."""
Row = tuple[str, str, str]
"""Name, figure, and the figure to compare with in the same run."""


@dataclass(frozen=True)
class Plan:
    """The large store's size, and how often each thing is done."""

    features: int
    tokens: int
    times: int
    rest: float
    """Seconds without a key."""


FULL = Plan(131_072, 1_000_000, 7, 10.0)
QUICK = Plan(2048, 20_000, 1, 0.5)
ROWS = lines.SIZE[1] - 4
"""Rows of the list on the large terminal: header, title, names of columns and bottom line take the others."""
ORDERS: tuple[ColumnKey, ...] = ("max", "density", "id")
ACTIVE = 16
"""Features that fire on a token of the large store."""


def measure(plan: Plan = FULL) -> Table:
    """Measure all rows."""
    with tempfile.TemporaryDirectory() as folder:
        run, what = Path("runs/demo"), "the demo's store"
        if not (run / "features.h5").is_file():
            run, what = build_sample(Path(folder) / "run", n_features=2048, n_contexts=400).run.path, "a sample store"
        large = build_big(Path(folder) / "large", plan.features, plan.tokens, ACTIVE).run.path
        size = f"{grouped(plan.features)} features, {grouped(plan.tokens)} tokens"
        rows = [help_time(plan), first_paint(run, what, plan), first_paint(large, size, plan)]
        rows += [lines.memory(large, size), page_reads(run, what), page_reads(large, size), row_reads(large, size)]
        rows += [index_size(run, what)]
        rows += lines.ordering(large, size, plan.times) + lines.waits_for_pages(large, size, 3 * plan.times)
        rows += [*lines.bytes_of_keys(large), lines.idle(large, plan.rest)]
        rows += lines.live(large, 3 * plan.times) + lines.cold(live_run(Path(folder) / "cold").path)
    note = "Bytes, waits behind keys and rest: a pseudo-terminal of 200×50 with 256 colours, the large store."
    return Table(("what", "measured", "beside it, in the same run, or its budget"), rows, (note,))


def _process(*command: str) -> Callable[[], object]:
    return lambda: subprocess.run(command, check=True, capture_output=True, env=os.environ | KEEPS)


def help_time(plan: Plan) -> Row:
    """`monosem --help` beside an empty Python and beside importing typer alone."""
    ours = seconds(_process(str(BIN / "monosem"), "--help"), 2 * plan.times)
    bare = seconds(_process(sys.executable, "-c", "pass"), 2 * plan.times)
    typer = seconds(_process(sys.executable, "-c", "import typer"), 2 * plan.times)
    beside = f"Python alone {1e3 * bare:.0f} ms, `import typer` {1e3 * typer:.0f} ms"
    return ("`monosem --help`", f"{1e3 * ours:.0f} ms", beside)


def first_paint(run: Path, what: str, plan: Plan) -> Row:
    """From exec to the first rows of the list on a pseudo-terminal."""

    def paint() -> None:
        with PtyApp(run, 120, 36, fresh=True, TERM="xterm-256color", **KEEPS) as app:
            app.read_until(b" features ")

    imports = "import typer, h5py, textual.app"
    beside = f"`{imports}` alone {1e3 * seconds(_process(sys.executable, '-c', imports), plan.times):.0f} ms"
    return (f"`monosem tui`, first paint, {what}", f"{1e3 * seconds(paint, plan.times):.0f} ms", beside)


def page_reads(run: Path, what: str) -> Row:
    """Everything a feature's page shows, read from the store."""
    with FeatureStore.open(run) as store:
        alive = np.flatnonzero(store.columns.count_F)
        picked = np.random.default_rng(0).choice(alive, min(300, len(alive)), replace=False)
        read_card(store, {}, int(picked[0]))
        found = []
        for feature in picked:
            start = time.perf_counter()
            read_card(store, {}, int(feature))
            found.append(1e3 * (time.perf_counter() - start))
    p50, p95 = np.percentile(found, (50, 95))
    return (f"a feature's page, read, {what}", f"p50 {p50:.1f} ms, p95 {p95:.1f} ms", "budget 16 ms")


def row_reads(run: Path, what: str) -> Row:
    """Examples and histograms of a screen of the list, as many as 200×50 shows, in three orders."""
    found = []
    with FeatureStore.open(run) as store:
        alive = np.flatnonzero(store.columns.count_F)
        for key in ORDERS:
            ids = sort_features(store.columns, alive, key, descending=key != "id")
            for first in range(0, min(len(ids), 20 * ROWS), ROWS):
                start = time.perf_counter()
                for feature in ids[first : first + ROWS].tolist():
                    read_preview(store, feature)
                found.append(1e3 * (time.perf_counter() - start))
    p50, p95 = np.percentile(found[1:], (50, 95))
    return (f"{ROWS} rows of the list, read, {what}", f"p50 {p50:.1f} ms, p95 {p95:.1f} ms", "budget 16 ms")


def index_size(run: Path, what: str) -> Row:
    """Bytes of features.h5 that the activations take, in both orders."""
    import h5py

    with h5py.File(run / "features.h5", "r") as file:
        entries = len(file["forward/act"])
        size = sum(file[f"{order}/{name}"].nbytes for order in ("forward", "inverted") for name in file[order])
    return (f"index on disk, {what}", f"{size / entries:.1f} bytes a non-zero", "budget 12")
