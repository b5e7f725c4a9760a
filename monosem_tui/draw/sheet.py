"""Lines of a page and the stops that a cursor can go to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from monosem_tui.draw.safe_text import fit, head, width
from monosem_tui.draw.spans import Line, Role, Span, crop, line, lit, width_of
from monosem_tui.terms.feature_page import EXPLANATION, FIRES_WITH, SIMILAR, TWIN
from monosem_tui.terms.term import Term

NAME = 15
"""Cells of a heading such as PROMOTES at the left of what it heads, and of the words left of a plot."""
BETWEEN = "   "
ROWS = 2
"""Rows of a list of parts where a page is not tall."""
EXPLAINED = EXPLANATION.title
"""Section of the explanations; their targets count from 0."""
OF_FEATURES = tuple(term.title for term in (SIMILAR, FIRES_WITH, TWIN))
"""Sections whose targets are features."""
HEAD = -1
"""Target of a heading, of a number or of a plot: of what can be explained, but leads nowhere."""


class Key(NamedTuple):
    """The identity of a stop: it stays chosen when the page is laid out again at another width."""

    section: str
    """An example's section, or the title of a term."""
    target: int
    """An example's place in the corpus, the number of an explanation, or a feature; HEAD leads nowhere."""

    @property
    def leads(self) -> bool:
        """Whether the stop leads somewhere."""
        return self.target != HEAD

    @property
    def feature(self) -> int | None:
        """The feature that the stop leads to; None for an example, an explanation or a heading."""
        return self.target if self.section in OF_FEATURES and self.leads else None

    @property
    def place(self) -> int | None:
        """The place in the corpus of an example; None for all else."""
        return self.target if self.leads and self.section not in (EXPLAINED, *OF_FEATURES) else None


class Stop(NamedTuple):
    """A position on a page that the cursor can choose."""

    key: Key
    row: int
    rows: int
    column: int
    cells: int
    """Cells that are highlighted when it is chosen."""
    term: Term | None = None
    """The term that explains it."""


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


def beside(left: Sheet, right: Sheet, cells: int) -> Sheet:
    """Place two sheets side by side, `right` from cell `cells` on; the stops of `left` come first."""
    n = max(len(left.lines), len(right.lines))
    pairs = [[*side.lines, *[()] * (n - len(side.lines))] for side in (left, right)]
    lines = [_padded(one, other, cells) for one, other in zip(*pairs, strict=True)]
    return Sheet(lines, [*left.stops, *(stop._replace(column=stop.column + cells) for stop in right.stops)])


def _padded(left: Line, right: Line, cells: int) -> Line:
    left = crop(left, cells)
    return line(*left, " " * (cells - width_of(left)), *right) if right else left


def plain(lines: Sequence[Line]) -> Sheet:
    """Lines without stops."""
    return Sheet(list(lines), [])


def explained(lines: Sequence[Line], term: Term, column: int = 0, cells: int | None = None) -> Sheet:
    """Lines that a term explains, which the cursor marks as a whole, or by `cells` from `column` on."""
    size = max(map(width_of, lines), default=0) if cells is None else cells
    return Sheet(list(lines), [Stop(Key(term.title, HEAD), 0, len(lines), column, size, term)] if lines else [])


def flowed(parts: Sequence[tuple[Line, Key | None, Term | None]], cells: int, between: str, most: int = 0) -> Sheet:
    """Flow unbreakable parts into lines of `cells` cells, at most `most` of them; each with a key is a stop."""
    rows: list[list[Span]] = []
    stops: list[Stop] = []
    column = 0
    for part, key, term in parts:
        size = width_of(part)
        if rows and column + width(between) + size <= cells:
            rows[-1] += [Span(between, Role.DIM), *part]
            column += width(between)
        elif most and len(rows) == most:
            break
        else:
            rows.append([*part])
            column = 0
        if key is not None:
            stops.append(Stop(key, len(rows) - 1, 1, column, min(size, cells - column), term))
        column += size
    return Sheet([crop(row, cells) for row in rows], stops)


def named(term: Term, parts: Sequence[Line], cells: int, targets: Sequence[int] = (), rows: int = ROWS) -> Sheet:
    """Return a term's heading, its phrase below, and beside them as many parts as fit some rows.

    Each part leads to its target, where there are targets.
    """
    if not parts:
        return plain([])
    keys: list[Key | None] = [Key(term.title, target) for target in targets]
    given = [(part, key, term) for part, key in zip(parts, keys or [None] * len(parts), strict=True)]
    flow = flowed(given, cells - NAME, BETWEEN, rows)
    n = max(len(flow.lines), 1 + bool(term.phrase))
    words = [Span(fit(term.title, NAME), Role.HEADING), Span(fit(term.phrase, NAME), Role.DIM)]
    heads = [*words, *[Span(" " * NAME)] * n][:n]
    lines = [line(one, *rest) for one, rest in zip(heads, [*flow.lines, *[()] * n][:n], strict=True)]
    stops = [stop._replace(column=stop.column + NAME) for stop in flow.stops]
    return Sheet(lines, [Stop(Key(term.title, HEAD), 0, 1, 0, width(term.title), term), *stops])


def marked(spans: Line, column: int, cells: int) -> Line:
    """Return a line with some of its cells lit."""
    found: list[Span] = []
    at = 0
    for text, own in spans:
        before = head(text, column - at)
        inside = head(text[len(before) :], column + cells - at - width(before))
        found += [Span(before, own), *lit([Span(inside, own)]), Span(text[len(before) + len(inside) :], own)]
        at += width(text)
    missing = column + cells - at
    return line(*found, *lit([Span(" " * missing)]))
