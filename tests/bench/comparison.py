"""Comparing two dictionaries on generated stores: time and memory of `monosem compare`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.big_store import build_big
from tests.bench.page import Table
from tests.bench.timing import grouped

_COMMAND = """
import json, resource, sys, threading
from monosem_tui.cli.main import run
own, over = [0], threading.Event()
def field(name):
    return 1024 * int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1])
def watch():
    while not over.wait(0.05):
        own[0] = max(own[0], field("RssAnon"))
threading.Thread(target=watch).start()
try:
    code = run(sys.argv[1:])
finally:
    over.set()
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"processor": used.ru_utime + used.ru_stime, "own": own[0], "resident": field("VmHWM")}))
sys.exit(code)
"""
"""A command, then a line with its processor time and memory; getrusage's memory has the parent's in it."""


@dataclass(frozen=True)
class Plan:
    """Size of both stores."""

    features: int
    tokens: int
    active: int
    memory: str


FULL = Plan(4096, 1_000_000, 32, "600M")
QUICK = Plan(256, 50_000, 8, "64M")


def measure(plan: Plan = FULL) -> Table:
    """Build two stores with other features on the same text, and compare them without nulls."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [
            build_big(Path(folder) / f"run{seed}", plan.features, plan.tokens, plan.active, None, seed).run
            for seed in (1, 2)
        ]
        paths = [str(run.path) for run in runs]
        command = [
            sys.executable,
            "-c",
            _COMMAND,
            "compare",
            *paths,
            "--shifts",
            "0",
            "--jobs",
            "1",
            "--memory",
            plan.memory,
            "--json",
        ]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        took = time.perf_counter() - began
    found, used = (json.loads(line) for line in done.stdout.splitlines())
    rows = [
        ("elapsed", f"{took:.1f} s", "60 s"),
        ("processor time", f"{used['processor']:.1f} s", ""),
        ("memory of its own, at most", f"{used['own'] / 1e9:.2f} GB", "1.5 GB"),
        ("resident, with pages of files that the system may take back", f"{used['resident'] / 1e9:.2f} GB", ""),
    ]
    note = (
        f"Two generated dictionaries of {grouped(plan.features)} features, {plan.active} active, over "
        f"{grouped(found['units'])} units (tests/bench/big_store.py): `monosem compare A B --shifts 0 "
        f"--memory {plan.memory}`, start and intervals in it."
    )
    return Table(("a comparison", "measured", "budget"), rows, (note,))
