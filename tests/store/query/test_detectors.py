"""Neurons as detectors: every figure of `find` equals a count over all tokens at every threshold."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from store.index.neuron_file import NeuronActs, create_neurons
from store.index.reader import FeatureStore
from store.query.detectors import NeuronDetectors, neuron_of
from store.query.find import FindOptions, Found, Question, search
from tests.sample_run import Sample, build_sample

NEURONS = 5


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """A small run."""
    return build_sample(tmp_path / "run")


@pytest.fixture
def acts_ND(sample: Sample, tmp_path: Path) -> NDArray[np.float32]:
    """Neurons with few distinct values and both signs, as stored, in tmp_path/neurons.h5."""
    rng = np.random.default_rng(1)
    acts_ND = (rng.integers(-6, 7, (len(sample.token_N), NEURONS)) / 4).astype(np.float32)
    acts_ND[:, 2] -= 2 * (sample.dense_NF[:, 0] > 0)
    unit_D = np.array([1, 2, 1, 0.5, 1], np.float32)
    with create_neurons(tmp_path / "neurons.h5", "0", 1, unit_D, len(acts_ND)) as writer:
        writer.add(acts_ND)
    return acts_ND


def found(sample: Sample, path: Path, question: Question, options: FindOptions) -> Found:
    """The whole answer."""
    with FeatureStore.open(sample.run.path) as store, NeuronActs.open(path) as acts:
        *_, last = search(store, question, options, NeuronDetectors(acts, store.layout.counted_tokens()))
        return last


def f1(fires_N: NDArray[np.bool_], matched_N: NDArray[np.bool_]) -> float:
    """F1 of a detector on some tokens."""
    return float(2 * (fires_N & matched_N).sum() / max(1, fires_N.sum() + matched_N.sum()))


def auroc(value_N: NDArray[np.float32], matched_N: NDArray[np.bool_]) -> float:
    """The probability that a matching token has the higher value, ties counting half."""
    high, low = value_N[matched_N], value_N[~matched_N]
    return float(np.mean([(a > low).mean() + (a == low).mean() / 2 for a in high]))


@pytest.mark.parametrize("held_out", [False, True])
def test_find_equals_a_count_over_all_tokens(
    sample: Sample, acts_ND: NDArray[np.float32], tmp_path: Path, held_out: bool
) -> None:
    counted_N = sample.counted_N
    matched_N = sample.dense_NF[:, 0] > 0
    odd_N = np.arange(len(counted_N)) // 32 % 2 == 1
    choosing_N, measuring_N = (counted_N & ~odd_N, counted_N & odd_N) if held_out else (counted_N, counted_N)
    question = Question("words", counted_N, matched_N)
    answer = found(sample, tmp_path / "neurons.h5", question, FindOptions(top=2 * NEURONS, held_out=held_out))
    assert len(answer.results) == 2 * NEURONS
    ranked = []
    for one in answer.results:
        neuron, is_low = neuron_of(one.choice.feature, NEURONS)
        value_N = (-1 if is_low else 1) * acts_ND[:, neuron]
        best = max(f1(value_N[choosing_N] >= t, matched_N[choosing_N]) for t in np.unique(value_N[choosing_N]))
        assert f1(value_N[choosing_N] >= one.choice.threshold, matched_N[choosing_N]) == pytest.approx(best)
        fires_N = (value_N >= one.choice.threshold) & measuring_N
        assert one.tally.fired == fires_N.sum()
        assert one.tally.hits == (fires_N & matched_N).sum()
        assert one.auroc == pytest.approx(auroc(value_N[measuring_N], matched_N[measuring_N]))
        assert one.n_active == (value_N[counted_N] > 0).sum()
        ranked.append(best)
    assert ranked == sorted(ranked, reverse=True)
    assert answer.results[0].choice.feature == NEURONS + 2  # the low values of the neuron that falls on those words


def test_the_set_grows_by_the_best_detector_of_all(
    sample: Sample, acts_ND: NDArray[np.float32], tmp_path: Path
) -> None:
    matched_N = sample.dense_NF[:, 0] > 0
    question = Question("words", sample.counted_N, matched_N)
    answer = found(sample, tmp_path / "neurons.h5", question, FindOptions(top=1, most=2))
    assert answer.union is not None
    first, *others = answer.union.choices
    values = [sign * acts_ND[:, neuron] for sign, neuron in product((1, -1), range(NEURONS))]
    mine_N = values[first.feature] >= first.threshold
    joined = [
        f1((mine_N | (value_N >= t))[sample.counted_N], matched_N[sample.counted_N])
        for value_N in values
        for t in np.unique(value_N)
    ]
    alone = f1(mine_N[sample.counted_N], matched_N[sample.counted_N])
    assert answer.union.tally.f1 == pytest.approx(max(joined) if others else alone)
    assert max(joined) <= answer.union.tally.f1 + 1e-12
