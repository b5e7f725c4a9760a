"""Runs beside each other as lines: explained variance over L0 as a plot, then figures and differing settings."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters

import numpy as np

from monosem_tui.draw.axes import points_chart
from monosem_tui.draw.numbers import compact, known
from monosem_tui.draw.safe_text import cut, cut_middle
from monosem_tui.draw.spans import Line, Role, Span, crop, line
from monosem_tui.draw.table_lines import table_lines
from monosem_tui.model.run_differences import NONE, ComparedRun, differing

MOST = len(ascii_letters)
"""Runs that have a letter of their own."""
LONGEST_NAME, LONGEST_VALUE = 40, 18
MOST_ROWS, LEAST_ROWS = 12, 5
WIDEST = 100
"""Most cells of the plot."""


def comparison_lines(runs: Sequence[ComparedRun], cells: int, rows: int) -> list[Line]:
    """Return the plot and the table of at most `MOST` runs, in `cells` cells, for a screen of some rows."""
    plot = _plot(runs, cells, max(LEAST_ROWS, min(MOST_ROWS, rows // 3)))
    return [crop(spans, cells) for spans in (*plot, (), *_table(runs, cells))]


def _plot(runs: Sequence[ComparedRun], cells: int, rows: int) -> list[Line]:
    points = [(run.l0, run.explained_variance, letter) for run, letter in zip(runs, ascii_letters, strict=False)]
    drawn = [(l0, ev, letter) for l0, ev, letter in points if l0 is not None and ev is not None]
    missing = len(runs) - len(drawn)
    without = f"  ({missing} without figures)" if missing else ""
    title = line(Span("EXPLAINED VARIANCE", Role.HEADING), Span(f"  over L0{without}", Role.DIM))
    if not drawn:
        return [title, line(Span("none of these runs has been measured yet", Role.DIM))]
    x_N, y_N = (np.array([point[n] for point in drawn], np.float64) for n in (0, 1))
    marks = [letter for *_, letter in drawn]
    return [title, *points_chart(x_N, y_N, marks, min(cells, WIDEST), rows, most=1.0)]


def _table(runs: Sequence[ComparedRun], cells: int) -> list[Line]:
    names = differing(runs)
    columns = ["run", "EV", "L0", "trained", *(cut(name, LONGEST_VALUE) for name in names)]
    rows = [
        [
            f"{letter} {cut_middle(run.name, LONGEST_NAME)}",
            known(run.explained_variance, ".3f"),
            known(run.l0, ".1f"),
            known(run.tokens, compact),
            *(cut_middle(run.settings.get(name, NONE), LONGEST_VALUE) for name in names),
        ]
        for run, letter in zip(runs, ascii_letters, strict=False)
    ]
    same = [] if names else [(), line(Span("all settings are the same", Role.DIM))]
    return [*table_lines(columns, rows, cells), *same]
