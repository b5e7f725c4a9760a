"""A screen on which features are read: followed from one to the next and back, with their documents."""

from __future__ import annotations

from dataclasses import replace

from textual import work
from textual.message import Message

from monosem_tui.keys.actions import Need
from monosem_tui.model.document import Stretch, Whole, find_whole, first_stretch, stretch_before, stretch_from
from monosem_tui.model.example_choice import ExampleChoice, sound
from monosem_tui.model.feature_card import FeatureCard, feature_name
from monosem_tui.model.session_state import ExamplesMemory, Memory
from monosem_tui.model.trail import Trail, Visit
from monosem_tui.screens.clipboard import copy
from monosem_tui.screens.notes import NotedScreen
from monosem_tui.screens.session import DocumentWanted, Session
from monosem_tui.widgets.document_view import DocumentView
from store.files.errors import MonosemError
from store.query.examples import RANDOM


class StretchRead(Message):
    """A part of a document has been read, or could not be."""

    def __init__(self, whole: Whole | None, stretch: Stretch | MonosemError, title: str = "") -> None:
        super().__init__()
        self.whole, self.stretch, self.title = whole, stretch, title


class ReadingScreen(NotedScreen):
    """Follows what is chosen on the page, a feature or an example's document.

    The trail holds as long as the list stays where it was when the last feature was followed.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.document = DocumentView(session.palette, self.page.rendering)
        self.document.display = False
        self.in_document = False
        """Whether a document stands in place of the page."""
        kept = session.memory.examples
        self.choice = sound(kept.intervals, kept.one_per_document, kept.extent)
        self._trail: Trail | None = None
        self._anchor: int | None = None
        self._returning: Visit | None = None
        self._reveal = ""

    # What a subclass says

    @property
    def listed(self) -> int | None:
        """The feature under the list's cursor."""
        raise NotImplementedError

    @property
    def reading(self) -> bool:
        """Whether the page has the keys."""
        raise NotImplementedError

    def put_cursor(self, feature: int) -> None:
        """Put the list's cursor on a feature, if the list has it."""
        raise NotImplementedError

    def outside(self, feature: int) -> str:
        """Why the list does not have a feature; empty where it has."""
        raise NotImplementedError

    def show_document(self, shown: bool) -> None:
        """Show a document in place of the page, or the page again."""
        raise NotImplementedError

    # From one sitting to the next

    def remembered(self, memory: Memory) -> Memory:
        """How examples are shown."""
        kept = ExamplesMemory(
            intervals=self.choice.intervals,
            one_per_document=self.choice.one_per_document,
            extent=self.choice.extent,
        )
        return replace(super().remembered(memory), examples=kept)

    # Following

    @property
    def trail(self) -> Trail | None:
        """The features followed, unless the list has moved on since."""
        return self._trail if self._trail is not None and self.listed == self._anchor else None

    @property
    def feature(self) -> int | None:
        """The feature that was followed, or that under the list's cursor."""
        trail = self.trail
        return trail.feature if trail is not None and self.reading else self.listed

    def lacks(self, need: Need) -> bool:
        """Whether something that actions need is missing now."""
        if need is Need.CHOSEN:
            return self.page.stop is None
        trail = self.trail
        if need is Need.PAST:
            return trail is None or not trail.past
        if need is Need.FUTURE:
            return trail is None or not trail.future
        return super().lacks(need)

    def action_follow_chosen(self) -> None:
        """Follow the feature that is chosen, or open the example's document."""
        stop, feature = self.page.stop, self.feature
        if stop is None or feature is None:
            return
        if stop.key.feature is None:
            self._open_document(feature, stop.key.target)
        else:
            self._walk((self.trail or Trail(feature)).follow(self._here(), stop.key.feature), None)

    def on_feature_page_opened(self) -> None:
        """What was clicked twice."""
        self.action_follow_chosen()

    def action_trail(self, step: int) -> None:
        """Back to the feature before, or forward again."""
        trail = self.trail
        if trail is not None and (trail.past if step < 0 else trail.future):
            self._walk(*(trail.back(self._here()) if step < 0 else trail.forward(self._here())))

    def _here(self) -> Visit:
        return Visit(self.feature or 0, self.page.first, self.page.stop.key if self.page.stop else None)

    def _walk(self, trail: Trail, visit: Visit | None) -> None:
        """Go to where a trail leads, as one left it if one was there."""
        self.put_cursor(trail.feature)
        self._trail, self._anchor, self._returning = trail, self.listed, visit
        self.read_page()
        self.retell()

    def page_shown(self, card: FeatureCard) -> None:
        """Say how one came here, and return to where one was."""
        self.retrace()
        visit, self._returning = self._returning, None
        if visit is not None and visit.feature == card.feature:
            self.page.choose(visit.chosen)
            self.page.jump(visit.first)
        if self._reveal:
            self.page.reveal(self._reveal)
            self._reveal = ""

    def retrace(self) -> None:
        """Let the page say where in the trail it stands."""
        trail, card = self.trail, self.page.card
        here = trail if trail is not None and card is not None and card.feature == trail.feature else None
        self.page.retrace(here, self.outside(here.feature) if here else "")

    # Which examples

    def _choose(self, choice: ExampleChoice, said: str) -> None:
        self.choice = choice
        self.reread()
        self.tell(said)

    def action_widen_text(self, steps: int) -> None:
        """More or less text around each example."""
        wider = self.choice.wider(steps)
        same = wider == self.choice
        self._choose(
            wider, f"examples with {wider.text.name}{': as much as there is room for' if same and steps > 0 else ''}"
        )

    def action_intervals(self) -> None:
        """4 quantile intervals, or 12."""
        choice = self.choice.other_intervals()
        self._choose(choice, f"{choice.intervals} quantile intervals")

    def action_one(self) -> None:
        """One example a document, or one a context."""
        choice = replace(self.choice, one_per_document=not self.choice.one_per_document)
        self._choose(choice, f"one example a {choice.unit}")

    def action_draw(self) -> None:
        """Other random examples."""
        self._reveal = RANDOM
        choice = replace(self.choice, seed=self.choice.seed + 1)
        self._choose(choice, f"random examples of seed {choice.seed}")

    def action_heat(self) -> None:
        """The next way to draw activations, in the document too."""
        super().action_heat()
        self.document.rendering = self.page.rendering
        self.document.lay_out()

    # The document

    def action_copy(self) -> None:
        """Copy the page as text, or the document that stands in its place, as far as it has been read."""
        if self.in_document and self.reading:
            self.tell(copy(self.document.as_text(), self.app.copy_to_clipboard))
        else:
            super().action_copy()

    def action_inspect(self) -> None:
        """The document that is open, or that of the example that is chosen, through all features."""
        whole, stop = self.document.whole, self.page.stop
        if self.in_document and self.reading and whole is not None:
            self.post_message(DocumentWanted(whole.place))
        elif stop is not None and stop.key.feature is None:
            self.post_message(DocumentWanted(stop.key.target))
        else:
            self.tell(Need.CHOSEN.value)

    @work(thread=True, exclusive=True, group="document", exit_on_error=False)
    def _open_document(self, feature: int, place: int) -> None:
        store = self.run.store
        try:
            whole = find_whole(store, feature, place)
            name = feature_name(store, self.run.notes, feature)
            self.post_message(StretchRead(whole, first_stretch(store, whole), f"{feature}  {name}"))
        except MonosemError as error:
            self.post_message(StretchRead(None, error))

    @work(thread=True, group="document-more", exit_on_error=False)
    def _read_stretch(self, whole: Whole, place: int, before: bool) -> None:
        store = self.run.store
        try:
            self.post_message(StretchRead(whole, (stretch_before if before else stretch_from)(store, whole, place)))
        except MonosemError as error:
            self.post_message(StretchRead(None, error))

    def on_stretch_read(self, message: StretchRead) -> None:
        """Open a document with it, or add it to the one that is open."""
        if isinstance(message.stretch, MonosemError) or message.whole is None:
            self.tell(message.stretch.what if isinstance(message.stretch, MonosemError) else "")
        elif message.title and self.reading and message.whole.feature == self.feature:
            self.document.rendering = self.page.rendering
            self.show_document(True)
            self.document.show(message.whole, message.title, message.stretch)
            self.retell()
        elif not message.title:
            self.document.add(message.whole, message.stretch)

    def on_document_view_more_wanted(self, message: DocumentView.MoreWanted) -> None:
        """Read on."""
        if self.document.whole is not None:
            self._read_stretch(self.document.whole, message.place, message.before)

    def on_document_view_moved(self) -> None:
        """The bottom line says where one is."""
        if self.in_document:
            self.retell()

    # Back

    @property
    def can_unwind(self) -> bool:
        """Whether a document is open or a feature was followed."""
        return self.reading and (self.in_document or not self.lacks(Need.PAST))

    def unwind(self) -> None:
        """Close the document, or go back to the feature before."""
        if self.in_document:
            self.show_document(False)
        else:
            self.action_trail(-1)
