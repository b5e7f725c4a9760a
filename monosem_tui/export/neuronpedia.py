"""Feature batches as SAEDashboard writes them for Neuronpedia: batch-0.json and so on; and explanations.jsonl.

Fields that a feature index does not hold stay empty: correlations with neurons and between features, attributions.
Intervals have equal width from 0 to a feature's maximum, as in SAEDashboard 0.8.0 (sequence_data_generator.py); inside
one, examples are evenly spaced by rank, where SAEDashboard samples them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.files.atomic import write_text
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.notes.explanations import Explanations
from store.notes.note_file import FeatureNotes
from store.query.examples import Example, sections, windows
from store.query.histogram import Histogram, activation_histogram, logit_histogram
from store.query.intervals import activation_intervals

PER_BATCH = 128
"""Features per file."""
TOP, INTERVALS, EACH = 20, 5, 5
"""Strongest examples, intervals, and examples per interval: SAEDashboard's defaults."""
BEFORE, AFTER = 64, 63
"""Tokens around a peak: with it, the length of SAEDashboard's prompts."""
ALIGNED = 3
"""Coordinates listed per decoder row."""
BINS = 50
DIGITS = 5
"""Significant digits: SAEDashboard rounds to three decimals, which loses small activations."""


def write_batch(store: FeatureStore, name: str, number: int, folder: Path) -> Path:
    """Write one file of `PER_BATCH` features.

    Args:
        store: the index.
        name: name of the set, SAEDashboard's `sae_set`.
        number: number of the batch, from 0.
        folder: where to write.

    Raises:
        MonosemError: the autoencoder does not read a numbered layer, which Neuronpedia needs.
    """
    spec = store.spec
    if spec.layer is None:
        raise MonosemError(
            f"{name} reads {spec.site or 'an array'}, and Neuronpedia files features by the number of a layer",
            "Export to html, csv or parquet instead.",
        )
    batch = {
        "model_id": _model_id(store),
        "layer": spec.layer,
        "sae_set": name,
        "sae_id_suffix": None,
        "features": [feature_json(store, feature) for feature in _features(store, number)],
    }
    path = folder / f"batch-{number}.json"
    write_text(path, json.dumps(batch, allow_nan=False))
    return path


def batches(store: FeatureStore) -> int:
    """Return the number of files."""
    return -(-store.d_sae // PER_BATCH)


def write_explanations(
    store: FeatureStore, notes: dict[int, FeatureNotes], explanations: Explanations, name: str, folder: Path
) -> Path | None:
    """Write labels and explanations as Neuronpedia exports them, a line each; None where there are none.

    Labels come first and have no model's name; `monosem label --import` reads the file.
    """
    model, layer = _model_id(store), f"{store.spec.layer}-{name}"
    lines = []
    for feature in range(store.d_sae):
        said = [(note.label, "", "label")] if (note := notes.get(feature)) and note.label else []
        said += [(one.text, one.author, "explanation") for one in explanations.of(feature)]
        for text, author, kind in said:
            row = {"modelId": model, "layer": layer, "index": str(feature), "description": text}
            lines.append(json.dumps(row | {"typeName": kind, "explanationModelName": author}) + "\n")
    if not lines:
        return None
    path = folder / "explanations.jsonl"
    write_text(path, "".join(lines))
    return path


def _model_id(store: FeatureStore) -> str:
    return store.spec.model.rstrip("/").split("/")[-1]


def _features(store: FeatureStore, number: int) -> range:
    return range(number * PER_BATCH, min((number + 1) * PER_BATCH, store.d_sae))


def feature_json(store: FeatureStore, feature: int) -> dict[str, Any]:
    """Return one feature with the fields of `NeuronpediaDashboardFeature`."""
    logits, words, plan = store.logits(feature), store.vocabulary, store.plan
    heights, values = _bars(activation_histogram(store, feature, BINS))
    logit_heights, logit_values = _bars(logit_histogram(store, feature))
    return {
        "feature_index": feature,
        **_alignment(store.decoder_row(feature)),
        "correlated_neurons_indices": [],
        "correlated_neurons_l1": [],
        "correlated_neurons_pearson": [],
        "correlated_features_indices": [],
        "correlated_features_l1": [],
        "correlated_features_pearson": [],
        "neg_str": words.strings(logits.bottom.id.tolist()),
        "neg_values": _rounded(logits.bottom.value),
        "pos_str": words.strings(logits.top.id.tolist()),
        "pos_values": _rounded(logits.top.value),
        "frac_nonzero": float(store.columns.density_F[feature]),
        "freq_hist_data_bar_values": values,
        "freq_hist_data_bar_heights": heights,
        "logits_hist_data_bar_heights": logit_heights,
        "logits_hist_data_bar_values": logit_values,
        "n_prompts_total": store.n_contexts,
        "n_tokens_in_prompt": plan.context,
        "dataset": plan.data,
        "decoder_weights_dist": [],
        "activations": list(_activations(store, feature)),
        "vector": [],
    }


def _alignment(row_D: NDArray[np.float32]) -> dict[str, Any]:
    """Return the largest coordinates of a decoder row with their share of its L1 norm."""
    largest = np.argsort(-row_D, kind="stable")[:ALIGNED]
    total = float(np.abs(row_D).sum()) or 1.0
    return {
        "neuron_alignment_indices": largest.tolist(),
        "neuron_alignment_values": _rounded(row_D[largest]),
        "neuron_alignment_l1": _rounded(np.abs(row_D[largest]) / total),
    }


def _bars(found: Histogram | None) -> tuple[list[int], list[float]]:
    """Return the count and middle of each bin."""
    if found is None or not found.counts.any():
        return [], []
    return found.counts.tolist(), _rounded((found.edges[1:] + found.edges[:-1]) / 2)


def _activations(store: FeatureStore, feature: int) -> Iterator[dict[str, Any]]:
    top = float(store.columns.max_F[feature])
    for section in sections(store, feature, top=TOP, intervals=0, before=BEFORE, after=AFTER):
        for example in section.examples:
            yield _example(store, example, -1.0, top, -1.0)
    for one in activation_intervals(store, feature, INTERVALS, by_value=True):
        places = [("", place) for place in _spaced(store, feature, one.first, one.last)]
        share = (one.last - one.first) / max(1, store.n_counted)
        for example in windows(store, feature, places, BEFORE, AFTER):
            yield _example(store, example, one.low, one.high, share)


def _spaced(store: FeatureStore, feature: int, first: int, last: int) -> list[int]:
    """Return corpus positions of evenly spaced ranks between two."""
    ranks = np.unique(np.linspace(first, last - 1, min(EACH, last - first)).astype(np.int64))
    return [int(place) for place in store.at_ranks(feature, ranks).token]


def _example(store: FeatureStore, example: Example, low: float, high: float, share: float) -> dict[str, Any]:
    """Return one example without the BOS that the model was given and the text did not contain."""
    stop = example.start + len(example.token_T)
    skipped = int(example.peak > 0 and not store.counted(example.start, stop)[0])
    return {
        "bin_min": _figure(low),
        "bin_max": _figure(high),
        "bin_contains": _figure(share),
        "tokens": store.vocabulary.strings(example.token_T[skipped:].tolist()),
        "values": _rounded(example.act_T[skipped:]),
        "qualifying_token_index": example.peak - skipped,
    }


def _rounded(values: NDArray[Any]) -> list[float]:
    return [_figure(value) for value in values.tolist()]


def _figure(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
