"""The tray: the clamps in force from the next token on, and the changes that keys make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from store.files.errors import MonosemError
from store.live.clamp import ROLES, Clamp, Mode, Part, Where, parse_clamp

STRENGTH = 2.0
"""Times its maximum, for a feature that comes into the tray."""
UNKNOWN = 5.0
"""What a feature is set to whose maximum is not known, or 0."""
RESPONSE = Where(part="response")
CYCLE: tuple[Mode, ...] = ("max", "set", "add", "scale")
"""`m`: ablating has a key of its own."""
PLACES: tuple[Part | None, ...] = ("response", None, "prompt")
"""`@`: where it holds; in a chat the turns follow."""
Maximum = Callable[[int], float | None]
"""A feature's own over the index; None where it is not known."""


@dataclass(frozen=True)
class TrayClamp:
    """A clamp in the tray."""

    clamp: Clamp
    on: bool = True
    before: Clamp | None = None
    """What an ablated one was."""


@dataclass
class Tray:
    """Clamps in their order, and a cursor."""

    held: tuple[TrayClamp, ...] = ()
    cursor: int = 0
    revision: int = 0
    """Counts changes of what is in force."""

    @property
    def present(self) -> TrayClamp | None:
        """The one under the cursor."""
        return self.held[self.cursor] if self.held else None

    @property
    def clamps(self) -> tuple[str, ...]:
        """Those in force, as they are written."""
        return tuple(str(one.clamp) for one in self.held if one.on)

    def move(self, rows: int) -> None:
        """The cursor up or down."""
        self.cursor = max(0, min(self.cursor + rows, len(self.held) - 1))

    def add(self, clamp: Clamp) -> None:
        """Put a clamp at the end, the cursor on it."""
        self._renew((*self.held, TrayClamp(clamp)))
        self.cursor = len(self.held) - 1

    def offer(self, feature: int, maximum: Maximum) -> tuple[Clamp, bool]:
        """Put a feature in, clamped as is usual, unless it is there; the clamp, and whether it is a new one."""
        for number, one in enumerate(self.held):
            if one.clamp.feature == feature:
                self.cursor = number
                return one.clamp, False
        self.add(usual(feature, maximum))
        return self.held[-1].clamp, True

    def put(self, clamp: Clamp) -> None:
        """Another clamp in place of the one under the cursor; into an empty tray, the first."""
        if self.present is None:
            self.add(clamp)
        else:
            self._set(TrayClamp(clamp))

    def drop(self) -> None:
        """Take the one under the cursor out."""
        self._renew(self.held[: self.cursor] + self.held[self.cursor + 1 :])
        self.move(0)

    def switch(self) -> None:
        """Off, and on again."""
        if self.present:
            self._set(replace(self.present, on=not self.present.on))

    def ablate(self) -> None:
        """Set to 0; the second time, to what it was."""
        one = self.present
        if one is None:
            return
        if one.clamp.mode == "ablate":
            self._set(TrayClamp(one.before) if one.before else replace(one, on=True))
        else:
            self._set(TrayClamp(Clamp(one.clamp.feature, "ablate", where=one.clamp.where), before=one.clamp))

    def strengthen(self, steps: int, maximum: Maximum) -> None:
        """A step stronger or weaker; one that was off or ablated is on again."""
        one = self.present
        if one is None:
            return
        clamp = one.clamp
        if clamp.mode == "ablate":
            clamp = one.before or replace(usual(clamp.feature, maximum), where=clamp.where)
        elif one.on:
            value = round(clamp.value + steps * step_of(clamp, maximum(clamp.feature)), 6)
            clamp = replace(clamp, value=value or 0.0)
        self._set(TrayClamp(clamp))

    def cycle(self, maximum: Maximum) -> None:
        """Another way to say how strong, as near to the same strength as it can be."""
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
        value = {"max": level / most if most else 0.0, "scale": STRENGTH}.get(mode, level)
        self._set(TrayClamp(Clamp(was.feature, mode, float(f"{value:.3g}"), was.where)))

    def move_to(self, *, chat: bool) -> None:
        """The next part of the text; a range and conditions stay."""
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
        """These, and no others."""
        self._renew(tuple(map(TrayClamp, clamps)))
        self.cursor = 0

    @property
    def roles(self) -> tuple[Part, ...]:
        """Turns of a chat that clamps in force are limited to."""
        return tuple(one.clamp.where.part for one in self.held if one.on and one.clamp.where.part in ROLES)

    def written(self) -> str:
        """All of it, to be kept: clamps with blanks between, a `-` before one that is off."""
        return " ".join(("" if one.on else "-") + str(one.clamp) for one in self.held)

    @classmethod
    def read(cls, text: str) -> Tray:
        """What `written` gave; what is no clamp is passed over."""
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
    """How a feature is clamped until somebody says otherwise: twice its maximum, on the response."""
    if (maximum(feature) or 0.0) > 0:
        return Clamp(feature, "max", STRENGTH, RESPONSE)
    return Clamp(feature, "set", UNKNOWN, RESPONSE)


def step_of(clamp: Clamp, maximum: float | None) -> float:
    """How much a key changes: half a maximum, or a number like it with one digit; a quarter of a factor."""
    if clamp.mode == "max":
        return 0.5
    if clamp.mode == "scale":
        return 0.25
    return float(f"{maximum / 2:.0e}") if maximum and maximum > 0 else 1.0


def strengths(clamp: Clamp, maximum: Maximum) -> str:
    """A row of strengths around a clamp's, as a sweep is written."""
    most = maximum(clamp.feature) or 0.0
    levels = "max*0,max*0.5,max*1,max*2,max*4" if most > 0 else "0,2,5,10,20"
    return f"{clamp.feature}={levels}{clamp.where}"
