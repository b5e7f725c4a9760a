"""A screen that can say which n-grams the feature under its cursor fires on, in a panel that follows the cursor."""

from __future__ import annotations

from textual import work
from textual.message import Message

from monosem_tui.draw.numbers import count
from monosem_tui.draw.safe_text import printable
from monosem_tui.draw.spans import Line, Role, Span, crop, line, width_of
from monosem_tui.keys.actions import Need
from monosem_tui.model.feature_ngrams import NAMES, Fires, fires_lines, read_fires
from monosem_tui.screens.notes import NotedScreen
from monosem_tui.screens.session import Session
from monosem_tui.widgets.lines_panel import LinesPanel
from store.files.errors import MonosemError

RULE = "─"


class FiresRead(Message):
    """What a feature fires on has been read, or could not be."""

    def __init__(self, feature: int, fires: Fires | MonosemError) -> None:
        super().__init__()
        self.feature, self.fires = feature, fires


class FiringScreen(NotedScreen):
    """Has `fires`, a panel that its `body` puts below the rest."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.fires = LinesPanel(session.palette, 1 + len(NAMES))
        self._fires: Fires | MonosemError | None = None
        self._fires_of: int | None = None
        """The feature that the panel is about."""
        self._looking = False
        """Whether a thread is at it: one at a time, the next when it has ended."""

    def action_fires(self) -> None:
        """Show or hide the panel."""
        self.fires.display = not self.fires.display
        self._follow_fires()
        self.tell()

    def action_back(self) -> None:
        """Close the panel before anything else that was opened."""
        if self.fires.display and not self.keys.display:
            self.action_fires()
        else:
            super().action_back()

    def lacks(self, need: Need) -> bool:
        """Whether something that actions need is missing now."""
        return not (need is Need.BACK and self.fires.display) and super().lacks(need)

    def read_page(self) -> None:
        """The panel is read when the page is."""
        super().read_page()
        self._follow_fires()

    def _follow_fires(self) -> None:
        feature = self.feature
        if not self.fires.display or self._looking:
            return
        if feature is not None and feature != self._fires_of:
            self._looking = True
            self._read_fires(feature)
        self._show_fires()

    @work(thread=True, group="fires", exit_on_error=False)
    def _read_fires(self, feature: int) -> None:
        try:
            found: Fires | MonosemError = read_fires(self.run.store, feature)
        except MonosemError as error:
            found = error
        self.post_message(FiresRead(feature, found))

    def on_fires_read(self, message: FiresRead) -> None:
        """Show it, or go on to where the cursor has come meanwhile."""
        self._looking = False
        self._fires, self._fires_of = message.fires, message.feature
        self._follow_fires()

    def on_lines_panel_resized(self) -> None:
        """Lay the panel out anew."""
        self._show_fires()

    def _show_fires(self) -> None:
        cells, fires = self.size.width, self._fires if self._fires_of == self.feature else None
        head = [Span(f"{RULE} ", Role.DIM), Span(f"what {self.feature} fires on", Role.BOLD)]
        lines: list[Line] = []
        if isinstance(fires, MonosemError):
            lines = [line(" ", printable(fires.what))]
        elif fires is not None:
            head.append(Span(f" · {count(fires.n_active)} tokens · share of its activation, ×lift", Role.DIM))
            lines = [line(" ", *spans) for spans in fires_lines(fires, cells - 2)]
        left = crop(line(*head, " "), cells)
        self.fires.show([line(*left, Span(RULE * (cells - width_of(left)), Role.DIM)), *lines])
