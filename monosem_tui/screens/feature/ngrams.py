"""The panel of n-grams: what the feature under the cursor fires on, read when the page is."""

from __future__ import annotations

from functools import partial

from monosem_tui.draw.numbers import count
from monosem_tui.draw.safe_text import printable
from monosem_tui.draw.spans import RULE, Line, Role, Span, line, ruled
from monosem_tui.model.feature_ngrams import NAMES, Fires, fires_lines, read_fires
from monosem_tui.screens.feature.state import PaneState
from monosem_tui.screens.part import ScreenPart, Way
from monosem_tui.widgets.lines_panel import LinesPanel
from store.files.errors import MonosemError


class NgramsPanel(ScreenPart):
    """Shows and hides `panel`, and keeps it at the feature that the pane is about."""

    def __init__(self, state: PaneState) -> None:
        self._state, self._host = state, state.host
        self.panel = LinesPanel(state.host.session.palette, 1 + len(NAMES))
        self._found: Fires | MonosemError | None = None
        self._found_of: int | None = None
        """The feature that was read last."""
        self._reading = False
        """Whether a thread is reading: one at a time, the next when it has ended."""

    def action_fires(self) -> None:
        """Show or hide the panel."""
        self.panel.display = not self.panel.display
        self.follow()
        self._host.tell()

    def way_back(self) -> Way | None:
        """Close the panel."""
        return self.action_fires if self.panel.display else None

    def cover(self) -> Way | None:
        """Close the panel."""
        return self.way_back()

    def resized(self, cells: int) -> None:
        """Lay the panel out for another width."""
        if self.panel.display:
            self._show(cells)

    def follow(self) -> None:
        """Read the feature that the pane is about, if the panel is open."""
        feature = self._state.feature
        if not self.panel.display or self._reading:
            return
        if feature is not None and feature != self._found_of:
            self._reading, store = True, self._state.run.store
            take = partial(self._take, feature)
            self._host.away(lambda: read_fires(store, feature), take, fail=take)
        self._show(self._host.size.width)

    def _take(self, feature: int, found: Fires | MonosemError) -> None:
        """Show what was read, or go on to where the cursor has come meanwhile."""
        self._reading, self._found, self._found_of = False, found, feature
        self.follow()

    def _show(self, cells: int) -> None:
        feature = self._state.feature
        fires = self._found if self._found_of == feature else None
        head = [Span(f"{RULE} ", Role.DIM), Span(f"what {feature} fires on", Role.BOLD)]
        lines: list[Line] = []
        if isinstance(fires, MonosemError):
            lines = [line(" ", printable(fires.what))]
        elif fires is not None:
            head.append(Span(f" · {count(fires.n_active)} tokens · share of its activation, ×lift", Role.DIM))
            lines = [line(" ", *spans) for spans in fires_lines(fires, cells - 2)]
        self.panel.show([ruled(line(*head, " "), cells), *lines])
