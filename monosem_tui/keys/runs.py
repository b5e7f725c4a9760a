"""Keys of Runs: the list, the training of one run, and some side by side."""

from __future__ import annotations

from monosem_tui.keys.actions import KeyGroup, Need, Where
from monosem_tui.keys.panes import rows, scrolling, turning

_runs, _moving = KeyGroup(Where.RUN_LIST, "runs", Need.RUNS), KeyGroup(Where.RUN_LIST, "runs")
RUNS = (
    _runs("next", "move(1)", "j down", "next run", "next, previous", "j/k move"),
    _runs("previous", "move(-1)", "k up", "previous run"),
    *turning(_moving),
    *rows(_runs),
    _runs(
        "open", "open", "enter", "browse the run's features; of one in training, see its curves", "open it", "⏎ open"
    ),
    _runs("curves", "curves", "t", "the training of the run: progress and curves", "its training", "t training"),
    _runs("mark", "mark", "v", "mark the run for a comparison, or take its mark away", "mark it", "v mark"),
    _runs(
        "compare",
        "differences",
        "c",
        "the marked runs side by side: explained variance over L0, settings that differ",
        "compare the marked runs",
        "c compare",
        need=Need.MARKED,
    ),
    _runs("filter", "filter", "/", "filter by words of name, status, model", "filter the list", "/ filter"),
    _runs("sort", "sort", "s", "sort by the next column", "next sort column", "s sort"),
    _runs("reverse", "reverse", "S", "reverse the order", "reverse the order"),
)
_differences = KeyGroup(Where.RUN_DIFFERENCES, "run-differences")
RUN_DIFFERENCES = scrolling(_differences)
_training = KeyGroup(Where.TRAINING, "training")
TRAINING = (
    *scrolling(_training),
    _training("open", "open", "enter", "browse the run's features", "browse it", "⏎ browse"),
)
