"""The syntax of clamps: a feature, its strength, and where in a text it holds.

    412=8.5       set to 8.5                      412=off      ablated: set to 0
    412=max*4     set to 4 times its maximum      412=*0.5     scaled to half of what it is
    412=max       set to its maximum: max*1
    412=+3        3 added; +-3 takes 3 away       412=-3       set to -3

A clamp changes x to x' = x + (f' - f) · W_dec[i], f the feature's activation and f' what it is clamped to; the error
of the autoencoder is kept. f' may be negative: then the opposite of the feature's direction is written.

Then, each narrowing where it holds: `@prompt` or `@response` (in a chat `@user`, `@assistant`, `@system`, `@tool` too);
`@12:40` for positions 12 to 39, counted from 0 over the tokens that the model reads, BOS included (`@12:` and `@:40`
are open); `@if:88>2.0` where feature 88, before any change, is above 2.0, as often as wanted. Positions that do not
count (BOS) are never changed. Where several clamps of one feature hold, the last one decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

from store.files.errors import MonosemError
from store.settings.roles import Role

Mode = Literal["set", "max", "scale", "add", "ablate"]
Part = Literal["prompt", "response", Role]
PARTS: tuple[Part, ...] = get_args(Part)

LARGEST = 3e38
"""Largest strength: activations are float32, which ends at 3.4e38."""

_NUMBER = r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_BEFORE: dict[Mode, str] = {"set": "", "max": "max*", "scale": "*", "add": "+"}
_EXAMPLES = "Write 412=8.5, 412=max*4, 412=*0.5, 412=+3 or 412=off; then @prompt, @response, @12:40, @if:88>2.0."
_ID = r"\d{1,18}"
_RANGE = re.compile(rf"({_ID})?:({_ID})?", re.ASCII)
_CONDITION = re.compile(rf"if:({_ID})>({_NUMBER})", re.ASCII)


@dataclass(frozen=True)
class Condition:
    """Another feature has to be above a value."""

    feature: int
    above: float

    def __str__(self) -> str:
        return f"@if:{self.feature}>{_written(self.above)}"


@dataclass(frozen=True)
class Where:
    """The positions that a clamp is limited to: all that each of these allows."""

    part: Part | None = None
    start: int = 0
    """First position."""
    stop: int | None = None
    """End (exclusive); None for no end."""
    conditions: tuple[Condition, ...] = ()

    def __str__(self) -> str:
        part = f"@{self.part}" if self.part else ""
        span = f"@{self.start or ''}:{'' if self.stop is None else self.stop}" if self._is_limited else ""
        return part + span + "".join(map(str, self.conditions))

    @property
    def _is_limited(self) -> bool:
        return self.start > 0 or self.stop is not None


class Change(NamedTuple):
    """f' = scale · f + offset."""

    scale: float
    offset: float


@dataclass(frozen=True)
class Clamp:
    """The change of one feature."""

    feature: int
    mode: Mode
    value: float = 0.0
    """The value it is set to, multiplied by, or added; unused for ablation."""
    where: Where = Where()

    def __str__(self) -> str:
        value = "off" if self.mode == "ablate" else _BEFORE[self.mode] + _written(self.value)
        return f"{self.feature}={value}{self.where}"

    def change(self, maximum: float | None) -> Change:
        """Return the change of the activation; `maximum` is the feature's own over the index, where there is one.

        Raises:
            MonosemError: the clamp is a multiple of a maximum that is not known or 0.
        """
        if self.mode == "max":
            if maximum is None:
                raise MonosemError(
                    f"{self}: the run has no feature index, which knows each feature's maximum",
                    f"Make it with monosem index, or set a number: {self.feature}=8.5.",
                )
            if maximum <= 0:
                raise MonosemError(
                    f"{self}: feature {self.feature} never fires in the index, so its maximum is 0",
                    f"Set it to a number: {self.feature}=8.5.",
                )
            if abs(self.value * maximum) > LARGEST:
                raise MonosemError(f"{self}: {_written(self.value)} times {maximum:g} is too large a number")
            return Change(0.0, self.value * maximum)
        if self.mode == "set":
            return Change(0.0, self.value)
        return {"scale": Change(self.value, 0.0), "add": Change(1.0, self.value)}.get(self.mode, Change(0.0, 0.0))

    def in_words(self) -> str:
        """`set to max × 4 on response`: what a person reads."""
        value = _written(self.value)
        what = {
            "set": f"set to {value}",
            "max": f"set to max × {value}",
            "scale": f"scaled × {value}",
            "add": f"raised by {value}",
            "ablate": "ablated",
        }[self.mode]
        return f"{what}{_place_in_words(self.where)}"


def parse_clamp(text: str) -> Clamp:
    """Read one written clamp.

    Raises:
        MonosemError: the text is not a clamp; the message names the part and its character.
    """
    head, *limits = text.split("@")
    feature = _feature(text, head)
    value = head.partition("=")[2]
    mode, strength = _strength(text, value.strip(), len(head) - len(value) + 1)
    return Clamp(feature, mode, strength, _where(text, limits, len(head) + 1))


def parse_sweep(text: str) -> list[Clamp]:
    """Read `ID=V1,V2,…`, with an optional place after it: one clamp per strength.

    Raises:
        MonosemError: a part of it is not a clamp, or there is only one strength.
    """
    head, *limits = text.split("@")
    values = head.partition("=")[2]
    if "," not in values:
        raise MonosemError(
            f"{text!r} is not a row of strengths",
            "Write 412=0,5,10, or 412=max*1,max*2,max*4, then @… if wanted.",
            len(head),
        )
    feature, where = _feature(text, head), _where(text, limits, len(head) + 1)
    clamps, at = list[Clamp](), len(head) - len(values) + 1
    for value in values.split(","):
        clamps.append(Clamp(feature, *_strength(text, value.strip(), at), where))
        at += len(value) + 1
    return clamps


def _feature(text: str, head: str) -> int:
    name, equals, _ = head.partition("=")
    if not equals:
        raise MonosemError(f"clamp {text!r}: expected FEATURE=STRENGTH, such as 412=max*2", _EXAMPLES, len(head))
    if not re.fullmatch(_ID, name.strip(), re.ASCII):
        raise _no_clamp(text, name, 1, "not a feature number")
    return int(name)


def _strength(text: str, value: str, at: int) -> tuple[Mode, float]:
    if value == "off":
        return "ablate", 0.0
    if value == "max":
        return "max", 1.0
    for mode, before in _BEFORE.items():
        if found := re.fullmatch(f"{re.escape(before)}({_NUMBER})", value, re.ASCII):
            return mode, _number(text, found[1], at)
    raise _no_clamp(text, value, at, "not a strength")


def _number(text: str, digits: str, at: int) -> float:
    number = float(digits)
    if abs(number) > LARGEST:
        raise _no_clamp(text, digits, at, "too large a number")
    return number


def _where(text: str, limits: list[str], at: int) -> Where:
    where = Where()
    for limit in limits:
        where = _narrowed(text, where, limit.strip(), at + 1)
        at += len(limit) + 1
    return where


def _narrowed(text: str, where: Where, limit: str, at: int) -> Where:
    if limit in PARTS:
        if where.part is not None and where.part != limit:
            raise _no_clamp(text, f"@{limit}", at, f"at odds with @{where.part}")
        return replace(where, part=limit)
    if found := _CONDITION.fullmatch(limit):
        condition = Condition(int(found[1]), _number(text, found[2], at))
        return replace(where, conditions=(*where.conditions, condition))
    if (found := _RANGE.fullmatch(limit)) and limit != ":":
        start, stop = int(found[1] or 0), int(found[2]) if found[2] else None
        if where._is_limited:
            raise _no_clamp(text, f"@{limit}", at, "a second range")
        if stop is not None and stop <= start:
            raise _no_clamp(text, f"@{limit}", at, "an empty range")
        return replace(where, start=start, stop=stop)
    raise _no_clamp(text, f"@{limit}", at, "not a place")


def _no_clamp(text: str, part: str, at: int, why: str) -> MonosemError:
    return MonosemError(f"clamp {text!r}: {part.strip()!r} is {why} (character {at})", _EXAMPLES, at - 1)


def _written(number: float) -> str:
    """Return the shortest digits that read as the same number."""
    return repr(float(number)).removesuffix(".0")


def _place_in_words(where: Where) -> str:
    words = f" on {where.part}" if where.part else ""
    if where._is_limited:
        words += f" from position {where.start}" + ("" if where.stop is None else f" to {where.stop - 1}")
    for condition in where.conditions:
        words += f" where {condition.feature} > {_written(condition.above)}"
    return words
