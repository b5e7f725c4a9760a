"""Running text that is being written: rows whose pieces know their token, and which of the rows to show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from monosem_tui.draw.line_breaks import rows, unspaced


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


class Growing:
    """A text that grows, in rows: what is behind the beginning of an earlier row is not laid out anew.

    A row that begins with a word begins as a text does, whatever stands before it.
    """

    def __init__(self, show: Callable[[Sequence[int]], list[str]]) -> None:
        """Nothing yet; `show` makes printable strings of tokens, one each."""
        self._show = show
        self._tokens: list[int] = []
        self._rows: list[Row] = []
        self._laid: tuple[int, int | None, str] = (0, None, "")

    def rows(self, tokens: Sequence[int], cells: int, marked: int | None = None, mark: str = "") -> list[Row]:
        """As `flow` has them, `mark` before the token `marked`."""
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
        """The last row but one, or one before it, that begins with a word; 0 where none does."""
        for number in range(len(self._rows) - 2, 0, -1):
            row = self._rows[number]
            if row and self._show([self._tokens[row[0].token]])[0].startswith(" "):
                return number
        return 0
