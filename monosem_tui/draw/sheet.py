"""Lines, and the places on them that a cursor can go to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from monosem_tui.draw.safe_text import fit, head, width
from monosem_tui.draw.spans import Line, Role, Span, line, width_of, wrap

NAME = 8
"""Cells of the names RAISES, LOWERS, NEAR and of `activation`'s like."""
BETWEEN = "   "
NEAR, WITH = "NEAR", "WITH"
"""Names of the lists whose parts are features."""


class Key(NamedTuple):
    """What is chosen, whatever the width: it stays chosen when the page is laid out anew."""

    section: str
    """An example's section, or NEAR or WITH."""
    target: int
    """An example's place in the corpus, or a feature."""

    @property
    def feature(self) -> int | None:
        """The feature it leads to; None for an example."""
        return self.target if self.section in (NEAR, WITH) else None


class Stop(NamedTuple):
    """Where something that can be chosen stands."""

    key: Key
    row: int
    rows: int
    column: int
    cells: int
    """Cells that show whether it is chosen."""


class Sheet(NamedTuple):
    """Lines, and the stops on them in the order of reading."""

    lines: list[Line]
    stops: list[Stop]


def joined(parts: Iterable[Sheet]) -> Sheet:
    """Sheets below each other."""
    whole = Sheet([], [])
    for part in parts:
        whole.stops.extend(stop._replace(row=stop.row + len(whole.lines)) for stop in part.stops)
        whole.lines.extend(part.lines)
    return whole


def plain(lines: Sequence[Line]) -> Sheet:
    """Lines without stops."""
    return Sheet(list(lines), [])


def room(cells: int) -> int:
    """Rows that a list of parts takes at the most: one where it is wide, two where it is not."""
    return 1 if cells >= 90 else 2


def named(name: str, parts: Sequence[Line], cells: int, targets: Sequence[int] = ()) -> Sheet:
    """As many parts as fit behind a name; each leads to one of the targets, where there are any."""
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


def marked(spans: Line, column: int, cells: int, role: Role) -> Line:
    """A line with another role on some of its cells."""
    found: list[Span] = []
    at = 0
    for text, own in spans:
        before = head(text, column - at)
        inside = head(text[len(before) :], column + cells - at - width(before))
        found += [Span(before, own), Span(inside, role), Span(text[len(before) + len(inside) :], own)]
        at += width(text)
    return line(*found)
