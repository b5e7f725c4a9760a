"""Lines of running text, broken before words where possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from monosem_tui.draw.safe_text import NEWLINE, cut, width
from monosem_tui.draw.spans import Span

Row = list[int]
"""Token numbers on one line."""


def rows(tokens: Sequence[str], cells: int, *, newlines: bool = False, indents: bool = False) -> list[Row]:
    """Break tokens into lines of at most `cells` cells.

    A line starts with a word where possible; the space before that word takes no cell. A word longer than a line is
    broken between its tokens.

    Args:
        tokens: as displayed.
        cells: width.
        newlines: whether `↵` ends a line.
        indents: whether a line that follows `↵` keeps all spaces at its start.
    """
    found: list[Row] = []
    row: Row = []
    used = 0
    for word in _words(tokens, newlines=newlines):
        size = sum(width(tokens[i]) for i in word)
        if row and used + size > cells:
            found.append(row)
            row, used = [], 0
        for i in word:
            begins = not row and _spaced(tokens[i]) and not (indents and _after_newline(tokens, i))
            size = width(tokens[i]) - begins
            if row and used + size > cells:
                found.append(row)
                row, used = [], 0
            row.append(i)
            used += size
        if newlines and tokens[word[-1]].endswith(NEWLINE):
            found.append(row)
            row, used = [], 0
    return [*found, row] if row else found


def drawn(spans: Sequence[Span], row: Row, cells: int, *, indents: bool = False) -> list[Span]:
    """Return the spans of one line of `rows`, one per token."""
    kept = [spans[i] for i in row]
    if not (indents and row[0] and spans[row[0] - 1].text.endswith(NEWLINE)):
        kept[0] = Span(unspaced(kept[0].text), kept[0].role)
    return [Span(cut(kept[0].text, cells), kept[0].role)] if len(kept) == 1 else kept


def unspaced(token: str) -> str:
    """Return a token for the start of a line, without its leading space."""
    return token[1:] if _spaced(token) else token


def _after_newline(tokens: Sequence[str], number: int) -> bool:
    return number > 0 and tokens[number - 1].endswith(NEWLINE)


def _spaced(token: str) -> bool:
    return len(token) > 1 and token[0] == " "


def _words(tokens: Sequence[str], *, newlines: bool) -> Iterator[list[int]]:
    word: list[int] = []
    for number, token in enumerate(tokens):
        ends = newlines and word and tokens[word[-1]].endswith(NEWLINE)
        # A space that is a token of its own stays at the end of its line, where it does not look like an indent.
        begins = _spaced(token) or (bool(word) and tokens[word[-1]] == " " and token != " ")
        if word and (ends or begins):
            yield word
            word = []
        word.append(number)
    if word:
        yield word
