"""The tray: the clamps in force from the next token on, and the changes that keys make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import floor, log10

from store.files.errors import MonosemError
from store.live.clamp import Clamp, Mode, Part, Where, parse_clamp
from store.settings.roles import ROLES

STRENGTH = 1.0
"""Default clamp: this multiple of the feature's maximum. At twice the maximum texts of small models fall apart."""
SCALE = 2.0
"""Default factor of a clamp that scales: 1 would change nothing."""
UNKNOWN = 5.0
"""Default activation where the maximum is unknown or 0."""
RESPONSE = Where(part="response")
CYCLE: tuple[Mode, ...] = ("max", "set", "add", "scale")
"""Modes that `m` cycles through; ablating has its own key."""
PLACES: tuple[Part | None, ...] = ("response", None, "prompt")
"""Parts of the text that `@` cycles through; in a chat the roles follow."""
Maximum = Callable[[int], float | None]
"""Returns a feature's maximum over the index, or None where unknown."""


@dataclass(frozen=True)
class TrayClamp:
    """A clamp in the tray."""

    clamp: Clamp
    on: bool = True
    before: Clamp | None = None
    """The clamp before it was ablated."""


@dataclass
class Tray:
    """An ordered list of clamps with a cursor."""

    held: tuple[TrayClamp, ...] = ()
    cursor: int = 0
    revision: int = 0
    """Counts changes of the clamps in force."""

    @property
    def present(self) -> TrayClamp | None:
        """The clamp under the cursor."""
        return self.held[self.cursor] if self.held else None

    @property
    def clamps(self) -> tuple[str, ...]:
        """The clamps in force, as text."""
        return tuple(str(one.clamp) for one in self.held if one.on)

    def move(self, rows: int) -> None:
        """Move the cursor."""
        self.cursor = max(0, min(self.cursor + rows, len(self.held) - 1))

    def add(self, clamp: Clamp) -> None:
        """Append a clamp and put the cursor on it."""
        self._renew((*self.held, TrayClamp(clamp)))
        self.cursor = len(self.held) - 1

    def offer(self, feature: int, maximum: Maximum) -> tuple[Clamp, bool]:
        """Add a feature with the default clamp unless it is there; return the clamp and whether it is new."""
        for number, one in enumerate(self.held):
            if one.clamp.feature == feature:
                self.cursor = number
                return one.clamp, False
        self.add(usual(feature, maximum))
        return self.held[-1].clamp, True

    def put(self, clamp: Clamp) -> None:
        """Replace the clamp under the cursor, or add the first one."""
        if self.present is None:
            self.add(clamp)
        else:
            self._set(TrayClamp(clamp))

    def drop(self) -> None:
        """Remove the clamp under the cursor."""
        self._renew(self.held[: self.cursor] + self.held[self.cursor + 1 :])
        self.move(0)

    def switch(self) -> None:
        """Switch the clamp under the cursor off or on."""
        if self.present:
            self._set(replace(self.present, on=not self.present.on))

    def ablate(self) -> None:
        """Ablate the clamp under the cursor, or restore it."""
        one = self.present
        if one is None:
            return
        if one.clamp.mode == "ablate":
            self._set(TrayClamp(one.before) if one.before else replace(one, on=True))
        else:
            self._set(TrayClamp(Clamp(one.clamp.feature, "ablate", where=one.clamp.where), before=one.clamp))

    def strengthen(self, steps: int, maximum: Maximum) -> None:
        """Change the strength by steps; a clamp that was off or ablated is switched on."""
        one = self.present
        if one is None:
            return
        clamp = one.clamp
        if clamp.mode == "ablate":
            clamp = one.before or replace(usual(clamp.feature, maximum), where=clamp.where)
        elif one.on:
            step = step_of(clamp, maximum(clamp.feature))
            value = round(clamp.value + steps * step, max(6, 5 - floor(log10(step))))
            clamp = replace(clamp, value=value or 0.0)
        self._set(TrayClamp(clamp))

    def cycle(self, maximum: Maximum) -> None:
        """Switch to the next mode at nearly the same strength."""
        one = self.present
        if one is None:
            return
        most = maximum(one.clamp.feature) or 0.0
        order = CYCLE if most > 0 else CYCLE[1:]
        was = one.clamp
        mode = order[(order.index(was.mode) + 1) % len(order)] if was.mode in order else order[0]
        level = {"max": was.value * most, "set": was.value, "add": was.value}.get(
            was.mode, (most or UNKNOWN) * STRENGTH
        )
        value = {"max": level / most if most else 0.0, "scale": SCALE}.get(mode, level)
        self._set(TrayClamp(Clamp(was.feature, mode, float(f"{value:.3g}"), was.where)))

    def move_to(self, *, chat: bool) -> None:
        """Move the clamp to the next part of the text, keeping a range and conditions."""
        one = self.present
        if one is None:
            return
        order = (*PLACES, *(ROLES if chat else ()))
        part = one.clamp.where.part
        following = order[(order.index(part) + 1) % len(order)] if part in order else order[0]
        clamp = replace(one.clamp, where=replace(one.clamp.where, part=following))
        before = one.before and replace(one.before, where=clamp.where)
        self._set(replace(one, clamp=clamp, before=before))

    def take(self, clamps: Sequence[Clamp]) -> None:
        """Replace all clamps."""
        self._renew(tuple(map(TrayClamp, clamps)))
        self.cursor = 0

    @property
    def roles(self) -> tuple[Part, ...]:
        """Roles to which clamps in force are limited."""
        return tuple(one.clamp.where.part for one in self.held if one.on and one.clamp.where.part in ROLES)

    def written(self) -> str:
        """Return the tray as text: clamps separated by spaces, `-` before one that is off."""
        return " ".join(("" if one.on else "-") + str(one.clamp) for one in self.held)

    @classmethod
    def read(cls, text: str) -> Tray:
        """Read the result of `written`, ignoring invalid clamps."""
        held = []
        for word in text.split():
            try:
                held.append(TrayClamp(parse_clamp(word.removeprefix("-")), on=not word.startswith("-")))
            except MonosemError:
                continue
        return cls(tuple(held))

    def _set(self, held: TrayClamp) -> None:
        self._renew((*self.held[: self.cursor], held, *self.held[self.cursor + 1 :]))

    def _renew(self, held: tuple[TrayClamp, ...]) -> None:
        self.held, self.revision = held, self.revision + 1


def usual(feature: int, maximum: Maximum) -> Clamp:
    """Return the default clamp of a feature: its maximum, on the response."""
    if (maximum(feature) or 0.0) > 0:
        return Clamp(feature, "max", STRENGTH, RESPONSE)
    return Clamp(feature, "set", UNKNOWN, RESPONSE)


def step_of(clamp: Clamp, maximum: float | None) -> float:
    """Return the step of a key: half a maximum or a one-digit number near it, or a quarter of a factor."""
    if clamp.mode == "max":
        return 0.5
    if clamp.mode == "scale":
        return 0.25
    return float(f"{maximum / 2:.0e}") if maximum and maximum > 0 else 1.0


def strengths(clamp: Clamp, maximum: Maximum) -> str:
    """Return strengths around a clamp's, in the notation of a sweep."""
    most = maximum(clamp.feature) or 0.0
    levels = "max*0,max*0.5,max*1,max*2,max*4" if most > 0 else "0,2,5,10,20"
    return f"{clamp.feature}={levels}{clamp.where}"
