"""One feature's page: a title that stays, and below it lines that scroll."""

from __future__ import annotations

from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.palette import Palette
from monosem_tui.draw.sheet import Sheet
from monosem_tui.draw.spans import Line, Role, Span, crop, in_role, line, rule_span, ruled, width_of
from monosem_tui.model.feature_card import FeatureCard
from monosem_tui.model.feature_stats import Figures
from monosem_tui.model.trail import Trail, trail_lines
from monosem_tui.pages.feature_examples import example_token
from monosem_tui.pages.feature_page import PageLook, badges, sheet, title
from monosem_tui.widgets.scroll_view import FORK, LEAST
from monosem_tui.widgets.sheet_view import SheetView


class FeaturePage(SheetView):
    """A card and what is known beyond it, laid out for the width there is; a cursor goes from stop to stop.

    After a change of `rendering`, `log_counts`, `figures` or `beside` it is laid out again by `lay_out`.
    """

    def __init__(self, palette: Palette, rendering: Rendering) -> None:
        super().__init__(palette)
        self.card: FeatureCard | None = None
        """The card that is shown."""
        self.figures: Figures | None = None
        """The slower figures of the feature."""
        self.rendering, self.log_counts = rendering, False
        """How activations are drawn, and whether the histogram shows logarithms of counts."""
        self._trail: Trail | None = None
        self._outside = ""

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
        self.card = None
        super().say(*sentences)

    def head(self, _y: int) -> Line:
        """Return the rule with number and label, bookmark and tags at its end."""
        cells, start = self.size.width, FORK if self.beside else ""
        if self.card is None:
            return ruled(line(Span(start, Role.DIM)), cells, focused=self.active)
        name = in_role(title(self.card), Role.ACCENT) if self.active else title(self.card)
        left = crop(line(Span(start, Role.DIM), rule_span(1, focused=self.active), " ", *name, " "), cells)
        marks = badges(self.card)
        right = line(" ", *marks, " ", rule_span(1, focused=self.active)) if marks else ()
        return ruled(left, cells, right if width_of(left) + width_of(right) <= cells else (), focused=self.active)

    def lay_out(self) -> None:
        """Lay the page out as it is to be now."""
        cells = max(LEAST, self.size.width - width_of(self.blank()) - 1)
        if self.card is not None:
            self.take_sheet(self._laid_out(self.card, cells))
        else:
            self.take_sheet(self.note_sheet(cells))

    def token_words(self, x: int, y: int) -> Line:
        """Return the token of an example that is drawn at a cell, with the feature's activation there."""
        from monosem_tui.pages.token_words import FiringOnToken, token_line  # the first screen is there sooner

        row, column = y - self.HEAD + self.first, x - width_of(self.blank())
        stop = self.stop_at(row, column) if y >= self.HEAD else None
        if self.card is None or stop is None or stop.key.place is None:
            return ()
        found = example_token(self.card, stop, self.rendering, row, column)
        if found is None:
            return ()
        example, token = found
        fires = FiringOnToken(self.card.feature, float(example.act_T[token]), self.card.max)
        return token_line(example.tokens[token], [fires], noun=self.card.noun.one)

    def _laid_out(self, card: FeatureCard, cells: int) -> Sheet:
        look = PageLook(self.rendering, self.log_counts, self.size.height, side=True)
        return sheet(card, self.figures, cells, look, trail=trail_lines(self._trail, self._outside, cells))
