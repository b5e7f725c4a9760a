"""The panel at the right of a wide page: histogram with axes, logit effects, similar features, companions."""

from __future__ import annotations

import numpy as np

from monosem_tui.draw.bars import fitted, sparkline
from monosem_tui.draw.charts import columns_chart
from monosem_tui.draw.numbers import activation, count, share, signed
from monosem_tui.draw.safe_text import fit, width
from monosem_tui.draw.sheet import Sheet, explained, joined, plain
from monosem_tui.draw.spans import Line, Role, Span, crop, line, spread, width_of
from monosem_tui.model.feature_card import FeatureCard
from monosem_tui.model.feature_stats import Figures
from monosem_tui.pages.feature_charts import (
    WAITING,
    drift_ends,
    heat_steps,
    inked,
    interval_starts,
    share_range,
    signed_columns,
)
from monosem_tui.pages.feature_relations import effect_table, feature_table, neurons, turns
from monosem_tui.terms.feature_page import DRIFT, HISTOGRAM, LOGIT_HISTOGRAM
from store.query.histogram import Histogram

LEAST_SIDE, MOST_SIDE = 43, 56
SIDE_GAP = 3
TALL = 8
"""Rows of the histogram."""


def side_cells(cells: int) -> int:
    """Return the width of the panel on a page of some cells."""
    return min(MOST_SIDE, max(LEAST_SIDE, cells * 2 // 5))


def side_panel(card: FeatureCard, figures: Figures | None, cells: int, *, log: bool) -> Sheet:
    """Return the panel; what is still being read is left out, or said to be on its way."""
    blank = plain([()])
    parts = [] if card.dead else [tall_histogram(card, cells, log=log), blank]
    if figures is not None and not card.dead:
        parts += [tall_along(figures, cells), blank]
    parts += [effect_table(card, cells), blank, feature_table(card, figures, cells)]
    if figures is not None:
        if figures.roles:
            parts += [blank, turns(figures, cells)]
        if figures.logits is not None:
            parts += [blank, tall_logits(figures.logits, cells)]
        parts += [blank, neurons(figures, cells)]
    return joined(parts)


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
    steps = np.repeat(heat_steps(len(counts)), each)
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
    marks = interval_starts(card, cells)
    axis = "".join("┬" if place in marks else "─" for place in range(cells))
    text = list(" " * (cells + 1))
    for place, value in ((0, 0.0), (cells, top), *((place, top * place / cells) for place in marks)):
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
    words = share_range(*(share(float(value)) for value in drift_ends(figures.drift)))
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
