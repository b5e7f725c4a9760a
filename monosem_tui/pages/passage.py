"""Text with a feature's activations drawn on it: one line around a peak, some lines, or all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from monosem_tui.draw import heat
from monosem_tui.draw import line_breaks as flow
from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.numbers import activation
from monosem_tui.draw.safe_text import NEWLINE, RETURN, TAB, width
from monosem_tui.draw.spans import HEAT, Line, Role, Span, crop, crop_left, line
from monosem_tui.model.context_borders import BORDER
from monosem_tui.model.feature_card import ShownExample

MARKED = 3
"""Tokens drawn bold where colours do not show the strongest."""
LONG_LINE = 100
"""Characters per line break below which a text is read line by line."""
ANY_TOP = 1.0
"""Stands for the maximum where places alone are asked for: they depend on what fires, not on how strongly."""
_BLANKS = (NEWLINE, TAB, RETURN)
_PARTS = re.compile(f"[^{''.join(_BLANKS)}]+|[{''.join(_BLANKS)}]")


@dataclass(frozen=True)
class Frame:
    """Placement of passages: peaks share a column, so that their surroundings can be compared."""

    cells: int
    """Total width."""
    before: int
    """Cells left of the peak."""


def frame(examples: list[ShownExample], cells: int) -> Frame:
    """Return the frame of stacked examples: three fifths before the peak, less where texts are shorter.

    More before than after, because an activation depends only on the text before.
    """
    longest = max((_cells_before(example) for example in examples), default=0)
    return Frame(cells, min(longest, cells * 3 // 5))


def _cells_before(example: ShownExample) -> int:
    """Return the cells of the text before the peak."""
    texts = [*map(width, _texts(example)[: example.peak])]
    return sum(texts) + sum(border.token <= example.peak for border in example.borders)


def passage(example: ShownExample, top: float, rendering: Rendering, where: Frame) -> list[Line]:
    """Return the lines of one example: one, or two with a ruler.

    Args:
        example: tokens and activations.
        top: activation drawn at full heat, the feature's maximum.
        rendering: how activations are drawn.
        where: the frame, shared by the examples of a section.
    """
    pieces = _pieces(example, top, rendering, valued=rendering is Rendering.MARKS)
    first = _first_of_peak(pieces, example.peak)
    lines = [_around([piece.span for piece in pieces], first, where)]
    if rendering is Rendering.RULER:
        marks = _ruler(pieces, example, top)
        lines.append(_without_marks_of_omission(_around(marks, first, where)))
    return lines


def token_at(example: ShownExample, rendering: Rendering, where: Frame, cell: int) -> int | None:
    """Return the token that `passage` draws at a cell of its lines; None where none is, as on a mark of omission."""
    pieces = _pieces(example, ANY_TOP, rendering, valued=rendering is Rendering.MARKS)
    first = _first_of_peak(pieces, example.peak)
    left, right = pieces[:first][::-1], pieces[first:]
    sizes = [sum(width(piece.text) for piece in side) for side in (left, right)]
    after = where.cells - where.before
    if not 0 <= cell < where.cells:
        return None
    if cell < where.before:
        cut_off = cell == 0 and sizes[0] > where.before
        return None if cut_off else _token_at(left, where.before - 1 - cell)
    cut_off = cell >= where.cells - (sizes[1] > after)
    return None if cut_off else _token_at(right, cell - where.before)


class Running:
    """Tokens in rows of `cells` cells; every rendering prints the activation after the peak."""

    def __init__(
        self, example: ShownExample, top: float, rendering: Rendering, cells: int, *, newlines: bool = False
    ) -> None:
        """Lay the tokens out.

        Args:
            example: tokens and activations; a peak of -1 marks none.
            top: activation drawn at full heat.
            rendering: how activations are drawn.
            cells: width.
            newlines: whether `↵` ends a line, and the next one keeps its indentation.
        """
        self._example, self._top, self._rendering = example, top, rendering
        self._cells, self._newlines = cells, newlines
        self._pieces = _pieces(example, top, rendering, valued=True)
        self._spans = [piece.span for piece in self._pieces]
        texts = [span.text for span in self._spans]
        self._rows = flow.rows(texts, cells, newlines=newlines, indents=newlines)
        self.tokens = [self._pieces[row[0]].token for row in self._rows]
        """Number of the token that each row begins with, or goes on with."""

    def row_of(self, token: int) -> int:
        """Return the row that a token begins on."""
        return next(n for n, row in enumerate(self._rows) if token <= self._pieces[row[-1]].token)

    def token_at(self, number: int, cell: int) -> int | None:
        """Return the token at a cell of a row; None where there is none."""
        row = self._rows[number]
        spans = flow.drawn(self._spans, row, self._cells, indents=self._newlines)
        return _token_at([self._pieces[n]._replace(text=span.text) for n, span in zip(row, spans, strict=True)], cell)

    @property
    def height(self) -> int:
        """Lines of a row: two with a ruler."""
        return 2 if self._rendering is Rendering.RULER else 1

    def lines(self, number: int) -> list[Line]:
        """Return a row as lines: one, or two with a ruler."""
        row = self._rows[number]
        spans = flow.drawn(self._spans, row, self._cells, indents=self._newlines)
        if self._rendering is not Rendering.RULER:
            return [line(*spans)]
        pieces = [self._pieces[n]._replace(text=span.text) for n, span in zip(row, spans, strict=True)]
        return [line(*spans), line(*_ruler(pieces, self._example, self._top))]


def block(example: ShownExample, top: float, rendering: Rendering, cells: int, wanted: int) -> list[Line]:
    """Return `wanted` rows around the peak, more before than after it, with `…` where text is cut.

    Lines of code, and of other text with many line breaks, are rows of their own.
    """
    running = Running(example, top, rendering, cells - 2, newlines=in_lines(example))
    n, numbers = len(running.tokens), _around_peak(running, example, wanted)
    found: list[Line] = []
    for number in numbers:
        text, *ruler = running.lines(number)
        cut_before, cut_after = number == numbers[0] > 0, number == numbers[-1] < n - 1
        found.append(line("…" if cut_before else " ", *text, "…" if cut_after else ""))
        found += [line(" ", *marks) for marks in ruler]
    return found


def block_token_at(
    example: ShownExample, rendering: Rendering, cells: int, wanted: int, row: int, cell: int
) -> int | None:
    """Return the token that `block` draws at a cell of one of its lines; None where there is none."""
    running = Running(example, ANY_TOP, rendering, cells - 2, newlines=in_lines(example))
    return running.token_at(_around_peak(running, example, wanted)[row // running.height], cell - 1)


def _around_peak(running: Running, example: ShownExample, wanted: int) -> range:
    """Return the rows of a block: more before the peak than after it."""
    n, peak = len(running.tokens), running.row_of(example.peak)
    first = max(0, min(peak - wanted * 3 // 5, n - wanted))
    return range(first, min(first + wanted, n))


def in_lines(example: ShownExample) -> bool:
    """Return whether a text has so many line breaks that it is read line by line, as code is."""
    breaks = sum(token.count(NEWLINE) for token in example.tokens)
    return breaks * LONG_LINE > sum(map(len, example.tokens))


def bordered_texts(example: ShownExample) -> list[str]:
    """Return the text of each token, a bar behind the last one of each context that ends in them or right before."""
    texts = _texts(example)
    for border in example.borders:
        if border.token:
            texts[border.token - 1] += BORDER
        elif texts:
            texts[0] = BORDER + texts[0]
    return texts


class _Piece(NamedTuple):
    """A part of a token that is on one line, or a bar between contexts."""

    token: int
    text: str
    role: Role
    bar: bool = False

    @property
    def span(self) -> Span:
        return Span(self.text, self.role)


def _first_of_peak(pieces: Sequence[_Piece], peak: int) -> int:
    """Return the number of the first piece of the peak."""
    return next((n for n, piece in enumerate(pieces) if piece.token == peak and not piece.bar), 0)


def _token_at(pieces: Sequence[_Piece], cell: int) -> int | None:
    """Return the token at a cell of pieces that stand one after the other; None on a bar and beside them."""
    for piece in pieces:
        if 0 <= cell < width(piece.text):
            return None if piece.bar else piece.token
        cell -= width(piece.text)
    return None


def _texts(example: ShownExample) -> list[str]:
    """Return the text of each token, without those in whose place a border stands."""
    texts = list(example.tokens)
    for border in example.borders:
        if border.instead and border.token < len(texts):
            texts[border.token] = ""
    return texts


def _pieces(example: ShownExample, top: float, rendering: Rendering, *, valued: bool) -> list[_Piece]:
    """Return the text in pieces; a line break ends one, and is dim unless the feature fires on its token.

    Args:
        example: tokens and activations.
        top: activation drawn at full heat.
        rendering: how activations are drawn.
        valued: whether the activation stands after the peak.
    """
    bars = {border.token for border in example.borders}
    steps = heat.bins(example.act_T, top).tolist()
    roles = _roles(example, steps, rendering)
    found: list[_Piece] = []
    for token, (text, role) in enumerate(zip(_texts(example), roles, strict=True)):
        if token in bars:
            found.append(_Piece(token, BORDER, Role.DIM, bar=True))
        parts = [text] if text.isascii() else _PARTS.findall(text)
        if valued and token == example.peak and steps[token]:  # before line breaks at its end, which end the line
            breaks = next((n for n, part in enumerate(parts) if part.endswith(NEWLINE)), len(parts))
            parts.insert(breaks, f"‹{activation(example.act)}›")
        quiet = not steps[token] and role is Role.PLAIN
        found += [_Piece(token, part, Role.DIM if quiet and part in _BLANKS else role) for part in parts]
    if len(example.tokens) in bars:
        found.append(_Piece(max(0, len(example.tokens) - 1), BORDER, Role.DIM, bar=True))
    return found


def _roles(example: ShownExample, steps: list[int], rendering: Rendering) -> list[Role]:
    """Return one role per token."""
    if rendering is Rendering.BACKGROUND:
        return [HEAT[step] for step in steps]
    if rendering is Rendering.RULER:
        return [Role.BOLD if i == example.peak else Role.PLAIN for i in range(len(steps))]
    bold = heat.strongest(example.act_T, MARKED) | ({example.peak} if example.peak >= 0 else set())
    return [Role.PEAK if i in bold else Role.UNDER if step else Role.PLAIN for i, step in enumerate(steps)]


def _ruler(pieces: Sequence[_Piece], example: ShownExample, top: float) -> list[Span]:
    """Return the marks under some pieces; blanks under a bar."""
    act = example.act_T[[piece.token for piece in pieces]]
    marks = heat.ruler(act, top, [width(piece.text) for piece in pieces])
    return [
        Span(" " * width(piece.text) if piece.bar else mark, Role.PLAIN if piece.token == example.peak else Role.DIM)
        for piece, mark in zip(pieces, marks, strict=True)
    ]


def _around(spans: list[Span], first: int, where: Frame) -> Line:
    left = crop_left(spans[:first], where.before)
    return line(*left, *crop(spans[first:], where.cells - where.before))


def _without_marks_of_omission(spans: Line) -> Line:
    """Return a ruler under cut text: blank under `…`."""
    return tuple(Span(" ", span.role) if span.text == "…" else span for span in spans)
