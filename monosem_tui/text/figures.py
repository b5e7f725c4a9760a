"""Numbers about a feature beyond its card: quantiles, log bins, drift, logits of all tokens, companions, neurons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monosem_tui.text.bars import sparkline
from monosem_tui.text.card import BINS, feature_name
from monosem_tui.text.numbers import activation, cosine, count, share, signed
from monosem_tui.text.page import named
from monosem_tui.text.safe import cut, fit
from monosem_tui.text.spans import Line, Role, Span, line, wrap
from store.cofiring import CoFiring, cofiring
from store.drift import Drift, drift
from store.histogram import Histogram, log_histogram, logit_histogram, zeros
from store.notes import FeatureNotes
from store.reader import FeatureStore, Quantiles, Weighted

LISTED = 10
LABEL = 14
"""Cells of the words left of a chart; `activation  0 ` of the page has as many."""
BETWEEN = "   "


@dataclass(frozen=True)
class Figures:
    """Exact over the indexed corpus."""

    zeros: int
    """Counted tokens on which the feature does not fire."""
    quantiles: Quantiles
    log_histogram: Histogram
    drift: Drift
    logits: Histogram | None
    """Of the effects on all tokens; None where the site does not lead to the logits, or the file is older."""
    cofiring: CoFiring
    names: dict[int, str]
    """Labels, or tokens they fire on, of the companions."""
    neurons: Weighted
    neuron_layer: int | None


def read_figures(store: FeatureStore, notes: dict[int, FeatureNotes], feature: int) -> Figures:
    """Read them; the companions of a feature that fires on much of a large corpus take up to a second.

    Raises:
        MonosemError: there is no such feature, or the store is damaged or has vanished.
    """
    store.check_lengths()
    together = cofiring(store, feature, LISTED)
    return Figures(
        zeros=zeros(store, feature),
        quantiles=store.quantiles(feature),
        log_histogram=log_histogram(store, feature, BINS),
        drift=drift(store, feature, BINS),
        logits=logit_histogram(store, feature),
        cofiring=together,
        names={c.feature: feature_name(store, notes, c.feature) for c in together.companions},
        neurons=store.neurons(feature),
        neuron_layer=store.spec.neuron_layer,
    )


def charts(figures: Figures, cells: int) -> list[Line]:
    """Log bins, quantiles and drift, to stand under the histogram of activations; nothing where it never fires."""
    if not len(figures.quantiles.value):
        return []
    edges, density_S = figures.log_histogram.edges, figures.drift.density_S
    spread = f"{activation(float(edges[0]))} to {activation(float(edges[-1]))}"
    lines = _chart(
        "in log bins", figures.log_histogram.counts, f"{spread}{BETWEEN}{count(figures.zeros)} at zero", cells
    )
    lines += _chart(
        "along corpus", density_S, f"{share(float(density_S.min()))} to {share(float(density_S.max()))}", cells
    )
    values = " · ".join(activation(float(value)) for value in figures.quantiles.value)
    at = ", ".join(f"{100 * q:g}" for q in figures.quantiles.q)
    parts = [line(fit("quantiles", LABEL), values), line(f"at {at} %")]
    return lines + wrap([_dim(part) for part in parts], cells, BETWEEN, indent=LABEL)


def relations(figures: Figures, cells: int) -> list[Line]:
    """Logits of all tokens, companions and neurons, to stand under the neighbours; nothing of what is not known."""
    lines: list[Line] = []
    if figures.logits is not None:
        low, high = (signed(float(value)) for value in figures.logits.edges[[0, -1]])
        n = int(figures.logits.counts.sum())
        chart = line(Span(f"{low} ", Role.DIM), sparkline(figures.logits.counts, log=True), Span(f" {high}", Role.DIM))
        lines += named("LOGITS", [chart, _dim(line(f"{count(n)} tokens, log"))], cells)
    lines += named("WITH", [_companion(figures, i) for i in range(len(figures.cofiring.companions))], cells)
    found = [
        line(str(neuron), " ", Span(cosine(value), Role.DIM))
        for neuron, value in zip(figures.neurons.id.tolist(), figures.neurons.value.tolist(), strict=True)
    ]
    layer = [_dim(line(f"layer {figures.neuron_layer}"))] if found and figures.neuron_layer is not None else []
    return [*lines, *named("NEURONS", [*layer, *found], cells)]


def _companion(figures: Figures, i: int) -> Line:
    """`17 ·she 38 % ×4.2`: share of the tokens and lift."""
    companion = figures.cofiring.companions[i]
    name = cut(figures.names[companion.feature], 20)
    lift = activation(companion.lift) if companion.lift < 9.95 else count(round(companion.lift))
    return line(str(companion.feature), " " if name else "", name, Span(f" {share(companion.share)} ×{lift}", Role.DIM))


def _chart(name: str, counts: NDArray[np.int64] | NDArray[np.float64], words: str, cells: int) -> list[Line]:
    parts = [line(Span(fit(name, LABEL), Role.DIM), sparkline(counts)), _dim(line(words))]
    return wrap(parts, cells, BETWEEN, indent=LABEL)


def _dim(spans: Line) -> Line:
    return tuple(Span(span.text, Role.DIM) for span in spans)
