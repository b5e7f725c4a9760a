"""A mode of Live: any text through the features, token by token."""

from __future__ import annotations

from monosem_tui.live.conversation import Phase
from monosem_tui.screens.modelled import ModelScreen
from monosem_tui.screens.session import FeatureWanted, Session
from monosem_tui.text.inspect_page import MOST_HUES, Looked
from monosem_tui.widgets.live_view import InspectView

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

    def read(self, text: str) -> None:
        """Read a text."""
        if not text.strip():
            self.tell("there is no text: p types or pastes one")
        elif self.has_model:
            self.looked.text = text
            top = TOP_ABLATED if self.looked.ablated else TOP
            self.talk.inspect(text, top, ablate=self.looked.ablated)
            self.renew()

    def look_again(self) -> None:
        """Show what has been read, the cursor where it was if the text is the same."""
        if self.talk.inspected is not self._shown_text:
            before = self._shown_text
            self._shown_text = self.talk.inspected
            if before is None or self.looked.token >= len(self.looked.reads) or not self.looked.firings:
                self.looked.begin()
            self.looked.move(0, 0)
        self.inspected.renew()

    def action_text(self) -> None:
        """Type a text to look at; the model is loaded meanwhile."""
        if self.has_model:
            self.talk.wake_up()
            self.type_text("text", self.looked.text)

    def take_text(self, kind: str, text: str) -> None:
        """A text."""
        if kind == "text":
            self.read(text)
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
        """Ask for the effects of ablation, or do without."""
        if self.talk.phase is Phase.BUSY:
            self.talk.stop()
            return
        self.looked.ablated = not self.looked.ablated
        self.read(self.looked.text)

    def action_clamp(self) -> None:
        """Put the feature into the tray."""
        feature = self.looked.feature
        if feature is not None:
            clamp, fresh = self.tray.offer(feature, self.session.maximum)
            self.follow_tray()
            self.tell(f"{feature} {'into' if fresh else 'is in'} the tray: {clamp.in_words()} · i writes")
