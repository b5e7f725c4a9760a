"""A feature's page: it follows the cursor, is read in a thread, copied, exported and clamped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from monosem_tui.keys.actions import Action, Where
from monosem_tui.model.feature_card import FeatureCard, read_card, renoted
from monosem_tui.model.feature_explanations import explained
from monosem_tui.model.feature_stats import Figures, read_quick_figures, read_slow_figures, renamed
from monosem_tui.pages.feature_page import as_text
from monosem_tui.screens.feature.state import PaneState
from monosem_tui.screens.output_files import copy, unreadable, write
from monosem_tui.screens.part import ScreenPart
from monosem_tui.screens.session import PartnersWanted, TextWanted
from store.files.errors import MonosemError
from store.index.reader import FeatureStore

if TYPE_CHECKING:
    from monosem_tui.export.page_files import Form

KEPT = 256
"""Features whose slower figures are kept, so that going back and forth reads nothing twice."""


class PageReader(ScreenPart):
    """Keeps the page at the feature that the pane is about."""

    def __init__(self, state: PaneState, arrived: Callable[[FeatureCard], object]) -> None:
        """Prepare to read.

        Args:
            state: what the pane is about.
            arrived: called when a page has come onto the screen.
        """
        self._state, self._host, self._page = state, state.host, state.page
        self._arrived = arrived
        self.rendering_chosen = False
        """Whether a person chose how activations are drawn; else it is what suits the terminal."""
        self._known: dict[int, Figures] = {}
        self._known_of = state.run.store
        self._reading: int | None = None

    def read(self) -> None:
        """Read the page of the feature under the cursor, if it can be seen."""
        feature, page = self._state.feature, self._page
        if feature is None:
            page.say("No feature to show.")
        elif page.display and feature not in (self._reading, page.card and page.card.feature):
            self._read(feature)

    def reread(self) -> None:
        """Read the page again: other examples are asked for, or the index has grown."""
        card = self._page.card
        feature = self._reading if card is None else card.feature  # keys may come before the first page is there
        if self._page.display and feature is not None:
            self._read(feature)

    def _read(self, feature: int) -> None:
        self._reading = feature
        run, choice = self._state.run, self._state.choice

        def read() -> tuple[FeatureCard, Figures]:
            try:
                card = explained(read_card(run.store, run.notes, feature, choice), run)
                return card, read_quick_figures(run.store, feature)
            except MonosemError:
                raise
            except Exception as error:  # numbers from a file that was written over may break anything
                raise unreadable(error) from error

        take = partial(self._take_page, feature)
        self._host.away(read, take, "page", fail=take)

    def _take_page(self, feature: int, found: tuple[FeatureCard, Figures] | MonosemError) -> None:
        """Show a page, unless the cursor has moved on or other examples are asked for."""
        if not isinstance(found, MonosemError) and found[0].choice != self._state.choice:
            return
        if feature == self._reading:
            self._reading = None
        if feature != self._state.feature:
            return
        if isinstance(found, MonosemError):
            self._page.complain(found)
        else:
            card, figures = found
            # Notes may have changed while the page was read.
            self._show(renoted(card, self._state.run.store, self._state.run.notes), figures)
            self._arrived(card)
        self._host.retell()

    def _show(self, card: FeatureCard, figures: Figures) -> None:
        """Show a page with what is known already, and have the rest read."""
        run, before = self._state.run, self._page.figures
        if self._known_of is not run.store:
            self._known, self._known_of = {}, run.store
        known = self._known.get(card.feature)
        if known is not None:
            known = renamed(known, run.store, run.notes)
        if known is None and not card.dead:
            self._read_more(card.feature, figures)
            # Figures of the smaller index stay until those of the grown one arrive.
            if before is not None and self._page.card is not None and self._page.card.feature == card.feature:
                figures = replace(figures, drift=before.drift, cofiring=before.cofiring, names=before.names)
        self._page.show(card, known or figures)

    def _read_more(self, feature: int, quick: Figures) -> None:
        run = self._state.run
        take = partial(self._take_figures, feature, run.store)
        self._host.away(lambda: read_slow_figures(run.store, run.notes, feature, quick), take, "figures", fail=take)

    def _take_figures(self, feature: int, store: FeatureStore, figures: Figures | MonosemError) -> None:
        """Keep what takes longer than a page to read, and show it if its page is still there."""
        if store is not self._state.run.store:
            return
        if isinstance(figures, MonosemError):
            self._host.tell(figures.what)
            return
        if len(self._known) >= KEPT:
            del self._known[next(iter(self._known))]
        self._known[feature] = figures
        if self._page.card is not None and self._page.card.feature == feature:
            self._page.figures = figures
            self._page.lay_out()
            self._host.retell()

    # Keys

    def action_heat(self) -> None:
        """Draw activations in the next way, in the document too."""
        page, document = self._page, self._state.document
        page.rendering, self.rendering_chosen = page.rendering.following(), True
        page.lay_out()
        self._host.tell(f"activations as {page.rendering.value}")
        document.rendering = page.rendering
        document.lay_out()

    def action_log(self) -> None:
        """Draw the histogram of counts, or of their logarithms."""
        self._page.log_counts = not self._page.log_counts
        self._page.lay_out()
        self._host.tell(f"histogram of {'log ' if self._page.log_counts else ''}counts")

    def action_clamp(self) -> None:
        """Put the feature into Live's tray."""
        feature = self._state.feature
        if feature is not None:
            with self._host.mentioning():
                self._host.tell(f"{self._host.session.offer(feature)} · 3 Live")

    def action_own_text(self) -> None:
        """Type a text that Live shows painted by the feature."""
        feature = self._state.feature
        if feature is not None:

            def take(text: str) -> None:
                if text.strip():
                    self._host.post_message(TextWanted(text, feature))

            self._host.line.ask("text", "", take)

    def action_partners(self) -> None:
        """Show the feature's partners in other runs, in Compare."""
        feature = self._state.feature
        if feature is not None:
            self._host.post_message(PartnersWanted(feature, self._host.VIEW))

    def action_copy(self) -> None:
        """Copy the page as text, or the document that stands in its place, as far as it has been read."""
        state, host = self._state, self._host
        try:
            if state.in_document and state.reading:
                host.tell(copy(state.document.as_text(), host.app.copy_to_clipboard))
            elif state.feature is not None:
                run = state.run
                card = explained(read_card(run.store, run.notes, state.feature, state.choice), run)
                host.tell(copy(as_text(card, self._known.get(state.feature)), host.app.copy_to_clipboard))
        except MonosemError as error:
            host.mention(error)
        except Exception as error:
            host.mention(unreadable(error))

    def action_export(self) -> None:
        """Ask in which form the page is to be written to a file."""
        feature = self._state.feature
        if feature is not None:
            self._host.offer(Where.FORM, f"export {feature}", lambda action: self._export(feature, action))

    def _export(self, feature: int, action: Action) -> None:
        from monosem_tui.export.page_files import FORMS

        form = next((form for form in FORMS if action.id == f"export.{form}"), None)
        if form is not None:
            self._host.tell(f"writing feature {feature}")
            self._host.away(lambda: self._write(feature, form), self._host.tell)

    def _write(self, feature: int, form: Form) -> str:
        from monosem_tui.export.page_files import as_file, file_name
        from monosem_tui.model.feature_document import same_examples
        from monosem_tui.model.run_origin import origin

        run, choice = self._state.run, same_examples(self._state.choice)
        name = file_name(run.name, str(feature), form)
        return write(name, lambda: as_file(form, run.store, run.notes, feature, choice, run.name, origin(run.record)))
