"""Sparse probes: how well a label of a text can be told from a few features alone.

A text is a stretch of labelled tokens of one document; its value of a feature is the feature's mean activation over
them, zeros included. For each label against all others, features are ranked by |difference of means| over the spread
between texts, on the choosing half of the documents. A logistic regression on the best 1, 2 and 5 of them, fitted there
with both classes weighing the same, is judged on the other half by its balanced accuracy (a half is chance). After
Gurnee et al. 2023 (Finding Neurons in a Haystack) and SAEBench's sparse probing (Karvonen et al. 2025), which draw
balanced sets in place of weights.

Shapes: T texts, F features, K features of a probe.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.query.labels import UNLABELLED, Labels
from store.rules.feature_blocks import FeatureBlock, feature_blocks
from store.rules.halves import document_halves

SIZES = (1, 2, 5)
"""Numbers of features that a probe reads."""
FEWEST = 10
"""Texts of a label, and of all others, in each half below which the label is not probed."""
_CELLS = 1 << 22
"""Values of texts and features that are held at a time."""
_RIDGE = 1e-2
"""Weight of the squared coefficients, beside a mean loss, of standardised features."""
_STEPS = 30
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Probe:
    """A label told from all others by few features."""

    label: str
    texts: int
    """Texts of the label, in both halves."""
    features: tuple[int, ...]
    """The features of the largest probe, the best first."""
    accuracy: tuple[float, ...]
    """Balanced accuracy on the measuring half, for each of SIZES."""


@dataclass(frozen=True)
class Probes:
    """The probes of all labels that have enough texts."""

    probes: tuple[Probe, ...]
    skipped: tuple[str, ...]
    """Labels with too few texts in a half."""

    def mean_accuracy(self) -> tuple[float, ...]:
        """Return the mean over labels for each of SIZES."""
        return tuple(float(one) for one in np.mean([probe.accuracy for probe in self.probes], axis=0))


class _Texts:
    """The labelled texts of an index."""

    def __init__(self, store: FeatureStore, labels: Labels, seed: int) -> None:
        halves = document_halves(store, seed)
        used_N = (halves.choosing_N | halves.measuring_N) & (labels.label_N != UNLABELLED)
        key_N = halves.document_N.astype(np.int64) * len(labels.names) + labels.label_N
        key_T, text_U = np.unique(key_N[used_N], return_inverse=True)
        self.text_N = np.full(store.n_tokens, -1, np.int64)
        self.text_N[used_N] = text_U
        """Text of each token; -1 for those of none."""
        self.tokens_T = np.bincount(text_U, minlength=len(key_T))
        self.label_T = key_T % len(labels.names)
        self.choosing_T = np.zeros(len(key_T), bool)
        self.choosing_T[text_U[halves.choosing_N[used_N]]] = True

    def means(self, block: FeatureBlock, first: int, stop: int) -> Floats:
        """Return mean activations [T, stop − first] of some features of a block, counted from its first."""
        low, high = np.searchsorted(block.feature_E, [first, stop])
        text_E = self.text_N[block.place_E[low:high]]
        held_E, size = text_E >= 0, len(self.tokens_T)
        cell_E = (block.feature_E[low:high][held_E] - first) * size + text_E[held_E]
        sums = np.bincount(cell_E, weights=block.act_E[low:high][held_E], minlength=(stop - first) * size)
        means_TF: Floats = (sums.reshape(stop - first, size) / self.tokens_T).T
        return means_TF


def sparse_probes(store: FeatureStore, labels: Labels, seed: int = 0) -> Probes:
    """Return the probes of an index's labels.

    Args:
        store: the index.
        labels: of its tokens (store.query.labels.apply_labels).
        seed: of the halves of documents.

    Raises:
        MonosemError: no label has `FEWEST` texts in each half.
    """
    texts = _Texts(store, labels, seed)
    wanted = [number for number in range(len(labels.names)) if _has_enough(texts, texts.label_T == number)]
    skipped = tuple(name for number, name in enumerate(labels.names) if number not in wanted)
    if not wanted:
        raise MonosemError(
            f"no label has {FEWEST} texts, and {FEWEST} others, in each half of the documents", "Index more text."
        )
    best = _best(store, texts, wanted)
    probes = []
    for number in wanted:
        features, value_TK = best[number]
        accuracy = tuple(_accuracy(value_TK[:, :size], texts.label_T == number, texts.choosing_T) for size in SIZES)
        probes.append(Probe(labels.names[number], int((texts.label_T == number).sum()), features, accuracy))
    return Probes(tuple(probes), skipped)


def _has_enough(texts: _Texts, is_label_T: NDArray[np.bool_]) -> bool:
    groups = [half & side for half in (texts.choosing_T, ~texts.choosing_T) for side in (is_label_T, ~is_label_T)]
    return min(int(group.sum()) for group in groups) >= FEWEST


def _best(store: FeatureStore, texts: _Texts, wanted: list[int]) -> dict[int, tuple[tuple[int, ...], Floats]]:
    """Return the best features of each label, and their values [T, K]."""
    step = max(1, _CELLS // max(1, len(texts.tokens_T)))
    kept: dict[int, list[tuple[float, int, Floats]]] = {number: [] for number in wanted}
    for block in feature_blocks(store):
        for first in range(0, block.stop - block.first, step):
            stop = min(first + step, block.stop - block.first)
            value_TF = texts.means(block, first, stop)
            for number in wanted:
                score_F = _separation(value_TF[texts.choosing_T], texts.label_T[texts.choosing_T] == number)
                top = np.argsort(-score_F, kind="stable")[: SIZES[-1]]
                found = [(-float(score_F[f]), block.first + first + int(f), value_TF[:, f].copy()) for f in top]
                kept[number] = sorted(kept[number] + found, key=lambda one: one[:2])[: SIZES[-1]]
    return {
        number: (tuple(feature for _, feature, _ in found), np.stack([value_T for *_, value_T in found], axis=1))
        for number, found in kept.items()
    }


def _separation(value_TF: Floats, is_label_T: NDArray[np.bool_]) -> Floats:
    """Return |difference of means| over the standard deviation of each feature; 0 where it is constant."""
    spread_F = value_TF.std(axis=0)
    apart_F = np.abs(value_TF[is_label_T].mean(axis=0) - value_TF[~is_label_T].mean(axis=0))
    score_F: Floats = np.divide(apart_F, spread_F, out=np.zeros_like(apart_F), where=spread_F > 0)
    return score_F


def _accuracy(value_TK: Floats, is_label_T: NDArray[np.bool_], choosing_T: NDArray[np.bool_]) -> float:
    """Fit on the choosing half; return the mean over both classes of the share told rightly on the other."""
    mean_K, spread_K = value_TK[choosing_T].mean(axis=0), value_TK[choosing_T].std(axis=0)
    x_TK = (value_TK - mean_K) / np.where(spread_K > 0, spread_K, 1.0)
    weights = _logistic(x_TK[choosing_T], is_label_T[choosing_T])
    said_T = x_TK[~choosing_T] @ weights[1:] + weights[0] > 0
    truth_T = is_label_T[~choosing_T]
    return float((said_T[truth_T].mean() + (~said_T[~truth_T]).mean()) / 2)


def _logistic(x_TK: Floats, is_label_T: NDArray[np.bool_]) -> Floats:
    """Return intercept and coefficients [1 + K] of a ridge logistic regression, by Newton's method."""
    ones_TK = np.concatenate([np.ones((len(x_TK), 1)), x_TK], axis=1)
    weight_T = np.where(is_label_T, 0.5 / is_label_T.sum(), 0.5 / (~is_label_T).sum())
    ridge_K = np.full(ones_TK.shape[1], _RIDGE)
    ridge_K[0] = 1e-9
    beta_K = np.zeros(ones_TK.shape[1])
    for _ in range(_STEPS):
        chance_T = 1 / (1 + np.exp(-np.clip(ones_TK @ beta_K, -50, 50)))
        slope_K = ones_TK.T @ (weight_T * (chance_T - is_label_T)) + ridge_K * beta_K
        bend = (ones_TK.T * (weight_T * np.maximum(chance_T * (1 - chance_T), 1e-9))) @ ones_TK + np.diag(ridge_K)
        step_K = np.linalg.solve(bend, slope_K)
        beta_K -= step_K
        if np.abs(step_K).max() < 1e-9:
            break
    return beta_K
