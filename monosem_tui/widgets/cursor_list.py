"""A list with a cursor on one of its entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.message import Message

from monosem_tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from monosem_tui.pages.place_terms import Explained


class CursorList(LineView):
    """Entries below a title and the names of the columns; a subclass says how many there are, and draws them."""

    HEAD = 2

    class Highlighted(Message):
        """The cursor came to another entry."""

    class Opened(Message):
        """The entry under the cursor was clicked twice."""

    cursor = 0
    """Number of the entry under the cursor."""

    @property
    def entries(self) -> int:
        """Number of entries."""
        raise NotImplementedError

    def entry_at(self, row: int) -> int | None:
        """Return the entry that stands on a row."""
        raise NotImplementedError

    @property
    def row_of_cursor(self) -> int:
        """The first row of the entry under the cursor."""
        return self.cursor

    @property
    def last(self) -> int:
        """The last row on the screen."""
        return min(self.rows, self.first + self.room) - 1

    def redraw(self) -> None:
        """Draw the list with the cursor in sight."""
        raise NotImplementedError

    def go(self, number: int) -> None:
        """Move the cursor to an entry, or to the nearest one."""
        number = max(0, min(number, self.entries - 1))
        if number != self.cursor:
            self.cursor = number
            self.redraw()
            self.post_message(self.Highlighted())

    def action_move(self, entries: int) -> None:
        """Move the cursor up or down."""
        self.go(self.cursor + entries)

    def action_end(self, side: int) -> None:
        """Go to the first or the last entry."""
        self.go(self.entries - 1 if side > 0 else 0)

    def action_entry(self, number: int) -> None:
        """Go to an entry by its number, counted from 1."""
        self.go(number - 1)

    def action_roll(self, lines: int) -> None:
        """Scroll; the cursor stays with its entry as long as that is on the screen."""
        self.jump(self.first + lines)
        row = min(max(self.row_of_cursor, self.first), self.last)
        entry = self.entry_at(row)
        if row != self.row_of_cursor and entry is not None:
            self.go(entry)

    def action_stand(self, share: float) -> None:
        """Scroll so that the cursor stands at a share of the height: 0 is the top, 1 the bottom."""
        self.jump(self.row_of_cursor - round((self.room - 1) * share))

    def explained(self) -> Explained:
        """Return the terms of its columns, that of the one it is sorted by in front."""
        from monosem_tui.pages.place_terms import column_terms  # the first screen is there sooner

        return column_terms(self.head(self.HEAD - 1))

    def on_click(self, event: events.Click) -> None:
        """Go to the clicked entry; a second click opens it."""
        number = self.entry_at(event.y - self.HEAD + self.first) if event.y >= self.HEAD else None
        if number is not None:
            self.go(number)
            if event.chain == 2:
                self.post_message(self.Opened())
