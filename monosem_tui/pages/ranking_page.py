"""The result of a search as lines: matching tokens, coverage of the best set, and a row per feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from monosem_tui.draw.numbers import activation, count
from monosem_tui.draw.safe_text import cut, fit
from monosem_tui.draw.spans import Line, Role, Span, line, wrap
from monosem_tui.pages.example_text import FeatureText, TextColumn, text_line
from store.query.find import FeatureScore, Found
from store.query.scores import Interval, Tally
from store.run.counted_noun import TOKEN, CountedNoun

FIGURE, INTERVAL, AUROC, FROM = 4, 9, 5, 5
BETWEEN = "  "
LONGEST_TOKEN = 16


@dataclass(frozen=True)
class RankColumns:
    """Cells of the parts that depend on the width; 0 leaves one out."""

    id: int
    intervals: bool
    """Whether precision and recall show intervals; F1 always does."""
    threshold: int
    auroc: int
    text: TextColumn


def rank_columns(cells: int, digits: int) -> RankColumns:
    """Return the columns that fit `cells` cells.

    Args:
        cells: width of the list.
        digits: digits of the largest feature number.
    """
    number = max(4, digits)
    used = 1 + number + 1 + 2 + FIGURE + 1 + INTERVAL + 2 * (2 + FIGURE)
    auroc = AUROC if cells >= used + 2 + AUROC else 0
    used += auroc and 2 + auroc
    intervals = cells >= used + 2 * (1 + INTERVAL) + 14
    used += intervals * 2 * (1 + INTERVAL)
    threshold = FROM if cells >= used + 2 + FROM + 14 else 0
    used += threshold and 2 + threshold
    return RankColumns(number, intervals, threshold, auroc, TextColumn(max(0, cells - used - 2)))


def figure(value: float) -> str:
    """Format a share: `.86`, `1.00`."""
    return f"{value:.2f}".removeprefix("0")


def interval(ends: Interval) -> str:
    """Format an interval: `.84–.88`."""
    return f"{figure(ends.low)}–{figure(ends.high)}"


def rank_header(where: RankColumns, by: str) -> Line:
    """Return the column names, the ranking one in bold."""

    def name(text: str, cells: int, align: Literal["<", ">"] = "<", *, ranks: bool = False) -> Span:
        return Span(fit(text, cells, align), Role.BOLD if ranks else Role.DIM)

    wide = FIGURE + where.intervals * (1 + INTERVAL)
    parts: list[Span | str] = [" ", name("id", where.id, ">"), " " + BETWEEN]
    parts += [name("F1 ↓" if by == "f1" else "F1", FIGURE + 1 + INTERVAL, ranks=by == "f1")]
    parts += [BETWEEN, name("precision" if where.intervals else "prec", wide)]
    parts += [BETWEEN, name("recall" if where.intervals else "rec", wide)]
    if where.auroc:
        # One cell is left for the arrow.
        parts += [BETWEEN[1:], name("AUROC↓" if by == "auroc" else " AUROC", AUROC + 1, ranks=by == "auroc")]
    if where.threshold:
        parts += [BETWEEN, name("from", where.threshold, ">")]
    return line(*parts, BETWEEN, name(where.text.head, where.text.cells))


def rank_row(score: FeatureScore, text: FeatureText, where: RankColumns, *, bookmark: bool) -> Line:
    """Return one feature, without the cell of the cursor's mark."""
    tally = score.tally
    parts: list[Span | str] = [
        fit(str(score.choice.feature), where.id, ">"),
        Span("★", Role.MARK) if bookmark else " ",
        BETWEEN,
        *_with_interval(tally.f1, tally.f1_ci, shown=True),
        BETWEEN,
        *_with_interval(tally.precision, tally.precision_ci, shown=where.intervals),
        BETWEEN,
        *_with_interval(tally.recall, tally.recall_ci, shown=where.intervals),
    ]
    if where.auroc:
        auroc = "–" if score.auroc is None else f"{score.auroc:.3f}".removeprefix("0")
        parts += [BETWEEN, fit(auroc, where.auroc, ">")]
    if where.threshold:
        parts += [BETWEEN, fit(activation(score.choice.threshold), where.threshold, ">")]
    return line(*parts, BETWEEN, *text_line(text, where.text))


def _with_interval(value: float, ends: Interval, *, shown: bool) -> list[Span | str]:
    number = fit(figure(value), FIGURE, ">")
    return [number, " ", Span(fit(interval(ends), INTERVAL), Role.DIM)] if shown else [number]


def matches_line(
    found: Found, words: list[tuple[str, int]], cells: int, *, last: bool, held_out: bool, noun: CountedNoun = TOKEN
) -> Line:
    """`1 204 of 32 737 tokens match  ·sea 510  ·boat 204`, as much as fits.

    Args:
        found: the answer, possibly partial.
        words: matching tokens as shown, with their counts.
        cells: width.
        last: whether only the last tokens of matches count.
        held_out: whether the figures are measured on held-out contexts.
        noun: what is counted.
    """
    what = "end a match" if last else "match"
    parts = [line(Span(f"{count(found.matched)} of {count(found.scored)} {noun.many} {what}", Role.BOLD))]
    if held_out:
        parts.append(line(Span(f"figures on {count(found.measured)} in other contexts", Role.DIM)))
    parts += [line(cut(token, LONGEST_TOKEN), Span(f" {count(n)}", Role.DIM)) for token, n in words]
    return wrap(parts, cells, BETWEEN)[0]


def together_line(found: Found, cells: int) -> Line:
    """Return the coverage of the best set: `together 412 901   F1 .93 .91–.95   precision .95   recall .91`."""
    union = found.union
    if union is None:
        return line(Span("together  …" if not found.finished else "", Role.DIM))
    if len(union.choices) < 2:
        return line(Span("no second feature adds to the best", Role.DIM))
    ids = " ".join(str(choice.feature) for choice in union.choices)
    parts = [line(Span("together ", Role.BOLD), ids), *_covers(union.tally)]
    return wrap(parts, cells, BETWEEN)[0]


def _covers(tally: Tally) -> list[Line]:
    return [
        line(Span("F1 ", Role.DIM), figure(tally.f1), Span(f" {interval(tally.f1_ci)}", Role.DIM)),
        line(Span("precision ", Role.DIM), figure(tally.precision)),
        line(Span("recall ", Role.DIM), figure(tally.recall)),
    ]
