"""The Triton kernels on a CPU, in Triton's interpreter.

Triton decides when it is imported whether it interprets. So these run in an interpreter of their own, started with
TRITON_INTERPRET=1 by test_triton_kernels.py; by hand: `TRITON_INTERPRET=1 pytest tests/engine/interpreted_kernels.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engine.sae.base import SparseActs, decode_sparse
from engine.sae.sparse import products as sparse
from engine.sae.sparse.products import TopKEntries
from tests.engine.kernel_truth import Operands, check, operands, same, trained

if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("Triton interprets only with TRITON_INTERPRET=1", allow_module_level=True)
triton_kernels: Any = pytest.importorskip("engine.sae.sparse.triton_kernels", reason="triton is not installed")

FLOATS = (torch.float32, torch.bfloat16, torch.float16)
KERNELS = ("_weighted_rows", "_row_products", "_summed_by_feature")
shapes = st.tuples(st.integers(1, 6), st.integers(1, 40), st.integers(9, 12), st.integers(1, 9))


@settings(max_examples=5, derandomize=True)
@given(shapes, st.integers(0, 2**16), st.tuples(*[st.sampled_from(FLOATS)] * 2), st.integers(1, 4))
def test_products(
    shape: tuple[int, int, int, int], seed: int, dtypes: tuple[torch.dtype, torch.dtype], piece: int
) -> None:
    check(triton_kernels, operands(shape, seed, dtypes=dtypes), piece)


@pytest.mark.parametrize(
    ("d_in", "index"), [(1, torch.int32), (255, torch.int64), (256, torch.int32), (300, torch.int64)]
)
def test_rows_longer_than_a_slice(d_in: int, index: torch.dtype) -> None:
    check(triton_kernels, operands((3, d_in, 9, 5), index=index))


def test_operands_that_are_views() -> None:
    """As autograd hands them in: transposed, or one value for all."""
    made = operands((4, 6, 8, 3))
    transposed = [tensor.T.contiguous().T for tensor in made]
    check(triton_kernels, Operands(*transposed))
    check(
        triton_kernels,
        made._replace(left_BD=torch.ones(1, 1).expand(4, 6), weight_BK=made.weight_BK[:, :1].expand(4, 3)),
    )


def test_no_tokens() -> None:
    check(triton_kernels, operands((0, 4, 6, 2)))


def long_feature() -> Operands:
    """Feature 3 on each of 300 tokens, the other eight on some: longer than one program sums."""
    made = operands((300, 5, 8, 1), seed=1)
    made.feature_BK[::4] = 5
    return made._replace(
        weight_BK=made.weight_BK.repeat(1, 2),
        feature_BK=torch.cat([torch.full_like(made.feature_BK, 3), made.feature_BK], 1),
    )


def test_a_feature_on_every_token() -> None:
    made = long_feature()
    entries = TopKEntries(made.feature_BK, 8)
    assert entries.pieces.first_G.diff()[3] > 1
    found = triton_kernels.summed_by_feature(made.weight_BK, made.left_BD, entries)
    torch.testing.assert_close(found.double(), made.acts_BF.T @ made.left_BD.double(), rtol=0, atol=1e-4)


def summed(given: Operands, piece: int) -> Tensor:
    entries = TopKEntries(given.feature_BK, len(given.rows_FD), piece)
    return triton_kernels.summed_by_feature(given.weight_BK, given.left_BD, entries)  # type: ignore[no-any-return]


@pytest.mark.parametrize("piece", [2, 128])
def test_the_same_bits_every_time(piece: int) -> None:
    """Neither the order of a token's entries nor what other features do changes a feature's sum by a bit."""
    made = operands((12, 20, 12, 5), seed=2)
    once_FD = summed(made, piece)
    assert torch.equal(summed(made, piece), once_FD)
    assert torch.equal(summed(made.reordered(torch.Generator().manual_seed(3)), piece), once_FD)
    shifted_BK = torch.where(made.feature_BK % 3 == 0, made.feature_BK, made.feature_BK + 12)
    others = made._replace(feature_BK=shifted_BK, rows_FD=made.rows_FD.repeat(2, 1))
    assert torch.equal(summed(others, piece)[:12:3], once_FD[::3])


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the kernels launched."""
    found: list[str] = []

    def spied(name: str, kernel: Any) -> Any:
        class Spy:
            def __getitem__(self, grid: Any) -> Callable[..., None]:
                found.append(name)
                return kernel[grid]  # type: ignore[no-any-return]

        return Spy()

    for name in KERNELS:
        monkeypatch.setattr(triton_kernels, name, spied(name, getattr(triton_kernels, name)))
    return found


@pytest.mark.parametrize("products", ["float32", "bfloat16"])
def test_training_is_that_of_the_plain_products(
    monkeypatch: pytest.MonkeyPatch, calls: list[str], products: str
) -> None:
    plain = trained(monkeypatch, "torch", products)
    assert not calls
    ours = trained(monkeypatch, "triton", products)
    assert set(calls) == set(KERNELS)
    same(ours, plain)


def test_where_autograd_must_see_them_the_plain_products_are_taken(
    monkeypatch: pytest.MonkeyPatch, calls: list[str]
) -> None:
    monkeypatch.setenv(sparse.KERNELS, "triton")
    made = operands((3, 4, 6, 2))
    rows_FD = made.rows_FD.clone().requires_grad_()
    acts = SparseActs(made.weight_BK, made.feature_BK)
    decode_sparse(acts, rows_FD).sum().backward()
    assert rows_FD.grad is not None
    assert not calls
    with torch.no_grad():
        decode_sparse(acts, rows_FD)
    assert calls == ["_weighted_rows"]


def test_float64_is_left_to_the_plain_products(monkeypatch: pytest.MonkeyPatch, calls: list[str]) -> None:
    monkeypatch.setenv(sparse.KERNELS, "triton")
    made = operands((3, 4, 6, 2))
    exact = sparse.weighted_rows(made.weight_BK.double(), made.rows_FD.double(), made.feature_BK)
    assert exact.dtype == torch.float64
    assert not calls


def test_on_a_cpu_the_plain_products_are_the_default(monkeypatch: pytest.MonkeyPatch, calls: list[str]) -> None:
    monkeypatch.delenv(sparse.KERNELS, raising=False)
    made = operands((3, 4, 6, 2))
    sparse.weighted_rows(made.weight_BK, made.rows_FD, made.feature_BK)
    assert not calls
