"""The dots of a map as a picture of cells, in the colours of their features, within a number of bytes.

A cell with dots takes three bytes on the wire, an empty one before it one, a change of colour fifteen. So along a row
the colour changes only where enough features have another one: `DEARNESS` per change, the least that the bytes allow.
If none of it is enough, there are no colours, and then the dots are those of a share of the features, always the same
ones. Cells whose dots are all set are blanks on a coloured ground, which take a third of the bytes.

Shapes: N points, I points inside, Y rows, X cells of a row, G groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.cell_grid import BLANK, NUMBER, CellGrid, cost
from monosem_tui.draw.charts import BRAILLE
from monosem_tui.draw.dots import FULL, DotPlaces, bits, counts, dot_places, group_counts
from monosem_tui.draw.spans import GROUPS, HEAT, INK, SOLID, Role
from monosem_tui.model.map_colours import NONE, STEPS, Colouring
from monosem_tui.model.map_names import NamedCluster, clusters_in_sight
from monosem_tui.model.map_points import MapPoints
from monosem_tui.model.map_window import Window

QUICK, WHOLE = 5200, 12000
"""Bytes of the dots of a picture during steps, and of one that stays; axes, names and legend come to some hundred."""
SHARES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.15, 0.08, 0.04, 0.02, 0.01, 0.005)
"""Shares of the features that a picture may be limited to."""
DEARNESS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Features that must have another colour for it to change along a row."""
HEAVIEST = 4
"""Features that a cell counts as, at most."""
SYMBOLS = "ox+#=%"
"""Letters in place of colours, by group."""


class _Layers(NamedTuple):
    """Points that stand out, their braille bits, and those of the others."""

    front: DotPlaces
    bits_YX: NDArray[np.uint8]
    behind_YX: NDArray[np.uint8] | None


class _Drawn(NamedTuple):
    """A picture within limits: the share of the features that it has, and whether there were none."""

    grid: CellGrid
    share: float
    is_exact: bool


@dataclass(frozen=True, eq=False)
class DotPicture:
    """The dots of a window; what stands on them (crosshair, names, box) is put there by `map_page`."""

    shown: MapPoints
    window: Window
    colouring: Colouring
    lit_F: NDArray[np.bool_] | None
    """Features that stand out; None for all."""
    colors: int
    """Colours of the terminal in use."""
    most: int = WHOLE
    """Bytes that the dots may take."""
    before_Y: NDArray[np.int64] | None = None
    """Ends of what the picture before has drawn in each row, which this one has to clear."""

    @property
    def is_whole(self) -> bool:
        """Whether all features inside are drawn."""
        return self._drawn.share == 1.0

    @property
    def is_exact(self) -> bool:
        """Whether more bytes would not change it."""
        return self._drawn.is_exact

    @cached_property
    def places(self) -> DotPlaces:
        """The points inside."""
        window, box = self.window, self.window.box
        return dot_places(
            self.shown.place_N2, box.left, box.top, 1 / window.across, 1 / window.down, window.rows, window.cells
        )

    @cached_property
    def lit_I(self) -> NDArray[np.bool_]:
        """The points inside that stand out."""
        features = self.shown.feature_N[self.places.point_I]
        return np.ones(len(features), bool) if self.lit_F is None else self.lit_F[features]

    @cached_property
    def grid(self) -> CellGrid:
        """The picture."""
        return self._drawn.grid

    @cached_property
    def _drawn(self) -> _Drawn:
        """The picture with as many changes of colour, and then with as many features, as the bytes allow."""
        whole, rank_I = self._layers(self.places, self.lit_I), self.shown.rank_N[self.places.point_I]
        limits: list[tuple[float, float | None]] = [(1.0, dear) for dear in DEARNESS]
        limits = [*(limits if self.colors else limits[:1]), *((share, None) for share in SHARES)]

        def drawn(number: int) -> _Drawn:
            share, dear = limits[number]
            if dear is not None:
                return _Drawn(self._coloured(whole, dear), share, number == 0)
            kept_I = rank_I < share
            layers = whole if share == 1 else self._layers(self.places.those(kept_I), self.lit_I[kept_I])
            return _Drawn(self._outline(layers), share, False)

        best = drawn(0)
        if cost(best.grid, self.before_Y) <= self.most:
            return best
        first, last = 1, len(limits) - 1
        best = drawn(last)
        while first < last:  # costs fall from limit to limit
            middle = (first + last) // 2
            found = drawn(middle)
            if cost(found.grid, self.before_Y) <= self.most:
                best, last = found, middle
            else:
                first = middle + 1
        return best

    def _layers(self, places: DotPlaces, lit_I: NDArray[np.bool_]) -> _Layers:
        rows, cells = self.window.rows, self.window.cells
        front = places.those(lit_I)
        behind = bits(places.those(~lit_I), rows, cells) if self.lit_F is not None else None
        return _Layers(front, bits(front, rows, cells), behind)

    def _outline(self, layers: _Layers) -> CellGrid:
        """Draw points without colours."""
        grid = CellGrid(self.window.rows, self.window.cells)
        if layers.behind_YX is not None:
            self._draw(grid, layers.behind_YX, Role.DIM)
        self._draw(grid, layers.bits_YX, Role.PLAIN if self.lit_F is None else Role.BOLD)
        return grid

    def _coloured(self, layers: _Layers, dear: float) -> CellGrid:
        """Draw points in colours, a change of which is worth so many of them."""
        grid = self._outline(layers)
        if dear:
            ground_YX = _steadied(_blurred(self._errors, DEARNESS.index(dear)), dear)
        else:
            ground_YX = self._errors.argmin(axis=2).astype(np.int8)
        ground_YX = np.where(ground_YX == self._errors.shape[2] - 1, NONE, ground_YX).astype(np.int8)
        if self.colors == 0 and not self.colouring.is_scale and len(self.colouring.names) > 1:
            self._letters(grid, layers.bits_YX, ground_YX)
            return grid
        there_YX = layers.bits_YX > 0
        grid.role_YX[there_YX] = self._roles(ground_YX)[there_YX]
        if self.colors >= 256 and self.colouring.name != "plain":
            self._fill(grid, layers.bits_YX, ground_YX)
        _carry(grid)
        return grid

    @staticmethod
    def _draw(grid: CellGrid, bits_YX: NDArray[np.uint8], role: Role) -> None:
        there_YX = bits_YX > 0
        grid.code_YX[there_YX] = BRAILLE + bits_YX[there_YX].astype(np.uint32)
        grid.role_YX[there_YX] = NUMBER[role]

    @cached_property
    def _errors(self) -> NDArray[np.float32]:
        """The error of each colour in each cell, in features: of those that stand out, how many have another one, or on
        a scale by how many steps together. The last colour is that of features without one.
        """
        rows, cells = self.window.rows, self.window.cells
        front = self.places.those(self.lit_I)
        groups = STEPS if self.colouring.is_scale else int(self.colouring.group_F.max(initial=0)) + 1
        if self.colouring.name == "crowd":
            number_YX = counts(front, rows, cells)
            tally_YXG = (crowd_steps(number_YX)[:, :, None] == np.arange(STEPS)) * number_YX[:, :, None]
            without_YX = np.zeros((rows, cells), np.int64)
        else:
            group_I = self.colouring.group_F[self.shown.feature_N[front.point_I]]
            tally_YXG = group_counts(front, group_I, groups, rows, cells)
            without_YX = counts(front, rows, cells) - tally_YXG.sum(axis=2)
        between_GG = np.abs(np.subtract.outer(np.arange(groups), np.arange(groups)))
        if not self.colouring.is_scale:
            between_GG = np.minimum(between_GG, 1)
        errors_YXG = np.zeros((rows, cells, groups + 1), np.float32)
        weight_YX = np.minimum(HEAVIEST / np.maximum(tally_YXG.sum(axis=2), 1), 1)
        errors_YXG[:, :, :groups] = tally_YXG @ between_GG * weight_YX[:, :, None]
        # A coloured feature among many that have no colour is what one looks for.
        errors_YXG[:, :, groups] = np.where(tally_YXG.sum(axis=2) > 0, np.inf, -1e-3 * without_YX)
        return errors_YXG

    def _roles(self, ground_YX: NDArray[np.int8]) -> NDArray[np.uint8]:
        roles = _ordered_roles(self.colors) if self.colouring.is_scale else _group_roles(self.colouring)
        numbers = np.array([NUMBER[role] for role in roles], np.uint8)
        found: NDArray[np.uint8] = np.where(ground_YX == NONE, NUMBER[Role.DIM], numbers[ground_YX])
        return found.astype(np.uint8)

    def _fill(self, grid: CellGrid, bits_YX: NDArray[np.uint8], ground_YX: NDArray[np.int8]) -> None:
        """Draw full cells beside each other as coloured blanks."""
        full_YX = (bits_YX == FULL) & (ground_YX != NONE)
        beside_YX = np.zeros_like(full_YX)
        beside_YX[:, 1:] |= full_YX[:, :-1]
        beside_YX[:, :-1] |= full_YX[:, 1:]
        full_YX &= beside_YX
        roles = HEAT[1:] if self.colouring.is_scale else [SOLID[n % len(SOLID)] for n in range(64)]
        numbers = np.array([NUMBER[role] for role in roles], np.uint8)
        grid.code_YX[full_YX] = BLANK
        grid.role_YX[full_YX] = numbers[ground_YX[full_YX]]

    def _letters(self, grid: CellGrid, bits_YX: NDArray[np.uint8], ground_YX: NDArray[np.int8]) -> None:
        """Draw a letter per cell for its group, where there are no colours."""
        grid.role_YX[bits_YX > 0] = NUMBER[Role.DIM]
        letters = np.array([ord(SYMBOLS[n % len(SYMBOLS)]) for n in range(64)], np.uint32)
        known_YX = (bits_YX > 0) & (ground_YX != NONE)
        grid.code_YX[known_YX] = letters[ground_YX[known_YX]]
        grid.role_YX[known_YX] = NUMBER[Role.PLAIN]

    @cached_property
    def named(self) -> list[NamedCluster]:
        """The clusters in sight that have a name."""
        return clusters_in_sight(self.shown.map, self.window.box) if self.shown.map is not None else []

    def nearest(self, row: int, cell: int, most: int = 1) -> NDArray[np.int64]:
        """Return the features whose points are nearest to the middle of a cell, the nearest first; of those that stand
        out, if there are any in sight."""
        places = self.places.those(self.lit_I) if self.lit_I.any() else self.places
        x, y = self.window.middle_of(row, cell)
        near_I2 = self.shown.place_N2[places.point_I]
        apart_I = ((near_I2[:, 0] - x) / self.window.across) ** 2 + ((near_I2[:, 1] - y) / self.window.down) ** 2
        wanted = np.argpartition(apart_I, most - 1)[:most] if len(apart_I) > most else np.arange(len(apart_I))
        order = wanted[np.lexsort((places.point_I[wanted], apart_I[wanted]))]
        return self.shown.feature_N[places.point_I[order]]


def _blurred(errors_YXG: NDArray[np.float32], times: int) -> NDArray[np.float32]:
    """Return errors to which the rows above and below contribute, so that colours agree from row to row."""
    edge = errors_YXG.shape[2] - 1
    for _ in range(times):
        above, below = np.roll(errors_YXG, 1, axis=0), np.roll(errors_YXG, -1, axis=0)
        above[0], below[-1] = 0, 0
        blurred = (errors_YXG / 2 + (above + below) / 4).astype(np.float32)
        blurred[:, :, edge] = errors_YXG[:, :, edge]
        errors_YXG = blurred
    return errors_YXG


def _steadied(errors_YXG: NDArray[np.float32], dear: float) -> NDArray[np.int8]:
    """Return the colour of each cell with the least errors in a row, if each change of colour counts as `dear` errors.

    The best colours up to a cell are those up to the one before, or of a change there (Viterbi).
    """
    rows, cells, groups = errors_YXG.shape
    best_YG = errors_YXG[:, 0]
    stays_XYG = np.ones((cells, rows, groups), bool)
    least_XY = np.zeros((cells, rows), np.int8)
    for x in range(1, cells):
        least_XY[x] = best_YG.argmin(axis=1)
        changed_Y1 = best_YG.min(axis=1, keepdims=True) + dear
        stays_XYG[x] = best_YG <= changed_Y1
        best_YG = np.minimum(best_YG, changed_Y1) + errors_YXG[:, x]
    found_YX = np.empty((rows, cells), np.int8)
    found_YX[:, -1] = best_YG.argmin(axis=1)
    for x in range(cells - 1, 0, -1):
        now_Y = found_YX[:, x]
        found_YX[:, x - 1] = np.where(stays_XYG[x, np.arange(rows), now_Y], now_Y, least_XY[x])
    return found_YX


def _carry(grid: CellGrid) -> None:
    """Give empty cells the role of the last cell before them, unless it has a ground: one run takes fewer bytes."""
    cells = grid.shape[1]
    drawn_YX = (grid.code_YX != BLANK) | (grid.role_YX != NUMBER[Role.PLAIN])
    last_YX = np.maximum.accumulate(np.where(drawn_YX, np.arange(cells), -1), axis=1)
    last_drawn_Y = last_YX[:, -1:]
    between_YX = ~drawn_YX & (last_YX >= 0) & (np.arange(cells) < last_drawn_Y)
    role_YX = np.take_along_axis(grid.role_YX, np.maximum(last_YX, 0), 1)
    between_YX &= np.take_along_axis(grid.code_YX, np.maximum(last_YX, 0), 1) != BLANK
    grid.role_YX[between_YX] = role_YX[between_YX]


def crowd_steps(count_YX: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return five steps of the number of points in a cell, by its logarithm; NONE where there are none."""
    most = max(int(count_YX.max(initial=0)), 2)
    share_YX = np.log(np.maximum(count_YX, 1)) / np.log(most)
    return np.where(count_YX > 0, np.minimum(STEPS - 1, share_YX * STEPS), NONE).astype(np.int8)


def _ordered_roles(colors: int) -> Sequence[Role]:
    """Return the roles of a scale's steps: ink, or weights where there are no colours."""
    return INK[1:] if colors else (Role.DIM, Role.DIM, Role.PLAIN, Role.BOLD, Role.BOLD)


def _group_roles(colouring: Colouring) -> Sequence[Role]:
    if colouring.name == "plain":
        return (Role.PLAIN,)
    return [GROUPS[n % len(GROUPS)] for n in range(64)]
