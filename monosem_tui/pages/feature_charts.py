"""Plots of a feature's page: strips of one line, and a histogram with both axes for where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.bars import fitted, sparkline
from monosem_tui.draw.charts import columns_chart
from monosem_tui.draw.heat import bins
from monosem_tui.draw.numbers import activation, count, share, signed
from monosem_tui.draw.safe_text import fit, width
from monosem_tui.draw.sheet import BETWEEN, NAME, Sheet, explained, joined, plain
from monosem_tui.draw.spans import INK, Line, Role, Span, crop, in_role, line, spread, width_of, wrap
from monosem_tui.model.feature_card import FeatureCard
from monosem_tui.model.feature_stats import Figures, quantile_texts
from monosem_tui.terms.feature_page import DRIFT, HISTOGRAM, LOGIT_HISTOGRAM, MEDIAN
from store.query.histogram import Histogram

if TYPE_CHECKING:
    from store.query.drift import Drift

STRIP_END = 10
"""Cells that strips leave at their right for a value and its scale, so that those of one page are equally wide."""
WAITING = "…"
"""Placeholder while something is being read."""
TALL = 8
"""Rows of the histogram with axes."""


def histogram_strip(card: FeatureCard, cells: int, *, log: bool) -> Sheet:
    """Return the histogram of activations on one line, in the colours of heat."""
    columns = fitted(card.histogram.counts, cells - NAME - STRIP_END)
    chart = line(
        Span(fit("activations  0 ", NAME), Role.DIM),
        *inked(sparkline(columns, log), _steps(len(columns))),
        Span(f" {activation(card.max)}", Role.DIM),
    )
    whole = line(f"{share(1 - card.density)} at zero", Span(" · log" if log else "", Role.DIM))
    for words in (whole, line(Span("log" if log else "", Role.DIM))):
        if words and width_of(chart) + len(BETWEEN) + width_of(words) <= cells:
            return explained([line(*chart, BETWEEN, *words)], HISTOGRAM)
    return explained([crop(chart, cells)], HISTOGRAM)


def _steps(n: int) -> NDArray[np.int64]:
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
    low, high = (share(float(value)) for value in _ends(figures.drift))
    words = [f"{BETWEEN}density {low} to {high}", f"{BETWEEN}{low} to {high}", f" {_range(low, high)}"]
    return explained([_strip("along corpus", figures.drift.density_S, words, cells, Role.DIM)], DRIFT)


def _ends(drift: Drift) -> tuple[float, float]:
    return float(drift.density_S.min()), float(drift.density_S.max())


def _range(low: str, high: str) -> str:
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


# With axes


def tall_histogram(card: FeatureCard, cells: int, *, log: bool) -> Sheet:
    """Return the histogram in eight rows with counts at the left and activations below, where intervals are marked."""
    counts = card.histogram.counts.astype(np.float64)
    title = line(Span("ACTIVATIONS", Role.HEADING), Span(" · log of counts" if log else "", Role.DIM))
    zero = line(Span(f"{share(1 - card.density)} at zero", Role.DIM))
    tallest = int(counts.max(initial=0))
    scale = np.log1p(counts) if log else counts
    half = np.expm1(np.log1p(tallest) / 2) if log else tallest / 2
    labels = {0: count(tallest), TALL // 2: count(round(half)), TALL: "0"}
    left = max(map(len, labels.values())) + 1
    each = max(1, (cells - left - 1) // len(counts))
    rows = columns_chart(scale, each * len(counts), TALL)
    steps = np.repeat(_steps(len(counts)), each)
    lines = [spread(title, zero, cells)]
    for number, row in enumerate(rows):
        label = labels.get(number, "")
        mark = "┤" if label else "│"
        lines.append(line(Span(fit(label, left - 1, ">") + mark, Role.DIM), *inked(row, steps)))
    lines += _axis(card, left, each * len(counts), labels[TALL])
    return explained(lines, HISTOGRAM, cells=width_of(title))


def _axis(card: FeatureCard, left: int, cells: int, zero: str) -> list[Line]:
    """Return the axis of activations, marked where intervals of the page begin, with numbers that do not touch."""
    top = card.max or 1.0
    lows = [section.interval.low for section in card.sections if section.interval is not None]
    marks = {min(cells - 1, round(low / top * cells)) for low in lows if low > 0}
    axis = "".join("┬" if place in marks else "─" for place in range(cells))
    text = list(" " * (cells + 1))
    for place, value in ((0, 0.0), (cells, top), *sorted((place, top * place / cells) for place in marks)):
        said = "0" if not place else activation(value)
        at = max(0, min(place - width(said) // 2, cells + 1 - width(said)))
        around = text[max(0, at - 1) : at + width(said) + 1]
        if all(cell == " " for cell in around):
            text[at : at + width(said)] = said
    return [
        line(Span(f"{fit(zero, left - 1, '>')}└{axis}", Role.DIM)),
        line(Span(" " * left + "".join(text).rstrip(), Role.DIM)),
    ]


def tall_along(figures: Figures, cells: int) -> Sheet:
    """Return a heading with least and largest density, and the density along the corpus below, 1 or 2 cells a range."""
    heading = line(Span("ALONG CORPUS", Role.HEADING))
    if figures.drift is None:
        return explained([heading, line(Span(WAITING, Role.DIM))], DRIFT, cells=width_of(heading))
    words = _range(*(share(float(value)) for value in _ends(figures.drift)))
    columns = fitted(figures.drift.density_S, cells)
    drawn = "".join(column * max(1, cells // len(columns)) for column in sparkline(columns))
    lines = [spread(heading, line(Span(f"density {words}", Role.DIM)), cells), line(Span(drawn, Role.DIM))]
    return explained(lines, DRIFT, cells=width_of(heading))


def tall_logits(histogram: Histogram, cells: int, rows: int = 3) -> Sheet:
    """Return the histogram of logit effects in some rows, with its ends below."""
    columns = fitted(np.log1p(histogram.counts), cells)
    n = int(histogram.counts.sum())
    heading = line(Span(LOGIT_HISTOGRAM.title, Role.HEADING), Span(f"  of {count(n)} tokens, log of counts", Role.DIM))
    each = max(1, cells // len(columns))
    drawn = columns_chart(columns, each * len(columns), rows)
    wide = np.repeat(columns, each)
    low, high = (signed(float(value)) for value in histogram.edges[[0, -1]])
    ends = spread(line(Span(low, Role.DIM)), line(Span(high, Role.DIM)), len(wide))
    lines = [crop(heading, cells), *(signed_columns(histogram, wide, row) for row in drawn), ends]
    return explained(lines, LOGIT_HISTOGRAM, cells=width(LOGIT_HISTOGRAM.title))
