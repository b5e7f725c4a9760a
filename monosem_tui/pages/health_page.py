"""The health of a run as lines, at any width from about 40 cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from monosem_tui.draw.bars import bar
from monosem_tui.draw.charts import columns_chart, curve
from monosem_tui.draw.numbers import activation, compact, count, duration, share
from monosem_tui.draw.safe_text import cut, fit
from monosem_tui.draw.spans import Line, Role, Span, cursor_mark, line, text_of, wrap
from monosem_tui.model.run_health import Chapter, Densities, Group, Training
from store.run.counted_noun import TOKEN, CountedNoun
from store.run.events import TrainEvent

CHART_ROWS, CURVE_ROWS = 5, 4
TWO = 92
"""Least cells for two curves side by side."""
WIDEST = 72
"""Most cells of a curve."""
NAME = 18
BAR = 12


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
    width = each * len(counts) // decades
    ticks = "".join(fit(str(power), width) for power in range(-decades, 0)) + "0"
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


class _Measure(NamedTuple):
    name: str
    value: Callable[[TrainEvent], float]
    shown: Callable[[float], str]
    log: bool = False


_MEASURES = (
    _Measure("loss", lambda event: event.loss, activation, log=True),
    _Measure("EV", lambda event: max(0.0, event.explained_variance), lambda value: f"{value:.3f}"),
    _Measure("L0", lambda event: event.l0, lambda value: f"{value:.1f}"),
    _Measure("dead", lambda event: event.dead, lambda value: count(round(value))),
)


def training_lines(training: Training, cells: int, noun: CountedNoun = TOKEN) -> list[Line]:
    """Return curves of loss, explained variance, L0 and dead features over the training, each on its own scale."""
    points = training.points
    if not points:
        return []
    said = [f"{count(points[-1].step)} steps", f"{count(points[-1].tokens)} {noun.many}"]
    if training.end is not None:
        said += [f"{compact(training.end.tok_s)} {noun.per_second}", duration(training.end.seconds)]
    else:
        said.append(f"{compact(points[-1].tok_s)} {noun.per_second}")
    lines = wrap([line(Span("TRAINING", Role.HEADING), "  ", said[0]), *map(line, said[1:])], cells, " · ")
    abreast = 2 if cells >= TWO else 1
    width = min(WIDEST, (cells - 3 * (abreast - 1)) // abreast)
    charts = [_chart(measure, points, width) for measure in _MEASURES]
    for first in range(0, len(charts), abreast):
        for parts in zip(*charts[first : first + abreast], strict=True):
            spans = [span for number, part in enumerate(parts) for span in (*([Span("   ")] * (number > 0)), *part)]
            lines.append(line(*spans))
    ends = fit(f"0 to {compact(points[-1].tokens)} {noun.many}", width)
    return [*lines, line(Span(ends, Role.DIM))]


def _chart(measure: _Measure, points: Sequence[TrainEvent], cells: int) -> list[Line]:
    x = np.array([point.tokens for point in points], np.float64)
    y = np.array([measure.value(point) for point in points], np.float64)
    drawn = curve(x, y, cells, CURVE_ROWS, log=measure.log)
    last = measure.shown(float(y[-1])) if np.isfinite(y[-1]) else str(y[-1])
    scale = f"{measure.shown(drawn.low)} to {measure.shown(drawn.high)}{', log' if measure.log else ''}"
    head = line(Span(f"{measure.name} ", Role.BOLD), last)
    padding = max(1, cells - len(measure.name) - 1 - len(last) - len(scale))
    return [line(*head, " " * padding, Span(scale, Role.DIM)), *[line(fit(row, cells)) for row in drawn.rows]]


def chapter_lines(chapter: Chapter, cells: int) -> list[Line]:
    """Return a heading and its facts; long values wrap under themselves."""
    lines = [line(Span(cut(chapter.title, cells), Role.HEADING))]
    room = cells - NAME - 1
    for fact in chapter.facts:
        pieces = [fact.value[at : at + room] for at in range(0, len(fact.value), room)] if fact.value.isascii() else []
        pieces = _at_words(fact.value, room) if " " in fact.value or not pieces else pieces
        for number, piece in enumerate(pieces):
            name = Span(fit(fact.name if number == 0 else "", NAME), Role.DIM)
            lines.append(line(name, " ", cut(piece, room)))
    return lines


def _at_words(text: str, cells: int) -> list[str]:
    return [text_of(spans) for spans in wrap([line(w) for w in text.split(" ") if w], cells, " ")]
