"""The crosshair: moved by keys and mouse, from feature to feature, and what is in sight around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from monosem_tui.draw.numbers import compact, count
from monosem_tui.keys.actions import Need, Where
from monosem_tui.model.map_names import clusters_in_sight
from monosem_tui.model.map_window import CLOSEST
from monosem_tui.pages.map_page import Place, place_of_feature
from monosem_tui.screens.map.picture import MapPicture
from monosem_tui.screens.map.state import MapState
from monosem_tui.screens.part import ScreenPart

FACTOR = 2.0
"""Factor of a zoom by keys."""
RING = 64
"""Features around the crosshair that are gone through, from the nearest on."""
PAN = 0.5
"""Share of the picture by which it moves when the crosshair is pushed against its edge."""


class MapCrosshair(ScreenPart):
    """Keeps the crosshair, the feature nearest to it, and the part of the plane in sight."""

    def __init__(self, state: MapState, picture: MapPicture, follow: Callable[[], object]) -> None:
        """Prepare.

        Args:
            state: of the screen.
            picture: draws it.
            follow: called when another feature is nearest.
        """
        self._state, self._host, self._picture, self._follow = state, state.host, picture, follow
        self._ring: list[int] = []
        """The features nearest to the crosshair, once one goes through them."""
        self._at = 0
        self.needs = {
            Need.FEATURES: lambda: state.marks.nearest is not None,
            Need.NAMED_CLUSTERS: lambda: state.shown.map is not None,
        }

    @property
    def here(self) -> Where:
        """The dots, or the box that is drawn on them."""
        return Where.BOX if self._state.selecting else Where.DOTS

    def position(self) -> str:
        """Return which feature the card is about, and how many share its cell."""
        state = self._state
        if state.marks.nearest is None:
            return ""
        scale = self.scale()
        zoom = f" · ×{compact(scale) if scale >= 9.5 else f'{scale:.2g}'}" if abs(scale - 1) > 0.01 else ""
        n = self._here()
        return f"{state.marks.nearest}{f' · {count(n)} here' if n > 1 else ''}{zoom}"

    def scale(self) -> float:
        """Return how many times larger than the whole the picture is."""
        state, window = self._state, self._state.window
        kept = state.windows.pop(state.shown.name, None)
        found = state.window.across / window.across
        if kept is not None:
            state.windows[state.shown.name] = kept
        return found

    def _here(self) -> int:
        """Return how many features share the crosshair's cell."""
        dots = self._picture.dots
        row, cell = self._state.marks.cursor
        return int((dots.places.cell_I(dots.window.cells) == row * dots.window.cells + cell).sum())

    # What is nearest

    def settle(self) -> None:
        """Find the feature nearest to the crosshair anew, and draw the marks."""
        state = self._state
        found = self._picture.dots.nearest(*state.marks.cursor)
        self._ring, self._at = [], 0
        self._take(int(found[0]) if len(found) else None)

    def _take(self, feature: int | None) -> None:
        state = self._state
        state.marks = replace(state.marks, nearest=feature)
        self._picture.redraw_marks()
        self._host.retell()
        self._follow()

    def place(self, row: int, cell: int) -> None:
        """Put the crosshair on a cell."""
        frame = self._state.frame
        inside = min(max(row, 0), frame.rows - 1), min(max(cell, 0), frame.cells - 1)
        self._state.marks = replace(self._state.marks, cursor=inside)
        self.settle()

    def fit(self) -> None:
        """Draw for another size; the crosshair stays with its feature, else it goes to the middle."""
        state = self._state
        self._picture.redraw()
        place = place_of_feature(self._picture.dots, state.marks.nearest)
        if place is None:
            rows, cells = state.frame.rows, state.frame.cells
            place = (rows // 2, cells // 2) if state.marks.nearest is None else state.marks.cursor
        self.place(*place)

    def go_to(self, feature: int) -> None:
        """Put the crosshair on a feature, and have it in sight."""
        state, shown = self._state, self._state.shown
        at = int(np.searchsorted(shown.feature_N, feature))
        if at >= len(shown.feature_N) or shown.feature_N[at] != feature:
            self._host.tell(f"{feature} has no place here: it never fires, or has no direction")
            return
        x, y = shown.place_N2[at].tolist()
        row, cell = state.window.cell_of(x, y)
        if not (0 <= row < state.frame.rows and 0 <= cell < state.frame.cells):
            state.look_at(replace(state.window, x=x, y=y))
            row, cell = state.window.cell_of(x, y)
            self._picture.step()
        state.marks = replace(state.marks, cursor=(row, cell))
        self._take(feature)

    # Keys

    def action_move(self, rows: int, cells: int) -> None:
        """Move the crosshair; pushed against an edge, it moves the picture."""
        state, frame = self._state, self._state.frame
        row, cell = state.marks.cursor[0] + rows, state.marks.cursor[1] + cells
        out_y, out_x = _beyond(row, frame.rows), _beyond(cell, frame.cells)
        if not (out_y or out_x):
            self.place(row, cell)
            return
        by_y, by_x = self._pan(round(out_y * PAN * frame.rows), round(out_x * PAN * frame.cells))
        self.place(row - by_y, cell - by_x)

    def action_pan(self, rows: float, cells: float) -> None:
        """Move the picture by shares of its size; the crosshair stays where it is on the screen."""
        frame = self._state.frame
        self._pan(round(rows * frame.rows), round(cells * frame.cells))
        self.settle()

    def _pan(self, rows: int, cells: int) -> tuple[int, int]:
        """Move the picture by so many rows and cells, as far as there is something to see; return by how many."""
        state, before = self._state, self._state.window
        corner = state.marks.corner
        state.look_at(before.moved(rows, cells))
        row, cell = before.cell_of(*state.window.middle_of(0, 0))
        if corner is not None:
            state.marks = replace(state.marks, corner=(corner[0] - row, corner[1] - cell))
        if row or cell:
            self._picture.step()
        return row, cell

    def action_zoom_map(self, steps: int) -> None:
        """Zoom in or out around the crosshair."""
        self.zoom(FACTOR**steps, self._state.marks.cursor)

    def zoom(self, factor: float, place: Place) -> None:
        """Zoom around a cell, which stays where it is."""
        state = self._state
        now = self.scale()
        factor = min(max(factor, 1 / now), CLOSEST / now)
        if state.selecting or abs(factor - 1) < 1e-6:
            return
        point = state.window.middle_of(*place)
        state.look_at(state.window.zoomed(factor, *point))
        self._picture.step()
        self.place(*state.window.cell_of(*point) if place == state.marks.cursor else state.marks.cursor)

    def action_all_map(self) -> None:
        """Show all features."""
        self._state.look_at(None)
        self._picture.step()
        self.fit()

    def action_near(self, step: int) -> None:
        """Go to the next nearest feature around the crosshair, or back."""
        state = self._state
        if not self._ring:
            found = self._picture.dots.nearest(*state.marks.cursor, most=RING).tolist()
            self._ring = found
        self._at = min(max(self._at + step, 0), len(self._ring) - 1)
        self._take(self._ring[self._at])

    def action_cluster(self, step: int) -> None:
        """Go to the middle of the next cluster that has a name on the picture, from the largest on."""
        found = self._state.shown.map
        if found is None:
            return
        window = self._state.window
        named = clusters_in_sight(found, window.box)
        if not named:
            self._host.tell("no cluster in sight has a name")
            return
        here = [window.cell_of(one.x, one.y) for one in named]
        at = here.index(self._state.marks.cursor) if self._state.marks.cursor in here else -1 if step > 0 else 0
        self.place(*here[(at + step) % len(here)])


def _beyond(place: int, size: int) -> int:
    """Return −1, 0 or 1: on which side a place is outside."""
    return -1 if place < 0 else 1 if place >= size else 0
