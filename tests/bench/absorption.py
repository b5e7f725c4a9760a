"""Splitting, absorption and completeness of every architecture at several sizes, on planted text."""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from tests.bench.page import Table
from tests.bench.steering import monosem
from tests.bench.timing import grouped

DATA = "planted:absorption"
COLUMNS = (
    "architecture",
    "features",
    "L0",
    "explained variance",
    "F1 of classes",
    "missed",
    "worst word's recall",
    "leaders",
    "information",
    "absorbed",
    "concepts found by one, by up to 5",
)
FIGURES = ("f1", "miss_rate", "worst_recall", "leaders", "information", "absorbed")


@dataclass(frozen=True)
class Plan:
    """A language model, and trainings on it."""

    model: tuple[str, ...]
    training: tuple[str, ...]
    architectures: tuple[tuple[str, ...], ...]
    """Name, and a flag of its own."""
    sizes: tuple[int, ...]


FULL = Plan(
    ("--tokens", "800k", "--vocab", "2048", "--d-mlp", "64", "--context", "128"),
    ("--layer", "0", "--context", "128", "--tokens", "250k", "--eval-tokens", "40k", "--index-tokens", "60k"),
    (
        ("topk", "--k", "16"),
        *((name, "--k", "3") for name in ("topk", "batchtopk", "matryoshka", "jumprelu")),
        *((name,) for name in ("gated", "l1-norm", "relu")),
    ),
    (256, 1024, 4096),
)
QUICK = Plan(
    ("--tokens", "20k", "--vocab", "400", "--d-model", "16", "--heads", "2", "--context", "32"),
    ("--layer", "0", "--context", "32", "--tokens", "10k", "--eval-tokens", "4k", "--index-tokens", "8k"),
    (("topk", "--k", "4"),),
    (32, 64),
)


def measure(plan: Plan = FULL) -> Table:
    """Train the language model and every autoencoder on it, one command each for all sizes of an architecture."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder) / "lm")
        monosem("lm", "--data", DATA, "--out", model, *plan.model)
        sizes = ",".join(map(str, plan.sizes))
        for name, *flags in plan.architectures:
            out = "-".join((name, *flags[1:]))
            given = ("--model", model, "--data", DATA, "--arch", name, "--d-sae", sizes, *flags, *plan.training)
            with suppress(RuntimeError):  # one that explodes leaves the others, and its row says so
                monosem("train", *given, "--out", str(Path(folder) / out))
            for size in plan.sizes:
                run = Path(folder) / (out if len(plan.sizes) == 1 else f"{out}-f{size}")
                rows.append(measured(" ".join((name, *flags)), size, run))
    notes = (
        f"`monosem lm --data {DATA} {' '.join(plan.model)}`, then for each architecture A `monosem train --data {DATA} "
        f"--arch A --d-sae {sizes} {' '.join(plan.training)}`. Means over the ten classes, in brackets with shuffled "
        "words, as docs/formulas.md defines them. The last column is completeness: judged concepts of `monosem find "
        "RUN --concepts planted` found on held-out documents.",
    )
    return Table(COLUMNS, rows, notes)


def measured(name: str, size: int, run: Path) -> tuple[str, ...]:
    """The row of a run, from its record and its completeness; of a training that failed, why."""
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    if record["status"] != "done":
        return (name, grouped(size), f"failed: {record['message']}", *[""] * (len(COLUMNS) - 3))
    found = json.loads(monosem("find", str(run), "--concepts", "planted", "--json"))
    return row(name, size, record["evaluation"], found)


def row(name: str, size: int, evaluation: dict[str, Any], found: dict[str, Any]) -> tuple[str, ...]:
    """A row of the table, from `monosem eval --json` and `monosem find --concepts planted --json`."""
    classes = evaluation["absorption"]
    means = {side: {figure: _mean(classes, side, figure) for figure in FIGURES} for side in ("found", "shuffled")}
    mine, other = means["found"], means["shuffled"]

    def share(figure: str) -> str:
        return f"{100 * mine[figure]:.1f} % ({100 * other[figure]:.1f} %)"

    return (
        name,
        grouped(size),
        f"{evaluation['l0']:.1f}",
        f"{evaluation['explained_variance']:.3f}",
        f"{mine['f1']:.2f} ({other['f1']:.2f})",
        share("miss_rate"),
        f"{mine['worst_recall']:.2f} ({other['worst_recall']:.2f})",
        f"{mine['leaders']:.1f} ({other['leaders']:.1f})",
        f"{mine['information']:.2f} ({other['information']:.2f})",
        share("absorbed"),
        f"{_part(found['share'])}, {_part(found['share_set'])} of {found['judged']}",
    )


def _mean(classes: list[dict[str, Any]], side: str, figure: str) -> float:
    return fmean(one[side][figure] for one in classes) if classes else 0.0


def _part(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"
