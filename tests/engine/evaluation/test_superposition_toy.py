"""The toy model is what it says, and the default autoencoder finds its directions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from store.settings.train import TrainSettings
from tests.engine.evaluation.superposition_toy import ToyModel, ToySettings, max_cosines, recover


def test_batches_are_sums_of_few_directions() -> None:
    """Least squares solves it with at most as many directions as dimensions."""
    toy = ToyModel(ToySettings(directions=12, dimensions=16, present=0.25, seed=4))
    x_BD = toy.batch(4000)
    assert torch.allclose(toy.directions_ND.norm(dim=1), torch.ones(12))
    found = np.linalg.lstsq(toy.directions_ND.T.double().numpy(), x_BD.T.double().numpy(), rcond=None)[0].T
    assert np.abs(found @ toy.directions_ND.double().numpy() - x_BD.double().numpy()).max() < 1e-5
    present = found > 1e-5
    assert found.min() > -1e-5 and found.max() < 1 + 1e-5
    assert present.mean(0) == pytest.approx(np.full(12, 0.25), abs=0.04)
    assert found[present].mean() == pytest.approx(0.5, abs=0.02)
    assert np.abs(np.corrcoef(present.T) - np.eye(12)).max() < 0.08


def test_the_seed_is_the_world_and_its_batches() -> None:
    first, same, other = (ToyModel(ToySettings(seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(first.directions_ND, same.directions_ND)
    assert not torch.equal(first.directions_ND, other.directions_ND)
    assert [b.sum() for b in first.batches(2, 8)] == [b.sum() for b in same.batches(2, 8)]


def test_cosines_by_hand() -> None:
    truth = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    decoder = torch.tensor([[3.0, 0.0], [2.0, 2.0], [0.0, 0.0]])
    assert max_cosines(truth, decoder).tolist() == pytest.approx([1.0, 0.5**0.5, 0.0], abs=1e-6)


def test_the_default_autoencoder_finds_the_directions() -> None:
    """Twice as many directions as dimensions, two of them present at a time; before training they are not there."""
    toy = ToyModel(ToySettings(directions=64, dimensions=32, present=0.03))
    settings = TrainSettings(tokens=200_000, d_sae=128, k=4)
    untrained = torch.randn(128, 32, generator=torch.Generator().manual_seed(settings.seed))
    assert max_cosines(toy.directions_ND, untrained).mean() < 0.6
    found = recover(toy, settings)
    assert found.mean_max_cosine >= 0.98
    assert found.found >= 0.95
