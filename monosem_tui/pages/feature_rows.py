"""Rows of the feature list: the columns that fit a width, and one feature as a line."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import Literal

from monosem_tui.draw.bars import bar
from monosem_tui.draw.numbers import activation, share
from monosem_tui.draw.safe_text import fit
from monosem_tui.draw.spans import Line, Role, Span, cursor_mark, line, lit
from store.settings.feature_kinds import SHARES

ARROWS = {True: "↓", False: "↑"}
SHARE, VALUE = 7, 6
KIND = 8
"""Cells of a kind; it has a column where at least as many as `KIND_BESIDE` are left for tokens and labels."""
KIND_BESIDE = 24


@dataclass(frozen=True)
class Columns:
    """Cells of each column; 0 leaves it out."""

    id: int
    bar: int
    gap: int
    values: tuple[str, ...]
    """Numeric columns after the density, among "max", "mean", "norm" and the shares of variance."""
    token: int
    label: int
    kind: int = 0
    density: int = SHARE


@dataclass(frozen=True)
class Row:
    """One feature of the list."""

    feature: int
    density: float
    bar: float
    """Density on the bar's scale, 0 to 1."""
    values: tuple[float, ...]
    token: str
    label: str
    bookmark: bool
    suggestion: str = ""
    """The best explanation, which stands dim where there is no label."""
    kind: str = ""


def columns(cells: int, digits: int, sort: str, *, labels: bool, kinds: bool = False) -> Columns:
    """Return the columns that fit `cells` cells.

    Args:
        cells: width of the list.
        digits: digits of the largest feature number.
        sort: column the list is sorted by, which a narrow list shows in place of `max`.
        labels: whether any feature has a label or an explanation and so needs a column.
        kinds: whether kinds are known, which have a column where there is room.
    """
    number = max(4, digits)
    gap = 2 if cells >= 58 else 1
    values: tuple[str, ...] = (sort if sort in ("mean", "norm", *SHARES) else "max",)
    if cells >= 96:
        values = ("max", "mean", "norm", *(name for name in SHARES if name == sort))
    elif cells >= 66 and not labels and not kinds:
        # Most decoders have unit rows, so the norm is left out first.
        values = ("max", "mean", "norm") if sort == "norm" else ("max", "mean")
    # Kinds and labels together leave no room for bars.
    bar_cells = 10 if cells >= 96 else 0 if labels and kinds else 6 if cells >= 56 else 0 if labels else 4
    # Its name with an arrow is as wide as the column and what lies before it.
    density = SHARE + (sort == "density" and not bar_cells and gap == 1)
    used = 1 + number + 1 + gap + bar_cells + (bar_cells > 0) + density
    used += sum(gap + value_cells(one) for one in values) + 2
    rest = max(0, cells - used)
    kind = KIND if kinds and rest - gap - KIND >= KIND_BESIDE * (1 + labels) // 2 else 0
    rest -= kind and gap + kind
    if not labels:
        return Columns(number, bar_cells, gap, values, min(rest, 40), 0, kind, density)
    token = min(16, max(8, rest * 2 // 5))
    return Columns(number, bar_cells, gap, values, min(token, rest), max(0, rest - token - gap), kind, density)


def value_cells(name: str) -> int:
    """Return the cells of a numeric column: its name and an arrow fit in."""
    return max(VALUE, len(name) + 2)


def header(where: Columns, sort: str, *, descending: bool) -> Line:
    """Return the column names; the sorting one is bold with an arrow."""

    def name(key: str, cells: int, align: Literal["<", ">"] = ">") -> Span:
        text = f"{key} {ARROWS[descending]}" if key == sort else key
        return Span(fit(text, cells, align), Role.BOLD if key == sort else Role.DIM)

    parts: list[Span | str] = [" ", name("id", where.id)]
    if where.bar:
        parts += [" " * (1 + where.gap), name("density", where.bar + 1 + where.density, "<")]
    else:
        parts.append(name("density", 1 + where.gap + where.density))
    for key in where.values:
        parts += [" " * where.gap, name(key, value_cells(key))]
    if where.kind:
        parts += [" " * where.gap, Span(fit("kind", where.kind), Role.DIM)]
    parts += ["  ", Span(fit("fires on", where.token), Role.DIM)]
    if where.label:
        parts += [" " * where.gap, Span(fit("label", where.label), Role.DIM)]
    return line(*parts)


def row(entry: Row, where: Columns, *, cursor: bool, focus: bool) -> Line:
    """Return one feature; under the cursor the row is lit if the list has the focus, else only marked."""
    drawn = bar(entry.bar, where.bar)
    parts: list[Span | str] = [
        fit(str(entry.feature), where.id, ">"),
        Span("★", Role.MARK) if entry.bookmark else " ",
        " " * where.gap,
        Span(drawn, Role.DIM),
        " " * (where.bar - len(drawn) + (where.bar > 0)),
        fit(share(entry.density), where.density, ">"),
    ]
    for name, value in zip(where.values, entry.values, strict=True):
        parts += [" " * where.gap, fit(_value(name, value), value_cells(name), ">")]
    if where.kind:
        parts += [" " * where.gap, Span(fit(entry.kind, where.kind), Role.DIM)]
    parts += ["  ", fit(entry.token, where.token)]
    if where.label:
        suggested = Span(fit(entry.suggestion, where.label), Role.DIM) if entry.suggestion else ""
        parts += [" " * where.gap, suggested or Span(fit(entry.label, where.label), Role.MARK)]
    return listed(line(*parts), cursor=cursor, focus=focus)


def _value(name: str, value: float) -> str:
    if name in SHARES:
        return "–" if isnan(value) else f"{value:.0%}"
    return f"{value:.2f}" if name == "norm" else activation(value)


def listed(spans: Line, *, cursor: bool, focus: bool) -> Line:
    """Return a row with its mark; under the cursor it is lit if the list has the focus."""
    return line(cursor_mark(cursor), *(lit(spans) if cursor and focus else spans))
