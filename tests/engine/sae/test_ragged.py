"""Entries by list against the whole matrix, and the largest of a batch against a full sort.

Shapes: B tokens of a batch, D = d_in, F = d_sae, N entries, P parts of a token, R = B · P.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engine.sae.sparse.products import decode, pre_acts_at
from engine.sae.sparse.ragged import DenseEntries, RaggedEntries, above, largest_of_all, places_of


def numbers(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@st.composite
def masks(draw: st.DrawFn) -> Tensor:
    """Some entries of [B, F]; at times none, at times all."""
    n, f = draw(st.integers(1, 6)), draw(st.integers(1, 20))
    share, seed = draw(st.sampled_from([0.0, 0.05, 0.4, 1.0])), draw(st.integers(0, 999))
    return torch.rand(n, f, generator=torch.Generator().manual_seed(seed)) < share


@settings(max_examples=80)
@given(masks())
def test_places_of_a_mask(mask_BF: Tensor) -> None:
    assert places_of(mask_BF).tolist() == mask_BF.flatten().nonzero().squeeze(1).tolist()


@settings(max_examples=80)
@given(masks(), st.integers(1, 5), st.integers(0, 99))
def test_a_list_does_what_the_matrix_does(mask_BF: Tensor, d: int, seed: int) -> None:
    n, f = mask_BF.shape
    weight_BF, rows_FD, left_BD, value_F = (
        numbers(seed, n, f) * mask_BF,
        numbers(seed + 1, f, d),
        numbers(seed + 2, n, d),
        numbers(seed + 3, f),
    )
    place_N = places_of(mask_BF)
    some, whole = RaggedEntries(place_N, n, f), DenseEntries()
    weight_N = weight_BF.flatten()[place_N]

    def listed(dense_BF: Tensor) -> Tensor:
        return dense_BF.expand(n, f).flatten()[place_N]

    torch.testing.assert_close(some.decode(weight_N, rows_FD), whole.decode(weight_BF, rows_FD))
    torch.testing.assert_close(some.grad_acts(left_BD, rows_FD), listed(whole.grad_acts(left_BD, rows_FD)))
    torch.testing.assert_close(some.grad_rows(weight_N, left_BD), whole.grad_rows(weight_BF, left_BD))
    torch.testing.assert_close(some.scatter_sum(weight_N), whole.scatter_sum(weight_BF))
    torch.testing.assert_close(some.gather(value_F), listed(whole.gather(value_F)))
    assert torch.equal(some.fired(weight_N > 0), whole.fired(weight_BF > 0))
    torch.testing.assert_close(whole.decode(weight_BF, rows_FD), weight_BF @ rows_FD)
    torch.testing.assert_close(whole.grad_rows(weight_BF, left_BD), weight_BF.T @ left_BD)


@settings(max_examples=60)
@given(masks(), st.lists(st.integers(1, 19), unique=True, max_size=4), st.integers(0, 99))
def test_tokens_in_parts(mask_BF: Tensor, cuts: list[int], seed: int) -> None:
    """Each part by itself: a matrix with the other parts' entries left out."""
    (n, f), d = mask_BF.shape, 3
    starts = (0, *sorted(cut for cut in cuts if cut < f))
    weight_BF, rows_FD = numbers(seed, n, f) * mask_BF, numbers(seed + 1, f, d)
    left_BPD = numbers(seed + 2, n, len(starts), d)
    place_N = places_of(mask_BF)
    cut = RaggedEntries(place_N, n, f, starts)
    weight_N = weight_BF.flatten()[place_N]
    part_F = torch.tensor([sum(start <= feature for start in starts) - 1 for feature in range(f)])
    rows_BPD = cut.decode(weight_N, rows_FD).view(n, len(starts), d)
    for part in range(len(starts)):
        torch.testing.assert_close(rows_BPD[:, part], (weight_BF * (part_F == part)) @ rows_FD)
    left_BFD = left_BPD[:, part_F]
    left_RD = left_BPD.reshape(-1, d)
    torch.testing.assert_close(cut.grad_acts(left_RD, rows_FD), (left_BFD * rows_FD).sum(2).flatten()[place_N])
    torch.testing.assert_close(cut.grad_rows(weight_N, left_RD), (weight_BF[:, :, None] * left_BFD).sum(0))
    torch.testing.assert_close(cut.whole.decode(weight_N, rows_FD), weight_BF @ rows_FD)


@settings(max_examples=60)
@given(masks(), st.integers(0, 999))
def test_gradients_equal_those_of_a_dense_reference(mask_BF: Tensor, seed: int) -> None:
    (n, f), d = mask_BF.shape, 4
    x_BD, target_BD = numbers(seed, n, d), numbers(seed + 1, n, d)
    made = [numbers(seed + 2, d, f), numbers(seed + 3, f), numbers(seed + 4, d), numbers(seed + 5, f, d)]
    place_N = places_of(mask_BF)
    found = []
    for entries in (None, RaggedEntries(place_N, n, f), DenseEntries()):
        W_enc, b_enc, b_dec, W_dec = leaves = [tensor.clone().requires_grad_() for tensor in made]
        pre_BF = (x_BD - b_dec) @ W_enc + b_enc
        if entries is None:
            guess_BD = (pre_BF * mask_BF).relu() @ W_dec
        else:
            known_V = pre_BF.detach() if isinstance(entries, DenseEntries) else pre_BF.detach().flatten()[place_N]
            act_V = pre_acts_at(x_BD, W_enc, b_enc, b_dec, entries, known_V).relu()
            guess_BD = decode(act_V * mask_BF if isinstance(entries, DenseEntries) else act_V, W_dec, entries)
        (guess_BD + b_dec - target_BD).square().sum().backward()
        found.append([leaf.grad for leaf in leaves])
    for other in found[1:]:
        for mine, reference in zip(other, found[0], strict=True):
            torch.testing.assert_close(mine, reference, rtol=1e-9, atol=1e-9)


def test_a_decoder_without_gradient_gets_none() -> None:
    act_N, rows_FD = numbers(0, 2).requires_grad_(), numbers(1, 4, 3)
    decode(act_N, rows_FD, RaggedEntries(torch.tensor([1, 6]), 2, 4)).sum().backward()
    assert act_N.grad is not None
    torch.testing.assert_close(act_N.grad, rows_FD.sum(1)[[1, 2]])


def test_a_list_is_made_where_few_are_above_the_floor() -> None:
    pre_BF = numbers(4, 6, 16)
    floor_F = numbers(5, 16)
    value_BF, everything = above(pre_BF, floor_F - 10)
    assert isinstance(everything, DenseEntries) and value_BF is pre_BF
    value_N, some = above(pre_BF, floor_F, dense_from=0.9)
    assert isinstance(some, RaggedEntries)
    assert value_N.tolist() == pre_BF[pre_BF > floor_F].tolist()
    assert some.feature_E.tolist() == (pre_BF > floor_F).nonzero()[:, 1].tolist()


@pytest.mark.parametrize(
    ("tokens", "width", "k"),
    [(3, 8192, 16), (5, 4096, 2), (4, 1024, 16), (7, 96, 3), (2, 9001, 8), (6, 64, 64), (1, 1, 1), (9, 8, 1)],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_largest_of_all_are_the_largest(tokens: int, width: int, k: int, dtype: torch.dtype) -> None:
    """Tokens of unequal size, so that most of the largest lie in a few; in bfloat16 with many ties."""
    pre_BF = (numbers(width, tokens, width) * torch.arange(1, tokens + 1)[:, None] ** 2).to(dtype)
    place_N = largest_of_all(pre_BF, k * tokens)
    assert place_N.tolist() == sorted(set(place_N.tolist()))
    expected = pre_BF.flatten().sort(descending=True).values[: k * tokens]
    assert torch.equal(pre_BF.flatten()[place_N].sort(descending=True).values, expected)


def test_equal_values_are_taken_up_to_the_number() -> None:
    assert len(largest_of_all(torch.zeros(4, 4096), 12)) == 12
    assert len(largest_of_all(torch.full((4, 4096), -torch.inf), 12)) == 12


def test_what_is_not_finite_raises_nothing() -> None:
    pre_BF = numbers(0, 4, 4096)
    pre_BF[1] = torch.nan
    assert len(largest_of_all(pre_BF, 12)) <= 12
    assert len(largest_of_all(torch.full((4, 4096), torch.nan), 12)) <= 12
