"""Panes of lines that are computed when they come onto the screen; only lines that changed are sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from monosem_tui.draw.cells import changed_cells
from monosem_tui.draw.palette import Palette, paint
from monosem_tui.draw.spans import Line, crop
from monosem_tui.draw.spots import SpottedLine
from store.files.errors import MonosemError

if TYPE_CHECKING:
    from monosem_tui.pages.place_terms import Explained


def to_strip(spans: Line, palette: Palette, cells: int) -> Strip:
    """Return a line as Textual draws it, in exactly `cells` cells."""
    segments = [Segment(text, style) for text, style in paint(crop(spans, cells), palette)]
    return Strip(segments).adjust_cell_length(cells)


@dataclass
class Trouble(Message):
    """The store could not be read while drawing."""

    error: MonosemError


class OneLine(Widget):
    """One line, repainted only when its content changes; a click on one of its spots posts `Clicked`."""

    @dataclass
    class Clicked(Message):
        """A spot was clicked."""

        action: str
        """Id of the action that it stands for."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "OneLine { height: 1; width: 1fr; }"

    def __init__(self, palette: Palette, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.palette = palette
        self.spans: Line = ()
        """The line it shows."""
        self._spotted = SpottedLine(())

    def show(self, spans: Line) -> None:
        """Show a line; nothing is sent if it is the one that is there."""
        self.show_spotted(SpottedLine(spans))

    def show_spotted(self, spotted: SpottedLine) -> None:
        """Show a line with spots; only the cells that differ are sent."""
        self._spotted = spotted
        cells = changed_cells(self.spans, spotted.spans)
        if cells is not None:
            self.spans = spotted.spans
            self.refresh(Region(cells[0], 0, cells[1] - cells[0], 1))

    def on_click(self, event: events.Click) -> None:
        """Post the action of the spot."""
        action = self._spotted.action_at(event.x)
        if action:
            self.post_message(self.Clicked(action))

    def render_line(self, _y: int) -> Strip:
        """Draw the line."""
        return to_strip(self.spans, self.palette, self.size.width)


class LineView(ScrollView, can_focus=True):
    """A scrollable pane of lines below a few that stay; a subclass returns each line.

    It keeps the rows on the screen to compare them: a refresh repaints the cells that have changed.
    """

    ALLOW_SELECT = False
    HEAD = 1
    """Lines at the top that do not scroll."""
    DEFAULT_CSS = "LineView { height: 1fr; scrollbar-size: 0 0; overflow-x: hidden; overflow-y: scroll; }"

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        self._palette = palette
        self.explaining = False
        """Whether what the cursor is on is being explained, and so the cursor goes to all that can be."""
        self.rows = 0
        """Number of rows."""
        self._drawn: dict[int, Line] = {}
        self.active = True
        """Whether the pane has the keys; without them its cursor is only marked."""
        self._troubled = False

    def head(self, y: int, /) -> Line:
        """Return line `y` of those that stay."""
        raise NotImplementedError

    def row(self, number: int) -> Line:
        """Return row `number`, counted from 0 at the top of all."""
        raise NotImplementedError

    def blank(self) -> Line:
        """Return a line below the last row."""
        return ()

    @property
    def palette(self) -> Palette:
        """The style of each role."""
        return self._palette

    @palette.setter
    def palette(self, palette: Palette) -> None:
        self._palette = palette
        self._drawn.clear()
        self.refresh()

    @property
    def max_scroll_y(self) -> int:
        """Scroll range of the rows, kept here because changing `virtual_size` would lay out and repaint everything."""
        return max(0, self.rows - self.room)

    @property
    def first(self) -> int:
        """The first row on the screen."""
        return self.scroll_offset.y

    @property
    def room(self) -> int:
        """Rows that fit."""
        return max(1, self.size.height - self.HEAD)

    def step(self, screens: float) -> int:
        """Return the rows of a move by a share of the visible ones; a whole screen leaves one of them in sight."""
        rows = max(1, int(self.room * abs(screens)) - (abs(screens) == 1))
        return rows if screens > 0 else -rows

    def jump(self, first: int) -> None:
        """Scroll so that `first` is the first row on the screen, as far as there are rows to fill it."""
        self.scroll_to(y=max(0, min(first, self.rows - self.room)), animate=False, immediate=True, force=True)

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Repaint the given regions; without any, the cells that differ from what is on the screen."""
        if repaint and self._drawn and not (regions or layout or recompose):
            found = []
            for y, drawn in self._drawn.items():
                spans = self._line(y)
                cells = changed_cells(drawn, spans) if spans != drawn else None
                if cells is not None:
                    found.append(Region(cells[0], y, cells[1] - cells[0], 1))
            if not found:
                return self
            regions = tuple(found)
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Repaint when the rows have moved."""
        if round(old_value) != round(new_value):
            self.refresh()

    def on_resize(self) -> None:
        """Forget what was drawn, as it may have been cut at this width, and lay out for the new size."""
        self._drawn.clear()
        self.resized()
        self.refresh()

    def resized(self) -> None:
        """Lay out for the new size, in a subclass whose lines depend on it."""

    def render_line(self, y: int) -> Strip:
        """Draw line `y` of the widget."""
        spans = self._drawn[y] = self._line(y)
        return to_strip(spans, self._palette, self.size.width)

    def _line(self, y: int) -> Line:
        if y < self.HEAD:
            return self.head(y)
        number = y - self.HEAD + self.first
        return self.row(number) if number < self.rows else self.blank()

    def token_words(self, _x: int, _y: int, /) -> Line:
        """Return the token at a cell in words; empty where there is none."""
        return ()

    def explained(self) -> Explained:
        """Return the terms of what the cursor is on, and of what else is shown."""
        from monosem_tui.pages.place_terms import Explained  # the first screen is there sooner

        return Explained()

    def complain_once(self, error: MonosemError) -> None:
        """Post `Trouble` once, as one broken file breaks every row."""
        if not self._troubled:
            self._troubled = True
            self.post_message(Trouble(error))
