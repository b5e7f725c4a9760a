"""The pane of a map: a grid of cells, of which only those that have changed are sent; mouse on its dots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from monosem_tui.draw.cell_grid import CellGrid
from monosem_tui.draw.palette import Palette
from monosem_tui.pages.map_page import MapFrame, Place
from monosem_tui.widgets.line_view import to_strip

ZOOM = 1.5
"""Factor of a turn of the mouse wheel."""


class MapView(Widget, can_focus=True):
    """Shows a grid of its own size; says where the mouse points, drags and turns."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "MapView { height: 1fr; width: 1fr; }"

    @dataclass
    class Resized(Message):
        """The pane has another size: a picture of that size is needed."""

    @dataclass
    class Pointed(Message):
        """A cell of the dots was clicked."""

        place: Place
        twice: bool

    @dataclass
    class Dragged(Message):
        """The mouse was dragged from one cell of the dots to another."""

        first: Place
        last: Place
        done: bool
        """Whether the button was let go."""

    @dataclass
    class Wheeled(Message):
        """The wheel was turned over a cell of the dots."""

        place: Place
        factor: float

    def __init__(self, palette: Palette, frame: Callable[[], MapFrame]) -> None:
        """Prepare an empty pane.

        Args:
            palette: styles.
            frame: returns the place of the dots in the pane as it is now.
        """
        super().__init__()
        self.palette, self._frame = palette, frame
        self._grid = CellGrid(0, 0)
        self._pressed: Place | None = None
        self._dragged = False

    def show(self, grid: CellGrid) -> None:
        """Show a grid; cells that are the same as before are not sent."""
        before, self._grid = self._grid, grid
        if before.shape != grid.shape:
            self.refresh()
        elif changes := grid.changes(before):
            self.refresh(*(Region(start, y, stop - start, 1) for y, start, stop in changes))

    def render_line(self, y: int) -> Strip:
        """Draw a row."""
        spans = self._grid.line(y) if y < self._grid.shape[0] else ()
        return to_strip(spans, self.palette, self.size.width)

    def on_resize(self) -> None:
        """Ask for a picture of the new size."""
        self.post_message(self.Resized())

    # Mouse

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Remember where a drag may begin."""
        self._pressed, self._dragged = self._frame().place_of(event.y, event.x), False
        if self._pressed is not None:
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Draw the box that is dragged."""
        place = self._inside(event)
        if self._pressed is not None and (self._dragged or place != self._pressed):
            self._dragged = True
            self.post_message(self.Dragged(self._pressed, place, done=False))

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """End a drag."""
        self.release_mouse()
        if self._pressed is not None and self._dragged:
            self.post_message(self.Dragged(self._pressed, self._inside(event), done=True))
        self._pressed = None

    def on_click(self, event: events.Click) -> None:
        """Go to the clicked cell; a second click opens its feature."""
        place = self._frame().place_of(event.y, event.x)
        if place is not None and not self._dragged:
            self.post_message(self.Pointed(place, twice=event.chain == 2))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Zoom in."""
        self._turn(event, ZOOM)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Zoom out."""
        self._turn(event, 1 / ZOOM)

    def _turn(self, event: events.MouseEvent, factor: float) -> None:
        event.stop()
        place = self._frame().place_of(event.y, event.x)
        if place is not None:
            self.post_message(self.Wheeled(place, factor))

    def _inside(self, event: events.MouseEvent) -> Place:
        """Return the cell of the dots that is nearest to the mouse."""
        frame = self._frame()
        return (
            min(max(event.y - frame.top, 0), frame.rows - 1),
            min(max(event.x - frame.left, 0), frame.cells - 1),
        )
