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
from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.numbers import activation, one_in
from monosem_tui.draw.safe_text import ELLIPSIS, fit
from monosem_tui.draw.spans import Line, Role, Span, crop, cursor_mark, line, lit, width_of
from monosem_tui.model.snippets import Preview
from monosem_tui.pages.passage import Frame, passage
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
LARGEST_BEFORE, LARGEST_NAME = 48, 40
LEAST_AFTER = 10
"""Cells from the peak on that a name beside the text leaves."""
NAME_BESIDE = 34
"""Cells of text from which a name stands beside the whole text; in less, beside the peak's token alone."""
PEAK_TOKEN = 10
GAP = "  "
"""Between the columns and the text, and between the text and a name."""
WEAK = 0.25
"""Share of the maximum below which a token has no heat."""
FIGURES = ("max", "mean", "norm", *SHARES)
UNKNOWN = "?"


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
    text: int
    outliers: bool = False
    """Whether a cell after the maximum marks those that are of outlier tokens."""

    def marks(self, name: str) -> int:
        """Return the cells after a figure for the mark of an outlier token."""
        return int(self.outliers and name == "max")

    def value_cells(self, name: str) -> int:
        """Return the cells of a figure: its name and an arrow fit in."""
        return max(VALUE, len(name) + 1) + self.marks(name)

    @property
    def before(self) -> int:
        """Cells of text before the peak, the same in all rows."""
        return min(LARGEST_BEFORE, self.text * 2 // 5)

    @property
    def name(self) -> int:
        """Cells of a label or an explanation at the right end of the text."""
        if self.text < NAME_BESIDE:
            return max(0, self.text - PEAK_TOKEN - len(GAP))
        return min(LARGEST_NAME, self.text - self.before - LEAST_AFTER)


@dataclass(frozen=True)
class Row:
    """One feature of the list."""

    feature: int
    density: float
    values: tuple[float, ...]
    top: float
    """Its maximum, which is drawn at full heat."""
    label: str
    bookmark: bool
    suggestion: str = ""
    """The best explanation, which stands dim where there is no label."""
    kind: str = ""
    outlier: bool = False
    """Whether its maximum is of an outlier token."""
    preview: Preview | None = None
    """Its strongest example and its histogram; None while they are being read."""


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
    least = Columns(max(4, digits), 2 if cells >= WIDE else 1, (), 0, 0, 0, 0, outliers)
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
    return replace(found, text=max(0, cells - _used(found)))


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
    beside = named and where.text >= NAME_BESIDE
    yield Head("", "strongest example", at, where.text - beside * (where.name + len(GAP)), "<")
    if beside:
        yield Head("", "label", at + where.text - where.name, where.name, "<")


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
        parts += [gap, Span(_histogram(entry.preview, where.histogram), Role.DIM)]
    if where.kind:
        parts += [gap, Span(fit(entry.kind, where.kind), Role.DIM)]
    return line(*parts, GAP, *_text(entry, where))


def _value(name: str, value: float) -> str:
    if name in SHARES:
        return "–" if isnan(value) else f"{value:.0%}"
    return f"{value:.2f}" if name == "norm" else activation(value)


def _histogram(preview: Preview | None, cells: int) -> str:
    """Draw square roots of counts: beside the many weak activations the few strong ones are still seen."""
    return sparkline(np.sqrt(fitted(preview.count_B, cells)), tallest=7) if preview else " " * cells


def _text(entry: Row, where: Columns) -> Line:
    """Return the strongest example, with a label or an explanation at its right end."""
    name = Span(entry.label, Role.MARK) if entry.label else Span(entry.suggestion, Role.DIM)
    if not name.text:
        *text, end = _example(entry, Frame(where.text, where.before)) or (Span(""),)
        # At the end of a row a change of style for the mark of omission alone is not worth its bytes.
        return line(*text, Span(end.text) if end.text == ELLIPSIS else end)
    beside = where.text >= NAME_BESIDE
    frame = Frame(where.text - where.name - len(GAP), where.before) if beside else Frame(PEAK_TOKEN, 0)
    example = _example(entry, frame)
    return line(*example, " " * (frame.cells - width_of(example)), GAP, Span(fit(name.text, where.name), name.role))


def _example(entry: Row, frame: Frame) -> Line:
    """Return the text around the peak; what fires weakly stays without heat, so that rows are read at a glance."""
    if entry.preview is None:
        return ()
    snippet = entry.preview.snippet
    if snippet is None:
        return crop(line(Span(UNKNOWN if entry.density > 0 else "never fires", Role.DIM)), frame.cells)
    act_T = np.where(snippet.act_T >= WEAK * snippet.act, snippet.act_T, np.float32(0))
    return passage(replace(snippet, act_T=act_T), entry.top, Rendering.BACKGROUND, frame)[0]


def listed(spans: Line, *, cursor: bool, focus: bool, cells: int = 0) -> Line:
    """Return a row with its mark; under the cursor it is lit, to `cells` cells, if the list has the focus."""
    return line(cursor_mark(cursor), *(lit(spans, cells - 1) if cursor and focus else spans))
