"""Lines of a page and the stops that a cursor can go to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from monosem_tui.draw.safe_text import fit, head, width
from monosem_tui.draw.spans import Line, Role, Span, line, lit, width_of, wrap

NAME = 8
"""Cells of a heading such as RAISES, LOWERS or NEAR."""
BETWEEN = "   "
NEAR, WITH, TWIN = "NEAR", "WITH", "TWIN"
"""Headings of the lists whose parts are features."""


EXPLAINED = "EXPLAINED"
"""Section of the explanations; their targets count from 0."""


class Key(NamedTuple):
    """The identity of a stop: it stays chosen when the page is laid out again at another width."""

    section: str
    """An example's section, EXPLAINED, or NEAR, WITH or TWIN."""
    target: int
    """An example's place in the corpus, the number of an explanation, or a feature."""

    @property
    def feature(self) -> int | None:
        """The feature that the stop leads to; None for an example or explanation."""
        return self.target if self.section in (NEAR, WITH, TWIN) else None


class Stop(NamedTuple):
    """A position on a page that the cursor can choose."""

    key: Key
    row: int
    rows: int
    column: int
    cells: int
    """Cells that are highlighted when it is chosen."""


class Sheet(NamedTuple):
    """Lines and their stops in reading order."""

    lines: list[Line]
    stops: list[Stop]


def joined(parts: Iterable[Sheet]) -> Sheet:
    """Stack sheets below each other."""
    whole = Sheet([], [])
    for part in parts:
        whole.stops.extend(stop._replace(row=stop.row + len(whole.lines)) for stop in part.stops)
        whole.lines.extend(part.lines)
    return whole


def plain(lines: Sequence[Line]) -> Sheet:
    """Lines without stops."""
    return Sheet(list(lines), [])


def room(cells: int) -> int:
    """Return the most rows that a list of parts takes: one on a wide page, else two."""
    return 1 if cells >= 90 else 2


def named(name: str, parts: Sequence[Line], cells: int, targets: Sequence[int] = ()) -> Sheet:
    """Return a heading followed by as many parts as fit; each part leads to its target, where there are targets."""
    if not parts:
        return plain([])
    rows = wrap(parts, cells - NAME, BETWEEN)[: room(cells)]
    heads = [fit(name, NAME), *[" " * NAME] * (len(rows) - 1)]
    stops: list[Stop] = []
    row = column = 0
    for part, target in zip(parts, targets, strict=False):
        size = width_of(part)
        if column and column + len(BETWEEN) + size > cells - NAME:
            row, column = row + 1, 0
        elif column:
            column += len(BETWEEN)
        if row >= len(rows):
            break
        shown = min(size, cells - NAME - column)
        stops.append(Stop(Key(name, target), row, 1, NAME + column, shown))
        column += size
    return Sheet([line(Span(start, Role.HEADING), *spans) for start, spans in zip(heads, rows, strict=True)], stops)


def marked(spans: Line, column: int, cells: int) -> Line:
    """Return a line with some of its cells lit."""
    found: list[Span] = []
    at = 0
    for text, own in spans:
        before = head(text, column - at)
        inside = head(text[len(before) :], column + cells - at - width(before))
        found += [Span(before, own), *lit([Span(inside, own)]), Span(text[len(before) + len(inside) :], own)]
        at += width(text)
    return line(*found)
