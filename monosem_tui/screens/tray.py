"""A part of Live: the tray of clamps, and the keys that change what the next token obeys."""

from __future__ import annotations

from collections.abc import Callable

from monosem_tui.pages.live_page import Shown
from monosem_tui.screens.inspect import InspectingScreen
from monosem_tui.screens.session import Session
from store.files.errors import MonosemError
from store.live.clamp import ROLES, Clamp, parse_clamp


class ClampingScreen(InspectingScreen):
    """Has `shown`, what the page of writing is made of, and changes the tray in it."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        vocabulary = self.run.store.vocabulary
        self.shown = Shown(self.talk, self.tray, vocabulary, session.maximum, self.label)
        self._editing = False

    def action_move(self, rows: int) -> None:
        """Another clamp."""
        self.tray.move(rows)
        self.renew()

    def action_strength(self, steps: int) -> None:
        """Stronger or weaker."""
        self._changed(lambda: self.tray.strengthen(steps, self.session.maximum))

    def action_off(self) -> None:
        """Off, or on."""
        self._changed(self.tray.switch)

    def action_ablate(self) -> None:
        """Ablated, or not."""
        self._changed(self.tray.ablate)

    def action_mode(self) -> None:
        """The next mode."""
        self._changed(lambda: self.tray.cycle(self.session.maximum))

    def action_place(self) -> None:
        """The next part of the text."""
        self._changed(lambda: self.tray.move_to(chat=self.shown.chat))

    def action_drop(self) -> None:
        """Out of the tray."""
        self._changed(self.tray.drop)

    def _changed(self, change: Callable[[], None]) -> None:
        try:
            change()
        except MonosemError as error:
            self.tell(error.what)
        else:
            self.follow_tray()

    def action_add(self) -> None:
        """Type a clamp."""
        self._editing = False
        self.type_text("clamp", "")

    def action_edit(self) -> None:
        """Type the clamp under the cursor anew."""
        if self.tray.present is not None:
            self._editing = True
            self.type_text("clamp", str(self.tray.present.clamp))

    def take_text(self, kind: str, text: str) -> None:
        """A clamp."""
        if kind != "clamp":
            super().take_text(kind, text)
        elif text.strip():
            clamp = self.checked(text.strip())
            (self.tray.put if self._editing else self.tray.add)(clamp)
            self.follow_tray()

    def checked(self, text: str) -> Clamp:
        """A written clamp that this run and this prompt can have.

        Raises:
            MonosemError: it is none.
        """
        clamp, d_sae = parse_clamp(text), self.run.store.d_sae
        for feature in (clamp.feature, *(condition.feature for condition in clamp.where.conditions)):
            if feature >= d_sae:
                raise MonosemError(f"there is no feature {feature}", f"They are 0 to {d_sae - 1}.")
        if clamp.where.part in ROLES and not self.shown.chat:
            raise MonosemError(f"@{clamp.where.part} is a turn of a chat", "C makes the prompt one.")
        clamp.change(self.session.maximum(clamp.feature))
        return clamp
