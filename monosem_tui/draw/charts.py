"""Charts of several rows: columns out of eighths of a cell, curves out of braille dots."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.bars import LEVELS

Floats = NDArray[np.float64]
BRAILLE = 0x2800
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille cell's dots, by row and column."""


def columns_chart(heights: Floats, cells: int, rows: int) -> list[str]:
    """Return columns of equal width, as high as their share of the highest; a positive one shows at least an eighth.

    Args:
        heights: not negative.
        cells: width; each column takes as many whole cells as fit.
        rows: height.
    """
    each = max(1, cells // max(1, len(heights)))
    top = float(heights.max(initial=0.0))
    eighths = np.rint(8 * rows * heights / top).astype(int) if top > 0 else np.zeros(len(heights), int)
    eighths = np.where(heights > 0, np.maximum(eighths, 1), 0)
    return [
        "".join(LEVELS[int(np.clip(eighth - 8 * row, 0, 8))] * each for eighth in eighths)
        for row in range(rows - 1, -1, -1)
    ]


HUGE = 1e300
"""Largest value drawn: beyond it differences overflow."""
LEVEL = 1e-3
"""Share of a value below which a curve's ups and downs are not drawn."""


class Curve(NamedTuple):
    """Lines of a curve, and the values at its top and bottom edges."""

    rows: list[str]
    low: float
    high: float


class PlotFrame(NamedTuple):
    """The part of the plane that a plot shows."""

    left: float
    right: float
    low: float
    high: float


def curve(
    x_N: Floats, y_N: Floats, cells: int, rows: int, *, log: bool = False, frame: PlotFrame | None = None
) -> Curve:
    """Draw y over x as braille dots; points that share a column of dots are averaged.

    Args:
        x_N: places; sorted here.
        y_N: values; NaN, infinities, and with `log` values up to 0 are left out.
        cells: width.
        rows: height.
        log: heights by the logarithm.
        frame: what is shown; None for all of the curve, and no more.
    """
    good = np.isfinite(x_N) & np.isfinite(y_N)
    good &= (y_N > 0) | (not log)
    order = np.argsort(x_N[good], kind="stable")
    x_N, y_N = (np.clip(values[good][order], -HUGE, HUGE) for values in (x_N, y_N))
    if not len(x_N):
        return Curve([" " * cells] * rows, 0.0, 0.0)
    low, high = float(y_N.min()), float(y_N.max())
    left, right, bottom, top = frame or PlotFrame(float(x_N[0]), float(x_N[-1]), low, high)
    values_N = np.log(np.clip(y_N, bottom, top)) if log else np.clip(y_N, bottom, top)
    bottom, top = (float(np.log(end)) if log else end for end in (bottom, top))
    dots = _dots(_means(x_N, values_N, 2 * cells, left, right), 4 * rows, None if frame is None else (bottom, top))
    return Curve(
        ["".join(chr(BRAILLE + bits) if bits else " " for bits in row) for row in _cells(dots, cells, rows)], low, high
    )


def _means(x_N: Floats, y_N: Floats, columns: int, left: float, right: float) -> list[float | None]:
    """Return the mean of each column of dots, None where it has no point."""
    span = right - left
    place_N = np.zeros(len(x_N), int) if span <= 0 else ((x_N - left) / span * (columns - 1)).astype(int)
    place_N = np.clip(place_N, 0, columns - 1)
    sums, counts = np.bincount(place_N, y_N, columns), np.bincount(place_N, minlength=columns)
    return [float(total / n) if n else None for total, n in zip(sums, counts, strict=True)]


def _dots(means: list[float | None], height: int, ends: tuple[float, float] | None = None) -> list[range]:
    """Return the rows of dots (0 at the bottom) set in each column, so that neighbouring columns touch."""
    known = [value for value in means if value is not None]
    low, high = ends or (min(known), max(known))
    # Values that differ by rounding alone make a level line, not a cliff.
    flat = high - low <= LEVEL * max(abs(high), abs(low))
    middle = (height - 1) // 2
    drawn: list[range] = []
    before: int | None = None
    for number, value in enumerate(means):
        if value is None:
            # A gap between two points is bridged at the height of the one before.
            later = any(other is not None for other in means[number:])
            drawn.append(range(before, before + 1) if before is not None and later else range(0))
            continue
        at = middle if flat else round((value - low) / (high - low) * (height - 1))
        start = at if before is None or abs(before - at) < 2 else before + (1 if at > before else -1)
        drawn.append(range(min(start, at), max(start, at) + 1))
        before = at
    return drawn


def _cells(dots: list[range], cells: int, rows: int) -> list[list[int]]:
    """Braille bits by row of cells, the highest first."""
    bits = [[0] * cells for _ in range(rows)]
    for column, heights in enumerate(dots):
        for height in heights:
            from_top = 4 * rows - 1 - height
            bits[from_top // 4][column // 2] |= DOTS[from_top % 4][column % 2]
    return bits
