"""The list of runs as lines: a row per run, and below it its progress or the reason why it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass

from monosem_tui.draw.bars import sparkline
from monosem_tui.draw.numbers import activation, compact, count, duration, known
from monosem_tui.draw.safe_text import cut, cut_middle, fit, printable
from monosem_tui.draw.spans import Line, Role, Span, cursor_mark, line, wrap
from monosem_tui.model.run_order import RunOrdering
from monosem_tui.model.runs_watch import COURSE, RunState, TrainingProgress
from monosem_tui.pages.feature_rows import ARROWS
from store.run.counted_noun import CountedNoun

STATUS, SIZE, NUMBER = 11, 18, 7
SHORT_DATE, LONG_DATE = 10, 18
"""Cells of a date, and of a date with its time."""
INDENT = 5
GLYPHS = {"done": "✓", "failed": "✗", "damaged": "✗", "stopped": "■"}
"""Marks of runs that no process works on."""
LONGEST = 56
"""Most cells of a name, so that numbers stay near it on wide terminals."""


@dataclass(frozen=True)
class RunColumns:
    """Cells of each column; 0 leaves it out."""

    name: int
    model: int
    size: int
    date: int


def run_columns(cells: int) -> RunColumns:
    """Return the columns that fit `cells` cells."""
    used = 5 + STATUS + 3 * NUMBER
    date = LONG_DATE if cells >= 132 else SHORT_DATE if cells >= 70 else 0
    size = SIZE + 1 if cells >= 92 else 0
    model = max(0, min(44, (cells - used - size - date) // 2)) if cells >= 118 else 0
    return RunColumns(max(8, min(LONGEST, cells - used - size - model - date)), model, size, date)


def run_header(where: RunColumns, ordering: RunOrdering) -> Line:
    """Return the column names, that of the one that sorts in bold with an arrow."""
    columns = [("name", where.name), ("status", STATUS), ("model and site", where.model), ("dictionary", where.size)]
    columns += [("date", where.date)]
    spans = [Span("    ")]
    for name, size in columns:
        if size:
            spans += _name(name, size, ordering, right=False)
    for name in ("trained", "EV", "L0"):
        spans += _name(name, NUMBER + (name == "trained"), ordering, right=True)
    return line(*spans)


def _name(name: str, cells: int, ordering: RunOrdering, *, right: bool) -> list[Span]:
    sorts = name == ordering.sort
    text = name + (f" {ARROWS[ordering.descending]}" if sorts else "")
    gap = Span(" " * max(0, cells - len(text)))
    named = Span(cut(text, cells), Role.BOLD if sorts else Role.DIM)
    return [gap, named] if right else [named, gap]


def run_lines(
    state: RunState, where: RunColumns, cells: int, *, cursor: bool, opened: bool, marked: bool = False
) -> list[Line]:
    """Return one run: its row, with a plus where it is marked, then indented lines about progress or failure."""
    row = state.row
    shown = [
        fit(cut_middle(printable(row.name), where.name - 2) + (" ◂" if opened else ""), where.name),
        fit(printable(row.status), STATUS),
    ]
    place, _, size = printable(state.title).rpartition(" · ")
    if where.model:
        shown.append(fit(cut(place, where.model - 1), where.model))
    if where.size:
        shown.append(fit(cut(size, where.size - 1), where.size))
    if where.date:
        shown.append(fit(date_of(state.created, timed=where.date == LONG_DATE), where.date))
    numbers = known(row.tokens, compact), known(row.explained_variance, ".3f"), known(row.l0, ".1f")
    text = "".join(shown) + " " + "".join(fit(number, NUMBER, ">") for number in numbers)
    role = Role.CURSOR if cursor else Role.BOLD if state.working else Role.PLAIN
    first = line(cursor_mark(cursor), Span(fit(f"{_glyph(state)}{'+' if marked else ' '} {text}", cells - 1), role))
    return [first, *_more(state, cells)]


def run_detail(state: RunState, cells: int) -> Line:
    """Return one line on the run under the cursor: its title, creation time and path."""
    since = date_of(state.created, timed=True)
    known_of = state.row.tokens
    trained = "" if known_of is None else f"{compact(known_of)} {state.noun.many}"
    parts = [printable(part) for part in (state.title, trained, since, state.row.path) if part]
    return line(" ", Span(cut(" · ".join(parts), cells - 2), Role.DIM))


def date_of(seconds: float, *, timed: bool) -> str:
    """Return a date, with its time if wanted; empty for one that cannot be."""
    if not 0 < seconds < 1e11:
        return ""
    return time.strftime("%Y-%m-%d %H:%M" if timed else "%Y-%m-%d", time.localtime(seconds))


def _glyph(state: RunState) -> str:
    return "●" if state.working else GLYPHS.get(state.row.status, "·")


def _more(state: RunState, cells: int) -> list[Line]:
    room = cells - INDENT - 1
    if state.progress is not None:
        parts = [line(Span(part, Role.DIM)) for part in _figures(state.progress, state.noun)]
        # Padded to its final width, so that nothing moves meanwhile.
        chart = line(Span("EV ", Role.DIM), fit(sparkline(state.progress.course), COURSE))
        return _indented(wrap([*parts, chart], room, " · "))
    if state.contexts is not None:
        done, planned = state.contexts
        return _indented([line(Span(f"{count(done)} of {count(planned)} contexts can be browsed", Role.DIM))])
    if state.message:
        words = [line(Span(cut(word, room), Role.DIM)) for word in printable(state.message).split()]
        return _indented(wrap(words, room, " ")[:3])
    return []


def _figures(progress: TrainingProgress, noun: CountedNoun) -> list[str]:
    done = f"{compact(progress.tokens)} {noun.many}"
    if progress.planned:
        done = f"{100 * progress.tokens / progress.planned:.0f} % of {compact(progress.planned)}"
    figures = [done, f"{compact(progress.tok_s)} {noun.per_second}"]
    if progress.seconds_left is not None:
        figures.append(f"{duration(progress.seconds_left)} left")
    return [*figures, f"loss {activation(progress.loss)}", f"dead {count(progress.dead)}"]


def _indented(lines: list[Line]) -> list[Line]:
    return [line(" " * INDENT, *spans) for spans in lines]
