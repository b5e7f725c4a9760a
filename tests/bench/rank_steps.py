"""Training by two processes of a thread each, beside one process: steps of wide dictionaries, and a sweep.

    python -m tests.bench.rank_steps D_IN D_SAE K BATCH STEPS OUT

is what a rank does, and what one process does by itself. Bytes are counted at the loopback interface, so whatever else
talks over it is counted too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch

from engine.ranks.group import joined
from engine.ranks.launcher import launch
from engine.resources.estimates import SaeWork
from engine.resources.traffic import feature_bytes
from engine.sae.shard import FeatureShard
from store.run.events import EndEvent, read_events
from tests.bench.page import Table
from tests.bench.stories import LAYER, Missing, Stories
from tests.bench.timing import grouped
from tests.bench.topk import Size, default_products, started, trainer_settings

INTERFACES = Path("/proc/net/dev")


@dataclass(frozen=True)
class Plan:
    """Dictionaries, steps of each, rounds, and the settings of the sweep."""

    sizes: tuple[Size, ...]
    steps: int
    rounds: int
    sweep: Sequence[str]


FULL = Plan(
    (Size(64, 16_384, 32, 1024), Size(768, 24_576, 32, 2048), Size(128, 131_072, 32, 1024)),
    steps=5,
    rounds=3,
    sweep=("--tokens", "200k", "--d-sae", "1024,2048", "--k", "16,32"),
)
QUICK = Plan((Size(32, 256, 8, 256),), steps=2, rounds=1, sweep=("--tokens", "20k", "--d-sae", "64,128"))
WAYS = {"one process, two threads": (1, 2), "one process, one thread": (1, 1), "two processes, one thread each": (2, 1)}
"""Processes, and threads of each."""


def measure(plan: Plan = FULL) -> Table:
    """Each size, and the sweep, in each of the ways in turn."""
    rows = [row for size in plan.sizes for row in _of_size(size, plan)]
    try:
        rows += _of_sweep(plan)
    except Missing as missing:
        sys.stderr.write(f"no sweep: {missing}\n")
    columns = (
        "training",
        "by",
        "tokens/s",
        "beside two threads",
        "memory of a process",
        "sent in a step",
        "by formula",
    )
    note = (
        f"Medians of {plan.rounds} rounds. Dictionaries: TopK steps on random activations, no dead features; memory is "
        "the peak above that of the imported libraries; sent by both processes, as the loopback interface counts it. "
        "The sweep: four trainings on stories260K with the model's forwards, each whole on one of the processes."
    )
    return Table(columns, rows, (note,))


def _of_size(size: Size, plan: Plan) -> list[tuple[str, ...]]:
    work = SaeWork(dense_copies=2, d_in=size.d_in, d_sae=size.d_sae, k=size.k, batch=size.batch)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in WAYS}
    for _ in range(plan.rounds):
        for name, (processes, threads) in WAYS.items():
            found[name].append(_measured(size, plan.steps, processes, threads))
    rows: list[tuple[str, ...]] = []
    base = 0.0
    for name, (processes, _) in WAYS.items():
        speed, memory, sent = (median(one[key] for one in found[name]) for key in ("tokens_s", "memory", "sent"))
        base = base or speed
        formula = processes * feature_bytes("topk", work, processes)
        traffic = ("–", "–") if processes == 1 else (f"{sent / 1e6:.2f} MB", f"{formula / 1e6:.2f} MB")
        rows.append((str(size), name, grouped(speed), f"{speed / base:.2f} ×", f"{memory / 1e6:.0f} MB", *traffic))
    return rows


def _measured(size: Size, steps: int, processes: int, threads: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        given = [str(value) for value in (size.d_in, size.d_sae, size.k, size.batch, steps, out)]
        with patch.dict(os.environ, OMP_NUM_THREADS=str(threads)):
            if processes > 1:
                launch(processes, "tests.bench.rank_steps", given)
            else:
                subprocess.run([sys.executable, "-m", "tests.bench.rank_steps", *given], check=True)
        found: dict[str, Any] = json.loads(out.read_text())
    sys.stderr.write(f"{size}: {processes} × {threads}: {found}\n")
    return found


def _of_sweep(plan: Plan) -> list[tuple[str, ...]]:
    stories, speeds = Stories.find(), {name: [0.0] * 0 for name in WAYS}
    for _ in range(plan.rounds):
        for name, (processes, threads) in WAYS.items():
            with tempfile.TemporaryDirectory() as folder:
                command = [str(Path(sys.executable).parent / "monosem"), "train", "--model", str(stories.model)]
                command += ["--data", str(stories.text), "--layer", str(LAYER), "--no-index", *plan.sweep]
                command += ["--nproc", str(processes), "--runs-dir", folder]
                environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
                subprocess.run(command, check=True, env=environment, capture_output=True)
                ends = [read_events(path)[-1] for path in Path(folder).glob("*/events.jsonl")]
            speeds[name].append(min(end.tok_s for end in ends if isinstance(end, EndEvent)))
            sys.stderr.write(f"sweep: {name}: {grouped(speeds[name][-1])}\n")
    base = median(speeds["one process, two threads"])
    return [
        ("a sweep of four", name, grouped(median(found)), f"{median(found) / base:.2f} ×", "–", "–", "–")
        for name, found in speeds.items()
    ]


def sent_bytes() -> int:
    """Bytes that have gone over the loopback interface, headers and confirmations included."""
    lines = INTERFACES.read_text().splitlines() if INTERFACES.exists() else []
    return next((int(line.split(":")[1].split()[8]) for line in lines if line.strip().startswith("lo:")), 0)


def take_steps(size: Size, steps: int, out: Path) -> None:
    """Take the steps as one rank; the first one writes what was measured."""
    with joined() as ranks:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        torch.manual_seed(0)
        x_BD = torch.randn(size.batch, size.d_in)
        settings = trainer_settings(size, 10**6, default_products())
        shard = FeatureShard(ranks)
        loaded = peak()
        trainer = started(replace(settings, sae=replace(settings.sae, shard=shard)), x_BD)
        trainer.step(x_BD)
        ranks.gathered(None)
        began, before = time.perf_counter(), sent_bytes()
        for _ in range(steps):
            trainer.step(x_BD)
        ranks.gathered(None)
        seconds, sent = time.perf_counter() - began, sent_bytes() - before
        memory = ranks.gathered(peak() - loaded)
        if ranks.first:
            found = {"tokens_s": steps * size.batch / seconds, "sent": sent / steps, "memory": max(memory)}
            out.write_text(json.dumps(found))


def peak() -> int:
    """The most memory that this process has held, in bytes; getrusage would count that of the process it came from."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


if __name__ == "__main__":
    *numbers, place = sys.argv[1:]
    d_in, d_sae, k, batch, count = map(int, numbers)
    take_steps(Size(d_in, d_sae, k, batch), count, Path(place))
