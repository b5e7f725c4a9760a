"""Keys of Runs."""

from __future__ import annotations

from monosem_tui.keys.actions import KeyGroup, Need, Where
from monosem_tui.keys.panes import rows, turning

_runs, _moving = KeyGroup(Where.RUNS, "runs", Need.RUNS), KeyGroup(Where.RUNS, "runs")
RUNS = (
    _runs("next", "move(1)", "j down", "next run", "next, previous", "j/k move"),
    _runs("previous", "move(-1)", "k up", "previous run"),
    *turning(_moving),
    *rows(_runs),
    _runs("open", "open", "enter", "browse the run's features", "browse it", "⏎ browse"),
)
