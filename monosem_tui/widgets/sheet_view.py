"""A page that scrolls, with a cursor that goes from stop to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.message import Message

from monosem_tui.draw.palette import Palette
from monosem_tui.draw.safe_text import cut, printable
from monosem_tui.draw.sheet import Key, Sheet, Stop, marked
from monosem_tui.draw.spans import Line, Role, Span, cursor_mark, line, width_of, wrap
from monosem_tui.widgets.scroll_view import ScrolledView
from store.files.errors import MonosemError

if TYPE_CHECKING:
    from monosem_tui.pages.place_terms import Explained


class SheetView(ScrolledView):
    """Lines with stops; a subclass lays them out by `take_sheet`."""

    class Opened(Message):
        """The chosen stop was clicked: a feature once, another stop twice."""

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette)
        self._chosen: Key | None = None
        self._sheet = Sheet([], [])
        self._note: list[str] = []

    def say(self, *sentences: str) -> None:
        """Show sentences instead of a page."""
        self._note = [printable(said) for said in sentences if said]
        self.lay_out()
        self.jump(0)

    def complain(self, error: MonosemError) -> None:
        """Show an error instead of a page."""
        self.say(error.what, error.hint)

    def note_sheet(self, cells: int) -> Sheet:
        """Return the sentences as lines."""
        lines: list[Line] = [()]
        for sentence in self._note:
            lines += wrap([line(cut(word, cells)) for word in sentence.split()], cells, " ")
        return Sheet(lines, [])

    def lay_out(self) -> None:
        """Lay the page out as it is to be now."""
        raise NotImplementedError

    def take_sheet(self, sheet: Sheet) -> None:
        """Show other lines; the chosen stop stays, if it is among theirs."""
        self._sheet = sheet
        self.rows = len(sheet.lines)
        self.jump(self.first)
        self.refresh()

    @property
    def stop(self) -> Stop | None:
        """The stop under the cursor."""
        return next((stop for stop in self._sheet.stops if stop.key == self._chosen), None)

    def stop_at(self, row: int, column: int) -> Stop | None:
        """Return the stop at a cell of the sheet, among those that the cursor goes to."""
        return next(
            (
                stop
                for stop in self._stops
                if stop.column <= column < stop.column + stop.cells and stop.row <= row < stop.row + stop.rows
            ),
            None,
        )

    def explained(self) -> Explained:
        """Return the term of the stop under the cursor, and those of what is on the screen."""
        from monosem_tui.pages.place_terms import Explained  # the first screen is there sooner

        end, stop = self.first + self.room, self.stop
        seen = [other.term for other in self._sheet.stops if self.first <= other.row < end and other.term]
        return Explained(stop.term if stop is not None else None, tuple(dict.fromkeys(seen)))

    @property
    def _stops(self) -> list[Stop]:
        """The stops that the cursor goes to: while it explains, headings, numbers and plots too."""
        stops = self._sheet.stops
        return stops if self.explaining else [stop for stop in stops if stop.key.leads]

    def choose(self, key: Key | None) -> None:
        """Put the cursor on a stop, and scroll to it."""
        self._chosen = key
        stop = self.stop
        if stop is not None and stop.row < self.first + 1:
            self.jump(stop.row - 1)
        elif stop is not None and stop.row + stop.rows > self.first + self.room:
            self.jump(stop.row + stop.rows - self.room)
        self.refresh()
        self.post_message(self.Moved())

    def action_choose(self, step: int) -> None:
        """Go to the next stop or the one before; from elsewhere, to the nearest on the screen."""
        stops, stop = self._stops, self.stop
        if not stops:
            return
        end = self.first + self.room
        if stop in stops and self.first <= stop.row < end:
            number = stops.index(stop) + step
        else:
            seen = [n for n, other in enumerate(stops) if self.first <= other.row < end] or range(len(stops))
            number = seen[0] + step - 1 if step > 0 else seen[-1] + step + 1
        self.choose(stops[max(0, min(number, len(stops) - 1))].key)

    def action_section(self, step: int) -> None:
        """Go on by as many sections, to their first stops, or back."""
        for _ in range(abs(step)):
            self._next_section(step)

    def _next_section(self, step: int) -> None:
        stops, stop = self._stops, self.stop
        starts = [n for n, s in enumerate(stops) if n == 0 or stops[n - 1].key.section != s.key.section]
        if stop in stops:
            here = stops.index(stop)
        else:
            here = next((n for n, other in enumerate(stops) if other.row >= self.first), len(stops)) - (step > 0)
        found = [n for n in starts if n > here][:1] if step > 0 else [n for n in starts if n < here][-1:]
        if found:
            self.choose(stops[found[0]].key)

    def reveal(self, section: str) -> None:
        """Scroll until a section's end is on the screen."""
        last = max((stop.row + stop.rows for stop in self._sheet.stops if stop.key.section == section), default=0)
        if last > self.first + self.room:
            self.jump(last - self.room)

    def on_click(self, event: events.Click) -> None:
        """Go to the clicked stop and follow it if it is a feature; a second click opens any other."""
        row, column = event.y - self.HEAD + self.first, event.x - width_of(self.blank())
        if self.beside and event.x == 0:
            return
        stop = self.stop_at(row, column) if event.y >= self.HEAD else None
        if stop is not None:
            self.choose(stop.key)
            if event.chain == (2 if stop.key.feature is None else 1):
                self.post_message(self.Opened())

    def resized(self) -> None:
        """Lay the page out for its new width."""
        self.lay_out()
        self.post_message(self.Moved())

    def row(self, number: int) -> Line:
        """Return one line."""
        spans, stop = self._sheet.lines[number], self.stop
        if stop is None or not stop.row <= number < stop.row + stop.rows:
            return line(*self.blank(), *spans)
        here = stop.row == number
        wall = line(*self.blank()[:-1], Span(self.blank()[-1].text[:-1], Role.DIM))
        return line(*wall, cursor_mark(here), *marked(spans, stop.column, stop.cells))
