"""Tokens/s of one TopK training step: monosem beside other libraries, in turn, on random activations.

Shapes: B tokens of a batch, D = d_in, F = d_sae.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

import torch
from torch.nn import functional

from tests.bench.page import Table
from tests.bench.peer import PeerFailed, ask, pinned, threads
from tests.bench.timing import grouped, ratio, seconds, spread
from tests.bench.topk import CPU, DenseTopK, Size, default_products, started, trainer_settings

BATCHES = 4
NO_END = 10**6
"""Steps of a training that is never finished."""


@dataclass(frozen=True)
class Work:
    """An autoencoder, how many of its steps one measurement takes, and whether other libraries take them too."""

    size: Size
    steps: int
    peers: bool


@dataclass(frozen=True)
class Plan:
    """Things to measure, and the number of rounds."""

    works: tuple[Work, ...]
    rounds: int


FULL = Plan(
    (
        Work(Size(64, 1024, 16, 512), 50, peers=False),
        Work(Size(128, 4096, 32, 4096), 8, peers=True),
        Work(Size(768, 24_576, 32, 4096), 3, peers=True),
    ),
    rounds=3,
)
QUICK = Plan((Work(Size(32, 256, 8, 256), 2, peers=True),), rounds=2)


@dataclass
class Contender:
    """Something that takes the steps, and what was found of it."""

    name: str
    tokens_s: Callable[[], float]
    """Measures once; may raise PeerFailed."""
    found: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    """monosem's tokens/s, measured just before each of `found`."""
    failure: str = ""

    def row(self, size: str) -> tuple[str, ...]:
        """Its line in the table."""
        if self.failure:
            return (size, self.name, "–", "–", f"failed: {self.failure}")
        times = f"{ratio(self.ours, self.found):.2f} ×"
        return (size, self.name, grouped(median(self.found)), spread(self.found), times)


def measure(plan: Plan = FULL) -> Table:
    """All sizes, all contenders."""
    rows = [row for work in plan.works for row in _of_size(work, plan.rounds)]
    columns = ("TopK step", "by", "tokens/s", "least – greatest", "monosem beside it")
    return Table(
        columns,
        rows,
        (
            f"Median of {plan.rounds} measurements, each right behind one of monosem's, {threads()} threads; the "
            "last column is the median of the ratios. Random activations, no dead features. The encoder's product "
            "alone is the part of a step that nothing here goes without.",
        ),
    )


def _of_size(work: Work, rounds: int) -> list[tuple[str, ...]]:
    torch.manual_seed(0)
    x_NBD = torch.randn(BATCHES, work.size.batch, work.size.d_in)
    ours = _ours(work, x_NBD)
    contenders = [_product(work, x_NBD), _dense(work, x_NBD)]
    if work.peers:
        contenders += _peers(work)
    mine: list[float] = []
    for turn in range(1, rounds + 1):
        for contender in contenders:
            if contender.failure:
                continue
            before = ours()
            mine.append(before)
            try:
                contender.found.append(contender.tokens_s())
                contender.ours.append(before)
                said = grouped(contender.found[-1])
            except PeerFailed as failed:
                contender.failure = said = str(failed)
            sys.stderr.write(f"{work.size}: round {turn}: monosem {grouped(before)}, {contender.name} {said}\n")
    name = f"monosem, products in {default_products()}"
    first = (str(work.size), name, grouped(median(mine)), spread(mine), "1")
    return [first, *(contender.row(str(work.size)) for contender in contenders)]


def _speed(work: Work, step: Callable[[torch.Tensor], object], x_NBD: torch.Tensor) -> Callable[[], float]:
    """A measurement of `step` over the batches in turn."""
    taken = 0

    def once() -> None:
        nonlocal taken
        step(x_NBD[taken % len(x_NBD)])
        taken += 1

    return lambda: work.size.batch / seconds(once, work.steps)


def _ours(work: Work, x_NBD: torch.Tensor) -> Callable[[], float]:
    trainer = started(trainer_settings(work.size, NO_END, default_products()), x_NBD[0])
    return _speed(work, trainer.step, x_NBD)


def _dense(work: Work, x_NBD: torch.Tensor) -> Contender:
    settings = trainer_settings(work.size, NO_END, "float32")
    trainer = started(settings, x_NBD[0])
    dense = DenseTopK(settings, trainer.weights(), trainer.scale)
    return Contender("the same, dense, by autograd in float32", _speed(work, dense.step, x_NBD))


def _product(work: Work, x_NBD: torch.Tensor) -> Contender:
    products = default_products()
    dtype = torch.bfloat16 if products == "bfloat16" else torch.float32
    W_FD = torch.randn(work.size.d_sae, work.size.d_in, device=CPU).to(dtype)
    b_F = torch.randn(work.size.d_sae, device=CPU).to(dtype)
    step = _speed(work, lambda x_BD: functional.linear(x_BD, W_FD, b_F), x_NBD.to(dtype))
    return Contender(f"the encoder's product alone, {products}", step)


def _peers(work: Work) -> list[Contender]:
    size = work.size

    def peer(name: str, *flags: str) -> Callable[[], float]:
        numbers = (size.d_in, size.d_sae, size.k, size.batch, work.steps)
        return lambda: float(ask("step.py", name, *numbers, *flags)["tokens_s"])

    return [
        Contender(f"sparsify {pinned('eai-sparsify')}, float32", peer("sparsify")),
        Contender(f"sparsify {pinned('eai-sparsify')}, all in bfloat16", peer("sparsify", "--bf16")),
        Contender(f"dictionary_learning {pinned('dictionary-learning')}, float32", peer("dictionary_learning")),
        Contender(f"SAELens {pinned('sae-lens')}, float32", peer("saelens")),
        Contender(f"SAELens {pinned('sae-lens')}, autocast", peer("saelens", "--bf16")),
    ]
