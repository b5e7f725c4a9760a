"""Plots of a feature and of a run as SVG, with axes: what the app draws with characters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.numbers import count
from monosem_tui.draw.safe_text import printable
from monosem_tui.draw.svg_plots import Axis, Line, columns, lines, sheet
from monosem_tui.model.feature_document import Document
from monosem_tui.model.run_health import Densities
from monosem_tui.model.training_watch import Training
from store.query.histogram import Histogram
from store.run.counted_noun import TOKEN, CountedNoun
from store.run.events import TrainEvent

MOST_POINTS = 500
"""Points of a curve; of more, evenly spaced ones are drawn."""
FEW = 100
"""Largest count up to which columns are as high as they count; above, heights are logarithms."""


def feature_plots(document: Document) -> str:
    """Return a feature's activations, their density along the corpus and its logit effects, on one sheet."""
    card, figures = document.card, document.figures
    noun = f"{card.noun.many} per column"
    plots = []
    if not card.dead:
        found = card.histogram
        x = Axis("activation, where it fires", 0.0, float(found.edges[-1]))
        plots.append(_counts(f"Activations of {count(card.count)} {card.noun.many}", x, found, noun))
    if figures.drift is not None and not card.dead:
        share_S = figures.drift.density_S
        edges = np.linspace(0.0, 1.0, len(share_S) + 1)
        y = Axis("share of its stretch that it fires on", 0.0, float(share_S.max(initial=0.0)) or 1.0)
        x = Axis("place in the corpus, from start to end", 0.0, 1.0)
        plots.append(columns("Along the corpus", x, y, edges.tolist(), share_S.tolist()))
    if figures.logits is not None:
        found = figures.logits
        x = Axis("effect on the logit of the next token", float(found.edges[0]), float(found.edges[-1]))
        plots.append(_counts("Logit effects of the whole vocabulary", x, found, "tokens per column"))
    return sheet(f"{card.feature} {card.label}".strip() + f" · {document.run}", plots)


def run_plots(found: Densities, training: Training, noun: CountedNoun = TOKEN) -> dict[str, str]:
    """Return the plots of Health by name: densities, and curves of the training where its record is there."""
    histogram = found.histogram
    x = Axis(f"log10 of the share of {noun.many} that a feature fires on", float(histogram.edges[0]), 0.0)
    plots = {"density": _counts("How often features fire", x, histogram, "features")}
    measures: dict[str, tuple[str, Callable[[TrainEvent], float]]] = {
        "loss": ("log10 of the loss", lambda event: float(np.log10(max(event.loss, 1e-12)))),
        "explained-variance": ("explained variance", lambda event: max(0.0, event.explained_variance)),
        "l0": ("active features", lambda event: event.l0),
        "dead": ("features that have not fired lately", lambda event: float(event.dead)),
    }
    for name, (title, value) in measures.items():
        if training.points:
            plots[name] = _curve(title, training.points, value, noun)
    return plots


def _counts(title: str, x: Axis, found: Histogram, noun: str) -> str:
    few = found.counts.max(initial=0) <= FEW
    height_B: NDArray[np.float64] = found.counts.astype(np.float64) if few else np.log10(1.0 + found.counts)
    y = Axis(noun if few else f"log10 of 1 + {noun}", 0.0, float(height_B.max(initial=0.0)) or 1.0)
    return columns(printable(title), x, y, found.edges.tolist(), height_B.tolist())


def _curve(title: str, points: Sequence[TrainEvent], value: Callable[[TrainEvent], float], noun: CountedNoun) -> str:
    step = -(-len(points) // MOST_POINTS)
    kept = [*points[:-1:step], points[-1]]
    drawn = [(event.tokens / 1e6, value(event)) for event in kept if np.isfinite(value(event))]
    low, high = min((y for _, y in drawn), default=0.0), max((y for _, y in drawn), default=1.0)
    y = Axis(title, low, high if high > low else low + 1.0)
    x = Axis(f"millions of {noun.many}", 0.0, points[-1].tokens / 1e6 or 1.0)
    return lines(f"Training: {title}", x, y, [Line(title, drawn)])
