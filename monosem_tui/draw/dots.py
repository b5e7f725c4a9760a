"""Points as braille dots: 2 × 4 dots in each cell, a dot where there is a point.

Shapes: N points, I points inside, Y rows of cells, X cells of a row, G groups.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.charts import DOTS

ACROSS, DOWN = 2, 4
"""Dots of a cell."""
FULL = 0xFF
_BITS = np.array(DOTS, np.uint8)


class DotPlaces(NamedTuple):
    """The points inside a picture: which they are, and their dots."""

    point_I: NDArray[np.int64]
    column_I: NDArray[np.int32]
    row_I: NDArray[np.int32]

    def cell_I(self, cells: int) -> NDArray[np.int64]:
        """Return the cell of each, counted row by row."""
        found: NDArray[np.int64] = (self.row_I // DOWN).astype(np.int64) * cells + self.column_I // ACROSS
        return found

    def those(self, wanted_I: NDArray[np.bool_]) -> DotPlaces:
        """Return some of them."""
        return DotPlaces(self.point_I[wanted_I], self.column_I[wanted_I], self.row_I[wanted_I])


def dot_places(
    place_N2: NDArray[np.float64], left: float, top: float, across: float, down: float, rows: int, cells: int
) -> DotPlaces:
    """Return the points that lie in a picture.

    Args:
        place_N2: coordinates; the second rises upwards.
        left: coordinate of the left edge.
        top: coordinate of the upper edge.
        across: dots per unit, horizontally.
        down: dots per unit, vertically.
        rows: height in cells.
        cells: width in cells.
    """
    column_N, row_N = (place_N2[:, 0] - left) * across, (top - place_N2[:, 1]) * down
    inside = np.flatnonzero((column_N >= 0) & (column_N < ACROSS * cells) & (row_N >= 0) & (row_N < DOWN * rows))
    return DotPlaces(inside, column_N[inside].astype(np.int32), row_N[inside].astype(np.int32))


def bits(places: DotPlaces, rows: int, cells: int) -> NDArray[np.uint8]:
    """Return the braille bits of each cell: [Y, X]."""
    across = ACROSS * cells
    dot = places.row_I.astype(np.int64) * across + places.column_I
    there = np.bincount(dot, minlength=DOWN * rows * across) > 0
    set_YDXA = there.reshape(rows, DOWN, cells, ACROSS)
    found: NDArray[np.uint8] = (set_YDXA * _BITS[None, :, None, :]).sum(axis=(1, 3)).astype(np.uint8)
    return found


def counts(places: DotPlaces, rows: int, cells: int) -> NDArray[np.int64]:
    """Return the points of each cell: [Y, X]."""
    return np.bincount(places.cell_I(cells), minlength=rows * cells).reshape(rows, cells)


def group_counts(places: DotPlaces, group_I: NDArray[np.int8], groups: int, rows: int, cells: int) -> NDArray[np.int64]:
    """Return the points of each group in each cell: [Y, X, G]; those of a negative group are left out."""
    known = group_I >= 0
    at = places.cell_I(cells)[known] * groups + group_I[known]
    return np.bincount(at, minlength=rows * cells * groups).reshape(rows, cells, groups)
