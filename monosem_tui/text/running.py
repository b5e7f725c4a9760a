"""Running text that is being written: rows whose pieces know their token, and which of the rows to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from monosem_tui.text.flow import rows, unspaced


class Piece(NamedTuple):
    """A token on a row."""

    token: int
    """Its number in the text."""
    text: str


Row = list[Piece]


def flow(shown: Sequence[str], cells: int) -> list[Row]:
    """Rows of at most `cells` cells where no token is wider, broken before words; a newline ends one.

    Args:
        shown: one printable string a token.
        cells: width.
    """
    found = rows(shown, cells, newlines=True)
    return [[Piece(n, shown[n] if at else unspaced(shown[n])) for at, n in enumerate(row)] for row in found]


def window(n_rows: int, room: int, place: int | None) -> int:
    """The first row to show: of a text that grows, so that its end is seen; else so that row `place` is.

    It moves by a third of the room at a time, as moving costs the whole of it.
    """
    step = max(1, room // 3)
    if place is None:
        return -(-max(0, n_rows - room) // step) * step
    return max(0, -(-(place + 1 - room) // step) * step)


def row_of(rows: Sequence[Row], token: int) -> int | None:
    """The row that a token is on."""
    return next((number for number, row in enumerate(rows) if row and row[-1].token >= token), None)
