"""A mode of Live: any text through the features, token by token."""

from __future__ import annotations

from collections.abc import Callable

from textual import work

from monosem_tui.draw.numbers import count
from monosem_tui.live.model_client import Phase
from monosem_tui.model.document import Passage, passage, place_of
from monosem_tui.pages.inspect_page import MOST_HUES, Looked
from monosem_tui.screens.model_connection import ModelScreen
from monosem_tui.screens.session import FeatureWanted, Session
from monosem_tui.widgets.live_view import InspectView
from store.files.errors import MonosemError

TOP, TOP_ABLATED = 16, 5
"""Features a token: each that is ablated costs a pass of the model."""


class InspectingScreen(ModelScreen):
    """Has `looking`, and what keys do there."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.looked = Looked(self.talk, self.run.store.vocabulary, session.maximum, self.label)
        self.inspected = InspectView(session.palette, self.looked)
        self._shown_text: object = None

    @property
    def looking(self) -> bool:
        """Whether this mode is on."""
        return bool(self.inspected.display)

    def begin_looking(self, text: str) -> None:
        """Show the mode; a text that is new to it is read."""
        if text and not self.looked.text:
            self.read(text)

    def read(self, text: str, name: str = "") -> None:
        """Read a text."""
        if not text.strip():
            self.tell("there is no text: p types or pastes one, o opens a document")
        elif self.has_model:
            self.looked.text, self.looked.name, self.looked.picked = text, name, ()
            self.talk.inspect(text, TOP, ablate=False)
            self.renew()

    def look_again(self) -> None:
        """Show what has been read, the cursor where it was if there is such a token."""
        if self.talk.inspected is not self._shown_text:
            before = self._shown_text
            self._shown_text = self.talk.inspected
            if before is None or self.looked.token >= len(self.looked.reads) or not self.looked.firings:
                self.looked.begin()
            self.looked.move(0, 0)
            self._ask_effects()
        self.inspected.renew()

    def _ask_effects(self) -> None:
        known = self.talk.effects is not None or self.talk.phase is Phase.BUSY  # what is read asks for them itself
        if self.looked.ablated and self.looked.text and not known:
            self.talk.inspect(self.looked.text, TOP_ABLATED, ablate=True)

    def action_text(self) -> None:
        """Type a text to look at; the model is loaded meanwhile."""
        if self.has_model:
            self.talk.wake_up()
            self.type_text("text", self.looked.text)

    def take_text(self, kind: str, text: str) -> None:
        """A text."""
        if kind == "text":
            self.read(text)
        elif kind == "document":
            number = text.strip()
            if not (number.isascii() and number.isdigit() and len(number) < 10):
                raise MonosemError(f"{number!r} is no number of a document")
            self._read_passage(lambda: place_of(self.run.store, int(number)))
        else:
            super().take_text(kind, text)

    def action_look(self, tokens: int, rows: int) -> None:
        """Another token, or another of its features."""
        self.looked.move(tokens, rows)
        self.renew()

    def action_open(self) -> None:
        """The feature's page in Browse."""
        if self.looked.feature is not None:
            self.post_message(FeatureWanted(self.looked.feature))

    def action_colour(self) -> None:
        """Colour the text by the feature, or no more."""
        if not self.looked.choose():
            self.tell(f"{MOST_HUES} features colour the text already: space on one of them takes it away")
        self.renew()

    def action_effects(self) -> None:
        """Show the effects of ablation, or do without; stop finding them out."""
        if self.talk.phase is Phase.BUSY and self.looked.ablated:
            self.talk.stop()
            self.looked.ablated = False
        else:
            self.looked.ablated = not self.looked.ablated
            self._ask_effects()
        self.renew()

    def action_pick(self) -> None:
        """Pick the token under the cursor, or no more: the list then is of all that are picked."""
        self.looked.pick()
        self.renew()

    # Documents

    def action_document(self) -> None:
        """Type a document's number."""
        if self.has_model:
            self.talk.wake_up()
            self.type_text("document", "")

    def open_place(self, place: int) -> None:
        """The document that holds a place of the corpus."""
        self.show_page("inspect")
        if self.has_model:
            self._read_passage(lambda: place)

    @work(thread=True, exclusive=True, group="passage", exit_on_error=False)
    def _read_passage(self, place: Callable[[], int]) -> None:
        store = self.run.store
        try:
            found: Passage | MonosemError = passage(store, place())
        except MonosemError as error:
            found = error
        self.app.call_from_thread(self._show_passage, found)

    def _show_passage(self, found: Passage | MonosemError) -> None:
        if isinstance(found, MonosemError):
            self.tell(" · ".join(filter(None, (found.what, found.hint))))
            return
        self.read(found.text, found.name)
        if found.n_tokens < found.of:
            self.tell(f"{count(found.n_tokens)} of the {count(found.of)} tokens of {found.name}")

    def action_clamp(self) -> None:
        """Put the feature into the tray."""
        feature = self.looked.feature
        if feature is not None:
            clamp, fresh = self.tray.offer(feature, self.session.maximum)
            self.follow_tray()
            self.tell(f"{feature} {'into' if fresh else 'is in'} the tray: {clamp.in_words()} · i writes")
