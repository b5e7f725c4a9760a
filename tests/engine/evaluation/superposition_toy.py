"""A toy model of superposition: more sparse directions than dimensions, and whether an autoencoder finds them.

x = Σ_i present_i · magnitude_i · direction_i, each of n directions present with probability p on its own, magnitudes
uniform between 0 and 1, directions random unit vectors in d < n dimensions (Elhage et al. 2022, "Toy Models of
Superposition"; the measure is that of Sharkey et al. 2022, "Taking features out of superposition with sparse
autoencoders": mean max cosine similarity).

Shapes: B rows of a batch, N directions, D dimensions, F = d_sae.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.jobs.train_settings import resolved, trainer_settings
from engine.training.trainer import SaeTrainer
from store.settings.train import TrainSettings

OTHER_SEEDS = 1_000_000_007
"""Added to seeds here: an autoencoder of the same seed draws its first decoder from the same numbers otherwise, and
begins with the truth."""


@dataclass(frozen=True, kw_only=True)
class ToySettings:
    """A small world of known directions."""

    directions: int = 128
    dimensions: int = 64
    present: float = 0.03
    """Probability that a direction is present; directions times this is the mean L0 of the truth."""
    seed: int = 0


class ToyModel:
    """Batches of sums of few directions, from a seed."""

    def __init__(self, settings: ToySettings) -> None:
        self.settings = settings
        self.generator = torch.Generator().manual_seed(OTHER_SEEDS + settings.seed)
        rows_ND = torch.randn(settings.directions, settings.dimensions, generator=self.generator)
        self.directions_ND = rows_ND / rows_ND.norm(dim=1, keepdim=True)

    def batch(self, rows: int) -> Tensor:
        """The next rows [B, D]."""
        shape = (rows, self.settings.directions)
        present_BN = torch.rand(shape, generator=self.generator) < self.settings.present
        x_BD: Tensor = (torch.rand(shape, generator=self.generator) * present_BN) @ self.directions_ND
        return x_BD

    def batches(self, count: int, rows: int) -> Iterator[Tensor]:
        """`count` further batches."""
        return (self.batch(rows) for _ in range(count))


@dataclass(frozen=True)
class Recovery:
    """Match of decoder rows with the true directions."""

    mean_max_cosine: float
    """Mean over true directions of the largest cosine with any decoder row."""
    found: float
    """Share of the true directions with a cosine above 0.9."""


def max_cosines(directions_ND: Tensor, W_dec_FD: Tensor) -> Tensor:
    """The largest cosine of each true direction with any decoder row [N]."""
    unit_FD = W_dec_FD / W_dec_FD.norm(dim=1, keepdim=True).clamp_min(1e-12)
    unit_ND = directions_ND / directions_ND.norm(dim=1, keepdim=True)
    cosine_NF: Tensor = unit_ND @ unit_FD.T
    return cosine_NF.amax(1)


def recover(toy: ToyModel, settings: TrainSettings) -> Recovery:
    """Train an autoencoder on a toy model by the rules of `monosem train`, and compare its decoder with the truth.

    Of the settings, what concerns model and text plays no part.
    """
    wanted = trainer_settings(resolved(settings, toy.settings.dimensions), toy.settings.dimensions)
    trainer = SaeTrainer(wanted, torch.device("cpu"))
    trainer.start(toy.batch(1 << 14))
    for x_BD in toy.batches(wanted.steps, wanted.batch):
        trainer.step(x_BD)
    cosine_N = max_cosines(toy.directions_ND, trainer.sae.W_dec.detach())
    return Recovery(cosine_N.mean().item(), (cosine_N > 0.9).float().mean().item())
