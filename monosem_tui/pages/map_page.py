"""The pane of a map: a title, the dots with what stands on them, axes with ticks, and a legend.

Shapes: Y rows, X cells of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monosem_tui.draw.cell_grid import CellGrid
from monosem_tui.draw.label_places import Name, placed
from monosem_tui.draw.safe_text import cut, width
from monosem_tui.draw.spans import GROUPS, INK, Line, Role, Span, crop, line, rule, spread, width_of
from monosem_tui.draw.svg_plots import Axis
from monosem_tui.model.map_colours import NONE, Colouring
from monosem_tui.pages.map_picture import SYMBOLS, DotPicture

TICKS = 9
"""Cells of the values left of a vertical axis, and of the axis."""
SAMPLE = "⣿"
"""A full cell, for the legend."""
FEWEST = 3
"""Ticks of an axis below which finer ones are looked for."""
Place = tuple[int, int]
"""Row and cell of the dots."""


@dataclass(frozen=True)
class MapFrame:
    """The place of the dots in the pane."""

    top: int
    left: int
    rows: int
    cells: int

    @classmethod
    def of(cls, rows: int, cells: int, *, axes: bool) -> MapFrame:
        """Return the place in a pane of some rows and cells: a title above, a legend below, axes where there are."""
        return cls(1, TICKS if axes else 0, max(1, rows - 2 - 2 * axes), max(2, cells - (TICKS if axes else 0)))

    def place_of(self, y: int, x: int) -> Place | None:
        """Return the row and cell of the dots at a cell of the pane; None beside them."""
        row, cell = y - self.top, x - self.left
        return (row, cell) if 0 <= row < self.rows and 0 <= cell < self.cells else None


@dataclass(frozen=True)
class MapMarks:
    """Marks on the dots."""

    cursor: Place
    nearest: int | None = None
    """The feature nearest to the cursor."""
    corner: Place | None = None
    """The corner of a box whose other corner is under the cursor."""
    names: bool = True


def map_page(title: str, picture: DotPicture, frame: MapFrame, marks: MapMarks, *, focused: bool) -> CellGrid:
    """Return the pane."""
    axes = picture.shown.axes
    grid = CellGrid(frame.top + frame.rows + 2 * (axes is not None) + 1, frame.left + frame.cells)
    rows, cells = grid.shape
    grid.put(0, 0, rule(cut(title, cells - 4), cells, Role.DIM, focused=focused))
    inside = slice(frame.top, frame.top + frame.rows), slice(frame.left, frame.left + frame.cells)
    grid.code_YX[inside], grid.role_YX[inside] = picture.grid.code_YX, picture.grid.role_YX
    if axes is not None:
        _axes(grid, picture, frame)
    if marks.names:
        _names(grid, picture, frame)
    _nearest(grid, picture, frame, marks)
    _box(grid, frame, marks)
    grid.paint(frame.top + marks.cursor[0], frame.left + marks.cursor[1], Role.CARET)
    grid.put(rows - 1, 0, crop(legend(picture, cells, marks), cells))
    return grid


def _axes(grid: CellGrid, picture: DotPicture, frame: MapFrame) -> None:
    """Draw a vertical and a horizontal axis with ticks."""
    box, axes = picture.window.box, picture.shown.axes
    assert axes is not None
    low = frame.top + frame.rows
    for y in range(frame.rows):
        grid.put(frame.top + y, frame.left - 1, line(Span("│", Role.DIM)))
    for value in ticks(box.bottom, box.top, max(2, frame.rows // 4), log=axes.log_y):
        row, _ = picture.window.cell_of(box.left, value)
        text = cut(picture.shown.y_text(value), TICKS - 2)
        grid.put(frame.top + row, frame.left - 2 - width(text), line(Span(f"{text} ┤", Role.DIM)))
    grid.put(low, frame.left - 1, line(Span("└" + "─" * frame.cells, Role.DIM)))
    end = 0
    for value in ticks(box.left, box.right, max(2, frame.cells // 12), log=True):
        _, cell = picture.window.cell_of(value, box.bottom)
        text = picture.shown.x_text(value)
        start = min(frame.left + cell - width(text) // 2, grid.shape[1] - width(text))
        if start >= end:
            grid.put(low, frame.left + cell, line(Span("┬", Role.DIM)))
            grid.put(low + 1, start, line(Span(text, Role.DIM)))
            end = start + width(text) + 2
    # Titles stand inside the frame, where there are seldom dots: at the ends of the axes.
    grid.put(frame.top, frame.left + 1, line(Span(cut(axes.y_title, frame.cells - 2), Role.DIM)))
    title = cut(axes.x_title, frame.cells - 2)
    grid.put(low - 1, grid.shape[1] - width(title) - 1, line(Span(title, Role.DIM)))


def ticks(low: float, high: float, most: int, *, log: bool) -> list[float]:
    """Return round values between two ends; of a logarithmic axis, logarithms of round values."""
    if not log:
        return Axis("", low, high).ticks(most)
    for mantissas in ((1,), (1, 3), (1, 2, 5)):
        found = [
            power + float(np.log10(mantissa))
            for power in range(int(np.floor(low)), int(np.ceil(high)) + 1)
            for mantissa in mantissas
        ]
        found = [value for value in found if low <= value <= high]
        if len(found) >= FEWEST:
            return found[:: -(-len(found) // most)]
    values = Axis("", 10.0**low, 10.0**high).ticks(most)
    return [float(np.log10(value)) for value in values if value > 0]


def _names(grid: CellGrid, picture: DotPicture, frame: MapFrame) -> None:
    """Put the names of clusters over their middles, as far as there is room."""
    names = []
    for one in picture.named:
        row, cell = picture.window.cell_of(one.x, one.y)
        names.append(Name(one.name, cell, row, width(one.name) + 2))
    for name in placed(names, frame.cells, frame.rows, 1, 1):
        grid.put(
            frame.top + round(name.y), frame.left + round(name.left), line(" ", Span(name.text, Role.HEADING), " ")
        )


def _nearest(grid: CellGrid, picture: DotPicture, frame: MapFrame, marks: MapMarks) -> None:
    """Mark the cell of the feature that the card is about."""
    place = place_of_feature(picture, marks.nearest)
    if place is not None:
        grid.paint(frame.top + place[0], frame.left + place[1], Role.ACCENT)


def place_of_feature(picture: DotPicture, feature: int | None) -> Place | None:
    """Return the row and cell of a feature; None where it is out of sight or has no place."""
    shown, window = picture.shown, picture.window
    if feature is None:
        return None
    at = int(np.searchsorted(shown.feature_N, feature))
    if at >= len(shown.feature_N) or shown.feature_N[at] != feature:
        return None
    row, cell = window.cell_of(*shown.place_N2[at].tolist())
    return (row, cell) if 0 <= row < window.rows and 0 <= cell < window.cells else None


def _box(grid: CellGrid, frame: MapFrame, marks: MapMarks) -> None:
    """Draw the edge of the box that is being selected."""
    if marks.corner is None:
        return
    (top, bottom), (left, right) = (sorted(pair) for pair in zip(marks.corner, marks.cursor, strict=True))
    inner = "─" * max(0, right - left - 1)
    for row, ends in ((top, "┌┐"), (bottom, "└┘")):
        edge = ends[0] + inner + ends[1] if right > left else ends[0]
        grid.put(frame.top + row, frame.left + left, line(Span(edge, Role.ACCENT)))
    for row in range(top + 1, bottom):
        for cell in {left, right}:
            grid.put(frame.top + row, frame.left + cell, line(Span("│", Role.ACCENT)))


def legend(picture: DotPicture, cells: int, marks: MapMarks) -> Line:
    """Return the meaning of the colours, and at its end the values under the cursor, where axes have values."""
    shown = picture.shown
    right: Line = ()
    if shown.axes is not None:
        x, y = picture.window.middle_of(*marks.cursor)
        right = line(Span(f"{shown.x_text(x)} · {shown.y_text(y)}", Role.DIM), " ")
    elif not picture.is_whole:
        right = line(Span("some of the features", Role.DIM), " ")
    left = _colours(picture.colouring, picture.colors, max(10, cells - width_of(right) - 2))
    return spread(left, right, cells)


def _colours(colouring: Colouring, colors: int, cells: int) -> Line:
    if colouring.name == "plain":
        return line(Span(" a dot a feature", Role.DIM))
    if colouring.name == "crowd":
        parts = [Span("few ", Role.DIM), *(Span(SAMPLE, role) for role in _steps(colors)), Span(" many", Role.DIM)]
        return line(Span(f" {colouring.title}  ", Role.DIM), *parts)
    if colouring.is_scale:
        low, high = colouring.names[0], colouring.names[-1]
        parts = [Span(f"{low} ", Role.DIM), *(Span(SAMPLE, role) for role in _steps(colors))]
        return line(Span(f" {colouring.title}  ", Role.DIM), *parts, Span(f" {high}", Role.DIM))
    if not colouring.names:
        return line(Span(f" {colouring.title}", Role.DIM))
    found: list[Span] = [Span(" ")]
    present = set(np.unique(colouring.group_F).tolist())
    for group, name in enumerate(colouring.names):
        if group in present:
            sign = Span(SAMPLE, GROUPS[group % len(GROUPS)]) if colors else Span(SYMBOLS[group % len(SYMBOLS)])
            found += [sign, Span(f" {name}  ", Role.DIM)]
    if NONE in present:
        found += [Span(SAMPLE, Role.DIM), Span(f" no {colouring.name}", Role.DIM)]
    return crop(line(*found), cells)


def _steps(colors: int) -> Sequence[Role]:
    return INK[1:] if colors else (Role.DIM, Role.DIM, Role.PLAIN, Role.BOLD, Role.BOLD)
