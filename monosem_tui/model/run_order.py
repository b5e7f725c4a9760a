"""The order of the list of runs: a filter by words, and the column that sorts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from monosem_tui.model.runs_watch import RunState

RunSort = Literal["newest", "name", "status", "date", "trained", "EV", "L0"]
RUN_SORTS: tuple[RunSort, ...] = get_args(RunSort)
"""Columns in their order; `newest` is by the last change of a run."""
_ASCENDING: tuple[RunSort, ...] = ("name", "status")
_NUMBERS: dict[RunSort, Callable[[RunState], float | None]] = {
    "date": lambda state: state.created,
    "trained": lambda state: state.row.tokens,
    "EV": lambda state: state.row.explained_variance,
    "L0": lambda state: state.row.l0,
}
_TEXTS: dict[RunSort, Callable[[RunState], str]] = {
    "name": lambda state: state.row.name.casefold(),
    "status": lambda state: state.row.status,
}


@dataclass(frozen=True)
class RunOrdering:
    """The order and filter of the list of runs."""

    sort: RunSort = "newest"
    descending: bool = True
    text: str = ""
    """Words that a run must have, in its name, status, model, site or dictionary; `!` before one it must not have."""

    def next_sort(self) -> RunOrdering:
        """Return the order by the next column: names from a on, numbers from large to small."""
        return self.sorted_by(RUN_SORTS[(RUN_SORTS.index(self.sort) + 1) % len(RUN_SORTS)])

    def sorted_by(self, sort: RunSort) -> RunOrdering:
        """Return the order by a column; by the same one, the other way round."""
        if sort == self.sort:
            return replace(self, descending=not self.descending)
        return replace(self, sort=sort, descending=sort not in _ASCENDING)


def arranged(states: Sequence[RunState], ordering: RunOrdering) -> tuple[RunState, ...]:
    """Return the runs that pass the filter, in order; those without a figure come last."""
    kept = [state for state in states if _passes(state, ordering.text)]
    sort = ordering.sort
    if sort == "newest":
        return tuple(kept if ordering.descending else reversed(kept))
    if sort in _TEXTS:
        return tuple(sorted(kept, key=_TEXTS[sort], reverse=ordering.descending))
    number = _NUMBERS[sort]
    known = [state for state in kept if number(state) is not None]
    others = [state for state in kept if number(state) is None]
    return (*sorted(known, key=lambda state: number(state) or 0.0, reverse=ordering.descending), *others)


def _passes(state: RunState, text: str) -> bool:
    said = " ".join((state.row.name, state.row.status, state.title)).casefold()
    return all(_holds(word, said) for word in text.casefold().split())


def _holds(word: str, said: str) -> bool:
    return word[1:] not in said if len(word) > 1 and word.startswith("!") else word in said
