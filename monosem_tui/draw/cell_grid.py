"""A grid of characters with roles, for pictures: built as a whole, sent to the terminal where it has changed.

Shapes: Y rows, X cells of a row.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.safe_text import width
from monosem_tui.draw.spans import Line, Role, Span

ROLES = tuple(Role)
NUMBER = {role: number for number, role in enumerate(ROLES)}
"""Numbers by which grids hold roles."""
BLANK, CONTINUED = ord(" "), 0
"""Code of an empty cell, and of the second cell of a wide character."""
GAP = 8
"""Equal cells between two changes up to which they are sent too: another move of the cursor costs as much."""

MOVE, STYLE = 8, 15
"""Bytes of a move of the cursor, and of a run of cells in a style."""


class Change(NamedTuple):
    """A half-open range of cells of one row."""

    y: int
    start: int
    stop: int


class CellGrid:
    """Characters and roles of a picture."""

    def __init__(self, rows: int, cells: int) -> None:
        self.code_YX = np.full((rows, cells), BLANK, np.uint32)
        """Code points."""
        self.role_YX = np.zeros((rows, cells), np.uint8)
        """Numbers of roles."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and cells."""
        rows, cells = self.code_YX.shape
        return rows, cells

    def copy(self) -> CellGrid:
        """Return an independent copy."""
        found = CellGrid(0, 0)
        found.code_YX, found.role_YX = self.code_YX.copy(), self.role_YX.copy()
        return found

    def put(self, y: int, x: int, spans: Line) -> None:
        """Write a line from a cell on; what lies outside is left out, and so are marks that take no cell."""
        rows, cells = self.shape
        if not 0 <= y < rows:
            return
        for text, role in spans:
            for character in text:
                size = width(character)
                if size and x >= 0 and x + size <= cells:
                    self._free(y, x)
                    self._free(y, x + size - 1)
                    self.code_YX[y, x : x + size] = [ord(character), CONTINUED][:size]
                    self.role_YX[y, x : x + size] = NUMBER[role]
                x += size

    def paint(self, y: int, x: int, role: Role) -> None:
        """Give a cell another role."""
        rows, cells = self.shape
        if 0 <= y < rows and 0 <= x < cells:
            self.role_YX[y, x] = NUMBER[role]

    def line(self, y: int) -> Line:
        """Return a row."""
        codes, roles = self.code_YX[y], self.role_YX[y]
        edges = [0, *(np.flatnonzero(roles[1:] != roles[:-1]) + 1).tolist(), len(roles)]
        texts = ("".join(map(chr, filter(None, codes[a:b].tolist()))) for a, b in pairwise(edges))
        return tuple(
            Span(text, ROLES[number]) for text, number in zip(texts, roles[edges[:-1]].tolist(), strict=True) if text
        )

    def changes(self, before: CellGrid) -> list[Change]:
        """Return where it differs from a grid of the same shape."""
        differs_YX = (self.code_YX != before.code_YX) | (self.role_YX != before.role_YX)
        found = []
        for y in np.flatnonzero(differs_YX.any(axis=1)).tolist():
            places = np.flatnonzero(differs_YX[y])
            breaks = np.flatnonzero(np.diff(places) > GAP) + 1
            for part in np.split(places, breaks):
                found.append(self._whole(before, Change(y, int(part[0]), int(part[-1]) + 1)))
        return found

    def _whole(self, before: CellGrid, change: Change) -> Change:
        """Return a change widened where it would cut a wide character in either grid."""
        y, start, stop = change
        cells = self.shape[1]
        while start and CONTINUED in (self.code_YX[y, start], before.code_YX[y, start]):
            start -= 1
        while stop < cells and CONTINUED in (self.code_YX[y, stop], before.code_YX[y, stop]):
            stop += 1
        return Change(y, start, stop)

    def _free(self, y: int, x: int) -> None:
        """Clear the other half of a wide character of which one cell is written over."""
        if self.code_YX[y, x] == CONTINUED and x:
            self.code_YX[y, x - 1] = BLANK
        if x + 1 < self.shape[1] and self.code_YX[y, x + 1] == CONTINUED:
            self.code_YX[y, x + 1] = BLANK


def ends(grid: CellGrid) -> NDArray[np.int64]:
    """Return for each row the end (exclusive) of what is drawn in it: [Y]; 0 where nothing is."""
    drawn_YX = (grid.code_YX != BLANK) | (grid.role_YX != NUMBER[Role.PLAIN])
    cells = grid.shape[1]
    return np.where(drawn_YX.any(axis=1), cells - drawn_YX[:, ::-1].argmax(axis=1), 0)


def cost(grid: CellGrid, before_Y: NDArray[np.int64] | None = None) -> int:
    """Return about how many bytes a grid takes on the wire, if every row has changed: Textual sends a row from its
    widget's left edge to the last cell that differs.

    Args:
        grid: the picture.
        before_Y: ends of what was drawn before in each row, and has to be cleared.
    """
    end_Y = ends(grid) if before_Y is None else np.maximum(ends(grid), before_Y)
    letters = np.where(grid.code_YX < 0x80, 0, np.where(grid.code_YX < 0x800, 1, 2))
    styled_YX = grid.role_YX != NUMBER[Role.PLAIN]
    starts_YX = styled_YX.copy()
    starts_YX[:, 1:] &= grid.role_YX[:, 1:] != grid.role_YX[:, :-1]
    rows = end_Y[end_Y > 0]
    return int(rows.sum() + MOVE * len(rows) + letters.sum() + STYLE * starts_YX.sum())
