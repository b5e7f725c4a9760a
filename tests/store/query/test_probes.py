"""Sparse probes: planted labels are told, noise is not, and figures equal a dense computation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.query import probes
from store.query.labels import UNLABELLED, Labels
from store.query.probes import SIZES, sparse_probes
from store.rules.halves import is_measuring
from tests.store.raw import Raw, RawToken, build_store

TEXTS, FEATURES, LENGTH = 120, 12, 6


def corpus(seed: int) -> tuple[Raw, np.ndarray]:
    """Documents of two labels: feature 3 tells label 0 from the rest, 5 weakly; all others fire at random."""
    rng = np.random.default_rng(seed)
    label_T = rng.integers(0, 2, TEXTS)
    contexts = []
    for number, label in enumerate(label_T.tolist()):
        tokens = []
        for _ in range(LENGTH):
            acts = {f: float(np.float16(rng.random() + 0.1)) for f in range(FEATURES) if rng.random() < 0.2}
            if label == 0 and rng.random() < 0.7:
                acts[3] = 4.0
            if rng.random() < (0.5 if label == 0 else 0.2):
                acts[5] = 1.0
            tokens.append(RawToken(int(rng.integers(1, 8)), number, True, acts))
        contexts.append(tokens)
    return Raw(FEATURES, contexts), label_T


def labels_of(label_T: np.ndarray) -> Labels:
    return Labels(("a", "b"), np.repeat(label_T, LENGTH).astype(np.int32), len(label_T), 0, 0)


@pytest.mark.parametrize("merged", [True, False])
def test_the_planted_feature_is_found_and_tells(tmp_path: Path, merged: bool) -> None:
    raw, label_T = corpus(0)
    build_store(tmp_path / "run", raw, 40, merged=merged)
    with FeatureStore.open(tmp_path / "run") as store:
        found = sparse_probes(store, labels_of(label_T))
    assert [one.label for one in found.probes] == ["a", "b"]
    for probe in found.probes:
        assert probe.features[0] == 3
        assert probe.accuracy[0] > 0.9
        assert len(probe.accuracy) == len(SIZES)
    assert found.mean_accuracy()[0] == pytest.approx(np.mean([one.accuracy[0] for one in found.probes]))


def test_labels_without_meaning_are_told_by_chance(tmp_path: Path) -> None:
    raw, _ = corpus(1)
    build_store(tmp_path / "run", raw, 40, merged=True)
    rng = np.random.default_rng(5)
    with FeatureStore.open(tmp_path / "run") as store:
        means = [sparse_probes(store, labels_of(rng.integers(0, 2, TEXTS))).mean_accuracy() for _ in range(20)]
    assert np.abs(np.mean(means, axis=0) - 0.5).max() < 0.05


def test_figures_equal_a_dense_computation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ranking from dense means; the fit against a long gradient descent on the same loss; blocks of any size."""
    raw, label_T = corpus(2)
    build_store(tmp_path / "run", raw, 40, merged=True)
    dense_TF = np.zeros((TEXTS, FEATURES))
    for number, tokens in enumerate(raw.contexts):
        for token in tokens:
            for feature, act in token.acts.items():
                dense_TF[number, feature] += act / LENGTH
    chosen_T = ~is_measuring(np.arange(TEXTS))
    is_a_T = label_T == 0
    apart = np.abs(dense_TF[chosen_T & is_a_T].mean(0) - dense_TF[chosen_T & ~is_a_T].mean(0)) / dense_TF[chosen_T].std(
        0
    )
    order = np.argsort(-apart)[:5]
    with FeatureStore.open(tmp_path / "run") as store:
        whole = sparse_probes(store, labels_of(label_T))
        monkeypatch.setattr(probes, "_CELLS", TEXTS)
        assert sparse_probes(store, labels_of(label_T)) == whole
    assert whole.probes[0].features == tuple(order.tolist())
    for size, accuracy in zip(SIZES, whole.probes[0].accuracy, strict=True):
        assert accuracy == pytest.approx(_slow_accuracy(dense_TF[:, order[:size]], is_a_T, chosen_T), abs=1e-9)


def _slow_accuracy(value: np.ndarray, is_label: np.ndarray, chosen: np.ndarray) -> float:
    x = (value - value[chosen].mean(0)) / value[chosen].std(0)
    x = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    weight = np.where(is_label[chosen], 0.5 / is_label[chosen].sum(), 0.5 / (~is_label[chosen]).sum())
    beta, ridge = np.zeros(x.shape[1]), np.array([0.0] + [1e-2] * (x.shape[1] - 1))
    for _ in range(5000):
        chance = 1 / (1 + np.exp(-x[chosen] @ beta))
        beta -= 0.5 * (x[chosen].T @ (weight * (chance - is_label[chosen])) + ridge * beta)
    said, truth = x[~chosen] @ beta > 0, is_label[~chosen]
    return float((said[truth].mean() + (~said[~truth]).mean()) / 2)


def test_labels_of_few_texts_are_left_out_or_refused(tmp_path: Path) -> None:
    raw, label_T = corpus(0)
    build_store(tmp_path / "run", raw, 40, merged=True)
    rare_T = np.where(np.arange(TEXTS) < 5, 1, 0)
    with FeatureStore.open(tmp_path / "run") as store:
        with pytest.raises(MonosemError, match="no label has 10 texts"):
            sparse_probes(store, labels_of(rare_T))
        three = Labels(("a", "b", "c"), np.repeat(np.where(rare_T, 2, label_T), LENGTH).astype(np.int32), TEXTS, 0, 0)
        assert sparse_probes(store, three).skipped == ("c",)
        some = three.label_N.copy()
        some[: LENGTH * 7] = UNLABELLED
        assert sparse_probes(store, three._replace(label_N=some)).probes[0].texts == int((some[::LENGTH] == 0).sum())
