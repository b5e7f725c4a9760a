"""Two features on the same passages: a title that stays, and below it lines that scroll."""

from __future__ import annotations

from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.palette import Palette
from monosem_tui.draw.spans import Line, crop, line, rule_span, ruled, width_of
from monosem_tui.model.pair_card import PairCard
from monosem_tui.pages.pair_page import pair_sheet, pair_title, pair_token
from monosem_tui.pages.token_words import FiringOnToken, token_line
from monosem_tui.widgets.scroll_view import LEAST
from monosem_tui.widgets.sheet_view import SheetView


class PairPage(SheetView):
    """A pair laid out for the width there is; after a change of `rendering` it is laid out again by `lay_out`."""

    def __init__(self, palette: Palette, rendering: Rendering) -> None:
        super().__init__(palette)
        self.card: PairCard | None = None
        """The pair that is shown."""
        self.rendering = rendering
        """How activations are drawn."""

    def show(self, card: PairCard) -> None:
        """Show a pair, from the top of its page."""
        self.card, self._chosen = card, None
        self.lay_out()
        self.jump(0)

    def say(self, *sentences: str) -> None:
        """Show sentences instead of a pair."""
        self.card = None
        super().say(*sentences)

    def head(self, _y: int) -> Line:
        """Return the rule with both numbers."""
        cells = self.size.width
        title = pair_title(self.card) if self.card is not None else ()
        return ruled(crop(line(rule_span(1, focused=True), " ", *title, " "), cells), cells, focused=True)

    def token_words(self, x: int, y: int) -> Line:
        """Return the token of a passage that is drawn at a cell, with the activation of the feature in whose heat."""
        row, column = y - self.HEAD + self.first, x - width_of(self.blank())
        stop = self.stop_at(row, column) if y >= self.HEAD else None
        found = pair_token(self.card, stop, self.rendering, row, column) if self.card and stop else None
        if self.card is None or found is None:
            return ()
        number, example, token = found
        one = self.card.features[number]
        return token_line(example.tokens[token], [FiringOnToken(one.feature, float(example.act_T[token]), one.top)])

    def lay_out(self) -> None:
        """Lay the page out as it is to be now."""
        cells = max(LEAST, self.size.width - 2)
        self.take_sheet(pair_sheet(self.card, cells, self.rendering) if self.card else self.note_sheet(cells))
