"""Cases small enough for their losses to be worked out on paper, and what each architecture promises beyond its loss.

Shapes: B tokens of a batch, N inputs, D = d_in, F = d_sae.
"""

from __future__ import annotations

from math import log
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import backward

from engine.sae.base import Sae, SaeSettings
from engine.sae.batchtopk import THRESHOLD_RATE, BatchTopKSae
from engine.sae.jumprelu import BANDWIDTH, PULL
from engine.sae.registry import architecture
from engine.training.trainer import SaeTrainer, TrainerSettings
from tests.engine.architectures import dense, numbers, random_sae, sae_settings


def sae_of(arch: str, W_enc: Any, W_dec: Any, settings: dict[str, Any], **others: list[float]) -> Sae:
    """An autoencoder with these weights and no biases but those named."""
    W_enc_DF, W_dec_FD = torch.tensor(W_enc).double(), torch.tensor(W_dec).double()
    sae = architecture(arch)(SaeSettings(d_in=len(W_enc_DF), d_sae=len(W_dec_FD), **settings)).double()
    tensors = sae.state_dict() | {"W_enc": W_enc_DF, "W_dec": W_dec_FD}
    sae.load_state_dict(tensors | {name: torch.tensor(values) for name, values in others.items()})
    return sae


def identity(arch: str, size: int, k: int) -> Sae:
    """Each feature is one input."""
    return sae_of(arch, torch.eye(size).tolist(), torch.eye(size).tolist(), {"k": k})


def rows(*values: list[float]) -> Tensor:
    return torch.tensor(values).double()


def test_batchtopk_spends_a_batch_s_features_where_they_are_largest() -> None:
    sae = identity("batchtopk", 2, k=1)
    loss = sae.loss(rows([3, 2], [1, -1]), None, 1.0)
    # Kept are 3 and 2, both of the first token; the second is left with (1, -1). Their mean is (2, 0.5).
    assert loss.total.item() == pytest.approx(2 / 6.5)
    assert (loss.squared_error.item(), loss.n_active.item(), loss.fired_F.tolist()) == (2.0, 2, [True, True])


def test_the_threshold_follows_the_smallest_activation_kept() -> None:
    sae = identity("batchtopk", 2, k=1)
    assert isinstance(sae, BatchTopKSae)
    sae.loss(rows([3, 2], [1, -1]), None, 1.0)
    assert sae.threshold.item() == 2  # the first batch sets it
    sae.loss(rows([4, 0], [1, -1]), None, 1.0)
    assert sae.threshold.item() == pytest.approx(2 + THRESHOLD_RATE * (1 - 2))
    sae.loss(rows([-1, -2], [-3, -1]), None, 1.0)  # nothing is kept
    sae.eval().loss(rows([9, 9], [9, 9]), None, 1.0)
    assert sae.threshold.item() == pytest.approx(1.95)
    assert dense(sae.encode(rows([3, 1.94], [2, 2])), 2).tolist() == [[3, 0], [2, 2]]


def test_matryoshka_counts_each_prefix() -> None:
    sae = identity("matryoshka", 4, k=4)  # prefixes of 1, 2 and 4 features
    loss = sae.loss(rows([4, 3, 2, 1], [0, 0, 0, 0]), None, 1.0)
    # Left over: 9 + 4 + 1, then 4 + 1, then nothing; variance 2 · (4 + 2.25 + 1 + 0.25).
    assert loss.total.item() == pytest.approx((14 + 5 + 0) / 3 / 15)
    assert loss.squared_error.item() == 0  # of the whole dictionary: what explained variance is made of


@pytest.mark.parametrize(
    ("d_sae", "ends"), [(65536, [2048, 6144, 14336, 30720]), (1024, [32, 96, 224, 480]), (4, [1, 2]), (1, [])]
)
def test_prefixes_are_the_paper_s(d_sae: int, ends: list[int]) -> None:
    sae = architecture("matryoshka")(SaeSettings(d_in=1, d_sae=d_sae, k=1))
    assert isinstance(sae, BatchTopKSae)
    assert sae.group_starts() == (0, *ends)


def test_early_features_of_matryoshka_learn_from_every_prefix_and_late_ones_from_the_last() -> None:
    sae, x_BD = random_sae("matryoshka", settings=sae_settings("matryoshka", 6, 64, k=64)), numbers(1, 9, 6)
    backward(sae.loss(x_BD, None, 1.0).total)
    assert sae.W_dec.grad is not None
    acts_BF = sae.pre_acts(x_BD).detach().relu()
    error_BD = x_BD - acts_BF @ sae.W_dec.detach() - sae.b_dec.detach()
    share = 2 / 5 / ((x_BD - x_BD.mean(0)) ** 2).sum()  # five prefixes
    torch.testing.assert_close(sae.W_dec.grad[30:], -(acts_BF.T @ error_BD * share)[30:])
    assert not torch.allclose(sae.W_dec.grad[:30], -(acts_BF.T @ error_BD * share)[:30])


def test_jumprelu_moves_its_threshold_by_the_paper_s_formula() -> None:
    sae = sae_of("jumprelu", [[1.0]], [[1.0]], {"k": 1}, threshold=[1.0])
    off = 0.4 * BANDWIDTH  # the first two are near the threshold, the second and third above
    below, over = 1 - off, 1 + off
    x_BD = rows([below], [over], [3.0], [-2.0])
    loss = sae.loss(x_BD, None, 1.0)
    backward(loss.total)
    mean = (below + over + 3 - 2) / 4
    variance = sum((x - mean) ** 2 for x in (below, over, 3, -2))
    assert loss.terms["penalty"].item() == pytest.approx((2 / 4 / 1 - 1) ** 2)
    assert loss.terms["pull"].item() == pytest.approx(PULL / 2)  # θ is 1, and it is silent on half of the tokens
    assert loss.total.item() == pytest.approx((below**2 + 2.0**2) / variance + 0.25 + PULL / 2)
    # By the error: -θ/ε times dL/df = -2 · below / variance of the first. By the penalty: 2 (L0/k - 1) / k times
    # dL0/dθ = -1/ε for two of four tokens.
    gradient = sae.get_parameter("threshold").grad
    assert gradient is not None
    by_error, by_penalty = 2 * below / variance, 2 * (0.5 - 1) * (-2 / 4)
    assert gradient.item() == pytest.approx((by_error + by_penalty) / BANDWIDTH + PULL / 2)


@pytest.mark.parametrize(("k", "d_sae"), [(16, 1024), (1, 50), (4, 4)])
def test_jumprelu_begins_about_as_sparse_as_it_is_to_be(k: int, d_sae: int) -> None:
    sae = architecture("jumprelu")(SaeSettings(d_in=64, d_sae=d_sae, k=k))
    sae.initialise(torch.zeros(64), torch.Generator().manual_seed(0))
    acts = sae.encode(torch.randn(2000, 64, generator=torch.Generator().manual_seed(1)))
    assert (acts.act_BK > 0).sum().item() / 2000 == pytest.approx(min(k, d_sae / 2), rel=0.1)


@pytest.mark.parametrize("arch", ["relu", "gated", "jumprelu", "batchtopk"])
def test_first_reconstructions_are_as_large_as_their_inputs(arch: str) -> None:
    sae = architecture(arch)(SaeSettings(d_in=32, d_sae=512, k=16, l1=1.0))
    sae.initialise(torch.zeros(32), torch.Generator().manual_seed(0))
    x_BD = torch.randn(500, 32, generator=torch.Generator().manual_seed(1))
    if isinstance(sae, BatchTopKSae):
        sae.loss(x_BD, None, 1.0)  # sets the threshold
    along = (sae(x_BD) * x_BD).sum() / x_BD.square().sum()
    assert along.item() == pytest.approx(1, rel=0.05)


def test_jumprelu_with_a_fixed_penalty_is_the_paper_s_loss_by_d_in() -> None:
    sae = sae_of("jumprelu", [[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]], {"l1": 3.0}, threshold=[1.0, 1.0])
    loss = sae.loss(rows([2, 2], [-2, 0.5]), None, 1.0)
    assert loss.terms["penalty"].item() == pytest.approx(3.0 * (2 / 2) / 2)  # λ · L0 / d_in


def test_jumprelu_lowers_thresholds_that_no_activation_comes_near() -> None:
    trainer = begun("jumprelu", steps=200)
    threshold_F = trainer.sae.get_parameter("threshold")
    with torch.no_grad():
        threshold_F[3] = 40.0
    for step in range(200):
        trainer.step(planted(step, 64))
    assert threshold_F[3] < 39.0
    with torch.no_grad():
        trainer.sae.constrain()
        threshold_F[3] = -1.0
        trainer.sae.constrain()
    assert threshold_F[3] == 0.0


def test_l1_norm_cannot_be_escaped_by_longer_rows() -> None:
    sae, x_BD = random_sae("l1-norm"), numbers(2, 9, 6)
    before = sae.loss(x_BD, None, 1.0).total.item()
    with torch.no_grad():
        sae.W_dec.mul_(10.0)
        sae.W_enc.div_(10.0)
        sae.b_enc.div_(10.0)
    assert sae.loss(x_BD, None, 1.0).total.item() == pytest.approx(before)
    one = sae_of("l1-norm", [[1.0]], [[2.0]], {"l1": 0.5})
    assert one.loss(rows([3.0]), None, 1.0).total.item() == pytest.approx((3 - 6) ** 2 + 0.5 * 3 * 2)
    assert one.loss(rows([3.0]), None, 0.5).total.item() == pytest.approx((3 - 6) ** 2 + 0.25 * 3 * 2)


def test_l1_norm_is_saved_with_rows_of_length_1() -> None:
    sae = random_sae("l1-norm")
    with torch.no_grad():
        sae.W_dec[4] = 0.0
    lengths_F = sae.unscaled(7.0)["W_dec"].norm(dim=1)
    assert lengths_F[4] == 0.0
    torch.testing.assert_close(lengths_F[torch.arange(20) != 4], torch.ones(19, dtype=torch.float64))
    backward(sae.loss(numbers(0, 9, 6), None, 1.0).total)
    gradient, rows_FD = sae.W_dec.grad, sae.W_dec.detach().clone()
    assert gradient is not None
    kept = gradient.clone()
    sae.project_gradient()
    sae.constrain()
    assert torch.equal(gradient, kept)
    assert torch.equal(sae.W_dec, rows_FD)


def test_gated_by_hand() -> None:
    sae = sae_of("gated", [[1.0]], [[1.0]], {"l1": 0.5}, b_enc=[-1.0], r_mag=[log(2)], b_mag=[0.5])
    loss = sae.loss(rows([3.0], [0.5]), None, 1.0)
    backward(loss.total)
    # Gates 2 and -0.5, so f = 2 · 3 + 0.5 and 0; the gate's own reconstructions are 2 and 0.
    assert loss.terms["mse"].item() == pytest.approx((3.5**2 + 0.5**2) / 2)
    assert loss.terms["l1"].item() == pytest.approx(2 / 2)
    assert loss.terms["frozen"].item() == pytest.approx((1**2 + 0.5**2) / 2)
    assert loss.total.item() == pytest.approx(6.25 + 0.5 * 1 + 0.625)
    gate, magnitude, decoder = (sae.get_parameter(name).grad for name in ("b_enc", "b_mag", "W_dec"))
    assert gate is not None and magnitude is not None and decoder is not None
    assert gate.item() == pytest.approx((0.5 - 2 * 1) / 2)  # of the gate's terms alone
    assert magnitude.item() == pytest.approx(-2 * -3.5 / 2)  # of the reconstruction alone
    assert decoder.item() == pytest.approx(-2 * -3.5 * 6.5 / 2)  # none of the frozen one


def planted(seed: int, n: int) -> Tensor:
    """Three of 24 directions in 12 dimensions, about a mean that is not 0."""
    generator = torch.Generator().manual_seed(seed)
    directions_CD = torch.nn.functional.normalize(torch.randn(24, 12, generator=torch.Generator().manual_seed(5)))
    which_NK = torch.rand(n, 24, generator=generator).topk(3, dim=1).indices
    present_NC = torch.zeros(n, 24).scatter_(1, which_NK, 1.5 + 4.5 * torch.rand(n, 3, generator=generator))
    return present_NC @ directions_CD + 2.0


def begun(arch: str, steps: int = 600) -> SaeTrainer:
    settings = TrainerSettings(
        arch=arch,
        sae=SaeSettings(d_in=12, d_sae=48, k=3, k_aux=3),
        lr=0.05,
        batch=64,
        steps=steps,
        warmup=30,
        decay=300,
        dead_after=4000,
        seed=0,
    )
    trainer = SaeTrainer(settings, torch.device("cpu"))
    trainer.start(planted(0, 2048))
    return trainer


@pytest.mark.parametrize("arch", ["batchtopk", "matryoshka", "jumprelu"])
def test_as_many_features_as_were_aimed_at_on_text_not_trained_on(arch: str) -> None:
    trainer = begun(arch)
    for step in range(600):
        trainer.step(planted(step + 1, 64))
    with torch.no_grad():
        acts = trainer.sae.eval().encode(planted(10_000, 4000) * trainer.scale)
    assert (acts.act_BK > 0).sum().item() / 4000 == pytest.approx(3, rel=0.1)
