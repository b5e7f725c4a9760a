"""A text being typed, in as many cells as there are, its caret always among them."""

from __future__ import annotations

from bisect import bisect_right

from monosem_tui.draw.safe_text import ELLIPSIS, cut, head, printable, tail, width
from monosem_tui.draw.spans import Line, Role, Span, line, width_of

AHEAD = 3
"""Behind the caret at least one cell in so many shows how the text goes on."""


def typed_text(before: str, after: str, cells: int, role: Role = Role.PLAIN) -> tuple[Line, int]:
    """Lay a text out around its caret.

    Args:
        before: the text before the caret.
        after: the text from the character under the caret on.
        cells: width of the result.
        role: role of the text before the caret.

    Returns:
        The line, and the number of cells of the text that are left out at its start.
    """
    left, right = printable(before), printable(after)
    at_caret = head(right, 2)[: 1 + sum(width(c) == 0 for c in right[1:3])] or " "
    rest = right[len(at_caret) :]
    room = cells - width(at_caret) - min(width(rest), cells // AHEAD)
    hidden = 0
    if width(left) > room:
        kept = tail(left, room - 1)
        hidden = width(left) - width(kept) - 1
        left = ELLIPSIS + kept
    rest = cut(rest, cells - width(left) - width(at_caret))
    shown = line(Span(left, role), Span(at_caret, Role.CARET), Span(rest))
    return line(*shown, " " * (cells - width_of(shown))), hidden


def place_at(text: str, cell: int) -> int:
    """Return the place of the character that stands at a cell of a text; its length behind the end."""
    return max(0, bisect_right(range(len(text) + 1), cell, key=lambda n: width(printable(text[:n]))) - 1)
