"""Rows of the feature list: the columns that fit a width, and one feature as a line.

Columns depend on the width, on the run and on what sorts the list, never on which features have labels. From left to
right: number, density, figures, histogram, kind, then the strongest example, with the peaks of all rows in one column.
What a narrow list leaves out is in `columns`; a label or an explanation takes the right end of its row's text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isnan
from typing import Literal, NamedTuple

import numpy as np

from monosem_tui.draw.bars import fitted, sparkline
from monosem_tui.draw.numbers import activation, one_in
from monosem_tui.draw.safe_text import fit
from monosem_tui.draw.spans import Line, Role, Span, cursor_mark, line, lit
from monosem_tui.model.snippets import Preview
from monosem_tui.pages.example_text import GAP, FeatureText, TextColumn, text_line
from store.settings.feature_kinds import SHARES

ARROWS = {True: "↓", False: "↑"}
WIDE = 96
"""Cells from which columns stand two cells apart."""
LEAST_TEXT, AMPLE_TEXT = 24, 52
"""Cells of text that a column must leave: one that tells features apart, and one that says more of the same."""
VALUE, KIND = 6, 8
DENSITY, DENSITY_IN_WORDS = 5, 9
"""Cells of `1.2k` below `1 in↓`, and of `1 in 1.2k` below `density↓`."""
HISTOGRAM, FINE_HISTOGRAM = 6, 12
FIGURES = ("max", "mean", "norm", *SHARES)


class Head(NamedTuple):
    """The name of a column, and where it stands."""

    key: str
    """The column it sorts by; empty where it sorts by none."""
    name: str
    start: int
    cells: int
    align: Literal["<", ">"] = ">"


@dataclass(frozen=True)
class Columns:
    """Cells of each column; 0 leaves it out."""

    id: int
    gap: int
    values: tuple[str, ...]
    """Columns of figures, among "max", "mean", "norm" and the shares of variance."""
    density: int
    histogram: int
    kind: int
    text: TextColumn
    outliers: bool = False
    """Whether a cell after the maximum marks those that are of outlier tokens."""

    def marks(self, name: str) -> int:
        """Return the cells after a figure for the mark of an outlier token."""
        return int(self.outliers and name == "max")

    def value_cells(self, name: str) -> int:
        """Return the cells of a figure: its name and an arrow fit in."""
        return max(VALUE, len(name) + 1) + self.marks(name)


@dataclass(frozen=True)
class Row:
    """One feature of the list."""

    feature: int
    density: float
    values: tuple[float, ...]
    text: FeatureText
    bookmark: bool = False
    kind: str = ""
    outlier: bool = False
    """Whether its maximum is of an outlier token."""


@lru_cache(32)
def columns(
    cells: int, digits: int, sort: str, *, kinds: bool = False, norms: bool = False, outliers: bool = False
) -> Columns:
    """Return the columns that fit `cells` cells.

    The narrowest list shows the number, the figure it is sorted by (else the maximum) and text. With more room come,
    in this order and as long as enough is left for text: the histogram, the density, the maximum beside another
    figure, the kind, a finer histogram, the density in words, the mean, the norm.

    Args:
        cells: width of the list.
        digits: digits of the largest feature number.
        sort: column the list is sorted by, which is always shown.
        kinds: whether kinds are known.
        norms: whether the lengths of decoder rows differ.
        outliers: whether the maxima of some features are of outlier tokens.
    """
    first = sort if sort in FIGURES else "max"
    least = Columns(max(4, digits), 2 if cells >= WIDE else 1, (), 0, 0, 0, TextColumn(0), outliers)
    found = replace(least, density=DENSITY) if sort == "density" else _plus(least, first)
    steps: tuple[tuple[int, Callable[[Columns], Columns]], ...] = (
        (LEAST_TEXT, lambda where: replace(where, histogram=HISTOGRAM)),
        (LEAST_TEXT, lambda where: replace(where, density=DENSITY)),
        (LEAST_TEXT, lambda where: _plus(where, "max")),
        (LEAST_TEXT + 6, lambda where: replace(where, kind=KIND * kinds)),
        (AMPLE_TEXT, lambda where: replace(where, histogram=FINE_HISTOGRAM)),
        (AMPLE_TEXT, lambda where: replace(where, density=DENSITY_IN_WORDS)),
        (AMPLE_TEXT, lambda where: _plus(where, "mean")),
        (AMPLE_TEXT, lambda where: _plus(where, "norm") if norms else where),
    )
    for text, more in steps:
        wider = more(found)
        if cells - _used(wider) >= text:
            found = wider
    return replace(found, text=TextColumn(max(0, cells - _used(found))))


def _plus(where: Columns, name: str) -> Columns:
    """Return the columns with one more figure, in their usual order."""
    return replace(where, values=tuple(one for one in FIGURES if one in (*where.values, name)))


def _used(where: Columns) -> int:
    """Return the cells of everything but the text."""
    sizes = [where.density, *(where.value_cells(name) for name in where.values), where.histogram, where.kind]
    return where.id + 2 + sum(where.gap + size for size in sizes if size) + len(GAP)


def heads(where: Columns, *, named: bool) -> Iterator[Head]:
    """Yield the names of the columns, from left to right.

    Args:
        where: the columns.
        named: whether any feature has a label or an explanation.
    """
    yield Head("id", "id", 1, where.id)
    at = where.id + 2 + where.gap
    if where.density:
        yield Head("density", "density" if where.density == DENSITY_IN_WORDS else "1 in", at, where.density)
        at += where.density + where.gap
    for name in where.values:
        size = where.value_cells(name)
        yield Head(name, name, at, size - where.marks(name))
        at += size + where.gap
    for name, size in (("0–max", where.histogram), ("kind", where.kind)):
        if size:
            yield Head("", name, at, size, "<")
            at += size + where.gap
    at += len(GAP) - where.gap
    text = where.text
    beside = named and text.named.before > 0
    yield Head("", text.head, at, text.named.cells if beside else text.cells, "<")
    if beside:
        yield Head("", "label", at + text.cells - text.name, text.name, "<")


def head_at(where: Columns, cell: int) -> str:
    """Return the column that a click on the names sorts by; empty where it sorts by none."""
    return next((one.key for one in heads(where, named=False) if one.start <= cell < one.start + one.cells), "")


def header(where: Columns, sort: str, *, descending: bool, named: bool = False) -> Line:
    """Return the names of the columns; the sorting one is bold with an arrow."""
    parts: list[Span | str] = []
    at = 0
    for one in heads(where, named=named):
        sorts = one.key == sort and bool(sort)
        text = f"{one.name}{ARROWS[descending]}" if sorts else one.name
        parts += [" " * (one.start - at), Span(fit(text, one.cells, one.align), Role.BOLD if sorts else Role.DIM)]
        at = one.start + one.cells
    return line(*parts)


def row(entry: Row, where: Columns) -> Line:
    """Return one feature, without the cell of the cursor's mark."""
    parts: list[Span | str] = [fit(str(entry.feature), where.id, ">"), Span("★", Role.MARK) if entry.bookmark else " "]
    gap = " " * where.gap
    if where.density:
        words = "1 in " if where.density == DENSITY_IN_WORDS and entry.density > 0 else ""
        parts += [gap, fit(words + one_in(entry.density), where.density, ">")]
    for name, value in zip(where.values, entry.values, strict=True):
        marks = where.marks(name)
        parts += [
            gap,
            fit(_value(name, value), where.value_cells(name) - marks, ">"),
            ("!" if entry.outlier else " ") * marks,
        ]
    if where.histogram:
        parts += [gap, Span(_histogram(entry.text.preview, where.histogram), Role.DIM)]
    if where.kind:
        parts += [gap, Span(fit(entry.kind, where.kind), Role.DIM)]
    return line(*parts, GAP, *text_line(entry.text, where.text))


def _value(name: str, value: float) -> str:
    if name in SHARES:
        return "–" if isnan(value) else f"{value:.0%}"
    return f"{value:.2f}" if name == "norm" else activation(value)


def _histogram(preview: Preview | None, cells: int) -> str:
    """Draw square roots of counts: beside the many weak activations the few strong ones are still seen."""
    return sparkline(np.sqrt(fitted(preview.count_B, cells)), tallest=7) if preview else " " * cells


def listed(spans: Line, *, cursor: bool, focus: bool, cells: int = 0) -> Line:
    """Return a row with its mark; under the cursor it is lit, to `cells` cells, if the list has the focus."""
    return line(cursor_mark(cursor), *(lit(spans, cells - 1) if cursor and focus else spans))
