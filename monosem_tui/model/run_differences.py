"""Runs beside each other: their figures, and the settings in which they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from monosem_tui.draw.safe_text import printable
from monosem_tui.model.runs_watch import RunState
from store.run.folder import RunFolder, RunRecord

NONE = "–"
"""Stands where a run has no such setting."""


@dataclass(frozen=True)
class ComparedRun:
    """A run in a comparison; texts are printable."""

    name: str
    tokens: int | None
    explained_variance: float | None
    l0: float | None
    settings: Mapping[str, str]
    """Value by name: what it was trained on and how."""


def read_compared(states: Sequence[RunState]) -> list[ComparedRun]:
    """Read runs that are to be compared.

    Raises:
        MonosemError: a run.json is missing or damaged.
    """
    return [
        ComparedRun(
            printable(state.row.name),
            state.row.tokens,
            state.row.explained_variance,
            state.row.l0,
            _settings(RunFolder(state.path).record()),
        )
        for state in states
    ]


def _settings(record: RunRecord) -> dict[str, str]:
    known = asdict(record.spec) | {"corpus": record.provenance.corpus} | record.config.get("train", {})
    known |= {"seed": record.provenance.seed} if "seed" not in known else {}
    return {printable(str(name)): printable(_said(value)) for name, value in known.items()}


def _said(value: object) -> str:
    return NONE if value is None or value == "" else f"{value:g}" if isinstance(value, float) else str(value)


def differing(runs: Sequence[ComparedRun]) -> list[str]:
    """Return the names of settings that are not the same in all runs, in the order of the first that has each."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    return [name for name in names if len({run.settings.get(name, NONE) for run in runs}) > 1]
