"""Rows of the list of pairs: figures at the left, then both features, one below the other or side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.numbers import MINUS, count, share
from monosem_tui.draw.safe_text import cut, fit, width
from monosem_tui.draw.spans import Line, Role, Span, crop, cursor_mark, line, lit, width_of
from monosem_tui.model.feature_card import ShownExample
from monosem_tui.pages.passage import Frame, passage
from store.comparison.figures import SideSummary

BESIDE = 150
"""Cells from which the features of a pair stand side by side."""
R, UNITS = 5, 7
GAP = "  "
FIGURES = 1 + R + R + UNITS + 2 + len(GAP)
"""Cells left of the features."""
SHARE = 8
TREE_FIGURES = 1 + R + 2 * SHARE + 2 + len(GAP)
MUTUAL = "⇄"
LARGEST_NAME = 40
LEAST_TEXT = 16
"""Cells of text below which a name takes all the room."""


@dataclass(frozen=True)
class PairFeature:
    """A feature as a row shows it."""

    feature: int
    label: str = ""
    suggestion: str = ""
    """The best explanation, which stands dim where there is no label."""
    snippet: ShownExample | None = None
    top: float = 0.0
    """Its largest activation."""
    token: str = ""
    """Its top token, while its text has not been read."""


@dataclass(frozen=True)
class TextColumns:
    """Columns of a feature's text."""

    digits: int
    """Digits of the largest feature number."""
    named: bool
    """Whether any feature has a label or an explanation, so that names have a column."""
    rendering: Rendering


@dataclass(frozen=True)
class PairFigures:
    """The figures of a pair."""

    r: float
    cosine: float
    """NaN in different spaces."""
    n: int
    mutual: bool


@dataclass(frozen=True)
class RunShare:
    """The best r in one of several runs."""

    name: str
    r: float


def decimal(value: float) -> str:
    """Format an r, a cosine or a share of 1: `.86`, `−.30`, `1.00`; `–` for NaN."""
    if math.isnan(value):
        return "–"
    return f"{abs(value):.2f}".removeprefix("0").join((MINUS if value < -0.005 else "", ""))


def pair_header(names: Sequence[str], cells: int, *, tree: bool, sort: str, descending: bool) -> Line:
    """Return the names of the columns.

    Args:
        names: of the runs whose features stand at the right.
        cells: width.
        tree: whether rows are of a tree.
        sort: the column the list is sorted by.
        descending: whether from large to small.
    """
    arrow = "↓" if descending else "↑"
    columns = [("r", "r", R), ("within", "within", SHARE), ("covers", "covers", SHARE)]
    if not tree:
        columns = [("r", "r", R), ("cosine", "cos", R), ("n", "units", UNITS)]
    parts: list[Span | str] = [" "]
    for key, name, size in columns:
        is_sorted = key == sort and not tree
        parts.append(
            Span(fit(f"{name}{arrow}" if is_sorted else name, size, ">"), Role.BOLD if is_sorted else Role.DIM)
        )
    start = line(*parts)
    figures = TREE_FIGURES if tree else FIGURES
    left = line(*start, " " * (figures - width_of(start)))
    halves = len(names) if cells >= BESIDE and not tree else 1
    room = (cells - figures) // max(1, halves)
    shown = [*names[:halves]] if halves > 1 else [" and ".join(names)]
    return crop(line(*left, *(Span(fit(name, room), Role.DIM) for name in shown)), cells)


def pair_lines(
    figures: PairFigures, first: PairFeature, second: PairFeature | None, cells: int, where: TextColumns
) -> list[Line]:
    """Return a pair: on two lines, or on one from BESIDE cells.

    Args:
        figures: r, cosine, units and whether mutual.
        first: the feature that is listed.
        second: its partner, if it has one.
        cells: width.
        where: columns of the features' texts.
    """
    left = _figures(figures)
    missing = line(Span("no partner", Role.DIM))
    if cells >= BESIDE:
        room = (cells - FIGURES) // 2
        mine = feature_text(first, room - 2, where)
        theirs = feature_text(second, room, where) if second else missing
        return [line(*left, *_padded(mine, room), *theirs)]
    room = cells - FIGURES
    theirs = feature_text(second, room, where) if second else missing
    return [line(*left, *feature_text(first, room, where)), line(" " * FIGURES, *theirs)]


def shared_lines(
    figures: PairFigures, first: PairFeature, runs: Sequence[RunShare], cells: int, where: TextColumns
) -> list[Line]:
    """Return a feature, and how well other runs match it."""
    left, parts = _figures(figures), list[Span | str]()
    for number, run in enumerate(runs):
        parts += ["   " if number else "", Span(f"{cut(run.name, 24)} ", Role.DIM), decimal(run.r)]
    said = line(*parts)
    if cells >= BESIDE:
        room = cells - FIGURES - min(width_of(said), cells // 3) - 2
        return [line(*left, *_padded(feature_text(first, room, where), room + 2), *said)]
    room = cells - FIGURES
    return [line(*left, *feature_text(first, room, where)), crop(line(" " * FIGURES, *said), cells)]


def partner_lines(
    figures: PairFigures, run: str, partner: PairFeature | None, cells: int, where: TextColumns
) -> list[Line]:
    """Return a run, and a feature's partner in it."""
    name = Span(fit(run, max(12, min(30, cells // 4))), Role.BOLD)
    left, missing = _figures(figures), line(Span("no partner", Role.DIM))
    room = cells - FIGURES
    if cells >= BESIDE:
        rest = room - width(name.text) - 2
        theirs = feature_text(partner, rest, where) if partner else missing
        return [line(*left, name, GAP, *theirs)]
    theirs = feature_text(partner, room, where) if partner else missing
    return [line(*left, name), line(" " * FIGURES, *theirs)]


def root_line(root: PairFeature, n_branches: int, cells: int, where: TextColumns) -> Line:
    """Return a feature of the smaller dictionary."""
    said = f"{n_branches} " if n_branches else "– "
    return line(" ", Span(fit(said, 5, ">"), Role.DIM), *feature_text(root, cells - 6, where))


def branch_line(
    figures: PairFigures,
    within: float,
    covers: float,
    branch: PairFeature,
    cells: int,
    where: TextColumns,
) -> Line:
    """Return a feature of the larger dictionary, below its root."""
    sizes = fit(decimal(figures.r), R, ">"), fit(share(within), SHARE, ">"), fit(share(covers), SHARE, ">")
    left = line(" ", *sizes, f" {MUTUAL if figures.mutual else ' '}", GAP)
    return line(*left, *feature_text(branch, cells - TREE_FIGURES, where))


def listed_pair(lines: Sequence[Line], *, cursor: bool, focus: bool) -> list[Line]:
    """Return the lines of an entry with their marks; under the cursor they are lit if the list has the focus."""
    return [line(cursor_mark(cursor), *(lit(_unmarked(one)) if cursor and focus else _unmarked(one))) for one in lines]


def feature_text(shown: PairFeature, cells: int, where: TextColumns) -> Line:
    """Return number, label or explanation, and the strongest example of a feature."""
    number = Span(fit(str(shown.feature), where.digits, ">"), Role.DIM)
    room = cells - where.digits - 2
    name = shown.label or shown.suggestion
    role = Role.MARK if shown.label else Role.DIM
    if shown.snippet is None:
        rest = name or shown.token
        return crop(line(number, GAP, Span(cut(rest, room), role if name else Role.PLAIN)), cells)
    named = ""
    if where.named and room >= 2 * LEAST_TEXT:
        named = fit(name, max(LEAST_TEXT, min(LARGEST_NAME, room * 2 // 5)))
        room -= width(named) + 2
    frame = Frame(room, room * 3 // 5)
    text, *_ = passage(shown.snippet, shown.top, _in_rows(where.rendering), frame)
    return line(number, GAP, Span(named, role), GAP if named else "", *text)


def _in_rows(rendering: Rendering) -> Rendering:
    """Rows have no line for a ruler."""
    return Rendering.MARKS if rendering is Rendering.RULER else rendering


def summary_line(told: SideSummary, cells: int) -> Line:
    """Return the figures of a comparison as a whole: `median r .31 (by chance .03) · r > 0.7 12 % · mutual 28 %`."""
    chance = f" (by chance {decimal(told.shifted.median_r)})" if told.shifted is not None else ""
    parts = [
        f"median r {decimal(told.found.median_r)}{chance}",
        f"r > 0.7 {share(told.found.share_r[1])}",
        f"mutual {share(told.mutual)}",
        f"{count(told.judged)} of {count(told.features)} features judged",
    ]
    return crop(line(" ", Span(" · ".join(parts), Role.DIM)), cells)


def _figures(figures: PairFigures) -> Line:
    parts = fit(decimal(figures.r), R, ">"), fit(decimal(figures.cosine), R, ">"), fit(count(figures.n), UNITS, ">")
    return line(" ", *parts, f" {MUTUAL if figures.mutual else ' '}", GAP)


def _unmarked(spans: Line) -> Line:
    """Return a line without its first cell, which is blank; a list without width has empty lines."""
    return line(Span(spans[0].text[1:], spans[0].role), *spans[1:]) if spans else ()


def _padded(spans: Line, cells: int) -> Line:
    return line(*spans, " " * max(0, cells - width_of(spans)))
