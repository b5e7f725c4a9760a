"""The layout of list and page: which are on the screen, how wide, and which has the keys."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

WIDE = 110
"""Cells from which list and page stand side by side."""
LARGEST_LIST = 72
LEAST_LIST, LEAST_PAGE = 36, 44
WIDEST, SIDE_BY_SIDE = 150, 96
"""Cells from which the list leaves the page room for its side panel, and that room."""

PaneName = Literal["list", "page"]
PANES: tuple[PaneName, ...] = get_args(PaneName)


@dataclass(frozen=True)
class Panes:
    """Two panes side by side, or one at a time where it is narrow or one was given the whole width."""

    width: int = 0
    front: PaneName = "list"
    """The pane with the keys."""
    zoomed: PaneName | None = None
    """The pane that was given the whole width; the other may be opened over it."""
    wider: int = 0
    """Cells that the list was given beyond its usual width."""

    @property
    def wide(self) -> bool:
        """Whether there is room for both."""
        return self.width >= WIDE

    @property
    def split(self) -> bool:
        """Whether both are on the screen."""
        return self.wide and self.zoomed is None

    @property
    def list_width(self) -> int:
        """Width of the list beside the page, in cells."""
        return max(LEAST_LIST, min(self._usual + self.wider, self.width - LEAST_PAGE))

    @property
    def _usual(self) -> int:
        usual = min(LARGEST_LIST, self.width * 2 // 5)
        return min(usual, self.width - SIDE_BY_SIDE) if self.width >= WIDEST else usual

    def widen(self, cells: int) -> Panes:
        """Return the layout with a wider list, as far as the page keeps enough."""
        wanted = replace(self, wider=self.list_width - self._usual + cells)
        return replace(wanted, wider=wanted.list_width - self._usual)

    def shows(self, pane: PaneName) -> bool:
        """Return whether a pane is on the screen."""
        return self.split or self.front == pane

    def zoom(self) -> Panes:
        """Return the layout with the pane that has the keys alone, or with both again."""
        return replace(self, zoomed=None if self.zoomed else self.front)

    @property
    def can_go_back(self) -> bool:
        """Whether something was opened that can be closed."""
        return self.front == "page" or (self.zoomed is not None and self.wide)

    def back(self) -> Panes:
        """Return the layout without what was opened last: a pane over the zoomed one, the zoom, the page."""
        if self.zoomed and self.wide:
            return replace(self, front=self.zoomed) if self.front != self.zoomed else self.zoom()
        return replace(self, front="list")
