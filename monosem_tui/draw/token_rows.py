"""Rows of a text that is being written: each piece knows its token, and only new rows are laid out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from monosem_tui.draw.line_breaks import rows, unspaced
from monosem_tui.draw.safe_text import width
from monosem_tui.draw.token_text import PART

NAMED = "⟨"
"""Begins what stands for a byte by itself, which may be a part of a character."""


class Piece(NamedTuple):
    """A token's text on a row."""

    token: int
    """Position in the text."""
    text: str


Row = list[Piece]


class TextSpot(NamedTuple):
    """Rows of a text on the screen."""

    top: int
    left: int
    """Cell of the first token."""
    right: int
    """End (exclusive)."""
    rows: list[Row]

    def token_at(self, x: int, y: int, *, behind: bool = False) -> int | None:
        """Return the token at a cell; None beside the text, or with `behind` the last of its row behind its end."""
        if not (self.left <= x < self.right and 0 <= y - self.top < len(self.rows)):
            return None
        row, at = self.rows[y - self.top], x - self.left
        for piece in row:
            at -= width(piece.text)
            if at < 0:
                return piece.token
        return row[-1].token if row and behind else None


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

    A break is safe where no character goes over it: what comes after it then looks the same without the text before,
    as a word that is broken in the middle has filled a row, and stays so as it grows.
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
        """Return the last row, at most the last but one, before which the text may be cut; 0 where none is."""
        for number in range(len(self._rows) - 2, 0, -1):
            first = self._rows[number][0].token
            texts = [self._show([token])[0] for token in self._tokens[first - 1 : first + 1]]
            if not any(mark in text for text in texts for mark in (PART, NAMED)):
                return number
        return 0
