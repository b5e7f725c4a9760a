"""Transcoders: autoencoders that read one site and explain another.

Shapes: B tokens of a batch, N of a sample, D = d_in, O = d_out, F = d_sae.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sae.base import SaeSettings
from engine.sae.registry import architecture, from_weights
from engine.training.trainer import SaeTrainer, TrainerSettings
from store.run.spec import SaeSpec
from store.run.weights import SaeWeights
from store.settings.architectures import TABLE
from tests.engine.architectures import (
    TRANSCODING,
    array,
    dense,
    each_transcoding,
    each_transcoding_long,
    numbers,
    plain,
    random_sae,
    sae_settings,
    sparsity,
)
from tests.engine.sae.test_sae import check_loss

B, D, OUT, F = 9, 6, 4, 20


def test_those_that_transcode_say_so() -> None:
    assert {arch for arch, one in TABLE.items() if one.transcodes} == set(TRANSCODING)


@each_transcoding
@pytest.mark.parametrize("n_dead", [None, 1, 7, F])
def test_losses_and_gradients(arch: str, n_dead: int | None) -> None:
    sae = random_sae(arch, 1, sae_settings(arch, D, F, **sparsity(arch, k=4, k_aux=3), d_out=OUT))
    dead_F = None if n_dead is None else torch.arange(F) < n_dead
    weights = plain(sae) | {"b_in": sae.get_buffer("b_in")}
    assert weights["b_in"].abs().min() > 0
    check_loss(arch, sae, weights, 2 * numbers(60, B, D), dead_F, 0.3, 2 * numbers(61, B, OUT))


@settings(max_examples=25)
@given(st.data())
@each_transcoding
def test_losses_of_any_shape(arch: str, data: st.DataObject) -> None:
    d_in, d_out, d_sae = (data.draw(st.integers(1, most)) for most in (7, 7, 30))
    given_ = sparsity(arch, data.draw(st.integers(1, d_sae)), data.draw(st.integers(1, d_sae + 2)))
    sae = random_sae(arch, 2, sae_settings(arch, d_in, d_sae, **given_, d_out=d_out))
    x_BD, y_BO = 2 * numbers(3, 5, d_in), numbers(4, 5, d_out)
    check_loss(arch, sae, plain(sae) | {"b_in": sae.get_buffer("b_in")}, x_BD, None, 1.0, y_BO)


def test_topk_on_paper() -> None:
    sae = architecture("topk")(SaeSettings(d_in=2, d_sae=2, k=1, d_out=1)).double()
    tensors = {"W_enc": [[1.0, 0.0], [0.0, 1.0]], "b_enc": [0.0, 0.5], "W_dec": [[2.0], [-1.0]], "b_dec": [1.0]}
    sae.load_state_dict({name: torch.tensor(values).double() for name, values in (tensors | {"b_in": [1, 1]}).items()})
    x_BD, y_BO = torch.tensor([[4.0, 2.0], [0.0, 3.0]]).double(), torch.tensor([[8.0], [0.0]]).double()
    # Pre-activations (3, 1.5) and (-1, 2.5): y is guessed as 1 + 2 · 3 = 7 and 1 - 2.5 = -1.5; its variance is 32.
    loss = sae.loss(x_BD, None, 1.0, y_BO)
    assert loss.total.item() == pytest.approx((1 + 1.5**2) / 32)
    assert loss.squared_error.item() == pytest.approx(3.25)


def rotated(seed: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sparse sums of 24 directions of 12, and what becomes of them where each direction means another of 5."""
    fixed, generator = torch.Generator().manual_seed(3), torch.Generator().manual_seed(seed)
    read_CD = torch.nn.functional.normalize(torch.randn(24, 12, generator=fixed))
    mean_CO = torch.nn.functional.normalize(torch.randn(24, 5, generator=fixed))
    which_NK = torch.rand(n, 24, generator=generator).topk(2, dim=1).indices
    present_NC = torch.zeros(n, 24).scatter_(1, which_NK, 2 + 4 * torch.rand(n, 2, generator=generator))
    return 3 * present_NC @ read_CD + 7, 0.2 * present_NC @ mean_CO - 4


def trained(arch: str, steps: int) -> SaeTrainer:
    wanted = TrainerSettings(
        arch=arch,
        sae=SaeSettings(d_in=12, d_sae=48, k=3, k_aux=3, d_out=5),
        lr=0.05,
        batch=128,
        steps=steps,
        warmup=20,
        decay=steps // 2,
        dead_after=4000,
        seed=0,
    )
    trainer = SaeTrainer(wanted, torch.device("cpu"))
    trainer.start(*rotated(0, 2048))
    return trainer


@each_transcoding_long
def test_saved_weights_explain_raw_activations(arch: str) -> None:
    trainer = trained(arch, 400)
    for step in range(400):
        trainer.step(*rotated(step + 1, 128))
    spec = SaeSpec(arch=arch, d_in=12, d_out=5, d_sae=48, k=3)
    sae = from_weights(SaeWeights(spec, trainer.weights()), torch.device("cpu"))
    x_ND, y_NO = rotated(9999, 2000)
    acts = sae.encode(x_ND)
    unexplained = ((y_NO - sae.decode(acts)) ** 2).sum() / ((y_NO - y_NO.mean(0)) ** 2).sum()
    assert unexplained < 0.25  # by y's mean alone: 1
    np.testing.assert_allclose(np.linalg.norm(array(sae.W_dec), axis=1), 1, rtol=1e-5)
    inner = trainer.sae.eval()
    scaled = inner.encode(x_ND * trainer.scale)
    assert trainer.y_scale is not None
    np.testing.assert_allclose(dense(acts, 48) * trainer.y_scale, dense(scaled, 48), rtol=1e-3, atol=1e-3)
    expected_NO = inner.decode(scaled) / trainer.y_scale
    np.testing.assert_allclose(array(sae.decode(acts)), array(expected_NO), rtol=1e-3, atol=1e-3)


@each_transcoding
def test_resumed_is_unbroken(arch: str) -> None:
    whole, first, second = trained(arch, 40), trained(arch, 40), trained(arch, 40)
    for step in range(40):
        whole.step(*rotated(step + 1, 128))
    for step in range(23):
        first.step(*rotated(step + 1, 128))
    second.restore(*first.state())
    for step in range(23, 40):
        second.step(*rotated(step + 1, 128))
    for name, values in whole.weights().items():
        np.testing.assert_array_equal(second.weights()[name], values)
