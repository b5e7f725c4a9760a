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
from torch import Tensor
from torch.autograd import backward

from engine.sae.base import (
    Sae,
    SaeSettings,
    SparseActs,
    decode_sparse,
    encoded_rows,
    positive_entries,
)
from engine.sae.registry import architecture, from_weights
from engine.sae.relu import ReluSae
from engine.sae.sparse.products import TopKEntries
from engine.sae.topk import TopKSae
from store.files.errors import MonosemError
from store.run.spec import SaeSpec
from store.run.weights import SaeWeights, load_sae, save_sae
from store.settings.architectures import TABLE
from tests.engine.architectures import (
    AIMED,
    B,
    D,
    F,
    array,
    arrays,
    dense,
    each_architecture,
    each_with_unit_rows,
    encoded_by_hand,
    numbers,
    plain,
    plain_loss,
    random_sae,
    sae_settings,
    sparsity,
)


def grad_of(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


@each_architecture
@pytest.mark.parametrize("seed", range(5))
def test_encoding_and_decoding_by_hand(arch: str, seed: int) -> None:
    sae, x_BD = random_sae(arch, seed), numbers(7 + seed, B, D)
    acts = sae.encode(x_BD)
    expected_BF = encoded_by_hand(arch, arrays(sae), array(x_BD), sae.settings.k)
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


@given(st.integers(1, 5), st.integers(1, 8), st.integers(1, 12), st.integers(1, 6), st.integers(0, 999))
def test_sparse_decoding_is_the_dense_product(tokens: int, kept: int, d_sae: int, d_in: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    feature_BK = torch.randint(d_sae, (tokens, kept), generator=generator)
    acts = SparseActs(numbers(seed, tokens, kept), feature_BK)
    W_dec_FD = numbers(seed + 1, d_sae, d_in)
    expected_BD = dense(acts, d_sae) @ array(W_dec_FD)
    np.testing.assert_allclose(array(decode_sparse(acts, W_dec_FD)), expected_BD, rtol=1e-9, atol=1e-12)


@given(st.integers(1, 5), st.integers(1, 8), st.integers(0, 999))
def test_positive_entries_are_all_there(tokens: int, d_sae: int, seed: int) -> None:
    dense_BF = numbers(seed, tokens, d_sae).relu()
    acts = positive_entries(dense_BF)
    np.testing.assert_array_equal(dense(acts, d_sae), array(dense_BF))
    assert acts.act_BK.shape[1] == max(1, int((dense_BF > 0).sum(1).max()))


def test_no_token_has_no_entries() -> None:
    assert positive_entries(torch.zeros(0, 5)).act_BK.shape == (0, 1)


def test_only_positive_activations_fire() -> None:
    active_BK = torch.tensor([[0.0, 2.0], [0.5, 0.0]]) > 0
    entries = TopKEntries(torch.tensor([[4, 1], [1, 3]]), 6)
    assert entries.fired(active_BK).tolist() == [False, True, False, False, False, False]


def test_a_quarter_of_a_gibibyte_is_encoded_at_once() -> None:
    for d_sae, rows in ((1024, 65_536), (1 << 27, 1)):
        assert encoded_rows(ReluSae(SaeSettings(d_in=1, d_sae=d_sae, l1=1.0)).to("meta")) == rows


def check_loss(
    arch: str,
    sae: Sae,
    weights: dict[str, Tensor],
    x_BD: Tensor,
    dead_F: Tensor | None,
    warmth: float,
    y_BO: Tensor | None = None,
) -> None:
    """Loss, its terms, every gradient and the counters against the plain formulas."""
    expected = plain_loss(arch, sae.settings, weights, x_BD, dead_F, warmth, y_BO)
    loss = sae.loss(x_BD, dead_F, warmth, y_BO)
    backward(expected.total)
    backward(loss.total)
    torch.testing.assert_close(loss.total, expected.total, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(loss.terms, {name: term.detach() for name, term in expected.terms.items()})
    for name, parameter in sae.named_parameters():
        wanted = weights[name].grad if weights[name].grad is not None else torch.zeros_like(parameter)
        torch.testing.assert_close(grad_of(parameter), wanted, rtol=1e-6, atol=1e-9, msg=name)
    explained_BO = x_BD if y_BO is None else y_BO
    squared_error = ((explained_BO - expected.x_hat_BD) ** 2).sum().detach()
    torch.testing.assert_close(loss.squared_error, squared_error, rtol=1e-9, atol=1e-12)
    variance = ((explained_BO - explained_BO.mean(0)) ** 2).sum()
    torch.testing.assert_close(loss.variance, variance, rtol=1e-9, atol=1e-12)
    assert loss.fired_F.tolist() == (expected.acts_BF > 0).any(0).tolist()
    assert loss.n_active.item() == (expected.acts_BF > 0).sum()
    assert not loss.squared_error.requires_grad


@each_architecture
@pytest.mark.parametrize("n_dead", [None, 1, 2, 3, 7, F])
@pytest.mark.parametrize("seed", range(2))
def test_losses_and_gradients(arch: str, n_dead: int | None, seed: int) -> None:
    sae, x_BD = random_sae(arch, seed), 2 * numbers(50 + seed, B, D)
    weights = plain(sae)
    dead_F = None
    if n_dead is not None:
        dead_F = torch.zeros(F, dtype=torch.bool)
        dead_F[torch.randperm(F, generator=torch.Generator().manual_seed(seed))[:n_dead]] = True
    check_loss(arch, sae, weights, x_BD, dead_F, 0.3)
    for name in weights:
        assert grad_of(weights[name]).abs().max() > 1e-3, name


@pytest.mark.parametrize("warmth", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("arch", ["relu", "l1-norm", "gated", "jumprelu"])
def test_penalties_are_warmed_up(arch: str, warmth: float) -> None:
    sae, x_BD = random_sae(arch, 3, sae_settings(arch, l1=0.9)), 2 * numbers(53, B, D)
    check_loss(arch, sae, plain(sae), x_BD, None, warmth)


@settings(max_examples=30)
@given(st.data())
@each_architecture
def test_losses_of_any_shape(arch: str, data: st.DataObject) -> None:
    d_in, d_sae, tokens = (data.draw(st.integers(1, 7)), data.draw(st.integers(1, 40)), data.draw(st.integers(2, 6)))
    k = data.draw(st.integers(1, d_sae))
    given_ = sparsity(arch, k, data.draw(st.integers(1, d_sae + 2)), l1=data.draw(st.floats(0, 3)))
    sae = random_sae(arch, data.draw(st.integers(0, 99)), sae_settings(arch, d_in, d_sae, **given_))
    dead_F = torch.tensor(data.draw(st.lists(st.booleans(), min_size=d_sae, max_size=d_sae)))
    x_BD = 2 * numbers(data.draw(st.integers(0, 999)), tokens, d_in)
    check_loss(arch, sae, plain(sae), x_BD, dead_F if dead_F.any() else None, 1.0)


@pytest.mark.parametrize("arch", sorted(set(AIMED)))
def test_the_weight_of_the_auxiliary_loss_is_the_settings(arch: str) -> None:
    sae = random_sae(arch, settings=sae_settings(arch, k=4, k_aux=3, aux_weight=5.0))
    x_BD, dead_F = numbers(3, B, D), torch.arange(F) < 8
    loss = sae.loss(x_BD, dead_F, 0.0)
    total = loss.terms["unexplained"] + 5.0 * loss.terms["aux"] + loss.terms.get("pull", torch.zeros(()))
    torch.testing.assert_close(loss.total.detach(), total)


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


@each_with_unit_rows
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
    for name in before.keys() - {"W_dec"}:
        assert torch.equal(grad_of(sae.get_parameter(name)), before[name])
    assert (before["W_dec"] * sae.W_dec).sum(1).abs().max() > 1e-3  # there was something to take away


@each_with_unit_rows
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
    saes = [architecture(arch)(sae_settings(arch)) for _ in range(3)]
    mean_D = numbers(4, D).float()
    for sae, seed in zip(saes, (5, 5, 6), strict=True):
        sae.initialise(mean_D, torch.Generator().manual_seed(seed))
    first, same, other = saes
    torch.testing.assert_close(first.W_dec.norm(dim=1), torch.full((F,), 0.1 if arch == "l1-norm" else 1.0))
    # Half of 20 features in 6 dimensions add up to 20 / 12 times their input, where columns are not made shorter; the
    # fifth of them above 0.84162 to 20 / 6 · (1 / 5 + 0.84162 · 0.27996).
    length = {"relu": 0.6, "gated": 0.6, "jumprelu": 0.68867, "batchtopk": 0.68867}.get(arch, 1.0)
    torch.testing.assert_close(first.W_enc, first.W_dec.T * length, rtol=1e-4, atol=0)
    assert torch.equal(first.b_dec, mean_D)
    assert (first.b_enc == 0).all()
    assert torch.equal(first.W_dec, same.W_dec)
    assert not torch.equal(first.W_dec, other.W_dec)


@each_architecture
@pytest.mark.parametrize("scale", [0.02, 1.0, 37.0])
def test_weights_for_raw_inputs_give_what_scaled_ones_gave(arch: str, scale: float, tmp_path: Path) -> None:
    trained, x_BD = random_sae(arch), numbers(3, B, D) / scale
    spec = SaeSpec(arch=arch, d_in=D, d_sae=F, k=trained.settings.k, l1=trained.settings.l1)
    tensors = {name: array(tensor).astype(np.float32) for name, tensor in trained.unscaled(scale).items()}
    save_sae(tmp_path / "sae.h5", SaeWeights(spec, tensors))
    sae = from_weights(load_sae(tmp_path / "sae.h5"), torch.device("cpu"))
    assert type(sae) is architecture(arch)
    assert not any(parameter.requires_grad for parameter in sae.parameters())
    lengths_F = np.linalg.norm(array(trained.W_dec), axis=1) if arch == "l1-norm" else np.ones(F)
    raw_BF, scaled_BF = dense(sae.encode(x_BD.float())), dense(trained.encode(x_BD * scale)) * lengths_F
    np.testing.assert_allclose(raw_BF, scaled_BF / scale, rtol=1e-3, atol=1e-4 / scale)
    raw_BD, scaled_BD = array(sae(x_BD.float())), array(trained(x_BD * scale))
    np.testing.assert_allclose(raw_BD, scaled_BD / scale, rtol=1e-3, atol=1e-4 / scale)


@each_architecture
def test_a_token_is_encoded_alone_as_in_any_batch(arch: str) -> None:
    sae, x_BD = random_sae(arch).eval(), 2 * numbers(8, B, D)
    together_BF = dense(sae.encode(x_BD))
    apart_BF = np.concatenate([dense(sae.encode(x_BD[row : row + 1])) for row in range(B)])
    np.testing.assert_allclose(apart_BF, together_BF, rtol=1e-12, atol=1e-12)
    assert (together_BF > 0).any()
    assert ((together_BF > 0).sum(1).min() < (together_BF > 0).sum(1).max()) or arch == "topk"


def test_architectures_by_name() -> None:
    assert {name: architecture(name) for name in ("topk", "relu")} == {"topk": TopKSae, "relu": ReluSae}
    assert {name for name in TABLE if architecture(name).resamples} == {"relu"}
    names = "topk, batchtopk, jumprelu, matryoshka, gated, l1-norm, relu"
    with pytest.raises(MonosemError, match=f"unknown architecture 'vanilla'\n  Choose one of: {names}"):
        architecture("vanilla")


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"d_sae": 0}, "d_sae must be positive, not 0"),
        ({"d_sae": 8, "k": 9}, "k must lie between 1 and d_sae = 8, not 9"),
        ({"d_sae": 8, "k": 0}, "k must lie between 1 and d_sae = 8, not 0"),
        ({"d_sae": 8, "l1": -1.0}, "l1 must be a finite number of at least 0, not -1.0"),
        ({"d_sae": 8, "l1": float("nan")}, "l1 must be a finite number of at least 0, not nan"),
    ],
)
def test_impossible_shapes_are_refused(settings: dict[str, float], what: str) -> None:
    with pytest.raises(MonosemError, match=what):
        SaeSettings(d_in=4, **settings)  # type: ignore[arg-type]


def test_an_architecture_needs_what_fixes_its_sparsity() -> None:
    with pytest.raises(ValueError, match="needs k"):
        TopKSae(SaeSettings(d_in=4, d_sae=8))
    for arch in sorted(set(TABLE) - {"topk"}):  # to be trained: one from elsewhere encodes without
        sae = random_sae(arch, settings=SaeSettings(d_in=4, d_sae=8))
        assert sae(numbers(0, 2, 4)).shape == (2, 4)
        with pytest.raises(ValueError, match=r"needs (k|l1)"):
            sae.loss(numbers(0, 2, 4), None, 1.0)
