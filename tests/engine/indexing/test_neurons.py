"""Aligned neurons and the histogram of logit effects, against the model's own modules and numpy.

F features, D = width of a site, H neurons, V vocabulary.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.indexing.logit_effects import BINS, logit_effects
from engine.indexing.neurons import aligned_neurons
from engine.model.language_model import LanguageModel
from engine.model.sites import resolve_site
from tests.engine.indexing.test_logit_effects import LEADING, N_FEATURES, PARTS, rows, steer, truth
from tests.engine.tiny_models import D_MLP, D_MODEL, VOCAB, tiny

LAYER_BEFORE = {path: path.replace(".1.", ".0.") for parts in PARTS.values() for path in parts[:2]}


@torch.no_grad()
def written(lm: LanguageModel, family: str, site: str) -> NDArray[np.float32]:
    """Contribution [H, M] of each neuron of the last MLP to the stream, by that MLP's own modules."""
    down, post_norm, _ = PARTS[family]
    if site in ("resid_pre", "resid_mid"):
        down, post_norm = LAYER_BEFORE[down], LAYER_BEFORE[post_norm]
    matrix = lm.network.get_submodule(down)
    out_HM = matrix(torch.eye(D_MLP)) - matrix(torch.zeros(D_MLP, D_MLP))
    return (steer(lm.network.get_submodule(post_norm), out_HM) if post_norm else out_HM).numpy()


@pytest.mark.parametrize("family", PARTS)
@pytest.mark.parametrize("site", ["resid_pre", "resid_mid", "resid_post", "mlp_out"])
def test_cosines_with_what_each_neuron_writes(family: str, site: str) -> None:
    lm = tiny(family)
    W_FD = rows(N_FEATURES, D_MODEL)
    found = aligned_neurons(lm, resolve_site(lm, site, 1), W_FD, top=7)
    assert found is not None
    out_HM = written(lm, family, site)
    cosine_FH = W_FD.numpy() @ out_HM.T / np.linalg.norm(W_FD, axis=1)[:, None] / np.linalg.norm(out_HM, axis=1)
    expected = np.argsort(-np.abs(cosine_FH), axis=1)[:, :7]
    assert (found[0].dtype, found[1].dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_allclose(found[1], np.take_along_axis(cosine_FH, expected, 1), rtol=1e-4, atol=1e-5)
    assert (found[1] < 0).any()


@pytest.mark.parametrize("family", PARTS)
def test_in_the_hidden_layer_a_neuron_is_a_coordinate(family: str) -> None:
    lm = tiny(family)
    W_FH = rows(N_FEATURES, D_MLP)
    W_FH[3] = 0
    found = aligned_neurons(lm, resolve_site(lm, "mlp_act", 1), W_FH, top=D_MLP)
    assert found is not None
    share_F = np.square(found[1].astype(np.float64)).sum(1)
    np.testing.assert_allclose(share_F, np.where(np.arange(N_FEATURES) == 3, 0, 1), atol=1e-5)
    for feature in (0, 5):
        row = W_FH[feature].numpy()
        np.testing.assert_array_equal(found[0][feature], np.argsort(-np.abs(row)))
        np.testing.assert_allclose(found[1][feature], row[found[0][feature]] / np.linalg.norm(row), rtol=1e-5)


@pytest.mark.parametrize(
    ("family", "site", "layer"),
    [
        ("llama", "resid_pre", 0), ("gpt2", "resid_mid", 0), ("llama", "attn_out", 1), ("llama", "mlp_in", 1),
        ("llama", "model.layers.1", None), ("mixtral", "resid_post", 1), ("qwen3_moe", "mlp_out", 1),
    ],
)  # fmt: skip
def test_where_there_are_no_neurons_to_compare_with(family: str, site: str, layer: int | None) -> None:
    lm = tiny(family)
    assert aligned_neurons(lm, resolve_site(lm, site, layer), rows(N_FEATURES, D_MODEL)) is None


def test_small_pieces_give_the_same() -> None:
    lm = tiny("gpt2")
    place, W_FD = resolve_site(lm, "resid_post", 1), rows(N_FEATURES, D_MODEL)
    whole, table = aligned_neurons(lm, place, W_FD), logit_effects(lm, place, W_FD)
    pieces = aligned_neurons(lm, place, W_FD, scratch=2 * D_MLP)
    assert whole is not None
    assert pieces is not None
    np.testing.assert_array_equal(pieces[0], whole[0])
    np.testing.assert_array_equal(logit_effects(lm, place, W_FD, scratch=2 * VOCAB).histogram_FB, table.histogram_FB)


@pytest.mark.parametrize("family", PARTS)
@pytest.mark.parametrize("site", LEADING)
def test_the_histogram_counts_every_token(family: str, site: str) -> None:
    lm = tiny(family)
    place = resolve_site(lm, site, 1)
    W_FD = rows(N_FEATURES, place.d_in)
    table = logit_effects(lm, place, W_FD, top=3)
    found = table.histogram_FB
    assert found is not None
    assert (found.shape, found.dtype) == ((N_FEATURES, BINS), np.uint16)
    assert (found.sum(1) == VOCAB).all()
    for feature, logits_V in enumerate(truth(lm, family, site, W_FD).astype(np.float64)):
        low, high = float(table.bottom_value_FT[feature, 0]), float(table.top_value_FT[feature, 0])
        place_V = (logits_V - low) / (high - low) * BINS
        # The model's own modules round otherwise: what lies very near an edge may be on either side of it.
        near_V = np.abs(place_V - np.rint(place_V)) < 1e-3
        least = np.histogram(place_V[~near_V], BINS, (0, BINS))[0]
        most = least + np.histogram(np.clip(place_V[near_V] - 2e-3, 0, BINS), BINS, (0, BINS))[0]
        most += np.histogram(np.clip(place_V[near_V] + 2e-3, 0, BINS), BINS, (0, BINS))[0]
        assert ((least <= found[feature]) & (found[feature] <= most)).all()
        assert near_V.sum() < VOCAB / 4


def test_effects_that_are_all_the_same_are_in_one_bin() -> None:
    lm = tiny("llama")
    table = logit_effects(lm, resolve_site(lm, "resid_post", 1), torch.zeros(2, D_MODEL))
    assert table.histogram_FB is not None
    assert table.histogram_FB[:, 0].tolist() == [VOCAB, VOCAB]


def test_no_histogram_where_nothing_leads_to_the_logits() -> None:
    lm = tiny("llama")
    assert logit_effects(lm, resolve_site(lm, "mlp_in", 1), rows(2, D_MODEL)).histogram_FB is None
