"""Sparse products for the kernels' tests, and what they must come to, densely in float64.

Used where the kernels run for real (test_triton_kernels.py) and where Triton interprets them (interpreted_kernels.py).

Shapes: B tokens, D = d_in, F = d_sae, K entries kept a token.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from engine.sae.base import SaeSettings
from engine.sae.sparse import products as sparse
from engine.sae.sparse.entries import PIECE
from engine.sae.sparse.products import TopKEntries
from engine.training.trainer import SaeTrainer, TrainerSettings


class Operands(NamedTuple):
    """Inputs of the three products."""

    weight_BK: Tensor
    rows_FD: Tensor
    left_BD: Tensor
    feature_BK: Tensor

    @property
    def acts_BF(self) -> Tensor:
        """Entries as a matrix, in float64; a feature named twice in a token counts twice."""
        empty_BF = self.weight_BK.new_zeros(len(self.weight_BK), len(self.rows_FD), dtype=torch.float64)
        return empty_BF.scatter_add(1, self.feature_BK.long(), self.weight_BK.double())

    def reordered(self, generator: torch.Generator) -> Operands:
        """The same, with each token's entries in another order."""
        order_BK = torch.rand(self.weight_BK.shape, generator=generator).argsort(1).to(self.weight_BK.device)
        return self._replace(
            weight_BK=self.weight_BK.gather(1, order_BK), feature_BK=self.feature_BK.gather(1, order_BK)
        )


def operands(
    shape: tuple[int, int, int, int],
    seed: int = 0,
    device: str = "cpu",
    dtypes: tuple[torch.dtype, torch.dtype] = (torch.float32, torch.float32),
    index: torch.dtype = torch.int64,
) -> Operands:
    """Random ones of B, D, F, K; `dtypes` are the weights' and the rows'. Low features fire most."""
    n, d, f, k = shape
    generator = torch.Generator().manual_seed(seed)

    def numbers(dtype: torch.dtype, *size: int) -> Tensor:
        return torch.randn(size, generator=generator).to(dtype).to(device)

    likely_BF = torch.rand(n, f, generator=generator) * torch.arange(1, f + 1) ** 0.5
    feature_BK = likely_BF.topk(k, dim=1, largest=False).indices.to(index).to(device)
    return Operands(numbers(dtypes[0], n, k), numbers(dtypes[1], f, d), numbers(dtypes[1], n, d), feature_BK)


def check(kernels: ModuleType, given: Operands, piece: int = PIECE) -> None:
    """All three products against dense ones in float64.

    The error allowed is relative to the sums of absolute values, which bounds that of any order of adding: a few
    roundings of float32, and one of the result's own dtype where that is coarser.
    """
    weight_BK, rows_FD, left_BD, feature_BK = given
    index_BK, acts_BF = feature_BK.long(), given.acts_BF
    weighted_BD = kernels.weighted_rows(weight_BK, rows_FD, feature_BK)
    _close(weighted_BD, acts_BF @ rows_FD.double(), acts_BF.abs() @ rows_FD.double().abs())
    product_BK = kernels.row_products(left_BD, rows_FD, feature_BK)
    exact_BF, size_BF = left_BD.double() @ rows_FD.double().T, left_BD.double().abs() @ rows_FD.double().abs().T
    _close(product_BK, exact_BF.gather(1, index_BK), size_BF.gather(1, index_BK))
    sum_FD = kernels.summed_by_feature(weight_BK, left_BD, TopKEntries(feature_BK, len(rows_FD), piece))
    _close(sum_FD, acts_BF.T @ left_BD.double(), acts_BF.abs().T @ left_BD.double().abs())
    assert weighted_BD.dtype == product_BK.dtype == sum_FD.dtype == rows_FD.dtype


def _close(found: Tensor, exact: Tensor, size: Tensor) -> None:
    assert found.shape == exact.shape
    # Triton's interpreter cuts where a GPU rounds, hence a whole unit of the last place and not half of it.
    rounding = 0.0 if found.dtype == torch.float32 else torch.finfo(found.dtype).eps
    allowed = 2e-6 * size + rounding * exact.abs()
    assert bool(((found.double() - exact).abs() <= allowed).all())


def trained(monkeypatch: pytest.MonkeyPatch, kernels: str, products: str, device: str = "cpu") -> dict[str, Tensor]:
    """Weights, last gradients and moments after two steps; features die on the way, so that both losses are taken."""
    monkeypatch.setenv(sparse.KERNELS, kernels)
    settings = TrainerSettings(
        arch="topk",
        sae=SaeSettings(d_in=12, d_sae=24, k=3, k_aux=4),
        lr=1e-3,
        batch=8,
        steps=100,
        warmup=1,
        decay=1,
        dead_after=8,
        seed=0,
        products=products,
    )
    trainer = SaeTrainer(settings, torch.device(device))
    generator = torch.Generator().manual_seed(5)
    trainer.start(torch.randn(64, 12, generator=generator))
    for _ in range(2):
        trainer.step(torch.randn(8, 12, generator=generator))
    assert trainer.n_dead
    grads = {f"grad.{name}": p.grad.cpu() for name, p in trainer.sae.named_parameters() if p.grad is not None}
    return grads | {name: torch.from_numpy(array) for name, array in trainer.state()[1].items() if name != "generator"}


def same(ours: dict[str, Tensor], plain: dict[str, Tensor], within: float = 1e-5) -> None:
    """Results of `trained` with the kernels, beside those without.

    The last bit of a weight may decide how it is rounded to bfloat16, so products in bfloat16 may differ by more.
    """
    assert plain.keys() == ours.keys()
    assert {f"grad.{name}" for name in ("W_enc", "b_enc", "W_dec", "b_dec")} <= ours.keys()
    for name, theirs in plain.items():
        difference = (ours[name].double() - theirs.double()).norm()
        assert difference <= within * theirs.double().norm(), name
