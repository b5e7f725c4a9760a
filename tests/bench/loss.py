"""Whether speed costs quality: monosem's steps beside equal steps of a dense float32 reference.

Same weights to begin with, same batches. Activations are sums of a few of many directions, so that there is something
to learn; the auxiliary loss has no part in it, because no feature counts as dead.

Shapes: B tokens of a batch, D = d_in, N directions, A directions in one token.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from engine.training.trainer import SaeTrainer, Tally
from tests.bench.page import Table
from tests.bench.topk import DenseTopK, Size, default_products, started, trainer_settings

DIRECTIONS = 4
"""Directions, as a multiple of d_in."""
PRESENT = 24
NOISE = 0.05
LAST = 10
"""Steps at the end whose mean loss is compared."""
SEED = 20_000
"""Of directions and batches: another than the autoencoder's, which would begin with the truth."""


@dataclass(frozen=True)
class Plan:
    """Sizes, and steps of each."""

    sizes: tuple[Size, ...]
    steps: int


FULL = Plan((Size(128, 4096, 32, 4096), Size(768, 24_576, 32, 1024)), 200)
QUICK = Plan((Size(32, 256, 8, 256),), 40)


class Planted:
    """Sums of PRESENT directions, rank r drawn in proportion to 1 / r, with uniform magnitudes and some noise."""

    def __init__(self, d_in: int) -> None:
        generator = torch.Generator().manual_seed(SEED)
        self._directions_ND = torch.randn(DIRECTIONS * d_in, d_in, generator=generator)
        self._directions_ND /= self._directions_ND.norm(dim=1, keepdim=True)
        self._weight_N = 1 / torch.arange(1, len(self._directions_ND) + 1)

    def batch(self, number: int, size: int) -> Tensor:
        """The batch of that number [size, D], ever the same."""
        generator = torch.Generator().manual_seed(SEED + 1 + number)
        drawn_M = torch.multinomial(self._weight_N, size * PRESENT, replacement=True, generator=generator)
        drawn_BA = drawn_M.view(size, PRESENT)
        magnitude_BA = 0.5 + torch.rand(size, PRESENT, generator=generator)
        x_BD = functional.embedding_bag(drawn_BA, self._directions_ND, per_sample_weights=magnitude_BA, mode="sum")
        return x_BD + NOISE * torch.randn(x_BD.shape, generator=generator)


def measure(plan: Plan = FULL) -> Table:
    """All sizes, monosem with its products in float32 and in bfloat16."""
    rows = [row for size in plan.sizes for row in _of_size(size, plan.steps)]
    columns = ("TopK", "by", "loss at first", f"after {plan.steps} steps", "difference from the reference")
    return Table(
        columns,
        rows,
        (
            f"Loss: share of variance unexplained; at the end its mean over the last {LAST} steps. Each token is a "
            f"sum of {PRESENT} of {DIRECTIONS} · d_in random directions. Reference: autograd over dense float32 "
            "tensors, the same weights to begin with, the same batches, learning rates, clipping and decoder "
            "lengths; no auxiliary loss on either side.",
        ),
    )


@dataclass
class _Course:
    """The losses of one contender, step by step."""

    name: str
    losses: list[float]

    @property
    def final(self) -> float:
        return sum(self.losses[-LAST:]) / LAST

    def row(self, size: Size, reference: _Course) -> tuple[str, ...]:
        apart = "" if reference is self else f"{100 * (self.final / reference.final - 1):+.3f} %"
        return (str(size), self.name, f"{self.losses[0]:.4f}", f"{self.final:.5f}", apart)


def _of_size(size: Size, steps: int) -> list[tuple[str, ...]]:
    planted = Planted(size.d_in)
    first_BD = planted.batch(0, size.batch)
    products = sorted({"float32", default_products()}, reverse=True)
    trainers = [started(trainer_settings(size, steps, dtype), first_BD) for dtype in products]
    dense = DenseTopK(trainers[0].settings, trainers[0].weights(), trainers[0].scale)
    reference = _Course("reference, dense, float32", [])
    courses = [_Course(f"monosem, products in {dtype}", []) for dtype in products]
    began = time.perf_counter()
    for step in range(steps):
        x_BD = planted.batch(step, size.batch)
        reference.losses.append(dense.step(x_BD))
        for trainer, course in zip(trainers, courses, strict=True):
            course.losses.append(_loss_of_step(trainer, x_BD))
        if (step + 1) % max(1, steps // 10) == 0:
            losses = ", ".join(f"{course.losses[-1]:.5f}" for course in (reference, *courses))
            sys.stderr.write(f"{size}: step {step + 1} of {steps}: {losses}; {time.perf_counter() - began:.0f} s\n")
    return [course.row(size, reference) for course in (reference, *courses)]


def _loss_of_step(trainer: SaeTrainer, x_BD: Tensor) -> float:
    trainer.tally = Tally()
    trainer.step(x_BD)
    return float(trainer.tally.loss)
