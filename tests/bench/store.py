"""Building a store of real size, and reading pages from it. The build runs in a process of its own, for its memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from store.index.reader import FeatureStore
from store.query.examples import sections
from store.query.histogram import activation_histogram
from tests.bench.page import Table
from tests.bench.peer import answer
from tests.bench.timing import grouped

Row = tuple[str, str, str]
"""Name, figure, and the figure to compare with."""
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Plan:
    """The store's size, the memory of its build, and how many pages are read."""

    features: int
    tokens: int
    active: int
    memory: str
    pages: int
    dense: int


FULL = Plan(131_072, 10_000_000, 32, "2G", 1000, 100)
QUICK = Plan(2048, 50_000, 16, "64M", 50, 5)


def measure(plan: Plan = FULL) -> Table:
    """All of it; takes 12 bytes of temporary disk a non-zero twice over."""
    with tempfile.TemporaryDirectory() as folder:
        rows = build_rows(Path(folder) / "run", plan)
        rows += read_rows(Path(folder) / "run", plan)
    note = (
        f"{grouped(plan.features)} features, {grouped(plan.tokens)} tokens, {plan.active} active features a token "
        "(tests/bench/big_store.py). A page is `sections()`, `activation_histogram()`, logit effects and neighbours; "
        "files are in the page cache."
    )
    return Table(("a large store", "measured", "budget"), rows, (note,))


def build_rows(run: Path, plan: Plan) -> list[Row]:
    """Time and memory of the build."""
    flags = ["--features", plan.features, "--tokens", plan.tokens, "--active", plan.active, "--memory", plan.memory]
    command = [sys.executable, "-m", "tests.bench.big_store", str(run), *map(str, flags)]
    found = answer(subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout)
    sweep, drawing, merging = (float(found[name]) for name in ("sweep_s", "drawing_s", "merge_s"))
    return [
        ("sorting and sealing segments", f"{sweep:.0f} s, {drawing:.0f} s of it drawing what fires", ""),
        ("merging them", f"{merging:.0f} s", ""),
        ("the build's largest resident size", f"{found['peak_bytes'] / 2**20:.0f} MiB", f"--memory {plan.memory}"),
    ]


def read_rows(run: Path, plan: Plan) -> list[Row]:
    """Size, opening, and pages of random features and of the densest."""
    with h5py.File(run / "features.h5", "r") as file:
        entries = len(file["forward/act"])
        both = sum(file[f"{order}/{name}"].nbytes for order in ("forward", "inverted") for name in file[order])
    with FeatureStore.open(run) as store:
        count_F = store.columns.count_F
    alive, rng = np.flatnonzero(count_F), np.random.default_rng(0)
    picked = rng.choice(alive, min(plan.pages, len(alive)), replace=False)
    densest = np.argsort(-count_F, kind="stable")[: plan.dense]
    return [
        ("index on disk, both orders", f"{both / entries:.2f} bytes a non-zero, {both / 1e9:.2f} GB", "12 bytes"),
        ("opening it, with the list's columns", f"{1e3 * _opening(run):.1f} ms", "50 ms"),
        (f"a page of {len(picked)} random features", _pages(run, picked.tolist()), "p95 16 ms"),
        (f"a page of the {len(densest)} densest", _pages(run, densest.tolist()), "p95 16 ms"),
    ]


def _opening(run: Path, times: int = 7) -> float:
    found = []
    for _ in range(times):
        start = time.perf_counter()
        with FeatureStore.open(run) as store:
            assert len(store.columns.count_F)
            found.append(time.perf_counter() - start)
    return float(np.median(found))


def _pages(run: Path, features: Sequence[int]) -> str:
    took = []
    with FeatureStore.open(run) as store:
        sections(store, features[0])
        for feature in features:
            start = time.perf_counter()
            sections(store, feature)
            activation_histogram(store, feature)
            store.logits(feature)
            store.neighbours(feature)
            took.append(1e3 * (time.perf_counter() - start))
    p50, p95 = np.percentile(took, (50, 95))
    return f"p50 {p50:.1f} ms, p95 {p95:.1f} ms, at most {max(took):.1f} ms"
