"""Keys of Runs."""

from __future__ import annotations

from monosem_tui.keys.actions import Action, Need, Where
from monosem_tui.keys.panes import turning

_RUNS = (Need.RUNS,)

RUNS = (
    Action("runs.next", "move(1)", ("j", "down"), "next run", Where.RUNS, "next, previous", "j/k move", _RUNS),
    Action("runs.previous", "move(-1)", ("k", "up"), "previous run", Where.RUNS, needs=_RUNS),
    *turning(Where.RUNS, "runs"),
    Action("runs.open", "open", ("enter",), "browse the run's features", Where.RUNS, "browse it", "⏎ browse", _RUNS),
)
