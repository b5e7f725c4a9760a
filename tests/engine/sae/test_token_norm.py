"""Dictionaries that normalise every token by itself, and skip connections, against both written out in float64.

Shapes: B tokens, D = d_in, O = d_out, F = d_sae.
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch

from engine.indexing.encoder import encode_rows
from engine.sae.base import SaeSettings
from engine.sae.registry import architecture, from_weights
from engine.sae.token_norm import TokenNorm, moments
from store.files.errors import MonosemError
from store.run.spec import SaeSpec
from store.run.weights import SaeWeights
from tests.engine.architectures import (
    B,
    D,
    F,
    array,
    arrays,
    dense,
    each_architecture,
    each_token_norm,
    encoded_by_hand,
    normalised_by_hand,
    numbers,
    random_sae,
    sparsity,
    turned_back_by_hand,
)

D_OUT = 4


def settings(arch: str, **given: object) -> SaeSettings:
    return SaeSettings(d_in=D, d_sae=F, **(sparsity(arch, k=4) | given))


def tokens() -> torch.Tensor:
    """Inputs of very different sizes, not around 0."""
    return (numbers(11, B, D) + 0.7) * torch.logspace(-1, 2, B)[:, None]


def test_one_token_by_hand() -> None:
    """x = (1, 5): mean 3, standard deviation √8 of a sample, so n(x) = (-1, 1) / √2, to a part in 10⁵."""
    sae = architecture("relu")(SaeSettings(d_in=2, d_sae=2, l1=1.0, token_norm="layer_norm")).double()
    with torch.no_grad():
        sae.W_enc.copy_(torch.eye(2))
        sae.W_dec.copy_(torch.tensor([[7.0, 7.0], [2.0, 1.0]]))
        sae.b_enc.copy_(torch.tensor([0.0, 1.0]))
    x_BD = torch.tensor([[1.0, 5.0]], dtype=torch.float64)
    np.testing.assert_allclose(dense(sae.encode(x_BD), 2), [[0, 1 + 1 / np.sqrt(2)]], atol=1e-5)
    # √8 · (1 + 1/√2) · (2, 1) + 3
    np.testing.assert_allclose(array(sae(x_BD)), [[7 + 4 * np.sqrt(2), 5 + 2 * np.sqrt(2)]], atol=5e-5)


@each_token_norm
@each_architecture
def test_every_architecture(arch: str, how: TokenNorm) -> None:
    sae = random_sae(arch, settings=settings(arch, token_norm=how))
    x_BD = tokens()
    w = arrays(sae)
    acts_BF = encoded_by_hand(arch, w, normalised_by_hand(how, array(x_BD)), sae.settings.k)
    assert 0 < (acts_BF > 0).sum() < acts_BF.size
    np.testing.assert_allclose(dense(sae.encode(x_BD)), acts_BF, atol=1e-9)
    out_BD = turned_back_by_hand(how, acts_BF @ w["W_dec"] + w["b_dec"], array(x_BD))
    np.testing.assert_allclose(array(sae(x_BD)), out_BD, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(array(sae.decode(sae.encode(x_BD), x_BD)), out_BD, rtol=1e-9, atol=1e-9)
    some_C = torch.tensor([7, 0, 19, 3])
    np.testing.assert_allclose(array(sae.acts_of(x_BD, some_C)), acts_BF[:, some_C], atol=1e-9)
    one_by_one = torch.cat([sae.acts_of(x_D[None], some_C) for x_D in x_BD])
    np.testing.assert_allclose(array(one_by_one), acts_BF[:, some_C], atol=1e-9)


@each_token_norm
def test_the_indexs_own_way_to_encode(how: TokenNorm) -> None:
    """TopK of many features looks for the largest in groups."""
    sae = random_sae("topk", settings=SaeSettings(d_in=D, d_sae=1024, k=4, token_norm=how)).float()
    x_BD = tokens().float()
    found = encode_rows(sae, x_BD, np.ones(B, bool))
    acts_BF = encoded_by_hand("topk", arrays(sae), normalised_by_hand(how, array(x_BD.double())), 4)
    rows_BF = np.zeros_like(acts_BF)
    for row in range(B):
        here = slice(found.indptr[row], found.indptr[row + 1])
        rows_BF[row, found.feature[here]] = found.act[here]
    np.testing.assert_allclose(rows_BF, acts_BF, atol=1e-4)


@each_token_norm
def test_features_alone_do_not_decode(how: TokenNorm) -> None:
    sae, x_BD = random_sae("relu", settings=settings("relu", token_norm=how)), tokens()
    with pytest.raises(MonosemError, match=rf"token_norm {how} cannot decode from features alone") as refused:
        sae.decode(sae.encode(x_BD))
    assert "decode(acts, x)" in refused.value.hint
    plain = random_sae("relu")
    torch.testing.assert_close(plain.decode(plain.encode(x_BD)), plain.decode(plain.encode(x_BD), x_BD))


@each_token_norm
def test_a_token_of_zeros_has_no_direction(how: TokenNorm) -> None:
    sae = random_sae("relu", settings=settings("relu", token_norm=how))
    x_BD = torch.zeros(1, D, dtype=torch.float64)
    w = arrays(sae)
    np.testing.assert_allclose(dense(sae.encode(x_BD)), encoded_by_hand("relu", w, array(x_BD), None), atol=1e-9)
    assert not sae(x_BD).any()


@pytest.mark.parametrize("how", ["none", "layer_norm", "rms_norm"])
@pytest.mark.parametrize("arch", ["topk", "jumprelu"])
def test_a_transcoder_turns_nothing_back_and_skips_past_the_norm(arch: str, how: TokenNorm) -> None:
    """ŷ = W_decᵀ f(n(x)) + b_dec + W_skip x."""
    sae = random_sae(arch, settings=settings(arch, token_norm=how, d_out=D_OUT, skip=True))
    x_BD, w = tokens(), arrays(sae)
    by_centre = w | {"b_dec": w["b_in"]}
    acts_BF = encoded_by_hand(arch, by_centre, normalised_by_hand(how, array(x_BD)), sae.settings.k)
    np.testing.assert_allclose(dense(sae.encode(x_BD)), acts_BF, atol=1e-9)
    out_BO = acts_BF @ w["W_dec"] + w["b_dec"] + array(x_BD) @ w["W_skip"].T
    np.testing.assert_allclose(array(sae(x_BD)), out_BO, rtol=1e-9, atol=1e-9)
    assert sae.unit_of(x_BD) is None
    with pytest.raises(MonosemError, match="a skip connection cannot decode from features alone"):
        sae.decode(sae.encode(x_BD))


def test_what_no_monosem_computes_is_refused() -> None:
    spec = SaeSpec(arch="relu", d_in=D, d_sae=F, l1=1.0, token_norm="of a later version")
    with pytest.raises(MonosemError, match="does not know the token norm 'of a later version'"):
        from_weights(SaeWeights(spec, {}), torch.device("cpu"))
    with pytest.raises(ValueError, match="only transcoders"):
        settings("relu", skip=True)
    with pytest.raises(ValueError, match="not normalised"):
        moments(tokens(), "none")


def test_a_spec_says_it_only_where_it_is_so() -> None:
    plain = SaeSpec(arch="relu", d_in=D, d_sae=F)
    assert "token_norm" not in plain.to_json() and "skip" not in plain.to_json()
    assert set(asdict(plain)) - set(plain.as_values()) == {"token_norm", "skip"}
    said = SaeSpec(arch="topk", d_in=D, d_sae=F, k=4, d_out=D, token_norm="layer_norm", skip=True)
    assert SaeSpec.from_json(said.to_json()) == said
    assert SaeSpec.from_json(plain.to_json()) == plain
    assert said.title() == "topk 20 k4 layer_norm skip of 6 values"
