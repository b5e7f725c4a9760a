"""Sparse products against dense autograd, and products in bfloat16 against those in float32."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engine.sae.base import SaeSettings
from engine.sae.sparse.products import (
    TopKEntries,
    decode,
    largest,
    pre_acts_at,
    row_products,
    summed_by_feature,
    weighted_rows,
)
from engine.training.trainer import SaeTrainer, TrainerSettings


def numbers(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


shapes = st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 12), st.integers(1, 12))


def dense(weight_BK: Tensor, feature_BK: Tensor, d_sae: int) -> Tensor:
    """Entries as a matrix [B, F]; a feature named twice in a token counts twice."""
    out_BF = torch.zeros(len(weight_BK), d_sae, dtype=weight_BK.dtype)
    return out_BF.scatter_add(1, feature_BK, weight_BK)


@settings(max_examples=60)
@given(shapes, st.integers(0, 2**16))
def test_products(shape: tuple[int, int, int, int], seed: int) -> None:
    n, d, f, k = shape
    feature_BK = torch.randint(0, f, (n, k), generator=torch.Generator().manual_seed(seed))
    weight_BK, rows_FD, left_BD = numbers(seed, n, k), numbers(seed + 1, f, d), numbers(seed + 2, n, d)
    acts_BF = dense(weight_BK, feature_BK, f)
    torch.testing.assert_close(weighted_rows(weight_BK, rows_FD, feature_BK), acts_BF @ rows_FD)
    torch.testing.assert_close(row_products(left_BD, rows_FD, feature_BK), (left_BD @ rows_FD.T).gather(1, feature_BK))
    entries = TopKEntries(feature_BK, f)
    torch.testing.assert_close(summed_by_feature(weight_BK, left_BD, entries), acts_BF.T @ left_BD)


@settings(max_examples=60)
@given(shapes, st.integers(0, 2**16))
def test_gradients_equal_those_of_a_dense_reference(shape: tuple[int, int, int, int], seed: int) -> None:
    n, d, f, k = shape
    k = min(k, f)
    x_BD, target_BD = numbers(seed, n, d), numbers(seed + 1, n, d)
    made = [numbers(seed + 2, d, f), numbers(seed + 3, f), numbers(seed + 4, d), numbers(seed + 5, f, d)]
    ours, reference = ([tensor.clone().requires_grad_() for tensor in made] for _ in range(2))

    W_enc, b_enc, b_dec, W_dec = reference
    pre_BF = (x_BD - b_dec) @ W_enc + b_enc
    feature_BK = pre_BF.topk(k, dim=1).indices
    act_BK = pre_BF.gather(1, feature_BK).relu()
    (dense(act_BK, feature_BK, f) @ W_dec + b_dec - target_BD).square().sum().backward()

    W_enc, b_enc, b_dec, W_dec = ours
    entries = TopKEntries(feature_BK, f)
    acts = pre_acts_at(x_BD, W_enc, b_enc, b_dec, entries, pre_BF.detach().gather(1, feature_BK)).relu()
    (decode(acts, W_dec, entries) + b_dec - target_BD).square().sum().backward()
    for mine, theirs in zip(ours, reference, strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("width", "k"), [(8192, 16), (24_576, 32), (16_384, 1), (8192, 4000), (9001, 8), (64, 64)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_largest_are_the_largest(width: int, k: int, dtype: torch.dtype) -> None:
    pre_BF = numbers(width, 7, width, dtype=dtype)  # in bfloat16 with many ties
    value_BK, feature_BK = largest(pre_BF, k)
    assert torch.equal(pre_BF.gather(1, feature_BK), value_BK)
    assert all(len(row.unique()) == k for row in feature_BK)
    assert torch.equal(value_BK.sort(1).values, pre_BF.topk(k, dim=1).values.flip(1))


def losses(products: str, steps: int = 200) -> tuple[float, torch.dtype]:
    """Loss after equal steps from equal weights and batches, and the dtype that the weights are kept in."""
    batch, d_in, n = 256, 32, 96
    directions_ND = torch.nn.functional.normalize(numbers(1, n, d_in, dtype=torch.float32), dim=1)
    settings = TrainerSettings(
        arch="topk",
        sae=SaeSettings(d_in=d_in, d_sae=128, k=4),
        lr=3e-3,
        batch=batch,
        steps=steps,
        warmup=10,
        decay=1,
        dead_after=2000,
        seed=0,
        products=products,
    )
    trainer = SaeTrainer(settings, torch.device("cpu"))
    generator = torch.Generator().manual_seed(2)
    found = []
    for step in range(steps):
        present_BN = torch.rand(batch, n, generator=generator) < 3 / n
        x_BD = (present_BN * torch.rand(batch, n, generator=generator)) @ directions_ND
        if step == 0:
            trainer.start(x_BD)
        with torch.no_grad():
            reconstruction_BD = trainer.sae(x_BD * trainer.scale)
        found.append((x_BD * trainer.scale - reconstruction_BD).square().sum().item())
        trainer.step(x_BD)
    return sum(found[-20:]), trainer.sae.W_enc.dtype


@pytest.mark.slow
def test_products_in_bfloat16_are_harmless() -> None:
    (exact, _), (rounded, kept_in) = losses("float32"), losses("bfloat16")
    assert kept_in == torch.float32
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=0.01)
