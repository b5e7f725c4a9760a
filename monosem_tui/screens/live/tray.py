"""The tray of clamps: the keys that change what the next token obeys."""

from __future__ import annotations

from collections.abc import Callable

from monosem_tui.keys.actions import Need
from monosem_tui.pages.live_contents import Shown
from monosem_tui.screens.live.connection import ModelConnection
from monosem_tui.screens.part import ScreenPart
from store.files.errors import MonosemError
from store.live.clamp import Clamp, parse_clamp
from store.settings.roles import ROLES


class ClampTray(ScreenPart):
    """Changes the tray, and has the change sent to the model."""

    def __init__(self, connection: ModelConnection, shown: Shown) -> None:
        self._connection, self._shown = connection, shown
        self._host, self._tray = connection.host, connection.tray
        self.needs = {
            Need.CLAMPS: lambda: bool(self._tray.held),
            Need.ROWS: lambda: bool(self._tray.held) or shown.feature is not None,
            Need.OFFERED: lambda: shown.feature is not None,
        }

    def action_move(self, rows: int) -> None:
        """Go to another clamp; without any, to another of the prompt's features."""
        if self._tray.held:
            self._tray.move(rows)
        else:
            last = len(self._shown.talk.writing.prompt_features) - 1
            self._shown.offered = max(0, min(self._shown.offered + rows, last))
        self._connection.redraw()

    def action_take_up(self) -> None:
        """Clamp the prompt's feature under the cursor."""
        feature = self._shown.feature
        if feature is not None:
            said = self._host.session.offer(feature)
            self._connection.follow_tray()
            self._host.tell(f"{said} · ctrl+g writes")

    def action_strength(self, steps: int) -> None:
        """Make the clamp stronger or weaker."""
        self._change(lambda: self._tray.strengthen(steps, self._host.session.maximum))

    def action_off(self) -> None:
        """Switch the clamp off, or on."""
        self._change(self._tray.switch)

    def action_ablate(self) -> None:
        """Ablate the feature, or take that back."""
        self._change(self._tray.ablate)

    def action_mode(self) -> None:
        """Take the next mode."""
        self._change(lambda: self._tray.cycle(self._host.session.maximum))

    def action_place(self) -> None:
        """Take the next part of the text."""
        self._change(lambda: self._tray.move_to(chat=self._shown.chat))

    def action_drop(self) -> None:
        """Take the clamp out of the tray."""
        self._change(self._tray.drop)

    def _change(self, change: Callable[[], None]) -> None:
        with self._host.mentioning():
            change()
            self._connection.follow_tray()

    def action_add(self) -> None:
        """Type a clamp."""
        self._type("", self._tray.add)

    def action_edit(self) -> None:
        """Type the clamp under the cursor again."""
        if self._tray.present is not None:
            self._type(str(self._tray.present.clamp), self._tray.put)

    def _type(self, text: str, put: Callable[[Clamp], None]) -> None:
        def take(text: str) -> None:
            if text.strip():
                put(self.checked(text))
                self._connection.follow_tray()

        self._connection.ask("clamp", text, take)

    def checked(self, text: str) -> Clamp:
        """Return a written clamp.

        Raises:
            MonosemError: it is not a clamp, or this run or this prompt cannot have it.
        """
        clamp, d_sae = parse_clamp(text), self._connection.run.store.d_sae
        for feature in (clamp.feature, *(condition.feature for condition in clamp.where.conditions)):
            if feature >= d_sae:
                raise MonosemError(f"there is no feature {feature}", f"They are 0 to {d_sae - 1}.")
        if clamp.where.part in ROLES and not self._shown.chat:
            raise MonosemError(f"@{clamp.where.part} is a turn of a chat", "C makes the prompt one.")
        clamp.change(self._host.session.maximum(clamp.feature))
        return clamp
