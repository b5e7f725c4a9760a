"""The pages of Live: laid out as a whole from the present state; only cells that differ are sent."""

from __future__ import annotations

from typing import Self

from textual.geometry import Region

from monosem_tui.draw.cells import changed_cells
from monosem_tui.draw.palette import Palette
from monosem_tui.draw.spans import Line
from monosem_tui.pages.inspect_page import Looked, inspect_lines
from monosem_tui.pages.live_page import Shown, live_lines
from monosem_tui.pages.recipes_page import Recipes, recipes_lines
from monosem_tui.widgets.line_view import LineView


class CellView(LineView):
    """A pane that is laid out as a whole and repaints the cells that have changed."""

    HEAD = 0

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette)
        self._lines: list[Line] = []

    def lines(self, cells: int, height: int) -> list[Line]:
        """Return all lines of the pane."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Lay the pane out from the state as it is now."""
        if self.size.width and self.size.height:
            self._lines = self.lines(self.size.width, self.size.height)
            self.rows = len(self._lines)
            self.refresh()

    def row(self, number: int) -> Line:
        """Return one line."""
        return self._lines[number]

    def resized(self) -> None:
        """Lay out for the new size."""
        self.redraw()

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Repaint the given regions; without any, the cells that differ from what is on the screen."""
        if repaint and self._drawn and not (regions or layout or recompose):
            found = []
            for y, drawn in self._drawn.items():
                cells = changed_cells(drawn, self._line(y))
                if cells is not None:
                    found.append(Region(cells[0], y, cells[1] - cells[0], 1))
            if not found:
                return self
            regions = tuple(found)
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)


class LiveView(CellView):
    """Prompt, tray, both texts and their strips."""

    def __init__(self, palette: Palette, shown: Shown) -> None:
        super().__init__(palette)
        self.shown = shown

    def lines(self, cells: int, height: int) -> list[Line]:
        """Return all lines of the pane."""
        return live_lines(self.shown, cells, height)


class InspectView(CellView):
    """A text, and the features of its tokens."""

    DEFAULT_CSS = "InspectView { display: none; }"

    def __init__(self, palette: Palette, looked: Looked) -> None:
        super().__init__(palette)
        self.looked = looked

    def lines(self, cells: int, height: int) -> list[Line]:
        """Return all lines of the pane."""
        return inspect_lines(self.looked, cells, height)


class RecipesView(CellView):
    """The recipes kept among the notes."""

    DEFAULT_CSS = "RecipesView { display: none; }"

    def __init__(self, palette: Palette, recipes: Recipes) -> None:
        super().__init__(palette)
        self.recipes = recipes

    def lines(self, cells: int, height: int) -> list[Line]:
        """Return all lines of the pane."""
        return recipes_lines(self.recipes, cells, height)
