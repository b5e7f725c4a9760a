"""One feature's page: a title that stays, and below it lines that scroll."""

from __future__ import annotations

from textual import events
from textual.message import Message

from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.palette import Palette
from monosem_tui.draw.safe_text import cut, printable
from monosem_tui.draw.sheet import Key, Sheet, Stop, marked
from monosem_tui.draw.spans import MARK, RULE, Line, Role, Span, crop, in_role, line, ruled, width_of, wrap
from monosem_tui.model.feature_card import FeatureCard
from monosem_tui.model.feature_stats import Figures, along, links, log_bins, quantile_words
from monosem_tui.model.trail import Trail, trail_lines
from monosem_tui.pages.feature_page import NOTHING, badges, sheet, title
from monosem_tui.widgets.scroll_view import FORK, LEAST, ScrolledView
from store.files.errors import MonosemError


class FeaturePage(ScrolledView):
    """A card and what is known beyond it, laid out for the width there is; a cursor goes from stop to stop.

    After a change of `rendering`, `log_counts`, `figures` or `beside` it is laid out again by `lay_out`.
    """

    class Opened(Message):
        """The chosen stop was clicked twice."""

    def __init__(self, palette: Palette, rendering: Rendering) -> None:
        super().__init__(palette)
        self.card: FeatureCard | None = None
        """The card that is shown."""
        self.figures: Figures | None = None
        """The slower figures of the feature."""
        self.rendering, self.log_counts = rendering, False
        """How activations are drawn, and whether the histogram shows logarithms of counts."""
        self._note: list[str] = []
        self._trail: Trail | None = None
        self._outside = ""
        self._chosen: Key | None = None
        self._sheet = Sheet([], [])

    @property
    def stop(self) -> Stop | None:
        """The stop under the cursor."""
        return next((stop for stop in self._sheet.stops if stop.key == self._chosen), None)

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

    def show_trail(self, trail: Trail | None, outside: str) -> None:
        """Show how one came here, and why the list does not have the feature."""
        if (trail, outside) != (self._trail, self._outside):
            self._trail, self._outside = trail, outside
            self.lay_out()

    def show(self, card: FeatureCard, figures: Figures | None = None) -> None:
        """Show a feature, from the top of its page."""
        another = self.card is None or self.card.feature != card.feature
        self.card, self._note = card, []
        self.figures = figures or (None if another else self.figures)
        self._chosen = None if another else self._chosen
        self.lay_out()
        if another:
            self.jump(0)

    def say(self, *sentences: str) -> None:
        """Show sentences instead of a feature."""
        self.card, self._note = None, [printable(s) for s in sentences if s]
        self.lay_out()
        self.jump(0)

    def complain(self, error: MonosemError) -> None:
        """Show an error instead of a feature."""
        self.say(error.what, error.hint)

    def action_choose(self, step: int) -> None:
        """Go to the next stop or the one before; from elsewhere, to the nearest on the screen."""
        stops, stop = self._sheet.stops, self.stop
        end = self.first + self.room
        if stop is not None and self.first <= stop.row < end:
            number = stops.index(stop) + step
        else:
            seen = [n for n, other in enumerate(stops) if self.first <= other.row < end] or range(len(stops))
            number = seen[0 if step > 0 else -1] if seen else -1
        if 0 <= number < len(stops):
            self.choose(stops[number].key)

    def action_section(self, step: int) -> None:
        """Go to the first stop of the next section, or of the section before."""
        stops, stop = self._sheet.stops, self.stop
        starts = [s for n, s in enumerate(stops) if n == 0 or stops[n - 1].key.section != s.key.section]
        row = stop.row if stop is not None else self.first - 1
        column = stop.column if stop is not None else 0
        later = [s for s in starts if (s.row, s.column) > (row, column)]
        earlier = [s for s in starts if (s.row, s.column) < (row, column)]
        found = later[:1] if step > 0 else earlier[-1:]
        if found:
            self.choose(found[0].key)

    def reveal(self, section: str) -> None:
        """Scroll until a section's end is on the screen."""
        last = max((stop.row + stop.rows for stop in self._sheet.stops if stop.key.section == section), default=0)
        if last > self.first + self.room:
            self.jump(last - self.room)

    def on_click(self, event: events.Click) -> None:
        """Go to the clicked stop; a second click opens it."""
        row, column = event.y - self.HEAD + self.first, event.x - width_of(self.blank())
        for stop in self._sheet.stops:
            inside = stop.column <= column < stop.column + stop.cells or stop.key.feature is None
            if event.y >= self.HEAD and stop.row <= row < stop.row + stop.rows and inside:
                self.choose(stop.key)
                if event.chain == 2:
                    self.post_message(self.Opened())

    def resized(self) -> None:
        """Lay the page out for its new width."""
        self.lay_out()
        self.post_message(self.Moved())

    def head(self, _y: int) -> Line:
        """Return the rule with number and label, bookmark and tags at its end."""
        cells, start = self.size.width, FORK if self.beside else ""
        if self.card is None:
            return ruled(line(Span(start, Role.DIM)), cells)
        name = in_role(title(self.card), Role.BOLD if self.active else Role.PLAIN)
        left = crop(line(Span(f"{start}{RULE} ", Role.DIM), *name, " "), cells)
        marks = badges(self.card)
        right = line(" ", *marks, Span(f" {RULE}", Role.DIM)) if marks else ()
        return ruled(left, cells, right if width_of(left) + width_of(right) <= cells else ())

    def row(self, number: int) -> Line:
        """Return one line."""
        spans, stop = self._sheet.lines[number], self.stop
        if stop is not None and stop.row == number:
            left = line(*self.blank()[:-1], Span(self.blank()[-1].text[:-1], Role.DIM), Span(MARK, Role.ACCENT))
            return line(*left, *marked(spans, stop.column, stop.cells, Role.CURSOR))
        return line(*self.blank(), *spans)

    def lay_out(self) -> None:
        """Lay the page out as it is to be now."""
        cells = max(LEAST, self.size.width - width_of(self.blank()) - 1)
        if self.card is not None:
            self._sheet = self._laid_out(self.card, cells)
        else:
            lines: list[Line] = [()]
            for sentence in self._note:
                lines += wrap([line(cut(word, cells)) for word in sentence.split()], cells, " ")
            self._sheet = Sheet(lines, [])
        self.rows = len(self._sheet.lines)
        self.jump(self.first)
        self.refresh()

    def _laid_out(self, card: FeatureCard, cells: int) -> Sheet:
        figures, log = self.figures, self.log_counts
        return sheet(
            card,
            cells,
            self.rendering,
            log=log,
            trail=trail_lines(self._trail, self._outside, cells),
            quantiles=quantile_words(figures) if figures else (),
            charts=[*(log_bins(figures, cells) if log else []), *along(figures, cells)] if figures else (),
            relations=links(figures, cells) if figures else NOTHING,
        )
