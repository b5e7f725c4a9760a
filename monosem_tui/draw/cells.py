"""The cells of a line that differ from the screen's: Textual then writes no further than the last of them."""

from __future__ import annotations

from monosem_tui.draw.safe_text import width
from monosem_tui.draw.spans import Line, Role

Cell = tuple[str, Role]
_CONTINUED = ""
"""The character of the second cell of a wide one."""


def changed_cells(before: Line, after: Line) -> tuple[int, int] | None:
    """Return the half-open range of cells in which two lines differ, or None."""
    old, new = _cells(before), _cells(after)
    longest = max(len(old), len(new))
    blank: Cell = (" ", Role.PLAIN)
    old += [blank] * (longest - len(old))
    new += [blank] * (longest - len(new))
    differ = [n for n, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
    if not differ:
        return None
    first, last = differ[0], differ[-1] + 1
    while first and _CONTINUED in (old[first][0], new[first][0]):
        first -= 1
    while last < longest and _CONTINUED in (old[last][0], new[last][0]):
        last += 1
    return first, last


def _cells(spans: Line) -> list[Cell]:
    found: list[Cell] = []
    for text, role in spans:
        if text.isascii():
            found += [(character, role) for character in text]
            continue
        for character in text:
            size = width(character)
            if not size and found:  # a mark, on the letter before it
                found[-1] = (found[-1][0] + character, role)
            else:
                found += [(character, role), *[(_CONTINUED, role)] * (size - 1)]
    return found
