"""Tokens as running text: broken into rows between words, each cell knowing its token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from monosem_tui.text.safe import NEWLINE, width


class Piece(NamedTuple):
    """A token on a row."""

    token: int
    """Its number in the text."""
    text: str


Row = list[Piece]


def flow(shown: Sequence[str], cells: int) -> list[Row]:
    """Rows of at most `cells` cells where no token is wider; a newline ends one.

    Args:
        shown: one printable string a token.
        cells: width.
    """
    rows: list[Row] = [[]]
    word: Row = []
    used = 0
    for number, text in enumerate(shown):
        if word and text.startswith(" "):
            used = _put(rows, word, used, cells)
            word = []
        word.append(Piece(number, text))
        if NEWLINE in text:
            _put(rows, word, used, cells)
            rows.append([])
            word, used = [], 0
    _put(rows, word, used, cells)
    return rows


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


def _put(rows: list[Row], word: Row, used: int, cells: int) -> int:
    """A word at the end of the last row or on the next one; one too long for any row breaks between tokens."""
    size = sum(width(piece.text) for piece in word)
    if used and used + size > cells:
        rows.append([])
        used = 0
    for piece in word:
        wide = width(piece.text)
        if used and used + wide > cells:
            rows.append([])
            used = 0
        if not used and wide > 1 and piece.text.startswith(" "):  # rows begin in one column
            piece, wide = Piece(piece.token, piece.text[1:]), wide - 1
        rows[-1].append(piece)
        used += wide
    return used
