"""The list of runs as lines: a row per run, and below it its progress or the reason why it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass

from monosem_tui.draw.bars import sparkline
from monosem_tui.draw.numbers import activation, compact, count, duration, known
from monosem_tui.draw.safe_text import cut, fit, printable
from monosem_tui.draw.spans import Line, Role, Span, cursor_mark, line, wrap
from monosem_tui.model.runs_watch import COURSE, RunState, TrainingProgress
from store.run.counted_noun import CountedNoun

STATUS, SIZE, NUMBER = 11, 18, 7
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


def run_columns(cells: int) -> RunColumns:
    """Return the columns that fit `cells` cells."""
    used = 4 + STATUS + 3 * NUMBER
    size = SIZE + 1 if cells >= 78 else 0
    model = max(0, min(44, (cells - used - size) // 2)) if cells >= 104 else 0
    return RunColumns(max(8, min(LONGEST, cells - used - size - model)), model, size)


def run_header(where: RunColumns) -> Line:
    """Return the column names."""
    cells = [("name", where.name), ("status", STATUS), ("model and site", where.model), ("dictionary", where.size)]
    left = "".join(fit(name, size) for name, size in cells if size)
    return line(Span(f"    {left}{'trained':>{NUMBER}}{'EV':>{NUMBER}}{'L0':>{NUMBER}}", Role.DIM))


def run_lines(state: RunState, where: RunColumns, cells: int, *, cursor: bool, opened: bool) -> list[Line]:
    """Return one run: its row, then indented lines about progress or failure."""
    row = state.row
    shown = [
        fit(cut(printable(row.name), where.name - 2) + (" ◂" if opened else ""), where.name),
        fit(printable(row.status), STATUS),
    ]
    place, _, size = printable(state.title).rpartition(" · ")
    if where.model:
        shown.append(fit(cut(place, where.model - 1), where.model))
    if where.size:
        shown.append(fit(cut(size, where.size - 1), where.size))
    numbers = known(row.tokens, compact), known(row.explained_variance, ".3f"), known(row.l0, ".1f")
    text = "".join(shown) + "".join(fit(number, NUMBER, ">") for number in numbers)
    role = Role.CURSOR if cursor else Role.BOLD if state.working else Role.PLAIN
    first = line(cursor_mark(cursor), Span(fit(f"{_glyph(state)}  {text}", cells - 1), role))
    return [first, *_more(state, cells)]


def run_detail(state: RunState, cells: int) -> Line:
    """Return one line on the run under the cursor: its title, creation time and path."""
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(state.created)) if 0 < state.created < 1e11 else ""
    known_of = state.row.tokens
    trained = "" if known_of is None else f"{compact(known_of)} {state.noun.many}"
    parts = [printable(part) for part in (state.title, trained, since, state.row.path) if part]
    return line(" ", Span(cut(" · ".join(parts), cells - 2), Role.DIM))


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
