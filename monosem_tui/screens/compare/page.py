"""A pair's page: the texts of both runs are cut into units once, then any pair is read in a moment."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from monosem_tui.keys.actions import Need, Where
from monosem_tui.model.comparisons import HeldComparison
from monosem_tui.model.pair_card import PairCard, read_pair, read_shared
from monosem_tui.screens.catalogue import Selection
from monosem_tui.screens.compare.pairs import PairOrder
from monosem_tui.screens.compare.state import CompareState
from monosem_tui.screens.output_files import unreadable
from monosem_tui.screens.part import ScreenPart, Way
from monosem_tui.screens.session import FeaturesChosen
from store.comparison.figures import NO_PARTNER
from store.comparison.shared_text import SharedText
from store.files.errors import MonosemError

Pair = tuple[HeldComparison, int, int]
"""A comparison, a feature of the open run, and one of the other."""


class PairReader(ScreenPart):
    """Opens the pair under the cursor, and the partners of a feature where several runs are listed together."""

    def __init__(self, state: CompareState, order: PairOrder) -> None:
        self._state, self._host, self._page, self._order = state, state.host, state.page, order
        self._shared: tuple[HeldComparison, SharedText] | None = None
        """The text that was read last: it holds as many numbers as there are tokens, so only one is kept."""
        self._wanted: Pair | None = None
        self.needs = {Need.CHOSEN: lambda: state.page.card is not None}

    @property
    def here(self) -> Where | None:
        """The page, if it is open."""
        return Where.PAIR if self._state.reading else None

    def position(self) -> str:
        """Return the visible lines."""
        return self._page.position() if self._state.reading else ""

    def action_open(self) -> None:
        """Open the pair under the cursor; of a feature that is listed with several runs, its partners."""
        table, row = self._state.catalogue.table, self._state.listing.chosen
        if row is None:
            return
        first, second = int(table.first_N[row]), int(table.second_N[row])
        if table.each_NH is not None:
            self._order.show_partners(first)
            return
        held = self._state.catalogue.held[int(table.held_N[row])]
        mine = table.first_is_mine
        if second == NO_PARTNER and table.root_N is not None:
            second = int(held.side(theirs=not mine).partner_F[first])
        if second == NO_PARTNER:
            self._host.tell(f"{first} fires together with no feature of {held.name if mine else self._state.run.name}")
            return
        self._open(held, *((first, second) if mine else (second, first)))

    def _open(self, held: HeldComparison, mine: int, theirs: int) -> None:
        first_time = self._shared is None or self._shared[0] is not held
        self._page.say("aligning the texts of both runs …" if first_time else "")
        self._show(shown=True)
        self._wanted = held, mine, theirs
        take = partial(self._take, self._wanted)
        self._host.away(lambda: self._read(held, mine, theirs), take, "pair", fail=take)

    def _read(self, held: HeldComparison, mine: int, theirs: int) -> PairCard:
        """Read a page; runs in a thread."""
        state = self._state
        try:
            other, kept = state.others.of(held), self._shared
            own = replace(state.run, store=state.others.store(held))
            shared = kept[1] if kept and kept[0] is held else read_shared(held, own.store, other.store)
            self._shared = held, shared
            return read_pair(own, other, held, shared, (mine, theirs))
        except MonosemError:
            raise
        except Exception as error:  # numbers from a file that was written over may break anything
            raise unreadable(error) from error

    def _take(self, wanted: Pair, found: PairCard | MonosemError) -> None:
        if wanted != self._wanted or not self._state.reading:
            return
        if isinstance(found, MonosemError):
            self._page.complain(found)
        else:
            self._page.show(found)
        self._host.retell()

    def _show(self, *, shown: bool) -> None:
        state = self._state
        state.page.display, state.listing.display = shown, not shown
        self._host.set_focus(state.page if shown else state.listing)
        self._host.retell()

    def way_back(self) -> Way | None:
        """Close the page."""
        return self.close if self._state.reading else None

    def cover(self) -> Way | None:
        """Close the page."""
        return self.way_back()

    def close(self) -> None:
        """Show the list again."""
        self._show(shown=False)

    # Keys

    def action_partners(self) -> None:
        """Show the partners, in all other runs, of the open run's feature under the cursor."""
        table, row = self._state.catalogue.table, self._state.listing.chosen
        if row is None:
            return
        feature = int((table.first_N if table.first_is_mine else table.second_N)[row])
        if feature == NO_PARTNER:
            self._host.tell(f"no feature of {self._state.run.name} is on this row")
            return
        self.close()
        self._order.show_partners(feature)

    def action_next_pair(self, step: int) -> None:
        """Open the next pair of the list, or the one before."""
        self._order.action_step(step)
        self.action_open()

    def action_heat(self) -> None:
        """Draw activations in the next way."""
        page, listing = self._page, self._state.listing
        page.rendering = listing.rendering = page.rendering.following()
        page.lay_out()
        listing.refresh()
        self._host.tell(f"activations as {page.rendering.value}")

    def action_browse(self) -> None:
        """Show the page of the open run's feature in Browse; escape comes back."""
        card = self._page.card
        if card is not None:
            feature, other = card.features[0].feature, card.features[1]
            title = f"paired with {other.feature} of {other.run}"
            selection = Selection(title, np.array([feature], np.int64), self._host.VIEW)
            self._host.post_message(FeaturesChosen(selection, feature, page=True))
