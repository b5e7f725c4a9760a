"""Decode parsed JSON into dataclasses: each value is checked against the annotation of its field.

Annotations may be dataclasses, `tuple[X, ...]`, `X | None`, `Literal`, `str`, `bool`, `int`, `float` and `Positive`.
True is not an integer; an integer is accepted where a float is expected. Keys that are not fields are ignored, so that
files and messages of a later minor version can be read.
"""

from __future__ import annotations

import json
import math
import types
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

LARGEST = 2**63
"""Integers from here on, and up to its negative, are refused: they fit no machine word."""
LONGEST_SHOWN = 60
"""Characters of a value that an error shows."""
_POSITIVE = "positive"
Positive = Annotated[float, _POSITIVE]
"""A number above 0."""
_NAMES = {str: "text", bool: "true or false", int: "an integer", float: "a number", Positive: "a positive number"}
T = TypeVar("T")


class JsonError(ValueError):
    """A value is not of the annotated type. The message names the field: `start.seed is 1.5, not an integer`."""

    def __init__(self, what: str, field: str = "") -> None:
        super().__init__(f"{field or 'the value'} {what}")
        self.what, self.field = what, field

    def inside(self, name: str) -> JsonError:
        """Return the same error as seen from the object or list that holds the field `name`."""
        dot = "." if self.field and not self.field.startswith("[") else ""
        return JsonError(self.what, f"{name}{dot}{self.field}")


def decode(kind: type[T], value: object, *, finite: bool = True, lenient: bool = False) -> T:
    """Return `value` as a `kind`.

    Args:
        kind: a dataclass, or another of the annotations above.
        value: what `json.loads` returned.
        finite: refuse NaN and infinities; otherwise they are accepted, and null reads as NaN.
        lenient: give fields with an unsound value their default where there is one, and leave unsound items out of
            tuples.

    Raises:
        JsonError: a value does not fit its annotation, or a field without a default is missing.
    """
    decoded: T = _Decoder(finite, lenient).value(kind, value)
    return decoded


class _Decoder:
    def __init__(self, finite: bool, lenient: bool) -> None:
        self._finite, self._lenient = finite, lenient

    def value(self, kind: Any, value: Any) -> Any:
        if type(value) is kind and kind in (str, bool):
            return value
        if kind in (int, float, Positive):
            return self._number(kind, value)
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is tuple:
            return tuple(self._items(arguments[0], value))
        if origin in (Union, types.UnionType):
            return None if value is None else self.value(_inner(arguments), value)
        if origin is Literal and any(type(value) is type(one) and value == one for one in arguments):
            return value
        if is_dataclass(kind):
            return self._object(kind, value)
        raise _mismatch(value, _NAMES.get(kind) or f"one of {', '.join(map(str, arguments))}")

    def _number(self, kind: Any, value: Any) -> int | float:
        if type(value) is int and abs(value) < LARGEST:
            number: int | float = value if kind is int else float(value)
        elif type(value) is float and kind is not int and (math.isfinite(value) or not self._finite):
            number = value
        elif value is None and kind is float and not self._finite:
            number = math.nan
        else:
            raise _mismatch(value, _NAMES[kind])
        if kind is Positive and not number > 0:
            raise _mismatch(value, _NAMES[kind])
        return number

    def _items(self, kind: Any, value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise _mismatch(value, "a list")
        found = []
        for place, item in enumerate(value):
            try:
                found.append(self.value(kind, item))
            except JsonError as error:
                if not self._lenient:
                    raise error.inside(f"[{place}]") from None
        return found

    def _object(self, kind: Any, value: Any) -> Any:
        if not isinstance(value, dict):
            raise _mismatch(value, "an object")
        found = {}
        for name, hint, is_required in _annotations(kind):
            if name in value:
                try:
                    found[name] = self.value(hint, value[name])
                except JsonError as error:
                    if is_required or not self._lenient:
                        raise error.inside(name) from None
            elif is_required:
                raise JsonError("is missing", name)
        return kind(**found)


@cache
def _annotations(kind: Any) -> tuple[tuple[str, Any, bool], ...]:
    """Name, annotation, and whether there is no default, of each field."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(
        (field.name, hints[field.name], field.default is MISSING and field.default_factory is MISSING)
        for field in fields(kind)
    )


def _inner(arguments: tuple[Any, ...]) -> Any:
    (inner,) = (one for one in arguments if one is not types.NoneType)
    return inner


def _mismatch(value: object, expected: str) -> JsonError:
    return JsonError(f"is {_shown(value)}, not {expected}")


def _shown(value: object) -> str:
    if isinstance(value, int) and abs(value) >= LARGEST:
        return f"an integer of {value.bit_length()} bits"
    if value is None or isinstance(value, str | bool | int | float):
        return json.dumps(value)[:LONGEST_SHOWN]
    return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list | tuple) else "not JSON"
