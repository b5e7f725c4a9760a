"""The part of the plane that a picture shows: where it lies, and how large a dot is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from monosem_tui.draw.dots import ACROSS, DOWN
from store.map.feature_map import Box

CLOSEST = 4096.0
"""Times that one may zoom into the whole."""


@dataclass(frozen=True)
class Window:
    """A picture of some rows and cells; units of the plane per dot may differ across and down."""

    x: float
    """Coordinates of its middle."""
    y: float
    across: float
    """Units of the plane per dot, horizontally."""
    down: float
    rows: int
    cells: int

    @property
    def box(self) -> Box:
        """The part of the plane inside."""
        half_x, half_y = self.across * ACROSS * self.cells / 2, self.down * DOWN * self.rows / 2
        return Box(self.x - half_x, self.y - half_y, self.x + half_x, self.y + half_y)

    def cell_of(self, x: float, y: float) -> tuple[int, int]:
        """Return row and cell of a point, which may lie outside."""
        box = self.box
        return int((box.top - y) // (self.down * DOWN)), int((x - box.left) // (self.across * ACROSS))

    def middle_of(self, row: int, cell: int) -> tuple[float, float]:
        """Return the point in the middle of a cell."""
        box = self.box
        return box.left + (cell + 0.5) * self.across * ACROSS, box.top - (row + 0.5) * self.down * DOWN

    def box_of(self, first: tuple[int, int], last: tuple[int, int]) -> Box:
        """Return the part of the plane that a rectangle of cells covers, corners included."""
        (top, bottom), (left, right) = (sorted(pair) for pair in zip(first, last, strict=True))
        box, cell_x, cell_y = self.box, self.across * ACROSS, self.down * DOWN
        return Box(
            box.left + left * cell_x,
            box.top - (bottom + 1) * cell_y,
            box.left + (right + 1) * cell_x,
            box.top - top * cell_y,
        )

    def moved(self, rows: float, cells: float) -> Window:
        """Return the window a number of rows further down and of cells further right."""
        return replace(self, x=self.x + cells * ACROSS * self.across, y=self.y - rows * DOWN * self.down)

    def zoomed(self, factor: float, x: float, y: float) -> Window:
        """Return the window with dots `factor` times as small; the point x, y stays where it is."""
        return replace(
            self,
            x=x + (self.x - x) / factor,
            y=y + (self.y - y) / factor,
            across=self.across / factor,
            down=self.down / factor,
        )

    def kept_in(self, bounds: Box) -> Window:
        """Return the window moved so that it shows nothing beside `bounds`, or all of them in its middle."""
        half_x, half_y = self.across * ACROSS * self.cells / 2, self.down * DOWN * self.rows / 2
        return replace(
            self,
            x=_inside(self.x, bounds.left + half_x, bounds.right - half_x),
            y=_inside(self.y, bounds.bottom + half_y, bounds.top - half_y),
        )

    def of_size(self, rows: int, cells: int) -> Window:
        """Return the window with the same middle and scale on a screen of another size."""
        return replace(self, rows=rows, cells=cells)


def whole(bounds: Box, rows: int, cells: int, *, equal: bool) -> Window:
    """Return the window that shows a part of the plane as large as it fits.

    Args:
        bounds: the part.
        rows: height in cells.
        cells: width in cells.
        equal: whether a unit is as long across as down; a dot is about as wide as high.
    """
    across = (bounds.right - bounds.left) / (ACROSS * max(1, cells))
    down = (bounds.top - bounds.bottom) / (DOWN * max(1, rows))
    if equal:
        across = down = max(across, down)
    return Window((bounds.left + bounds.right) / 2, (bounds.bottom + bounds.top) / 2, across, down, rows, cells)


def _inside(value: float, low: float, high: float) -> float:
    """Return the value from `low` to `high` that is nearest; their middle where there is none."""
    return (low + high) / 2 if low > high else min(max(value, low), high)
