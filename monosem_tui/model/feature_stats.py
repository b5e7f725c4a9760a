"""Numbers about a feature beyond its card: quantiles, log bins, drift, logits of all tokens, companions, neurons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from monosem_tui.draw.numbers import activation
from monosem_tui.model.feature_card import BINS, feature_name
from store.index.reader import FeatureStore, Quantiles, Weighted
from store.notes.note_file import FeatureNotes
from store.query.histogram import Histogram, log_histogram, logit_histogram, zeros

if TYPE_CHECKING:
    from store.query.cofiring import CoFiring
    from store.query.drift import Drift

LISTED = 10


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
