"""Keys of Runs."""

from __future__ import annotations

from monosem_tui.keys.actions import KeyGroup, Need, Where
from monosem_tui.keys.panes import turning

_runs = KeyGroup(Where.RUNS, "runs", Need.RUNS)
RUNS = (
    _runs("next", "move(1)", "j down", "next run", "next, previous", "j/k move"),
    _runs("previous", "move(-1)", "k up", "previous run"),
    *turning(Where.RUNS, "runs"),
    _runs("open", "open", "enter", "browse the run's features", "browse it", "⏎ browse"),
)
