"""docs/benchmarks.md: each part of `make bench` has a table of its own there, between marks of its own.

Every table says when, where and with which versions it was measured, so that a part can be measured anew by itself
without a figure of one run standing beside a figure of another in one table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import torch

from engine.runtime.devices import hardware, versions

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
NAMED = ("python", "torch", "transformers", "h5py")
"""Versions that stand above every table."""


@dataclass(frozen=True)
class Table:
    """Results of one part."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = field(default=())
    """Sentences below the table."""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{len(row)} cells below {len(self.columns)} columns: {row}")

    def markdown(self) -> str:
        """The table with its notes; a cell's own bars and line ends cannot break it."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        text = "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)
        return "\n\n".join([text, *self.notes])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def origin(took: float) -> str:
    """The line above a table: the day, the machine, versions, and how long measuring took (seconds)."""
    found = versions()
    named = ", ".join(f"{name} {found[name]}" for name in NAMED if name in found)
    return (
        f"{date.today().isoformat()} · {hardware(torch.device('cpu'))} · {named} · took {max(1, round(took / 60))} min"
    )


def begin(part: str) -> str:
    """The mark before a part's table."""
    return f"<!-- measured {part}: begin -->"


def end(part: str) -> str:
    """The mark after it."""
    return f"<!-- measured {part}: end -->"


def replaced(text: str, part: str, measured: str) -> str:
    """The page with `measured` between the part's marks, everything else as it was.

    Raises:
        ValueError: the page does not have each of the two marks once, in this order.
    """
    head, found, rest = text.partition(begin(part))
    _, closed, tail = rest.partition(end(part))
    if not (found and closed) or begin(part) in rest or end(part) in head + tail:
        raise ValueError(f"the page needs the marks {begin(part)} and {end(part)}, once each")
    return f"{head}{found}\n{measured}\n{closed}{tail}"
