"""Text with a feature's activations drawn on it: one line around a peak, some lines, or all."""

from __future__ import annotations

from dataclasses import dataclass

from monosem_tui.draw import heat
from monosem_tui.draw import line_breaks as flow
from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.numbers import activation
from monosem_tui.draw.safe_text import width
from monosem_tui.draw.spans import HEAT, Line, Role, Span, crop, crop_left, line
from monosem_tui.model.feature_card import ShownExample

MARKED = 3
"""Tokens drawn bold where colours do not show the strongest."""


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
    longest = max((sum(map(width, e.tokens[: e.peak])) for e in examples), default=0)
    return Frame(cells, min(longest, cells * 3 // 5))


def passage(example: ShownExample, top: float, rendering: Rendering, where: Frame) -> list[Line]:
    """Return the lines of one example: one, or two with a ruler.

    Args:
        example: tokens and activations.
        top: activation drawn at full heat, the feature's maximum.
        rendering: how activations are drawn.
        where: the frame, shared by the examples of a section.
    """
    spans = _drawn(example, top, rendering)
    lines = [_around(spans, example.peak, where)]
    if rendering is Rendering.RULER:
        cells = [width(token) for token in example.tokens]
        marks = [Span(text, Role.DIM) for text in heat.ruler(example.act_T, top, cells)]
        marks[example.peak] = Span(marks[example.peak].text)
        lines.append(_without_marks_of_omission(_around(marks, example.peak, where)))
    return lines


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
            newlines: whether `↵` ends a line.
        """
        self._example, self._top, self._rendering, self._cells = example, top, rendering, cells
        self._spans = _drawn(example, top, rendering)
        if rendering is not Rendering.MARKS and example.peak >= 0:
            text, role = self._spans[example.peak]
            self._spans[example.peak] = Span(f"{text}‹{activation(example.act)}›", role)
        self.rows = flow.rows([span.text for span in self._spans], cells, newlines=newlines)
        """Token numbers of each row."""

    def row_of(self, token: int) -> int:
        """Return the row of a token."""
        return next(number for number, row in enumerate(self.rows) if token <= row[-1])

    def lines(self, number: int) -> list[Line]:
        """Return a row as lines: one, or two with a ruler."""
        spans = flow.drawn(self._spans, self.rows[number], self._cells)
        if self._rendering is not Rendering.RULER:
            return [line(*spans)]
        row = self.rows[number]
        marks = heat.ruler(self._example.act_T[row], self._top, [width(span.text) for span in spans])
        roles = [Role.PLAIN if token == self._example.peak else Role.DIM for token in row]
        return [line(*spans), line(*map(Span, marks, roles))]


def block(example: ShownExample, top: float, rendering: Rendering, cells: int, wanted: int) -> list[Line]:
    """Return `wanted` rows around the peak, more before than after it, with `…` where text is cut."""
    running = Running(example, top, rendering, cells - 2)
    n, peak = len(running.rows), running.row_of(example.peak)
    first = max(0, min(peak - wanted * 3 // 5, n - wanted))
    last = min(first + wanted, n)
    found: list[Line] = []
    for number in range(first, last):
        text, *ruler = running.lines(number)
        found.append(line("…" if first and number == first else " ", *text, "…" if number == last - 1 < n - 1 else ""))
        found += [line(" ", *marks) for marks in ruler]
    return found


def _drawn(example: ShownExample, top: float, rendering: Rendering) -> list[Span]:
    """Return one span per token."""
    steps = heat.bins(example.act_T, top).tolist()
    if rendering is Rendering.BACKGROUND:
        return [Span(token, HEAT[step]) for token, step in zip(example.tokens, steps, strict=True)]
    if rendering is Rendering.RULER:
        return [Span(t, Role.BOLD if i == example.peak else Role.PLAIN) for i, t in enumerate(example.tokens)]
    bold = heat.strongest(example.act_T, MARKED) | ({example.peak} if example.peak >= 0 else set())
    spans = [
        Span(token, Role.PEAK if i in bold else Role.UNDER if step else Role.PLAIN)
        for i, (token, step) in enumerate(zip(example.tokens, steps, strict=True))
    ]
    if example.peak >= 0:
        spans[example.peak] = Span(spans[example.peak].text + f"‹{activation(example.act)}›", Role.PEAK)
    return spans


def _around(spans: list[Span], peak: int, where: Frame) -> Line:
    left = crop_left(spans[:peak], where.before)
    return line(*left, *crop(spans[peak:], where.cells - where.before))


def _without_marks_of_omission(spans: Line) -> Line:
    """Return a ruler under cut text: blank under `…`."""
    return tuple(Span(" ", span.role) if span.text == "…" else span for span in spans)
