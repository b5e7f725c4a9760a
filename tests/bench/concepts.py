"""Which concepts does `monosem find` find in a small dictionary? One search per pattern, held out, from the command.

Feature and threshold are chosen on one half of the contexts; every figure is measured on the other.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.page import Table
from tests.bench.steering import monosem
from tests.bench.stories import Stories

COLUMNS = ("pattern", "matches", "best feature", "precision, recall", "F1", "AUROC", "set", "recall, F1 of the set")
WATER = r"(?i)\b(swim|ocean|sea|beach|fish|boat|water)\b"
PATTERNS = (
    r"\bOnce upon a time\b",
    r"\n",
    r"\bsaid\b",
    r"\b(not|n't)\b|n't\b",
    r"\b(was|were)\b",
    r'[.!?]"',
    r"\b(she|her|She|Her)\b",
    r"\b(happy|sad|scared|angry|excited)\b",
    r"\b[A-Z][a-z]+\b",
    r"\b(dog|cat|bird|bear|rabbit)\b",
)


@dataclass(frozen=True)
class Plan:
    """A training, and the searches in its index: pattern, and whether only the token that ends a match counts."""

    training: tuple[str, ...]
    searches: tuple[tuple[str, bool], ...]


FULL = Plan(
    ("--layer", "2", "--arch", "topk", "--d-sae", "1024", "--k", "16", "--tokens", "1M"),
    ((WATER, False), (WATER, True), *((pattern, True) for pattern in PATTERNS)),
)
QUICK = Plan(
    ("--layer", "2", "--d-sae", "128", "--k", "8", "--tokens", "30k", "--index-tokens", "20k"),
    ((WATER, False), (r"\bsaid\b", True)),
)


def measure(plan: Plan = FULL) -> Table:
    """Train, index, and search for every pattern."""
    stories = Stories.find()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        given = ("--model", str(stories.model), "--data", str(stories.text), "--out", str(run), "--context", "256")
        monosem("train", *given, *plan.training)
        answers = [
            json.loads(monosem("find", str(run), pattern, *["--last"] * last, "--held-out", "--top", "1", "--json"))
            for pattern, last in plan.searches
        ]
    notes = (
        f"{answers[0]['counted_tokens']:,} counted tokens. `monosem train {' '.join(plan.training)}`, then "
        "`monosem find RUN PATTERN --last --held-out` each; [ ] are 95 % intervals, which treat tokens as independent. "
        "These are all that were tried.",
    )
    rows = [row(name, answer) for name, answer in zip(named(plan.searches), answers, strict=True)]
    return Table(COLUMNS, rows, notes)


def named(searches: tuple[tuple[str, bool], ...]) -> list[str]:
    """The first cell of each row."""
    return [f"`{pattern}`" + ("" if last else ", every token of a match") for pattern, last in searches]


def row(name: str, answer: dict[str, Any]) -> tuple[str, ...]:
    """A row of the table from an answer of `monosem find --json`."""
    matches = f"{answer['matched_tokens']:,}".replace(",", " ")
    if not answer["results"]:
        return (name, matches, *["–"] * (len(COLUMNS) - 2))
    best, several = answer["results"][0], answer["set"]
    single = (
        str(best["feature"]),
        f"{best['precision']:.2f}, {best['recall']:.2f}",
        _f1(best),
        f"{best['auroc']:.3f}",
    )
    if several is None or len(several["features"]) < 2:
        return (name, matches, *single, "1", "")
    return (name, matches, *single, str(len(several["features"])), f"{several['recall']:.2f}, {_f1(several)}")


def _f1(found: dict[str, Any]) -> str:
    low, high = found["f1_ci"]
    return f"{found['f1']:.3f} [{low:.3f}, {high:.3f}]"
