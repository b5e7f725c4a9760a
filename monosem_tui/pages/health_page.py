"""The health of a run as lines, at any width from about 40 cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monosem_tui.draw.bars import bar
from monosem_tui.draw.charts import columns_chart
from monosem_tui.draw.numbers import count, share
from monosem_tui.draw.safe_text import cut, fit, width
from monosem_tui.draw.spans import Line, Role, Span, cursor_mark, line, text_of, width_of, wrap
from monosem_tui.model.run_health import Chapter, Densities, Fact, Group

CHART_ROWS = 5
NAME = 18
BAR = 12
BESIDE = 100
"""Cells from which two short facts share a line."""
BETWEEN = "  "


def quality(figures: Sequence[str], cells: int) -> list[Line]:
    """Return the quality figures in as few lines as they need."""
    return wrap([line(cut(figure, cells)) for figure in figures], cells, " · ")


def density_lines(found: Densities, cells: int) -> list[Line]:
    """Return the histogram of log10 density, with counts at its top and decades below."""
    counts, edges = found.histogram.counts, found.histogram.edges
    highest = count(int(counts.max(initial=0)))
    left = len(highest) + 1
    each = max(1, min(4, (cells - left - 1) // len(counts)))
    rows = columns_chart(counts.astype(np.float64), each * len(counts), CHART_ROWS)
    labels = [highest, *[""] * (CHART_ROWS - 2), "0"]
    lines = [
        line(Span(fit(label, left - 1, ">") + " ", Role.DIM), row) for label, row in zip(labels, rows, strict=True)
    ]
    decades = round(-float(edges[0]))
    decade = each * len(counts) // decades
    ticks = "".join(fit(str(power), decade) for power in range(-decades, 0)) + "0"
    title = line(
        Span("DENSITY", Role.HEADING),
        Span(f"  log10 of the share of {count(found.n_counted)} indexed {found.noun.many}", Role.DIM),
    )
    return [title, *lines, line(Span(" " * left + ticks, Role.DIM))]


def group_line(group: Group, found: Densities, cells: int, *, cursor: bool) -> Line:
    """Return the line of one density group."""
    largest = max(map(len, found.groups))
    n = f"{count(len(group)):>9}  {share(len(group) / max(1, found.n_features)):>8}"
    drawn = fit(bar(len(group) / max(1, largest), BAR), BAR)
    text = fit(f"{fit(group.title, 15)}{n}  {group.note or drawn}", cells - 2)
    role = Role.CURSOR if cursor else Role.PLAIN if len(group) else Role.DIM
    return line(cursor_mark(cursor), " ", Span(text, role))


def chapter_lines(chapter: Chapter, cells: int) -> list[Line]:
    """Return a heading and its facts; two short ones share a line where there is room, long values wrap."""
    lines = [line(Span(cut(chapter.title, cells), Role.HEADING))]
    half = (cells - len(BETWEEN)) // 2
    waiting: Line = ()
    for fact in filter(lambda fact: fact.value, chapter.facts):
        short = cells >= BESIDE and width(fact.value) <= half - NAME - 1
        found = _fact_lines(fact, half if short else cells)
        if short and waiting:
            lines.append(line(*waiting, " " * (half - width_of(waiting)), BETWEEN, *found[0]))
            waiting = ()
            continue
        lines += [waiting] if waiting else []
        waiting = found[0] if short else ()
        lines += [] if short else found
    return [*lines, waiting] if waiting else lines


def _fact_lines(fact: Fact, cells: int) -> list[Line]:
    room = cells - NAME - 1
    pieces = [fact.value[at : at + room] for at in range(0, len(fact.value), room)] if fact.value.isascii() else []
    pieces = _at_words(fact.value, room) if " " in fact.value or not pieces else pieces
    names = [fact.name, *[""] * len(pieces)]
    return [
        line(Span(fit(name, NAME), Role.DIM), " ", cut(piece, room)) for name, piece in zip(names, pieces, strict=False)
    ]


def _at_words(text: str, cells: int) -> list[str]:
    return [text_of(spans) for spans in wrap([line(w) for w in text.split(" ") if w], cells, " ")]
