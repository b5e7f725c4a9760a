"""One feature's page: a title that stays, and below it lines that scroll."""

from __future__ import annotations

from textual.message import Message

from monosem_tui.actions import Where
from monosem_tui.text.card import FeatureCard
from monosem_tui.text.heat import Rendering
from monosem_tui.text.page import badges, page, title
from monosem_tui.text.palette import Palette
from monosem_tui.text.safe import cut, printable
from monosem_tui.text.spans import Line, Role, Span, crop, line, width_of, wrap
from monosem_tui.widgets.keys import bindings
from monosem_tui.widgets.line_view import LineView
from store.errors import MonosemError

RULE, FORK, WALL = "─", "┬", "│"
LEAST = 40
"""Cells below which lines are cut rather than laid out anew."""


class FeaturePage(LineView):
    """A card, laid out for the width there is."""

    BINDINGS = bindings(Where.PAGE)

    class Moved(Message):
        """Other lines came to be on the screen."""

    def __init__(self, palette: Palette, rendering: Rendering) -> None:
        super().__init__(palette)
        self._card: FeatureCard | None = None
        self._note: list[str] = []
        self._lines: list[Line] = []
        self._rendering, self._log_counts = rendering, False
        self._beside, self._active = False, False

    @property
    def card(self) -> FeatureCard | None:
        """What is shown."""
        return self._card

    @property
    def rendering(self) -> Rendering:
        """How activations are drawn."""
        return self._rendering

    @rendering.setter
    def rendering(self, rendering: Rendering) -> None:
        self._rendering = rendering
        self._lay_out()

    @property
    def log_counts(self) -> bool:
        """Whether the histogram shows logarithms of counts."""
        return self._log_counts

    @log_counts.setter
    def log_counts(self, log_counts: bool) -> None:
        self._log_counts = log_counts
        self._lay_out()

    @property
    def active(self) -> bool:
        """Whether the keys go here."""
        return self._active

    @active.setter
    def active(self, active: bool) -> None:
        if active != self._active:
            self._active = active
            self.refresh()

    @property
    def beside(self) -> bool:
        """Whether another pane is at its left, and so a wall between them."""
        return self._beside

    @beside.setter
    def beside(self, beside: bool) -> None:
        if beside != self._beside:
            self._beside = beside
            self._lay_out()

    def show(self, card: FeatureCard) -> None:
        """Show a feature, from the top of its page."""
        another = self._card is None or self._card.feature != card.feature
        self._card, self._note = card, []
        self._lay_out()
        if another:
            self.jump(0)

    def say(self, *sentences: str) -> None:
        """Show sentences instead of a feature."""
        self._card, self._note = None, [printable(s) for s in sentences if s]
        self._lay_out()
        self.jump(0)

    def complain(self, error: MonosemError) -> None:
        """Show why there is nothing to show."""
        self.say(error.what, error.hint)

    def action_scroll(self, lines: int) -> None:
        """Up or down."""
        self.jump(self.first + lines)

    def action_turn(self, screens: float) -> None:
        """By a part of what is visible."""
        step = max(1, int(self.room * abs(screens)) - (abs(screens) == 1))
        self.jump(self.first + (step if screens > 0 else -step))

    def action_end(self, side: int) -> None:
        """Top or end of the page."""
        self.jump(self.rows if side > 0 else 0)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Repaint, and say so."""
        super().watch_scroll_y(old_value, new_value)
        self.post_message(self.Moved())

    def on_resize(self) -> None:
        """Lay the page out for its new width."""
        super().on_resize()
        self._lay_out()
        self.post_message(self.Moved())

    def head(self, _y: int) -> Line:
        """The rule with number and label, bookmark and tags at its end."""
        cells = self.size.width
        start = FORK if self._beside else ""
        if self._card is None:
            return line(Span((start + RULE * cells)[:cells], Role.DIM))
        role = Role.BOLD if self._active else Role.PLAIN
        name = (Span(span.text, role) for span in title(self._card))
        left = crop(line(Span(f"{start}{RULE} ", Role.DIM), *name, " "), cells)
        right = badges(self._card)
        right = line(" ", *right, Span(f" {RULE}", Role.DIM)) if right else ()
        missing = cells - width_of(left) - width_of(right)
        if missing < 0:
            right, missing = (), cells - width_of(left)
        return line(*left, Span(RULE * missing, Role.DIM), *right)

    def row(self, number: int) -> Line:
        """One line."""
        return line(*self.blank(), *self._lines[number])

    def blank(self) -> Line:
        """The wall alone."""
        return line(Span(f"{WALL} ", Role.DIM)) if self._beside else line(" ")

    def _lay_out(self) -> None:
        cells = max(LEAST, self.size.width - width_of(self.blank()) - 1)
        if self._card is not None:
            self._lines = page(self._card, cells, self._rendering, log=self._log_counts)
        else:
            self._lines = [()]
            for sentence in self._note:
                self._lines += wrap([line(cut(word, cells)) for word in sentence.split()], cells, " ")
        self.rows = len(self._lines)
        self.jump(self.first)
        self.refresh()
