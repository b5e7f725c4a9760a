"""Decode parsed JSON into dataclasses: each value is checked against the annotation of its field.

Annotations may be dataclasses, `tuple[X, ...]`, `list[X]`, `dict[str, X]`, `X | None`, `Literal`, `str`, `bool`, `int`,
`float`, `Any`, and those that `Narrowed` limits, such as `Positive` and `Text`. True is not an integer; an
integer is accepted where a float is expected. Keys that are not fields are ignored, so that files and messages of a
later minor version can be read.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from store.files.errors import MonosemError

LARGEST = 2**63
"""Integers from here on, and up to its negative, are refused: they fit no machine word."""
LONGEST_SHOWN = 60
"""Characters of a value that an error shows."""


def is_unicode(text: str) -> bool:
    """Return whether a text can be encoded as UTF-8."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def need_unicode(text: str, noun: str) -> str:
    """Return a text.

    Raises:
        MonosemError: it holds a byte that is not UTF-8, as a terminal in another encoding sends it.
    """
    if not is_unicode(text):
        raise MonosemError(f"the {noun} is not UTF-8: {shown(text)}")
    return text


class Narrowed(NamedTuple):
    """Mark of an annotation: only some values of its type are accepted."""

    noun: str
    """The accepted values, for errors: "a positive number"."""
    accepts: Callable[[Any], bool]


Positive = Annotated[float, Narrowed("a positive number", lambda value: value > 0)]
Text = Annotated[str, Narrowed("text", is_unicode)]
"""Text that can be encoded: without halves of surrogate pairs, which stand for bytes that are not UTF-8."""
_NAMES = {str: "text", bool: "true or false", int: "an integer", float: "a number"}
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


def parse(text: str | bytes) -> Any:
    """Return the value of a JSON text; bytes are UTF-8.

    Raises:
        JsonError: it is not JSON, or nested or long beyond what Python reads.
    """
    try:
        return json.loads(text.decode("utf-8-sig") if isinstance(text, bytes) else text)
    except (ValueError, RecursionError) as error:
        raise JsonError(f"is not JSON: {error}", "it") from None


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
        if type(value) is kind and (kind in (str, bool) or is_dataclass(kind)):
            return value
        if kind in (int, float):
            return self._number(kind, value)
        if kind is Any:
            return value
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Annotated:
            return self._narrowed(arguments[0], arguments[1], value)
        if origin in (tuple, list):
            return origin(self._items(arguments[0], value))
        if origin is dict:
            return self._mapping(arguments[1], value)
        if origin in (Union, types.UnionType):
            return None if value is None else self.value(_inner(arguments), value)
        if origin is Literal and any(type(value) is type(one) and value == one for one in arguments):
            return value
        if is_dataclass(kind):
            return self._object(kind, value)
        raise _mismatch(value, _NAMES.get(kind) or f"one of {', '.join(map(str, arguments))}")

    def _narrowed(self, kind: Any, limit: Narrowed, value: Any) -> Any:
        try:
            found = self.value(kind, value)
        except JsonError:
            raise _mismatch(value, limit.noun) from None
        if not limit.accepts(found):
            raise _mismatch(value, limit.noun)
        return found

    def _number(self, kind: Any, value: Any) -> int | float:
        if type(value) is int and abs(value) < LARGEST:
            number: int | float = value if kind is int else float(value)
        elif type(value) is float and kind is not int and (math.isfinite(value) or not self._finite):
            number = value
        elif value is None and kind is float and not self._finite:
            number = math.nan
        else:
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

    def _mapping(self, kind: Any, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _mismatch(value, "an object")
        found = {}
        for name, item in value.items():
            try:
                found[name] = self.value(kind, item)
            except JsonError as error:
                if not self._lenient:
                    raise error.inside(name) from None
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
    return JsonError(f"is {shown(value)}, not {expected}")


def shown(value: object) -> str:
    """Return a JSON value for an error, in at most `LONGEST_SHOWN` characters of ASCII."""
    if isinstance(value, int) and abs(value) >= LARGEST:
        return f"an integer of {value.bit_length()} bits"
    if value is None or isinstance(value, str | bool | int | float):
        return json.dumps(value)[:LONGEST_SHOWN]
    return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list | tuple) else "not JSON"
