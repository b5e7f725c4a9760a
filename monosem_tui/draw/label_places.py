"""Names on a picture: each near its point, none over another; without room, the less important are left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Name(NamedTuple):
    """A name and the point that it belongs to, in units of the picture."""

    text: str
    x: float
    y: float
    width: float


class PlacedName(NamedTuple):
    """A name with the left end of its line of text."""

    text: str
    left: float
    y: float
    width: float


def placed(names: Iterable[Name], width: float, height: float, line: float, gap: float) -> list[PlacedName]:
    """Place names, the most important first, inside a picture.

    Args:
        names: in order of importance.
        width: of the picture.
        height: of the picture.
        line: height of a line of text.
        gap: least distance between two names beside each other.
    """
    found: list[PlacedName] = []
    for name in names:
        if name.width > width or not (0 <= name.x <= width and 0 <= name.y <= height):
            continue
        for one in _places(name, width, height, line):
            if not any(_meet(one, other, line, gap) for other in found):
                found.append(one)
                break
    return found


def _places(name: Name, width: float, height: float, line: float) -> Iterator[PlacedName]:
    """Yield possible places: over the point, then a line above or below."""
    left = min(max(0.0, name.x - name.width / 2), width - name.width)
    for up in (0, -1, 1):
        y = name.y + up * line
        if 0 <= y <= height - line:
            yield PlacedName(name.text, left, y, name.width)


def _meet(one: PlacedName, other: PlacedName, line: float, gap: float) -> bool:
    return (
        abs(one.y - other.y) < line
        and one.left < other.left + other.width + gap
        and other.left < one.left + one.width + gap
    )
