"""A screen with a feature's page: it follows a cursor, and is read away from the keys."""

from __future__ import annotations

from dataclasses import replace

from textual import work
from textual.message import Message
from textual.timer import Timer

from monosem_tui.draw.heat import default_rendering
from monosem_tui.export.page_files import FORMS, Form, as_file, file_name
from monosem_tui.keys.actions import Action, Where
from monosem_tui.model.example_choice import ExampleChoice
from monosem_tui.model.feature_card import FeatureCard, read_card
from monosem_tui.model.feature_document import ExampleRequest
from monosem_tui.model.feature_stats import Figures, charts, read_quick_figures, read_slow_figures, relations, renamed
from monosem_tui.model.open_run import OpenRun
from monosem_tui.pages.feature_page import COPY_CELLS, as_text
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.clipboard import copy
from monosem_tui.screens.output_files import unreadable, write
from monosem_tui.screens.session import Session
from monosem_tui.widgets.feature_page import FeaturePage
from monosem_tui.widgets.line_view import Trouble
from store.files.errors import MonosemError
from store.index.reader import FeatureStore

DEBOUNCE = 0.08
"""Seconds the cursor must rest before the page follows: a held key then costs two rows a step."""
KEPT = 256
"""Features whose slower figures are kept, so that going back and forth reads nothing twice."""


class CardRead(Message):
    """A page has been read, or could not be."""

    def __init__(self, feature: int, card: FeatureCard | MonosemError, figures: Figures | None = None) -> None:
        super().__init__()
        self.feature, self.card, self.figures = feature, card, figures


class FiguresRead(Message):
    """What takes longer than a page has been read, or could not be."""

    def __init__(self, feature: int, store: FeatureStore, figures: Figures | MonosemError) -> None:
        super().__init__()
        self.feature, self.store, self.figures = feature, store, figures


class Exported(Message):
    """A page has been written to a file, or could not be."""

    def __init__(self, said: str) -> None:
        super().__init__()
        self.said = said


class PagedScreen(MonosemScreen):
    """Keeps `page` at the feature that a subclass has under its cursor."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        if session.run is None:
            raise ValueError("features of no run")
        self.run: OpenRun = session.run
        self.page = FeaturePage(session.palette, default_rendering(session.palette.used))
        self.rendering_chosen = False
        """Whether a person chose how activations are drawn; else it is what suits the terminal."""
        self.choice = ExampleChoice()
        """Which examples the page shows."""
        self._known: dict[int, Figures] = {}
        self._known_of = self.run.store
        self._timer: Timer | None = None
        self._reading: int | None = None

    @property
    def feature(self) -> int | None:
        """The feature that the page is to show."""
        raise NotImplementedError

    def follow(self) -> None:
        """Let the page follow once the cursor rests."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(DEBOUNCE, self.read_page)

    def read_page(self) -> None:
        """Read the page of the feature under the cursor, if it can be seen."""
        feature = self.feature
        if feature is None:
            self.page.say("No feature to show.")
        elif self.page.display and feature not in (self._reading, self.page.card and self.page.card.feature):
            self._reading = feature
            self._read(feature)

    def reread(self) -> None:
        """Read the page anew: other examples are asked for, or the index has grown."""
        if self.page.display and self.page.card is not None:
            self._reading = self.page.card.feature
            self._read(self._reading)

    @work(thread=True, exclusive=True, group="page", exit_on_error=False)
    def _read(self, feature: int) -> None:
        run, figures = self.run, None
        try:
            found: FeatureCard | MonosemError = read_card(run.store, run.notes, feature, self.choice)
            figures = read_quick_figures(run.store, feature)
        except MonosemError as error:
            found = error
        except Exception as error:  # numbers from a file that was written over may break anything
            found = unreadable(error)
        self.post_message(CardRead(feature, found, figures))

    def on_card_read(self, message: CardRead) -> None:
        """Show it, unless the cursor has moved on or other examples are asked for."""
        card = message.card
        if isinstance(card, FeatureCard) and card.choice != self.choice:
            return
        if message.feature == self._reading:
            self._reading = None
        if message.feature != self.feature:
            return
        if isinstance(card, MonosemError):
            self.page.complain(card)
        else:
            self._show(card, message.figures)
            self.page_shown(card)
        self.retell()

    def page_shown(self, card: FeatureCard) -> None:
        """A page has come to be on the screen."""

    def _show(self, card: FeatureCard, figures: Figures | None) -> None:
        """Show a page with what is known already, and have the rest read."""
        if self._known_of is not self.run.store:
            self._known, self._known_of = {}, self.run.store
        known, before = self._known.get(card.feature), self.page.figures
        if known is not None:
            known = renamed(known, self.run.store, self.run.notes)
        if known is None and figures is not None and not card.dead:
            self._read_more(card.feature, figures)
            # What an index held before it grew stands there until its successor comes.
            if before is not None and self.page.card is not None and self.page.card.feature == card.feature:
                figures = replace(figures, drift=before.drift, cofiring=before.cofiring, names=before.names)
        self.page.show(card, known or figures)

    @work(thread=True, exclusive=True, group="figures", exit_on_error=False)
    def _read_more(self, feature: int, quick: Figures) -> None:
        run = self.run
        try:
            found: Figures | MonosemError = read_slow_figures(run.store, run.notes, feature, quick)
        except MonosemError as error:
            found = error
        self.post_message(FiguresRead(feature, run.store, found))

    def on_figures_read(self, message: FiguresRead) -> None:
        """Keep it, and show it if its page is still there."""
        figures = message.figures
        if message.store is not self.run.store:
            return
        if isinstance(figures, MonosemError):
            self.tell(figures.what)
            return
        if len(self._known) >= KEPT:
            del self._known[next(iter(self._known))]
        self._known[message.feature] = figures
        if self.page.card is not None and self.page.card.feature == message.feature:
            self.page.figures = figures
            self.retell()

    def on_trouble(self, message: Trouble) -> None:
        """The store could not be read while a line was drawn."""
        self.page.complain(message.error)
        self.tell(message.error.what)

    def action_heat(self) -> None:
        """The next way to draw activations."""
        self.page.rendering, self.rendering_chosen = self.page.rendering.following(), True
        self.tell(f"activations as {self.page.rendering.value}")

    def action_log(self) -> None:
        """Linear or logarithmic histogram."""
        self.page.log_counts = not self.page.log_counts
        self.tell(f"histogram of {'log ' if self.page.log_counts else ''}counts")

    def action_clamp(self) -> None:
        """Put the feature into Live's tray."""
        feature = self.feature
        if feature is None:
            return
        try:
            clamp, fresh = self.session.clamps.offer(feature, self.session.maximum)
        except MonosemError as error:
            self.tell(error.what)
        else:
            self.tell(f"{feature} {'into' if fresh else 'is in'} the tray: {clamp.in_words()} · 3 Live")

    def action_copy(self) -> None:
        """Copy the page as text."""
        feature = self.feature
        if feature is None:
            return
        try:
            card = read_card(self.run.store, self.run.notes, feature, self.choice)
            figures = self._known.get(feature)
            more = (charts(figures, COPY_CELLS), relations(figures, COPY_CELLS)) if figures else ((), ())
            self.tell(copy(as_text(card, *more), self.app.copy_to_clipboard))
        except MonosemError as error:
            self.tell(error.what)
        except Exception as error:
            self.tell(unreadable(error).what)

    def action_export(self) -> None:
        """Ask in which form the page is to be written to a file."""
        if self.feature is not None:
            self.offer(Where.FORM, f"export {self.feature}")

    def answer(self, action: Action) -> None:
        """Write it, away from the keys."""
        feature = self.feature
        for form in FORMS:
            if action.id == f"export.{form}" and feature is not None:
                self.tell(f"writing feature {feature}")
                self._export(feature, form)

    @work(thread=True, group="export", exit_on_error=False)
    def _export(self, feature: int, form: Form) -> None:
        run, choice = self.run, ExampleRequest.of(self.choice)
        name = file_name(run.name, str(feature), form)
        said = write(name, lambda: as_file(form, run.store, run.notes, feature, choice, run.name))
        self.post_message(Exported(said))

    def on_exported(self, message: Exported) -> None:
        """Say where it is."""
        self.tell(message.said)
