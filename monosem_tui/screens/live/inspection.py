"""Inspect: any text through the features, token by token."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from monosem_tui.draw.heat import default_rendering
from monosem_tui.draw.numbers import count
from monosem_tui.draw.spans import Line
from monosem_tui.keys.actions import Need, Where
from monosem_tui.live.model_client import Phase, no_template
from monosem_tui.model.document import Passage, passage, place_of
from monosem_tui.pages.inspect_page import (
    MOST_HUES,
    InspectedText,
    Looked,
    inspect_lines,
    pointed_line,
    stored_tokens,
)
from monosem_tui.screens.live.connection import ModelConnection
from monosem_tui.screens.part import ScreenPart
from monosem_tui.screens.resting_card import RestingCard
from monosem_tui.screens.session import FeatureWanted
from monosem_tui.widgets.live_view import CellView
from store.files.errors import MonosemError

AS_CHAT = "as a chat, in the model's template: a user's turn, or a JSON list of messages"
TOP, TOP_ABLATED = 16, 5
"""Features a token: each that is ablated costs a pass of the model."""


class Inspection(ScreenPart):
    """The page of a text and the features of its tokens."""

    def __init__(self, connection: ModelConnection) -> None:
        self._connection, self._host, self._talk = connection, connection.host, connection.talk
        session, store = connection.host.session, connection.run.store
        self.looked = Looked(self._talk, store.vocabulary, session.maximum, connection.label)
        self._card = RestingCard(self._host, connection.run, lambda: self._followed, self._draw)
        self._followed: int | None = None
        """The feature whose card is shown, or read."""
        self.looked.card = lambda: self._card.card
        self.looked.opened = store.spec.excluded == "bos"
        self.looked.rendering = default_rendering(session.palette.used)
        self.view = CellView(session.palette, partial(inspect_lines, self.looked), self._pointed, shown=False)
        self._shown_text: object = None
        self.needs = {Need.READ: lambda: self.looked.feature is not None}

    @property
    def here(self) -> Where | None:
        """The keys are here while the page is shown."""
        return Where.INSPECT if self.view.display else None

    def position(self) -> str:
        """Return the token's number and the total."""
        reads = len(self.looked.reads)
        return f"token {self.looked.token + 1} of {count(reads)}" if reads and self.view.display else ""

    def begin(self, text: str) -> None:
        """Read a text, unless one has been read."""
        if text and not self.looked.asked.text:
            self.read(text)

    def read(self, text: str, name: str = "") -> None:
        """Read a text."""
        if not text.strip():
            self._host.tell("there is no text: p types or pastes one, o opens a document")
        elif self._connection.has_model:
            asked = self.looked.asked = InspectedText(text, name, self.looked.chat and not name)
            self._talk.inspect(text, TOP, ablate=False, chat=asked.chat)
            self._connection.redraw()

    def paint(self, text: str, feature: int) -> None:
        """Read a text and colour it by a feature."""
        self.looked.chosen = (feature,)
        self.read(text)

    def redraw(self) -> None:
        """Draw what has been read, the cursor where it was if there is such a token."""
        if self._talk.inspected is not self._shown_text:
            self._shown_text = self._talk.inspected
            self.looked.take()
            self._ask_effects()
        self._draw()
        if self.looked.feature != self._followed:
            self._followed = self.looked.feature
            self._card.follow()

    def _draw(self) -> None:
        self.view.redraw()

    def resumed(self) -> None:
        """Notes may have been taken on another screen."""
        self._card.reread()

    def suspended(self) -> None:
        """Read no card while another screen is shown."""
        self._card.stop()

    def _ask_effects(self) -> None:
        known = self._talk.effects is not None or self._talk.phase is Phase.BUSY  # what is read asks for them itself
        shown = self.looked.shown
        if self.looked.ablated and shown.text and not known and not self.looked.stored:
            self._talk.inspect(shown.text, TOP_ABLATED, ablate=True, chat=shown.chat)

    def _pointed(self, x: int, y: int) -> Line:
        token = self.looked.token_at(x, y)
        return () if token is None else pointed_line(self.looked, token)

    def point(self, x: int, y: int) -> None:
        """Go to the token at a cell of the page."""
        token = self.looked.token_at(x, y)
        if token is not None:
            self.action_look(token - self.looked.token, 0)

    def action_look(self, tokens: int, rows: int) -> None:
        """Go to another token, or to another of its features."""
        self.looked.move(tokens, rows)
        self._connection.redraw()

    def action_open(self) -> None:
        """Show the feature's page in Browse."""
        if self.looked.feature is not None:
            self._host.post_message(FeatureWanted(self.looked.feature))

    def action_colour(self) -> None:
        """Colour the text by the feature, or no more."""
        if not self.looked.choose():
            self._host.tell(f"{MOST_HUES} features colour the text already: space on one of them takes it away")
        self._connection.redraw()

    def action_effects(self) -> None:
        """Show the effects of ablation or do without; stop computing them."""
        if self._talk.phase is Phase.BUSY and self.looked.ablated:
            self._talk.stop()
            self.looked.ablated = False
        else:
            self.looked.ablated = not self.looked.ablated
            self._ask_effects()
        self._connection.redraw()

    def action_pick(self) -> None:
        """Pick the token under the cursor, or no more; the list is of all picked tokens."""
        self.looked.pick()
        self._connection.redraw()

    def action_clamp(self) -> None:
        """Put the feature into the tray."""
        feature = self.looked.feature
        if feature is not None:
            said = self._host.session.offer(feature)
            self._connection.follow_tray()
            self._host.tell(f"{said} · i writes")

    # Texts

    def action_text(self) -> None:
        """Type a text to look at; the model is loaded meanwhile."""
        if self._connection.has_model:
            self._talk.wake_up()
            self._connection.ask("text", self.looked.asked.text, self.read, selected=True)

    def action_as_chat(self) -> None:
        """Read a typed text as a chat, or as it is; one that has been typed is read again."""
        looked, ready = self.looked, self._talk.ready
        if not looked.chat and ready is not None and not ready.chat:
            self._host.tell(no_template(ready))
            return
        looked.chat = not looked.chat
        self._host.tell(f"a typed text is read {AS_CHAT if looked.chat else 'as it is'}")
        if looked.asked.text and not looked.asked.name:
            self.read(looked.asked.text)
        self._connection.redraw()

    def action_document(self) -> None:
        """Type a document's number."""
        if self._connection.has_model:
            self._talk.wake_up()
            self._connection.ask("document", "", self._take_number)

    def _take_number(self, text: str) -> None:
        number = text.strip()
        if not (number.isdecimal() and len(number) < 10):
            raise MonosemError(f"{number!r} is not the number of a document")
        store = self._connection.run.store

        def fail(error: MonosemError) -> None:
            if self._host.line.typing:
                self._host.complain(error)
            else:
                self._connection.ask("document", text, self._take_number)
                self._host.line.reject(error)

        self._read_passage(lambda: passage(store, place_of(store, int(number))), fail)

    def open_place(self, place: int, feature: int) -> None:
        """Read the document that holds a place of the corpus, the cursor there on a feature."""
        store = self._connection.run.store
        if self._connection.has_model:
            self.looked.chosen = ()
            self._read_passage(lambda: passage(store, place, feature), self._host.complain)

    def _read_passage(self, read: Callable[[], Passage], fail: Callable[[MonosemError], object]) -> None:
        self._host.away(read, self._take_passage, "passage", fail=fail)

    def _take_passage(self, found: Passage) -> None:
        self.looked.show_stored(InspectedText(found.text, found.name), stored_tokens(found), found.place)
        self.looked.put_on(found.feature)
        self.read(found.text, found.name)
        if found.n_tokens < found.of:
            self._host.tell(f"{count(found.n_tokens)} of the {count(found.of)} tokens of {found.name}")
