"""Curves over two axes: ticks at round values, labels left of them and below."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from monosem_tui.draw.charts import HUGE, LEVEL, Floats, PlotFrame, curve
from monosem_tui.draw.safe_text import fit, width
from monosem_tui.draw.spans import Line, Role, Span, line

ROUND = (1.0, 2.0, 5.0, 10.0)
"""First digits of the distance between two ticks, and of ticks on a logarithmic axis."""
EVERY = 3
"""Rows from one tick to the next, about."""
APART = 12
"""Cells from one tick to the next, about."""
NEAR = 0.05
"""Share of a single value that an axis shows below and above it."""
TICK, WALL, FLOOR, CORNER = "┤", "│", "─", "└"


class Scale(NamedTuple):
    """The ends of an axis and its ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]


def step_of(span: float, ticks: int) -> float:
    """Return the round distance of about as many ticks over a span."""
    if not 1 / HUGE < span < HUGE:
        return 1.0
    rough = span / max(1, ticks)
    power = 10.0 ** math.floor(math.log10(rough))
    return next((power * first for first in ROUND if power * first >= rough), 10 * power)


def linear_scale(low: float, high: float, ticks: int) -> Scale:
    """Return an axis from the round value at or below `low` to the one at or above `high`."""
    low, high = max(-HUGE, low), min(HUGE, high)
    if high - low <= LEVEL * max(abs(low), abs(high)):
        low, high = low - abs(low) / 2, high + (abs(high) / 2 or 1.0)
    step = step_of(high - low, ticks)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    values = tuple(number * step for number in range(first, min(last, first + 4 * ticks + 8) + 1))
    return Scale(first * step, last * step, values)


def log_scale(low: float, high: float, ticks: int) -> Scale:
    """Return a logarithmic axis between the values of 1, 2 and 5 times powers of ten around two positive ones."""
    low, high = max(1 / HUGE, low), min(HUGE, high)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [first * 10.0**power for power in powers for first in ROUND[:-1]]
    below, above = [value for value in values if value <= low], [value for value in values if value >= high]
    bottom, top = below[-1] if below else values[0], above[0] if above else values[-1]
    if bottom == top:
        bottom, top = bottom / 2, top * 2
    inside = [value for value in values if bottom <= value <= top] or [bottom, top]
    decades = [value for value in (10.0**power for power in powers) if bottom <= value <= top]
    marks = inside if len(inside) <= ticks + 1 else decades if len(decades) > 1 else [inside[0], inside[-1]]
    return Scale(bottom, top, tuple(marks[:: max(1, -(-len(marks) // max(2, ticks + 1)))]))


def grown_end(value: float, most: float | None) -> float:
    """Return where an axis from 0 ends that need not change with each point: a round value ahead, `most` at most."""
    if not 0 < value < HUGE:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    end = next((power * first for first in ROUND if power * first >= value), value)
    return min(end, most) if most is not None and most >= value else end


def axes_chart(
    x_N: Floats,
    y_N: Floats,
    cells: int,
    rows: int,
    *,
    right: float,
    x_shown: Callable[[float], str],
    y_shown: Callable[[float], str],
    log: bool = False,
    least: float | None = None,
) -> list[Line]:
    """Draw y over x from 0 to `right`, in `rows` lines and one for the axis below.

    Args:
        x_N: places.
        y_N: values.
        cells: width, labels included.
        rows: height of the plot.
        right: end of the horizontal axis.
        x_shown: formats its ticks.
        y_shown: formats those of the vertical axis.
        log: heights by the logarithm.
        least: a value that the vertical axis begins at, if none is lower.
    """
    good = np.isfinite(x_N) & np.isfinite(y_N) & ((y_N > 0) | (not log))
    x_N, y_N = np.clip(x_N[good], 0, HUGE), np.clip(y_N[good], -HUGE, HUGE)
    low, high = (float(y_N.min()), float(y_N.max())) if len(y_N) else (1.0, 1.0)
    scale = (log_scale if log else linear_scale)(low if least is None else min(low, least), high, max(1, rows // EVERY))
    labels = _labels(scale, rows, y_shown, log=log)
    size = max(map(width, labels.values()), default=1)
    room = max(2, cells - size - 1)
    drawn = curve(x_N, y_N, room, rows, log=log, frame=PlotFrame(0.0, right, scale.low, scale.high)).rows
    lines = [
        line(Span(fit(labels.get(row, ""), size, ">") + (TICK if row in labels else WALL), Role.DIM), text)
        for row, text in enumerate(drawn)
    ]
    return [*lines, line(Span(" " * size + CORNER + floor_line(right, room, x_shown), Role.DIM))]


def points_chart(
    x_N: Floats, y_N: Floats, marks: Sequence[str], cells: int, rows: int, *, most: float | None = None
) -> list[Line]:
    """Draw a mark of one cell at each point, over an axis from 0; of points that share a cell, all but the first stand
    in the nearest free cells of its row.

    Args:
        x_N: places, not negative; at least one.
        y_N: values.
        marks: one for each point.
        cells: width, labels included.
        rows: height of the plot; a line for the axis comes below.
        most: a value beyond which the vertical axis does not go, unless a point does.
    """
    x_N, y_N = np.clip(np.nan_to_num(x_N), 0, HUGE), np.clip(np.nan_to_num(y_N), -HUGE, HUGE)
    right = linear_scale(0.0, float(x_N.max()), max(1, cells // APART)).high or 1.0
    scale = _scale_around(float(y_N.min()), float(y_N.max()), max(1, rows // EVERY), most)
    labels = _labels(scale, rows, lambda value: f"{value:g}", log=False)
    size = max(map(width, labels.values()), default=1)
    room = max(2, cells - size - 1)
    grid = [[" "] * room for _ in range(rows)]
    for x, y, mark in zip(x_N.tolist(), y_N.tolist(), marks, strict=True):
        row, column = rows - 1 - round(_share(y, scale, log=False) * (rows - 1)), round(x / right * (room - 1))
        free = [place for place, cell in enumerate(grid[row]) if cell == " "]
        if free:
            grid[row][min(free, key=lambda place: (abs(place - column), -place))] = mark
    walls = [fit(labels.get(row, ""), size, ">") + (TICK if row in labels else WALL) for row in range(rows)]
    lines = [
        line(Span(wall, Role.DIM), Span("".join(drawn), Role.BOLD)) for wall, drawn in zip(walls, grid, strict=True)
    ]
    return [*lines, line(Span(" " * size + CORNER + floor_line(right, room, lambda value: f"{value:g}"), Role.DIM))]


def _scale_around(low: float, high: float, ticks: int, most: float | None) -> Scale:
    """Return an axis around some values, close around a single one, that ends at `most` where no value exceeds it."""
    size = max(abs(low), abs(high))
    around = size * NEAR if high - low <= LEVEL * size else 0.0
    scale = linear_scale(low - around, high + around, ticks)
    if most is None or not high <= most < scale.high:
        return scale
    return Scale(scale.low, most, tuple(tick for tick in scale.ticks if tick <= most))


def _labels(scale: Scale, rows: int, shown: Callable[[float], str], *, log: bool) -> dict[int, str]:
    """Return the labels of ticks by the rows that they stand in."""
    found: dict[int, str] = {}
    for value in scale.ticks:
        share = _share(value, scale, log=log)
        if -1e-9 <= share <= 1 + 1e-9:
            found.setdefault(rows - 1 - round(share * (rows - 1)), shown(value))
    return found


def _share(value: float, scale: Scale, *, log: bool) -> float:
    low, high, value = (math.log(one) if log else one for one in (scale.low, scale.high, value))
    return (value - low) / (high - low) if high > low else 0.0


def floor_line(right: float, cells: int, shown: Callable[[float], str]) -> str:
    """Return an axis from 0 to `right` with the labels of its ticks in it."""
    ticks: Sequence[float] = linear_scale(0.0, right, max(1, cells // APART)).ticks
    drawn = FLOOR * cells
    for value in ticks:
        label = shown(value)
        at = round(value / right * (cells - 1)) if right > 0 else 0
        start = max(0, min(at - width(label) // 2, cells - width(label)))
        end = start + width(label)
        if value <= right * (1 + 1e-9) and end <= cells and set(drawn[max(0, start - 1) : end + 1]) <= {FLOOR}:
            drawn = drawn[:start] + label + drawn[end:]
    return drawn
