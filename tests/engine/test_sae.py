"""Autoencoders against the formulas of their papers, written densely and in float64.

Shapes: B tokens of a batch, D = d_in, F = d_sae, K entries kept a token.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import backward

from engine.sae.base import (
    Sae,
    SaeSettings,
    SparseActs,
    decode_sparse,
    encoded_rows,
    fired_features,
    positive_entries,
)
from engine.sae.registry import ARCHITECTURES, architecture, from_weights
from engine.sae.relu import ReluSae
from engine.sae.topk import TopKSae
from store.errors import MonosemError
from store.spec import SaeSpec
from store.weights import SaeWeights, load_sae, save_sae

D, F, B = 6, 20, 9
SETTINGS = {
    "topk": SaeSettings(d_in=D, d_sae=F, k=4, k_aux=3),
    "relu": SaeSettings(d_in=D, d_sae=F, l1=0.7),
}
each_architecture = pytest.mark.parametrize("arch", sorted(SETTINGS))


def numbers(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_sae(arch: str, seed: int = 0, settings: SaeSettings | None = None) -> Sae:
    """In float64, every weight random and decoder rows of no particular length, so that nothing cancels."""
    sae = architecture(arch)(settings or SETTINGS[arch]).double()
    with torch.no_grad():
        for number, parameter in enumerate(sae.parameters()):
            parameter.copy_(numbers(100 * seed + number, *parameter.shape))
    return sae


def plain(sae: Sae) -> dict[str, Tensor]:
    """The weights as leaves of their own, for gradients to be compared."""
    return {name: tensor.detach().clone().requires_grad_() for name, tensor in sae.named_parameters()}


def grad_of(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def array(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().numpy()


def encoded_by_hand(sae: Sae, x_BD: Tensor) -> NDArray[np.float64]:
    """Dense activations [B, F], one token and one feature at a time."""
    W_enc, b_enc, b_dec = array(sae.W_enc), array(sae.b_enc), array(sae.b_dec)
    acts_BF = np.zeros((len(x_BD), W_enc.shape[1]))
    for row, x_D in enumerate(array(x_BD)):
        pre_F = np.array([b_enc[f] + sum((x_D - b_dec) * W_enc[:, f]) for f in range(W_enc.shape[1])])
        kept = np.argsort(pre_F)[::-1][: sae.settings.k] if sae.settings.k else np.arange(len(pre_F))
        acts_BF[row, kept] = np.maximum(pre_F[kept], 0.0)
    return acts_BF


def dense(acts: SparseActs, d_sae: int = F) -> NDArray[np.float64]:
    """Sparse activations laid out; a feature twice in one token would be counted twice."""
    acts_BF = np.zeros((len(acts.act_BK), d_sae))
    for row in range(len(acts_BF)):
        for act, feature in zip(acts.act_BK[row].tolist(), acts.feature_BK[row].tolist(), strict=True):
            acts_BF[row, feature] += act
    return acts_BF


@each_architecture
@pytest.mark.parametrize("seed", range(5))
def test_encoding_and_decoding_by_hand(arch: str, seed: int) -> None:
    sae, x_BD = random_sae(arch, seed), numbers(7 + seed, B, D)
    acts = sae.encode(x_BD)
    expected_BF = encoded_by_hand(sae, x_BD)
    np.testing.assert_allclose(dense(acts), expected_BF, rtol=1e-9, atol=1e-12)
    assert (acts.act_BK >= 0).all()
    expected_BD = expected_BF @ array(sae.W_dec) + array(sae.b_dec)
    np.testing.assert_allclose(array(sae.decode(acts)), expected_BD, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(array(sae(x_BD)), expected_BD, rtol=1e-9, atol=1e-9)


def test_topk_keeps_no_negative_feature() -> None:
    sae = random_sae("topk")
    with torch.no_grad():
        sae.b_enc.fill_(-100.0)
        sae.b_enc[3] = 100.0
    acts = sae.encode(numbers(1, B, D))
    assert acts.act_BK.shape == (B, 4)
    assert ((dense(acts) > 0) == (np.arange(F) == 3)).all()


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 8), st.integers(1, 12), st.integers(1, 6), st.integers(0, 999))
def test_sparse_decoding_is_the_dense_product(tokens: int, kept: int, d_sae: int, d_in: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    feature_BK = torch.randint(d_sae, (tokens, kept), generator=generator)
    acts = SparseActs(numbers(seed, tokens, kept), feature_BK)
    W_dec_FD = numbers(seed + 1, d_sae, d_in)
    expected_BD = dense(acts, d_sae) @ array(W_dec_FD)
    np.testing.assert_allclose(array(decode_sparse(acts, W_dec_FD)), expected_BD, rtol=1e-9, atol=1e-12)


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 8), st.integers(0, 999))
def test_positive_entries_are_all_there(tokens: int, d_sae: int, seed: int) -> None:
    dense_BF = numbers(seed, tokens, d_sae).relu()
    acts = positive_entries(dense_BF)
    np.testing.assert_array_equal(dense(acts, d_sae), array(dense_BF))
    assert acts.act_BK.shape[1] == max(1, int((dense_BF > 0).sum(1).max()))


def test_no_token_has_no_entries() -> None:
    assert positive_entries(torch.zeros(0, 5)).act_BK.shape == (0, 1)


def test_only_positive_activations_fire() -> None:
    acts = SparseActs(torch.tensor([[0.0, 2.0], [0.5, 0.0]]), torch.tensor([[4, 1], [1, 3]]))
    assert fired_features(acts, 6).tolist() == [False, True, False, False, False, False]


def test_a_quarter_of_a_gibibyte_is_encoded_at_once() -> None:
    for d_sae, rows in ((1024, 65_536), (1 << 27, 1)):
        assert encoded_rows(ReluSae(SaeSettings(d_in=1, d_sae=d_sae, l1=1.0)).to("meta")) == rows


def topk_loss_by_hand(weights: dict[str, Tensor], x_BD: Tensor, dead_F: Tensor | None) -> tuple[Tensor, Tensor]:
    """Fraction of variance unexplained, and the auxiliary loss (Gao et al. 2024), all dense."""
    pre_BF = (x_BD - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"]
    kept_BF = pre_BF >= pre_BF.sort(dim=1, descending=True).values[:, 3:4]
    x_hat_BD = (pre_BF * kept_BF).clamp_min(0) @ weights["W_dec"] + weights["b_dec"]
    unexplained = ((x_BD - x_hat_BD) ** 2).sum() / ((x_BD - x_BD.mean(0)) ** 2).sum()
    if dead_F is None:
        return unexplained, torch.zeros(())
    residual_BD = (x_BD - x_hat_BD).detach()
    ranked_BF = pre_BF.masked_fill(~dead_F, -torch.inf)
    n_aux = min(3, int(dead_F.sum()))
    kept_BF = ranked_BF >= ranked_BF.sort(dim=1, descending=True).values[:, n_aux - 1 : n_aux]
    guess_BD = (pre_BF * kept_BF) @ weights["W_dec"]
    return unexplained, ((residual_BD - guess_BD) ** 2).sum() / (residual_BD**2).sum()


def check_gradients(sae: Sae, weights: dict[str, Tensor]) -> None:
    for name, parameter in sae.named_parameters():
        torch.testing.assert_close(grad_of(parameter), grad_of(weights[name]), rtol=1e-9, atol=1e-10, msg=name)
        assert grad_of(parameter).abs().max() > 1e-3, name


@pytest.mark.parametrize("n_dead", [None, 1, 2, 3, 7, F])
@pytest.mark.parametrize("seed", range(3))
def test_topk_loss_and_gradients(n_dead: int | None, seed: int) -> None:
    sae, x_BD = random_sae("topk", seed), 2 * numbers(50 + seed, B, D)
    weights = plain(sae)
    dead_F = None
    if n_dead is not None:
        dead_F = torch.zeros(F, dtype=torch.bool)
        dead_F[torch.randperm(F, generator=torch.Generator().manual_seed(seed))[:n_dead]] = True
    loss = sae.loss(x_BD, dead_F, 0.3)
    unexplained, aux = topk_loss_by_hand(weights, x_BD, dead_F)
    backward(unexplained + aux / 32)
    backward(loss.total)
    torch.testing.assert_close(loss.total, unexplained + aux / 32, rtol=1e-10, atol=0)
    assert loss.terms.keys() == ({"unexplained"} if n_dead is None else {"unexplained", "aux"})
    torch.testing.assert_close(loss.terms["unexplained"], unexplained.detach(), rtol=1e-10, atol=0)
    if n_dead is not None:
        torch.testing.assert_close(loss.terms["aux"], aux.detach(), rtol=1e-10, atol=0)
    check_gradients(sae, weights)
    check_counters(sae, loss.squared_error, loss.fired_F, loss.n_active, x_BD)


def test_topk_weight_of_the_auxiliary_loss_is_the_settings() -> None:
    sae = random_sae("topk", settings=SaeSettings(d_in=D, d_sae=F, k=4, k_aux=3, aux_weight=5.0))
    x_BD, dead_F = numbers(3, B, D), torch.arange(F) < 8
    loss = sae.loss(x_BD, dead_F, 1.0)
    torch.testing.assert_close(loss.total.detach(), loss.terms["unexplained"] + 5.0 * loss.terms["aux"])


def test_topk_explains_to_perfection_without_harm() -> None:
    """Nothing is left for dead features to explain: their loss is 0 and no gradient is 0 / 0."""
    sae = TopKSae(SaeSettings(d_in=2, d_sae=4, k=1))
    with torch.no_grad():
        sae.W_enc.copy_(torch.tensor([[1.0, 0.0, -9.0, -9.0], [0.0, 1.0, -9.0, -9.0]]))
        sae.W_dec.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]))
    loss = sae.loss(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.arange(4) >= 2, 1.0)
    backward(loss.total)
    assert loss.total.item() == 0.0
    assert not any(grad_of(parameter).count_nonzero() for parameter in sae.parameters())


@pytest.mark.parametrize("warmth", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_relu_loss_and_gradients(warmth: float, seed: int) -> None:
    sae, x_BD = random_sae("relu", seed), 2 * numbers(50 + seed, B, D)
    weights = plain(sae)
    acts_BF = ((x_BD - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"]).clamp_min(0)
    errors_B = ((x_BD - acts_BF @ weights["W_dec"] - weights["b_dec"]) ** 2).sum(1)
    l1_B = acts_BF.abs().sum(1)
    total = (errors_B + warmth * 0.7 * l1_B).mean()
    backward(total)
    loss = sae.loss(x_BD, torch.ones(F, dtype=torch.bool), warmth)
    backward(loss.total)
    torch.testing.assert_close(loss.total, total, rtol=1e-10, atol=0)
    torch.testing.assert_close(loss.terms, {"mse": errors_B.mean().detach(), "l1": l1_B.mean().detach()})
    check_gradients(sae, weights)
    check_counters(sae, loss.squared_error, loss.fired_F, loss.n_active, x_BD)


def check_counters(sae: Sae, squared_error: Tensor, fired_F: Tensor, n_active: Tensor, x_BD: Tensor) -> None:
    acts_BF = encoded_by_hand(sae, x_BD)
    x_hat_BD = acts_BF @ array(sae.W_dec) + array(sae.b_dec)
    assert squared_error.item() == pytest.approx(float(((array(x_BD) - x_hat_BD) ** 2).sum()), rel=1e-9)
    assert fired_F.tolist() == (acts_BF > 0).any(0).tolist()
    assert n_active.item() == (acts_BF > 0).sum()
    assert not squared_error.requires_grad


@each_architecture
def test_gradients_do_not_change_the_length_of_decoder_rows(arch: str) -> None:
    sae, x_BD = random_sae(arch), numbers(9, B, D)
    sae.constrain()
    backward(sae.loss(x_BD, None, 1.0).total)
    before = {name: grad_of(parameter).clone() for name, parameter in sae.named_parameters()}
    sae.project_gradient()
    rows, grads = array(sae.W_dec), before["W_dec"].numpy()
    for f in range(F):
        expected = grads[f] - (grads[f] @ rows[f]) * rows[f]
        np.testing.assert_allclose(grad_of(sae.W_dec)[f].numpy(), expected, rtol=1e-9, atol=1e-12)
        assert abs(expected @ rows[f]) < 1e-9
    for name in ("W_enc", "b_enc", "b_dec"):
        assert torch.equal(grad_of(sae.get_parameter(name)), before[name])
    assert (before["W_dec"] * sae.W_dec).sum(1).abs().max() > 1e-3  # there was something to take away


@each_architecture
def test_decoder_rows_are_brought_to_length_1(arch: str) -> None:
    sae = random_sae(arch)
    with torch.no_grad():
        sae.W_dec[4] = 0.0
    before_FD = array(sae.W_dec).copy()
    sae.constrain()
    lengths_F = np.linalg.norm(before_FD, axis=1)
    lengths_F[4] = 1.0  # a row of zeros stays one
    np.testing.assert_allclose(array(sae.W_dec), before_FD / lengths_F[:, None], rtol=1e-9, atol=0)


@each_architecture
def test_the_start_is_a_random_dictionary_around_the_mean(arch: str) -> None:
    saes = [architecture(arch)(SETTINGS[arch]) for _ in range(3)]
    mean_D = numbers(4, D).float()
    for sae, seed in zip(saes, (5, 5, 6), strict=True):
        sae.initialise(mean_D, torch.Generator().manual_seed(seed))
    first, same, other = saes
    torch.testing.assert_close(first.W_dec.norm(dim=1), torch.ones(F))
    assert torch.equal(first.W_enc, first.W_dec.T)
    assert torch.equal(first.b_dec, mean_D)
    assert (first.b_enc == 0).all()
    assert torch.equal(first.W_dec, same.W_dec)
    assert not torch.equal(first.W_dec, other.W_dec)


@each_architecture
@pytest.mark.parametrize("scale", [0.02, 1.0, 37.0])
def test_weights_for_raw_inputs_give_what_scaled_ones_gave(arch: str, scale: float, tmp_path: Path) -> None:
    trained, x_BD = random_sae(arch), numbers(3, B, D) / scale
    spec = SaeSpec(arch=arch, d_in=D, d_sae=F, k=SETTINGS[arch].k, l1=SETTINGS[arch].l1)
    tensors = {name: array(tensor).astype(np.float32) for name, tensor in trained.unscaled(scale).items()}
    save_sae(tmp_path / "sae.h5", SaeWeights(spec, tensors))
    sae = from_weights(load_sae(tmp_path / "sae.h5"), torch.device("cpu"))
    assert type(sae) is ARCHITECTURES[arch]
    assert not any(parameter.requires_grad for parameter in sae.parameters())
    raw_BF, scaled_BF = dense(sae.encode(x_BD.float())), dense(trained.encode(x_BD * scale))
    np.testing.assert_allclose(raw_BF, scaled_BF / scale, rtol=1e-3, atol=1e-4 / scale)
    raw_BD, scaled_BD = array(sae(x_BD.float())), array(trained(x_BD * scale))
    np.testing.assert_allclose(raw_BD, scaled_BD / scale, rtol=1e-3, atol=1e-4 / scale)


def test_architectures_by_name() -> None:
    assert {name: architecture(name) for name in ("topk", "relu")} == {"topk": TopKSae, "relu": ReluSae}
    assert (TopKSae.fixed_k, ReluSae.fixed_k) == (True, False)
    assert (TopKSae.resamples, ReluSae.resamples) == (False, True)
    with pytest.raises(MonosemError, match="unknown architecture 'gated'\n  Choose one of: topk, relu"):
        architecture("gated")


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"d_sae": 0}, "d_sae must be positive, not 0"),
        ({"d_sae": 8, "k": 9}, "k must lie between 1 and d_sae = 8, not 9"),
        ({"d_sae": 8, "k": 0}, "k must lie between 1 and d_sae = 8, not 0"),
        ({"d_sae": 8, "l1": -1.0}, "l1 must be a number from 0 on, not -1.0"),
        ({"d_sae": 8, "l1": float("nan")}, "l1 must be a number from 0 on, not nan"),
    ],
)
def test_impossible_shapes_are_refused(settings: dict[str, float], what: str) -> None:
    with pytest.raises(MonosemError, match=what):
        SaeSettings(d_in=4, **settings)  # type: ignore[arg-type]


def test_an_architecture_needs_what_fixes_its_sparsity() -> None:
    with pytest.raises(ValueError, match="TopK needs k"):
        TopKSae(SaeSettings(d_in=4, d_sae=8))
    with pytest.raises(ValueError, match="ReLU needs l1"):
        ReluSae(SaeSettings(d_in=4, d_sae=8))
