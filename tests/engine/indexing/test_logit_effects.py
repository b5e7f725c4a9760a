"""Direct effects on the logits, against the model's own modules.

F features, D = d_in, M = d_model, V vocabulary.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.indexing.logit_effects import logit_directions, logit_effects
from engine.model.language_model import LanguageModel
from engine.model.sites import SITES, resolve_site
from tests.engine.tiny_models import D_MODEL, VOCAB, tiny

N_FEATURES = 9
PARTS = {
    "gpt2": ("transformer.h.1.mlp.c_proj", "", "transformer.ln_f"),
    "gpt_neox_sequential": ("gpt_neox.layers.1.mlp.dense_4h_to_h", "", "gpt_neox.final_layer_norm"),
    "llama": ("model.layers.1.mlp.down_proj", "", "model.norm"),
    "qwen3": ("model.layers.1.mlp.down_proj", "", "model.norm"),
    "gemma": ("model.layers.1.mlp.down_proj", "", "model.norm"),
    "gemma2": ("model.layers.1.mlp.down_proj", "model.layers.1.post_feedforward_layernorm", "model.norm"),
    "gemma3": (
        "model.language_model.layers.1.mlp.down_proj",
        "model.language_model.layers.1.post_feedforward_layernorm",
        "model.language_model.norm",
    ),
}
"""Per family: the MLP's last matrix, the norm after it, the final norm."""

LEADING = tuple(site for site in SITES if site != "mlp_in")
"""Sites that are, or are added to, what the unembedding reads."""


def rows(n_features: int, width: int) -> torch.Tensor:
    return torch.randn(n_features, width, generator=torch.Generator().manual_seed(5))


def steer(norm: torch.nn.Module, x_FM: torch.Tensor) -> torch.Tensor:
    """A direction after a norm without its scale: the norm's output times the scale that it divided by."""
    if isinstance(norm, torch.nn.LayerNorm):
        return (norm(x_FM) - norm(torch.zeros_like(x_FM))) * (x_FM.var(1, correction=0, keepdim=True) + norm.eps).sqrt()
    eps = getattr(norm, "eps", getattr(norm, "variance_epsilon", 0.0))
    return norm(x_FM) * (x_FM.square().mean(1, keepdim=True) + eps).sqrt()


@torch.no_grad()
def truth(lm: LanguageModel, family: str, site: str, W_FD: torch.Tensor) -> NDArray[np.float32]:
    """Centred logits [F, V] through the model's own modules."""
    down, post_norm, final_norm = PARTS[family]
    x_FM = W_FD
    if site == "mlp_act":
        matrix = lm.network.get_submodule(down)
        x_FM = matrix(W_FD) - matrix(torch.zeros_like(W_FD))
        if post_norm:
            x_FM = steer(lm.network.get_submodule(post_norm), x_FM)
    head = lm.network.get_submodule("lm_head")
    logits_FV = head(steer(lm.network.get_submodule(final_norm), x_FM)).numpy()
    return logits_FV - logits_FV.mean(1, keepdims=True)


@pytest.mark.parametrize("family", PARTS)
@pytest.mark.parametrize("site", LEADING)
def test_the_table_is_what_the_modules_give(family: str, site: str) -> None:
    lm = tiny(family)
    place = resolve_site(lm, site, 1)
    W_FD = rows(N_FEATURES, place.d_in)
    table = logit_effects(lm, place, W_FD, top=6)
    logits_FV = truth(lm, family, site, W_FD)
    order = np.argsort(-logits_FV, axis=1)
    for ids, values, expected in (
        (table.top_id_FT, table.top_value_FT, order[:, :6]),
        (table.bottom_id_FT, table.bottom_value_FT, order[:, ::-1][:, :6]),
    ):
        assert (ids.dtype, values.dtype) == (np.int32, np.float32)
        np.testing.assert_array_equal(ids, expected)
        np.testing.assert_allclose(values, np.take_along_axis(logits_FV, expected, 1), rtol=1e-3, atol=1e-4)


def test_logits_move_as_the_table_says() -> None:
    """A small push at the end of the stream moves the logits in proportion to the table, up to the norm's scale."""
    lm = tiny("llama")
    W_FD = rows(1, D_MODEL)
    stream_BM = rows(1, D_MODEL) * 3 + 1
    W_FD -= stream_BM * (W_FD @ stream_BM.T) / stream_BM.square().sum()  # along the sphere: the scale stays

    def head(x: torch.Tensor) -> torch.Tensor:
        return lm.network.lm_head(lm.network.model.norm(x))

    with torch.no_grad():
        moved = (head(stream_BM + 1e-3 * W_FD) - head(stream_BM))[0]
    table = logit_effects(lm, resolve_site(lm, "resid_post", 1), W_FD, top=VOCAB)
    expected = torch.empty(VOCAB)
    expected[torch.from_numpy(table.top_id_FT[0]).long()] = torch.from_numpy(table.top_value_FT[0])
    moved -= moved.mean()
    assert torch.corrcoef(torch.stack([moved, expected]))[0, 1] > 0.999


def test_small_pieces_give_the_same() -> None:
    lm = tiny("gpt2")
    place = resolve_site(lm, "mlp_act", 0)
    W_FD = rows(N_FEATURES, place.d_in)
    whole = logit_effects(lm, place, W_FD)
    pieces = logit_effects(lm, place, W_FD, scratch=2 * VOCAB, block=10)
    np.testing.assert_array_equal(pieces.top_id_FT, whole.top_id_FT)
    np.testing.assert_array_equal(pieces.bottom_id_FT, whole.bottom_id_FT)
    np.testing.assert_allclose(pieces.top_value_FT, whole.top_value_FT, rtol=1e-4)


@pytest.mark.parametrize("groups", [2, 3, 5])
def test_a_large_vocabulary_is_searched_in_groups(groups: int) -> None:
    lm, W_FD = tiny("llama"), rows(N_FEATURES, D_MODEL)
    W_FD[0] = 0  # all logits are equal
    place = resolve_site(lm, "resid_post", 1)
    assert 4 * groups * 2 <= VOCAB
    whole, found = logit_effects(lm, place, W_FD, 2), logit_effects(lm, place, W_FD, 2, groups=groups)
    for name in ("top_id_FT", "bottom_id_FT"):
        np.testing.assert_array_equal(getattr(found, name)[1:], getattr(whole, name)[1:])
        assert len(set(getattr(found, name)[0].tolist())) == 2
    for name in ("top_value_FT", "bottom_value_FT", "histogram_FB"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))


def test_half_precision_weights_are_read_in_full() -> None:
    half = tiny("gemma2", torch.bfloat16)
    place = resolve_site(half, "mlp_act", 1)
    W_FD = rows(N_FEATURES, place.d_in)
    found = logit_effects(half, place, W_FD)
    half.network.float()
    np.testing.assert_array_equal(found.top_id_FT, logit_effects(half, place, W_FD).top_id_FT)


@pytest.mark.parametrize(("site", "layer"), [("model.layers.1", None), ("mlp_in", 1)])
def test_raw_paths_and_what_the_mlp_reads_do_not_lead_to_the_logits(site: str, layer: int | None) -> None:
    lm = tiny("llama")
    place = resolve_site(lm, site, layer)
    assert place.d_in == D_MODEL
    W_FD = rows(N_FEATURES, D_MODEL)
    assert logit_directions(lm, place, W_FD) is None
    table = logit_effects(lm, place, W_FD)
    for values in (table.top_id_FT, table.top_value_FT, table.bottom_id_FT, table.bottom_value_FT):
        assert values.shape == (N_FEATURES, 0)


def test_directions_in_the_stream_are_the_rows_themselves() -> None:
    lm = tiny("gemma2")
    W_FD = rows(N_FEATURES, D_MODEL)
    for site in LEADING[:-1]:
        found = logit_directions(lm, resolve_site(lm, site, 0), W_FD)
        assert found is not None
        assert torch.equal(found, W_FD)


def test_more_tokens_than_there_are() -> None:
    lm = tiny("llama")
    table = logit_effects(lm, resolve_site(lm, "mlp_out", 0), rows(2, D_MODEL), top=1000)
    assert np.array_equal(np.sort(table.top_id_FT[0]), np.arange(VOCAB))
    assert np.array_equal(table.top_id_FT[:, ::-1], table.bottom_id_FT)
