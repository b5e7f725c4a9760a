"""Neurons as rules see them: each direction fires on its highest values, and is explained as a feature is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.index.neuron_file import create_neurons
from store.index.reader import FeatureStore
from store.notes.explanations import Explanation, Explanations
from store.rules import rule_process
from store.rules.kind_file import measured_kinds
from store.rules.neuron_firings import open_firings
from store.rules.rule_run import planned, work
from store.settings.explain import ExplainSettings
from tests.sample_run import Sample, build_sample

NEURONS = 4


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """A small run."""
    return build_sample(tmp_path / "run", n_contexts=200)


@pytest.fixture
def acts_ND(sample: Sample, tmp_path: Path) -> NDArray[np.float32]:
    """Neurons, in tmp_path/neurons.h5: the first rises on a feature's words, the second falls on them, one is 0."""
    rng = np.random.default_rng(1)
    acts_ND = rng.normal(scale=0.1, size=(len(sample.token_N), NEURONS)).astype(np.float32)
    acts_ND[:, 0] += 3 * (sample.dense_NF[:, 1] > 0)
    acts_ND[:, 1] -= 3 * (sample.dense_NF[:, 1] > 0)
    acts_ND[:, 2] = 0
    acts_ND[~sample.counted_N] = 50
    with create_neurons(tmp_path / "neurons.h5", "0", 1, np.ones(NEURONS, np.float32), len(acts_ND)) as writer:
        writer.add(acts_ND)
    return acts_ND.astype(np.float16).astype(np.float32)


def test_a_direction_fires_on_its_highest_values_as_often_as_the_median_feature(
    sample: Sample, acts_ND: NDArray[np.float32], tmp_path: Path
) -> None:
    with FeatureStore.open(sample.run.path) as store, open_firings(store, tmp_path / "neurons.h5") as firings:
        assert firings is not None
        count_F = store.columns.count_F
        most = int(np.median(count_F[count_F > 0]))
        blocks = list(firings.blocks())
        for detector in range(2 * NEURONS):
            value_N = (1 if detector < NEURONS else -1) * acts_ND[:, detector % NEURONS]
            able = np.flatnonzero(sample.counted_N & (value_N > 0))
            least = np.sort(value_N[able])[-most:].min(initial=np.inf)
            wanted = able[value_N[able] >= least]
            found = firings.postings(detector)
            assert sorted(found.token.tolist()) == wanted.tolist()
            np.testing.assert_allclose(found.act, np.sort(value_N[wanted])[::-1])
            assert firings.density_F[detector] == pytest.approx(len(wanted) / sample.counted_N.sum())
            (block,) = (one for one in blocks if one.first <= detector < one.stop)
            assert (block.feature_E == detector - block.first).sum() == len(wanted)
        with pytest.raises(MonosemError, match="no neuron"):
            firings.check_feature(2 * NEURONS)


def undated(found: list[Explanation]) -> list[tuple[int, str, str | None, object]]:
    """What does not depend on the clock or on the order."""
    return sorted((one.feature, one.text, one.rule, one.scores) for one in found)


@pytest.mark.usefixtures("acts_ND")
def test_neurons_are_explained_in_one_process_as_in_two_and_kept_beside_their_file(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, every = tmp_path / "neurons.h5", list(range(2 * NEURONS))
    alone = list(work(planned(sample.run.path, every, ExplainSettings(processes=1), path)))
    by_number = {one.feature: one for one in alone}
    for detector in (0, NEURONS + 1):
        assert "said" in by_number[detector].text
        score = by_number[detector].scores.f1
        assert score is not None and score.value > 0.5
    assert by_number[2].text == "never fires"
    assert planned(sample.run.path, every, ExplainSettings(), path).waiting == ()
    assert not Explanations.load(sample.run.path).by("rules")
    monkeypatch.setattr(rule_process, "FEW", 0)
    together = list(work(planned(sample.run.path, every, ExplainSettings(processes=2, again=True), path)))
    assert undated(together) == undated(alone)
    kinds = measured_kinds(sample.run.path, neurons=path)
    assert len(kinds.kind_F) == 2 * NEURONS
    assert kinds.of(0) == "token"
    assert not (sample.run.kinds).exists()


def test_neurons_of_other_tokens_are_refused(sample: Sample, tmp_path: Path) -> None:
    with create_neurons(tmp_path / "few.h5", "0", 1, np.ones(1, np.float32), 3) as writer:
        writer.add(np.zeros((3, 1), np.float32))
    with pytest.raises(MonosemError, match="other tokens"):
        planned(sample.run.path, [0], ExplainSettings(), tmp_path / "few.h5")
