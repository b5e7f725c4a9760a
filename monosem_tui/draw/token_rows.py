"""Rows of a text that is being written: each piece knows its token, and only new rows are laid out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from monosem_tui.draw.line_breaks import rows, unspaced


class Piece(NamedTuple):
    """A token's text on a row."""

    token: int
    """Position in the text."""
    text: str


Row = list[Piece]


def flow(shown: Sequence[str], cells: int) -> list[Row]:
    """Break text into rows of at most `cells` cells (where no token is wider), before words and after newlines.

    Args:
        shown: one printable string per token.
        cells: width.
    """
    found = rows(shown, cells, newlines=True)
    return [[Piece(n, shown[n] if at else unspaced(shown[n])) for at, n in enumerate(row)] for row in found]


def window(n_rows: int, room: int, place: int | None) -> int:
    """Return the first row to show, so that row `place` is visible, or the end of a growing text where it is None.

    Moves by a third of the room at a time, because each move redraws all of it.
    """
    step = max(1, room // 3)
    if place is None:
        return -(-max(0, n_rows - room) // step) * step
    return max(0, -(-(place + 1 - room) // step) * step)


def row_of(rows: Sequence[Row], token: int) -> int | None:
    """Return the row of a token, or None."""
    return next((number for number, row in enumerate(rows) if row and row[-1].token >= token), None)


class Growing:
    """A growing text in rows; rows before the last safe break are kept, not laid out again.

    A break is safe where a row starts with a word: such a row does not depend on the text before it.
    """

    def __init__(self, show: Callable[[Sequence[int]], list[str]]) -> None:
        """Start empty; `show` returns one printable string per token."""
        self._show = show
        self._tokens: list[int] = []
        self._rows: list[Row] = []
        self._laid: tuple[int, int | None, str] = (0, None, "")

    def rows(self, tokens: Sequence[int], cells: int, marked: int | None = None, mark: str = "") -> list[Row]:
        """Return the rows of `flow`, with `mark` before the token `marked`."""
        known = len(self._tokens)
        same = self._laid == (cells, marked, mark) and known <= len(tokens) and self._tokens == list(tokens[:known])
        kept = self._last_safe() if same else 0
        start = self._rows[kept][0].token if kept else 0
        texts = self._show(tokens[start:])
        if marked is not None and start <= marked < len(tokens):
            text = texts[marked - start]
            space = " " if text.startswith(" ") else ""
            texts[marked - start] = f"{space}{mark}{text.removeprefix(' ')}"
        fresh = [[Piece(start + piece.token, piece.text) for piece in row] for row in flow(texts, cells)]
        self._tokens, self._laid = list(tokens), (cells, marked, mark)
        self._rows = [*self._rows[:kept], *fresh]
        return self._rows

    def _last_safe(self) -> int:
        """Return the last row, at most the last but one, that starts with a word; 0 where none does."""
        for number in range(len(self._rows) - 2, 0, -1):
            row = self._rows[number]
            if row and self._show([self._tokens[row[0].token]])[0].startswith(" "):
                return number
        return 0
