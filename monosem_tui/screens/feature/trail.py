"""Features followed from one page to the next, and the way back."""

from __future__ import annotations

from collections.abc import Callable

from monosem_tui.draw.sheet import EXPLAINED
from monosem_tui.keys.actions import Need
from monosem_tui.model.feature_card import FeatureCard
from monosem_tui.model.trail import Trail, Visit
from monosem_tui.screens.feature.documents import DocumentReader
from monosem_tui.screens.feature.state import PaneState
from monosem_tui.screens.part import ScreenPart, Way


class FeatureTrail(ScreenPart):
    """Follows what is chosen on the page, a feature or an example's document.

    The trail holds as long as the list stays where it was when the last feature was followed.
    """

    def __init__(
        self,
        state: PaneState,
        documents: DocumentReader,
        read: Callable[[], object],
        outside: Callable[[int], str],
        label: Callable[[int, str], object],
    ) -> None:
        """Prepare to follow.

        Args:
            state: what the pane is about.
            documents: opens the document of an example.
            read: reads the page of the feature that the pane is about.
            outside: why the list does not have a feature; empty where it has.
            label: labels a feature.
        """
        self._label = label
        self._state, self._documents, self._read, self._outside = state, documents, read, outside
        self._returning: Visit | None = None
        self.needs = {
            Need.CHOSEN: lambda: state.page.stop is not None and state.page.stop.key.leads,
            Need.TWIN: lambda: self._twin is not None,
            Need.PAST: lambda: bool(state.trail and state.trail.past),
            Need.FUTURE: lambda: bool(state.trail and state.trail.future),
        }

    def action_follow_chosen(self) -> None:
        """Follow the feature that is chosen, open the example's document, or take an explanation as one's label."""
        state, stop = self._state, self._state.page.stop
        feature = state.feature
        if stop is None or feature is None:
            return
        if stop.key.section == EXPLAINED and stop.key.leads and state.page.card is not None:
            self._label(state.page.card.feature, state.page.card.explanations[stop.key.target].text)
        elif stop.key.place is not None:
            self._documents.open(feature, stop.key.place)
        elif stop.key.feature is not None:
            self._walk((state.trail or Trail(feature)).follow(self._here(), stop.key.feature), None)

    @property
    def _twin(self) -> int | None:
        """The other sign of the feature's latent, where the dictionary was made of signed ones."""
        card = self._state.page.card
        return card.twin.feature if card is not None and card.twin is not None else None

    def action_twin(self) -> None:
        """Go to the other sign of the same latent."""
        state, twin = self._state, self._twin
        if state.feature is not None and twin is not None:
            self._walk((state.trail or Trail(state.feature)).follow(self._here(), twin), None)

    def action_trail(self, step: int) -> None:
        """Go back to the feature before, or forward again."""
        trail = self._state.trail
        if trail is not None and (trail.past if step < 0 else trail.future):
            self._walk(*(trail.back(self._here()) if step < 0 else trail.forward(self._here())))

    def way_back(self) -> Way | None:
        """Go back to the feature before."""
        return (lambda: self.action_trail(-1)) if self._state.reading and self.needs[Need.PAST]() else None

    def arrive(self, card: FeatureCard) -> None:
        """Show on the page how one came there, and return to where one was on it."""
        self.redraw()
        visit, self._returning = self._returning, None
        if visit is not None and visit.feature == card.feature:
            self._state.page.choose(visit.chosen)
            self._state.page.jump(visit.first)

    def redraw(self) -> None:
        """Show on the page where in the trail it stands."""
        trail, card = self._state.trail, self._state.page.card
        here = trail if trail is not None and card is not None and card.feature == trail.feature else None
        self._state.page.show_trail(here, self._outside(here.feature) if here else "")

    def _here(self) -> Visit:
        page = self._state.page
        return Visit(self._state.feature or 0, page.first, page.stop.key if page.stop else None)

    def _walk(self, trail: Trail, visit: Visit | None) -> None:
        """Go to where a trail leads, as one left it if one was there."""
        state = self._state
        found = (state.listing.order == trail.feature).nonzero()[0]
        if len(found):
            state.listing.go(int(found[0]))
        state.followed, state.anchor, self._returning = trail, state.listed, visit
        self._read()
        state.host.retell()
