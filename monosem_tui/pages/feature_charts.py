"""Plots of a feature's page: strips of one line, and a histogram with both axes for where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.bars import fitted, sparkline
from monosem_tui.draw.heat import bins
from monosem_tui.draw.numbers import activation, count, share, signed
from monosem_tui.draw.safe_text import fit
from monosem_tui.draw.sheet import BETWEEN, NAME, Sheet, explained, joined, plain
from monosem_tui.draw.spans import INK, Line, Role, Span, crop, in_role, line, width_of, wrap
from monosem_tui.model.feature_card import FeatureCard
from monosem_tui.model.feature_stats import Figures, quantile_texts
from monosem_tui.terms.feature_page import DRIFT, HISTOGRAM, MEDIAN
from store.query.histogram import Histogram

if TYPE_CHECKING:
    from store.query.drift import Drift

STRIP_END = 10
"""Cells that strips leave at their right for a value and its scale, so that those of one page are equally wide."""
BEGINS = "│"
"""Mark on a line of columns where an interval of examples begins."""
WAITING = "…"
"""Placeholder while something is being read."""


def histogram_strip(card: FeatureCard, cells: int, *, log: bool) -> Sheet:
    """Return the histogram of activations on one line, in the colours of heat, marked where intervals begin."""
    columns = fitted(card.histogram.counts, cells - NAME - STRIP_END)
    drawn = inked(sparkline(columns, log), heat_steps(len(columns)))
    name, top = Span(fit("activations  0 ", NAME), Role.DIM), Span(f" {activation(card.max)}", Role.DIM)
    zero, logarithms = f"{share(1 - card.density)} at zero", Span(" · log" if log else "", Role.DIM)
    room = cells - width_of((name, *drawn, top))
    forms = (line(zero, logarithms), line(Span("log" if log else "", Role.DIM)))
    words = next((one for one in forms if one and len(BETWEEN) + width_of(one) <= room), line())
    starts = interval_starts(card, len(columns))
    left = room - len(starts) - width_of(words)
    if len(starts) > len(columns) // 2 or left < bool(words):
        starts, left = [], room - width_of(words)
    chart = line(name, *_between(drawn, starts), top)
    gap = min(left, len(BETWEEN)) if words else 0
    legend = line(Span(f" · {BEGINS} intervals", Role.DIM)) if starts and words else line()
    if width_of(legend) > left - gap:
        legend = line()
    return explained([crop(line(*chart, " " * gap, *words, *legend), cells)], HISTOGRAM)


def interval_starts(card: FeatureCard, n: int) -> list[int]:
    """Return the first of `n` equal parts from 0 to the maximum of each of the page's intervals but the lowest."""
    lows = sorted(section.interval.low for section in card.sections if section.interval is not None)[1:]
    return sorted({min(n - 1, round(low / (card.max or 1.0) * n)) for low in lows} - {0})


def _between(columns: Line, starts: Sequence[int]) -> Line:
    """Return columns, one character each, with a mark before some of them."""
    mark = Span(BEGINS, Role.DIM)
    return tuple(span for n, column in enumerate(columns) for span in ((mark, column) if n in starts else (column,)))


def heat_steps(n: int) -> NDArray[np.int64]:
    """Return the step of heat in the middle of each of `n` equal bins from 0 to the maximum."""
    return bins(((np.arange(n) + 0.5) / n).astype(np.float32), 1.0)


def inked(columns: str, step_N: NDArray[np.int64]) -> Line:
    """Return columns, one character each, in the ink of their steps of heat."""
    return line(*(Span(column, INK[step]) for column, step in zip(columns, step_N.tolist(), strict=True)))


def charts(figures: Figures, cells: int) -> Sheet:
    """Return log bins, density along the corpus and quantiles as lines; none for a dead feature."""
    if not len(figures.quantiles.value):
        return plain([])
    values, at = quantile_texts(figures)
    parts = [line(fit("quantiles", NAME), values), line(f"at {at} %")]
    lines = wrap([in_role(part, Role.DIM) for part in parts], cells, BETWEEN, indent=NAME)
    return joined([log_bins(figures, cells), along(figures, cells), explained(lines, MEDIAN)])


def log_bins(figures: Figures, cells: int) -> Sheet:
    """Return the histogram of activations in bins of equal ratio; none for a dead feature."""
    if not len(figures.quantiles.value):
        return plain([])
    edges = figures.log_histogram.edges
    low, high = (activation(float(edge)) for edge in edges[[0, -1]])
    words = f"{BETWEEN}{low} to {high}{BETWEEN}{count(figures.zeros)} at zero"
    strip = _strip("in log bins", figures.log_histogram.counts, [words, f" {low}–{high}"], cells, Role.PLAIN)
    return explained([strip], HISTOGRAM)


def along(figures: Figures, cells: int) -> Sheet:
    """Return the density along the corpus, dim as its axis is another one: one line, also while it is being read."""
    if not len(figures.quantiles.value):
        return plain([])
    if figures.drift is None:
        return explained([line(Span(fit("along corpus", NAME), Role.DIM), WAITING)], DRIFT)
    low, high = (share(float(value)) for value in drift_ends(figures.drift))
    words = [f"{BETWEEN}density {low} to {high}", f"{BETWEEN}{low} to {high}", f" {share_range(low, high)}"]
    return explained([_strip("along corpus", figures.drift.density_S, words, cells, Role.DIM)], DRIFT)


def drift_ends(drift: Drift) -> tuple[float, float]:
    return float(drift.density_S.min()), float(drift.density_S.max())


def share_range(low: str, high: str) -> str:
    """Return `0.99–1.45 %` for `0.99 %` and `1.45 %`."""
    percent = " %" if low.endswith(" %") and high.endswith(" %") else ""
    return f"{low.removesuffix(percent)}–{high}"


def _strip(name: str, values: NDArray[np.generic], words: Sequence[str], cells: int, role: Role) -> Line:
    """Return a strip on one line, with the first of some words that fit."""
    columns = fitted(values, cells - NAME - STRIP_END)
    said = next((one for one in words if NAME + len(columns) + len(one) <= cells), "")
    chart = line(Span(fit(name, NAME), Role.DIM), Span(sparkline(columns), role), Span(said, Role.DIM))
    return crop(chart, cells)


def signed_columns(histogram: Histogram, columns: NDArray[np.float64], drawn: str) -> Line:
    """Return a plot's row of columns, in the colours of minus left of zero and of plus right of it."""
    edges = np.linspace(histogram.edges[0], histogram.edges[-1], len(columns) + 1)
    minus = int(((edges[:-1] + edges[1:]) / 2 < 0).sum())
    return line(Span(drawn[:minus], Role.MINUS), Span(drawn[minus:], Role.PLUS))


def logit_strip(histogram: Histogram, cells: int) -> Line:
    """Return the histogram of logit effects between its ends, on one line."""
    low, high = (signed(float(value)) for value in histogram.edges[[0, -1]])
    columns = fitted(histogram.counts, cells - len(f"{low}  {high}"))
    drawn = signed_columns(histogram, columns, sparkline(columns, log=True))
    return line(Span(f"{low} ", Role.DIM), *drawn, Span(f" {high}", Role.DIM))
