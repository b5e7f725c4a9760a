"""Numbers about a feature beyond its card: quantiles, log bins, drift, logits of all tokens, companions, neurons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.bars import fitted, sparkline
from monosem_tui.draw.numbers import activation, cosine, count, share, signed
from monosem_tui.draw.safe_text import cut, fit
from monosem_tui.draw.sheet import BETWEEN, NAME, WITH, Sheet, joined, named, plain, room
from monosem_tui.draw.spans import Line, Role, Span, crop, in_role, line, wrap
from monosem_tui.model.feature_card import BINS, feature_name
from store.index.reader import FeatureStore, Quantiles, Weighted
from store.notes.note_file import FeatureNotes
from store.query.histogram import Histogram, log_histogram, logit_histogram, zeros

if TYPE_CHECKING:
    from store.query.cofiring import CoFiring, Companion
    from store.query.drift import Drift

LISTED = 10
LABEL = 14
"""Cells of the words left of a chart, as many as `activation  0 ` on the page."""
STRIP_END = 10
"""Cells that charts leave at their right for a value and its scale, so that those of one page are equally wide."""
WAITING = "…"
"""Placeholder while something is being read."""


@dataclass(frozen=True)
class Figures:
    """Figures over the indexed corpus, all exact; those that take longer to read may be missing."""

    zeros: int
    """Counted tokens on which the feature is not active."""
    quantiles: Quantiles
    log_histogram: Histogram
    drift: Drift | None
    """None while it is being read."""
    logits: Histogram | None
    """Logit effects of all tokens; None where the site does not lead to the logits, or in older files."""
    cofiring: CoFiring | None
    """None while it is being read."""
    names: dict[int, str]
    """Labels or top tokens of the companions."""
    neurons: Weighted
    neuron_layer: int | None
    roles: tuple[tuple[str, float], ...] = ()
    """Shares of its activation in the turns of conversations, the largest first; empty while it is being read."""


def read_figures(
    store: FeatureStore, notes: dict[int, FeatureNotes], feature: int, sample: int | None = None
) -> Figures:
    """Read all figures; companions of a dense feature on a large corpus take up to a second.

    `sample` limits companions to that many of its tokens.

    Raises:
        MonosemError: there is no such feature, or the store is damaged or has vanished.
    """
    return read_slow_figures(store, notes, feature, read_quick_figures(store, feature), sample)


def read_quick_figures(store: FeatureStore, feature: int) -> Figures:
    """Read all figures except drift and companions: a few rows of the store.

    Raises:
        MonosemError: there is no such feature, or the store is damaged or has vanished.
    """
    store.check_lengths()
    return Figures(
        zeros=zeros(store, feature),
        quantiles=store.quantiles(feature),
        log_histogram=log_histogram(store, feature, BINS),
        drift=None,
        logits=logit_histogram(store, feature),
        cofiring=None,
        names={},
        neurons=store.neurons(feature),
        neuron_layer=store.spec.neuron_layer,
    )


def read_slow_figures(
    store: FeatureStore,
    notes: dict[int, FeatureNotes],
    feature: int,
    quick: Figures,
    sample: int | None = None,
) -> Figures:
    """Complete `quick` with drift and companions, from all postings (companions from `sample` of them).

    Raises:
        MonosemError: there is no such feature, or the store is damaged or has vanished.
    """
    from store.query.cofiring import cofiring
    from store.query.drift import drift
    from store.query.turns import role_shares

    store.check_lengths()
    together = cofiring(store, feature, LISTED, sample)
    names = {c.feature: feature_name(store, notes, c.feature) for c in together.companions}
    roles = role_shares(store, feature)
    return replace(quick, drift=drift(store, feature, BINS), cofiring=together, names=names, roles=roles)


def renamed(figures: Figures, store: FeatureStore, notes: dict[int, FeatureNotes]) -> Figures:
    """Return the figures with present names of companions: the same object if none has changed.

    Raises:
        MonosemError: the vocabulary cannot be read.
    """
    names = {feature: feature_name(store, notes, feature) for feature in figures.names}
    return figures if names == figures.names else replace(figures, names=names)


def charts(figures: Figures, cells: int) -> list[Line]:
    """Return log bins, quantiles and drift as lines under the histogram; none for a dead feature."""
    if not len(figures.quantiles.value):
        return []
    lines = log_bins(figures, cells) + along(figures, cells)
    values, at = quantile_texts(figures)
    parts = [line(fit("quantiles", LABEL), values), line(f"at {at} %")]
    return lines + wrap([in_role(part, Role.DIM) for part in parts], cells, BETWEEN, indent=LABEL)


def log_bins(figures: Figures, cells: int) -> list[Line]:
    """Return the histogram of activations in bins of equal ratio; none for a dead feature."""
    if not len(figures.quantiles.value):
        return []
    edges = figures.log_histogram.edges
    low, high = (activation(float(edge)) for edge in edges[[0, -1]])
    words = f"{BETWEEN}{low} to {high}{BETWEEN}{count(figures.zeros)} at zero"
    return [_chart("in log bins", figures.log_histogram.counts, [words, f" {low}–{high}"], cells)]


def along(figures: Figures, cells: int) -> list[Line]:
    """Return the density along the corpus: one line, also while it is being read."""
    if not len(figures.quantiles.value):
        return []
    if figures.drift is None:
        return [line(Span(fit("along corpus", LABEL), Role.DIM), WAITING)]
    density_S = figures.drift.density_S
    low, high = share(float(density_S.min())), share(float(density_S.max()))
    percent = " %" if low.endswith(" %") and high.endswith(" %") else ""
    words = [f"{BETWEEN}{low} to {high}", f" {low.removesuffix(percent)}–{high}"]
    return [_chart("along corpus", density_S, words, cells)]


def quantile_texts(figures: Figures) -> tuple[str, str]:
    """Return all quantiles, `1.2 · 5.1 · 8.8`, and their shares in percent, `5, 50, 95`."""
    values = " · ".join(activation(float(value)) for value in figures.quantiles.value)
    return values, ", ".join(f"{100 * q:g}" for q in figures.quantiles.q)


def quantile_words(figures: Figures) -> list[str]:
    """Return `median 5.1`, `5–95 % 1.2 to 8.8` for a line of numbers; none for a dead feature."""
    values = dict(zip(figures.quantiles.q, map(float, figures.quantiles.value), strict=False))
    if not {0.05, 0.5, 0.95} <= values.keys():
        return []
    ends = f"{activation(values[0.05])} to {activation(values[0.95])}"
    return [f"median {activation(values[0.5])}", f"5–95 % {ends}"]


def relations(figures: Figures, cells: int) -> list[Line]:
    """Return companions, logits of all tokens and neurons as lines under the neighbours, as far as known."""
    return links(figures, cells).lines


def links(figures: Figures, cells: int) -> Sheet:
    """Return `relations` with companions as stops; while they are being read, as many lines as they may take."""
    parts = [_companions(figures, cells)]
    if figures.roles:
        shares = [line(f"{name} ", Span(share(value), Role.DIM)) for name, value in figures.roles]
        parts.append(named("TURNS", shares, cells))
    if figures.logits is not None:
        low, high = (signed(float(value)) for value in figures.logits.edges[[0, -1]])
        n = int(figures.logits.counts.sum())
        columns = fitted(figures.logits.counts, cells - NAME - len(f"{low}  {high}"))
        chart = line(Span(f"{low} ", Role.DIM), sparkline(columns, log=True), Span(f" {high}", Role.DIM))
        parts.append(named("LOGITS", [chart, line(Span(f"{count(n)} tokens, log", Role.DIM))], cells))
    found = [
        line(str(neuron), " ", Span(cosine(value), Role.DIM))
        for neuron, value in zip(figures.neurons.id.tolist(), figures.neurons.value.tolist(), strict=True)
    ]
    layer = (
        [line(Span(f"layer {figures.neuron_layer}", Role.DIM))] if found and figures.neuron_layer is not None else []
    )
    return joined([*parts, named("NEURONS", [*layer, *found], cells)])


def _companions(figures: Figures, cells: int) -> Sheet:
    if figures.cofiring is None:
        if not len(figures.quantiles.value):
            return plain([])
        waiting = line(Span(fit(WITH, NAME), Role.HEADING), Span(WAITING, Role.DIM))
        return plain([waiting, *[()] * (room(cells) - 1)])
    companions = figures.cofiring.companions
    parts = [_companion(figures, companion) for companion in companions]
    return named(WITH, parts, cells, [companion.feature for companion in companions])


def _companion(figures: Figures, companion: Companion) -> Line:
    """Return one companion with share of tokens and lift: `17 ·she 38 % ×4.2`."""
    name = cut(figures.names[companion.feature], 20)
    lift = activation(companion.lift) if companion.lift < 9.95 else count(round(companion.lift))
    return line(str(companion.feature), " " if name else "", name, Span(f" {share(companion.share)} ×{lift}", Role.DIM))


def _chart(name: str, values: NDArray[np.generic], words: Sequence[str], cells: int) -> Line:
    """Return a strip on one line, with the first of some words that fit."""
    columns = fitted(values, cells - LABEL - STRIP_END)
    said = next((one for one in words if LABEL + len(columns) + len(one) <= cells), "")
    chart = line(Span(fit(name, LABEL), Role.DIM), sparkline(columns), Span(said, Role.DIM))
    return crop(chart, cells)
