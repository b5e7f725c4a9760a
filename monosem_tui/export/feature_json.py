"""A feature's page as JSON: what `monosem show RUN ID --json` prints and `e` exports."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from monosem_tui.export.explanation_json import explained_json
from monosem_tui.model.feature_document import example_sections
from monosem_tui.model.feature_stats import LISTED
from store.index.reader import FeatureStore, Weighted
from store.notes.explanations import Explanations
from store.notes.note_file import FeatureNotes
from store.query.cofiring import cofiring
from store.query.drift import drift
from store.query.examples import Example
from store.query.histogram import Histogram, activation_histogram, log_histogram, logit_histogram, zeros
from store.rules.kind_file import KeptKinds
from store.settings.features import ExampleSettings


def feature_json(
    store: FeatureStore, notes: dict[int, FeatureNotes], feature: int, choice: ExampleSettings
) -> dict[str, Any]:
    """Return the page for programs; keys may be added, never renamed."""
    logits, near, quantiles = store.logits(feature), store.neighbours(feature), store.quantiles(feature)
    sections = example_sections(store, feature, choice)
    return {
        "feature": feature,
        "label": notes.get(feature, FeatureNotes()).label,
        **figures_json(store, feature),
        "histogram": histogram_json(activation_histogram(store, feature)),
        "logits": {
            "top": _effects(store, logits.top),
            "bottom": _effects(store, logits.bottom),
            "histogram": histogram_json(logit_histogram(store, feature)),
        },
        "neighbours": [
            {"feature": int(i), "cosine": float(cosine)} for i, cosine in zip(near.id, near.value, strict=True)
        ],
        "examples": [example_json(store, example) for section in sections for example in section.examples],
        "zeros": zeros(store, feature),
        "quantiles": {"q": list(quantiles.q), "values": quantiles.value.tolist()},
        "log_histogram": histogram_json(log_histogram(store, feature)),
        "cofiring": _cofiring(store, notes, feature),
        "neurons": [
            {"layer": store.spec.neuron_layer, "neuron": int(i), "cosine": float(cosine)}
            for i, cosine in zip(*store.neurons(feature), strict=True)
        ],
        "drift": _drift(store, feature),
        "twin": store.twin(feature),
        **explained_json(feature, KeptKinds(store).sound(), Explanations.load(store.path)),
    }


def figures_json(store: FeatureStore, feature: int) -> dict[str, Any]:
    """Return a feature's figures, as in each list of features."""
    columns = store.columns
    return {
        "n_active": int(columns.count_F[feature]),
        "density": float(columns.density_F[feature]),
        "max": float(columns.max_F[feature]),
        "mean": float(columns.mean_F[feature]),
    }


def example_json(store: FeatureStore, example: Example) -> dict[str, Any]:
    """Return one example of the JSON page."""
    return {
        "interval": example.interval,
        "tokens": store.vocabulary.strings(example.token_T),
        "activations": example.act_T.tolist(),
        "peak": example.peak,
        "context": example.context,
        "position": example.position,
        **({} if example.role is None else {"role": example.role}),
        **({"outlier": True} if store.layout.is_outlier(example.start + example.peak) else {}),
    }


def histogram_json(found: Histogram | None) -> dict[str, Any] | None:
    """Return a histogram; None where there is none."""
    return None if found is None else {"edges": found.edges.tolist(), "counts": found.counts.tolist()}


def _cofiring(store: FeatureStore, notes: dict[int, FeatureNotes], feature: int) -> dict[str, Any]:
    found = cofiring(store, feature, LISTED)
    return {
        "tokens": found.n_used,
        "sampled": found.sampled,
        "minimum": found.minimum,
        "features": [
            asdict(companion) | {"label": notes.get(companion.feature, FeatureNotes()).label}
            for companion in found.companions
        ],
    }


def _drift(store: FeatureStore, feature: int) -> dict[str, Any]:
    found = drift(store, feature)
    return {
        "edges": found.edges.tolist(),
        "counted": found.counted_S.tolist(),
        "counts": found.count_S.tolist(),
        "density": found.density_S.tolist(),
    }


def _effects(store: FeatureStore, effects: Weighted) -> list[dict[str, Any]]:
    tokens = store.vocabulary.strings(effects.id)
    return [{"token": token, "value": float(value)} for token, value in zip(tokens, effects.value, strict=True)]
