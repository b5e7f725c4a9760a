"""Training against a plain second implementation of a step, the 2023 recipe by hand, and concepts planted on purpose.

Shapes: B tokens of a batch, N inputs, D = d_in, F = d_sae, C planted concepts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import backward

from engine.sae.base import Sae, SaeSettings, variance_of
from engine.sae.registry import architecture
from engine.sae.relu import ReluSae
from engine.training.optim import resample
from engine.training.trainer import SaeTrainer, TrainerSettings
from store.files.errors import WorkFailed
from tests.engine.architectures import (
    UNIT_ROWS,
    arrays,
    each_architecture,
    each_trained_long,
    encoded_by_hand,
    plain_loss,
    sparsity,
)

CPU = torch.device("cpu")


@pytest.fixture
def float64() -> Iterator[None]:
    """Parameters and random numbers in float64, where rounding hides no mistake."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def settings_of(arch: str, d_in: int = 6, d_sae: int = 20, **changes: Any) -> TrainerSettings:
    known: dict[str, Any] = {
        "lr": 0.02,
        "batch": 16,
        "steps": 40,
        "warmup": 4,
        "decay": 20,
        "dead_after": 64,
        "seed": 3,
    }
    return TrainerSettings(arch=arch, sae=SaeSettings(d_in=d_in, d_sae=d_sae, **sparsity(arch)), **(known | changes))


def inputs(seed: int, n: int = 16, d_in: int = 6) -> Tensor:
    """Activations of unequal spread about a mean that is not 0."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d_in, generator=generator) * torch.arange(1.0, d_in + 1) + 5.0


def started(arch: str, **changes: Any) -> SaeTrainer:
    trainer = SaeTrainer(settings_of(arch, **changes), CPU)
    trainer.start(inputs(99, 500))
    return trainer


def relu_sae(seed: int = 0, d_sae: int = 20) -> tuple[ReluSae, torch.optim.Adam]:
    """A sae whose every number is random, and an optimizer that has taken a step with it."""
    sae = ReluSae(SaeSettings(d_in=6, d_sae=d_sae, l1=1.0))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    optimizer = torch.optim.Adam(sae.parameters(), lr=0.01)
    backward(sum((parameter.square().sum() for parameter in sae.parameters()), torch.zeros(())))
    optimizer.step()
    sae.constrain()
    return sae, optimizer


DEAD = [2, 5, 11]


def test_resampling_by_the_recipe_of_2023() -> None:
    sae, optimizer = relu_sae()
    before, moments = deepcopy(sae.state_dict()), deepcopy(optimizer.state)
    x_ND = inputs(1, 50)
    dead_F = torch.zeros(20, dtype=torch.bool)
    dead_F[DEAD] = True
    assert resample(sae, optimizer, dead_F, x_ND, torch.Generator().manual_seed(0)) == 3
    alive = [f for f in range(20) if f not in DEAD]
    norm = np.mean([before["W_enc"][:, f].norm().item() for f in alive])
    directions_ND = (x_ND - before["b_dec"]) / (x_ND - before["b_dec"]).norm(dim=1, keepdim=True)
    chosen = []
    for f in DEAD:
        chosen.append(int((directions_ND @ sae.W_dec[f]).argmax()))
        torch.testing.assert_close(sae.W_dec[f].detach(), directions_ND[chosen[-1]])
        torch.testing.assert_close(sae.W_enc[:, f].detach(), directions_ND[chosen[-1]] * 0.2 * norm)
        assert sae.b_enc[f] == 0
    assert len(set(chosen)) == 3
    for name, at in (("W_dec", 0), ("W_enc", 1), ("b_enc", 0)):
        parameter = sae.get_parameter(name)
        assert torch.equal(parameter.detach().movedim(at, 0)[alive], before[name].movedim(at, 0)[alive])
        for key in ("exp_avg", "exp_avg_sq"):
            old, new = (
                state[key].movedim(at, 0) for state in (moments_of(moments, sae, name), optimizer.state[parameter])
            )
            assert torch.equal(new[alive], old[alive])
            assert (old[DEAD] != 0).any()
            assert (new[DEAD] == 0).all()
    assert torch.equal(sae.b_dec, before["b_dec"])


def moments_of(copied: dict[Any, dict[str, Tensor]], sae: Sae, name: str) -> dict[str, Tensor]:
    """An optimizer's copied state of a parameter; the copy knows parameters by their order."""
    return list(copied.values())[[one for one, _ in sae.named_parameters()].index(name)]


def test_inputs_are_drawn_by_the_square_of_their_loss() -> None:
    """One dead feature, four inputs; chi squared with 3 degrees of freedom."""
    x_ND = inputs(2, 4)
    dead_F = torch.arange(20) == 7
    sae, optimizer = relu_sae()
    with torch.no_grad():
        errors_N = ((x_ND - (sae.pre_acts(x_ND).relu() @ sae.W_dec + sae.b_dec)) ** 2).sum(1)
        directions_ND = (x_ND - sae.b_dec) / (x_ND - sae.b_dec).norm(dim=1, keepdim=True)
    share_N = (errors_N**2 / (errors_N**2).sum()).numpy()
    assert share_N.min() > 0.001
    counts: Counter[int] = Counter()
    start = deepcopy(sae.state_dict())
    for seed in range(1000):
        sae.load_state_dict(start)
        resample(sae, optimizer, dead_F, x_ND, torch.Generator().manual_seed(seed))
        counts[int((directions_ND @ sae.W_dec[7]).argmax())] += 1
    found, expected = np.array([counts[n] for n in range(4)]), 1000 * share_N
    assert ((found - expected) ** 2 / expected).sum() < 16.3  # p = 0.001
    flat = share_N**0.5 / (share_N**0.5).sum() * 1000  # drawn by the loss itself, it would fail
    assert ((found - flat) ** 2 / flat).sum() > 16.3


@pytest.mark.parametrize("dead", [[], list(range(20))])
def test_nothing_to_resample_or_nothing_to_go_by(dead: list[int]) -> None:
    sae, optimizer = relu_sae()
    before = deepcopy(sae.state_dict())
    dead_F = torch.zeros(20, dtype=torch.bool)
    dead_F[dead] = True
    assert resample(sae, optimizer, dead_F, inputs(1), torch.Generator()) == 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in sae.state_dict().items())


def test_more_dead_features_than_inputs() -> None:
    sae, optimizer = relu_sae()
    assert resample(sae, optimizer, torch.arange(20) < 15, inputs(1, 4), torch.Generator()) == 15
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(20))


def test_many_resampled_features_do_not_add_up_to_more_than_is_missing() -> None:
    sae, optimizer = relu_sae(d_sae=2000)
    x_ND, dead_F = inputs(1, 500), torch.arange(2000) < 1900
    with torch.no_grad():
        sae.b_enc[dead_F] = -99.0
        sae.W_dec[~dead_F] *= 0.01
        before = (x_ND - sae(x_ND)).square().sum()
        resample(sae, optimizer, dead_F, x_ND, torch.Generator().manual_seed(0))
        after = (x_ND - sae(x_ND)).square().sum()
        sae.W_enc[:, dead_F] *= 1.1
        assert (x_ND - sae(x_ND)).square().sum() > after
        sae.W_enc[:, dead_F] *= 0.8
        assert (x_ND - sae(x_ND)).square().sum() > after
    assert after < before


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_diverged_training_is_left_for_its_loop_to_notice(value: float) -> None:
    sae, optimizer = relu_sae()
    x_ND = inputs(1)
    x_ND[3, 2] = value
    assert resample(sae, optimizer, torch.arange(20) < 5, x_ND, torch.Generator()) == 0


def silence(trainer: SaeTrainer, features: list[int]) -> None:
    """Make features that do not fire for long."""
    with torch.no_grad():
        trainer.sae.b_enc[features] = -50.0


@each_architecture
def test_features_come_back_at_the_resampling_steps_where_there_are_any(arch: str) -> None:
    trainer = started(arch, steps=40, dead_after=16, lr=1e-6)  # resampling at steps 5, 10, 15 and 20
    silence(trainer, DEAD)
    revived = []
    for step in range(1, 31):
        trainer.step(inputs(step))
        if trainer.sae.b_enc[2] == 0:
            revived.append(step)
            assert trainer.silent_F[DEAD].tolist() == [0, 0, 0]
            silence(trainer, DEAD)
    assert revived == ([5, 10, 15, 20] if trainer.sae.resamples else [])


@each_architecture
def test_silence_is_counted_in_tokens(arch: str) -> None:
    trainer = started(arch, dead_after=48)
    silence(trainer, DEAD)
    since = np.zeros(20, int)
    for step in range(4):
        x_BD = inputs(step) * trainer.scale
        weights = {name: tensor.detach() for name, tensor in trainer.sae.named_parameters()}
        firing = (plain_loss(arch, trainer.settings.sae, weights, x_BD, None, 1.0).acts_BF > 0).any(0).numpy()
        trainer.step(inputs(step))
        since += 16
        since[firing] = 0
        assert trainer.silent_F.tolist() == since.tolist()
        assert trainer.n_dead == (since >= 48).sum()
    assert since[DEAD].tolist() == [64] * 3
    assert (since == 0).any()


@each_architecture
def test_the_start_scales_inputs_and_centres_them(arch: str) -> None:
    trainer, sample_ND = started(arch), inputs(99, 500)
    scaled_ND = sample_ND * trainer.scale
    assert ((scaled_ND - scaled_ND.mean(0)) ** 2).sum(1).mean().item() == pytest.approx(6, rel=1e-5)
    torch.testing.assert_close(trainer.sae.b_dec.detach(), scaled_ND.mean(0))


@pytest.mark.parametrize(
    ("value", "what"), [(torch.nan, "NaN or infinite"), (torch.inf, "NaN or infinite"), (1.0, "same")]
)
def test_activations_that_cannot_be_learnt_from(value: float, what: str) -> None:
    sample_ND = torch.ones(50, 6)
    sample_ND[7, 3] = value
    with pytest.raises(WorkFailed, match=what):
        SaeTrainer(settings_of("topk"), CPU).start(sample_ND)


class PlainTrainer:
    """The same training once more: dense formulas, Adam, clipping and schedules written out."""

    def __init__(self, settings: TrainerSettings, start: dict[str, Tensor], scale: float) -> None:
        self.settings, self.scale = settings, scale
        self.weights = {name: tensor.clone().requires_grad_() for name, tensor in start.items()}
        self.first = {name: torch.zeros_like(tensor) for name, tensor in start.items()}
        self.second = {name: torch.zeros_like(tensor) for name, tensor in start.items()}
        self.silent = np.zeros(settings.sae.d_sae, int)
        self.steps = 0

    def loss(self, x_BD: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and the dense activations."""
        dead_F = torch.from_numpy(self.silent >= self.settings.dead_after)
        warm = min(1.0, (self.steps + 1) / self.settings.warmup)
        made = plain_loss(self.settings.arch, self.settings.sae, self.weights, x_BD, dead_F, warm)
        return made.total, made.acts_BF

    def step(self, raw_BD: Tensor) -> None:
        """One step."""
        s = self.settings
        total, acts_BF = self.loss(raw_BD * self.scale)
        names = list(self.weights)
        grads = dict(zip(names, torch.autograd.grad(total, [self.weights[name] for name in names]), strict=True))
        rows_FD = self.weights["W_dec"].detach()
        if s.arch in UNIT_ROWS:
            grads["W_dec"] = grads["W_dec"] - (grads["W_dec"] * rows_FD).sum(1, keepdim=True) * rows_FD
        norm = torch.cat([grad.flatten() for grad in grads.values()]).norm()
        at = self.steps
        share = min((at + 1) / s.warmup, 1.0, (s.steps - at) / s.decay)
        self.steps += 1
        with torch.no_grad():
            for name, tensor in self.weights.items():
                grad = grads[name] * min(1.0, 1.0 / (norm + 1e-6))
                self.first[name] = 0.9 * self.first[name] + 0.1 * grad
                self.second[name] = 0.999 * self.second[name] + 0.001 * grad**2
                mean = self.first[name] / (1 - 0.9**self.steps)
                spread = (self.second[name] / (1 - 0.999**self.steps)).sqrt()
                tensor -= s.lr * share * mean / (spread + 1e-8)
            if s.arch in UNIT_ROWS:
                self.weights["W_dec"] /= self.weights["W_dec"].norm(dim=1, keepdim=True)
            if "threshold" in self.weights:
                self.weights["threshold"].clamp_min_(0)
        fired_F = (acts_BF > 0).any(0)
        if s.arch not in ("relu", "l1-norm"):
            woken_F = fired_F & torch.from_numpy(self.silent >= s.dead_after)
            for name, mean in self.first.items():
                if name != "b_dec":
                    mean.movedim(1 if name == "W_enc" else 0, 0)[woken_F] = 0
        self.silent += len(raw_BD)
        self.silent[fired_F.numpy()] = 0


@pytest.mark.usefixtures("float64")
@each_architecture
@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_training_is_what_the_formulas_say(arch: str, spread: float) -> None:
    trainer = SaeTrainer(settings_of(arch, dead_after=10**9 if architecture(arch).resamples else 96), CPU)
    trainer.start(inputs(99, 500) * spread)
    assert trainer.sae.W_dec.dtype == torch.float64
    silence(trainer, DEAD)
    start = {name: tensor.detach().clone() for name, tensor in trainer.sae.named_parameters()}
    reference = PlainTrainer(trainer.settings, start, trainer.scale)
    for step in range(40):
        trainer.step(inputs(step) * spread)
        reference.step(inputs(step) * spread)
        for name, parameter in trainer.sae.named_parameters():
            torch.testing.assert_close(parameter, reference.weights[name], rtol=1e-6, atol=1e-8, msg=f"{name} {step}")
    assert trainer.silent_F.tolist() == reference.silent.tolist()
    moved = (trainer.sae.W_dec - start["W_dec"]).norm(dim=1)
    assert moved.max() > 0.05
    assert [trainer.lr_at(step) for step in (0, 3, 20, 39)] == pytest.approx([0.005, 0.02, 0.02, 0.001])


@each_architecture
def test_exported_weights_reconstruct_raw_activations(arch: str) -> None:
    trainer = started(arch)
    for step in range(40):
        trainer.step(inputs(step))
    x_BD = inputs(1000).numpy().astype(np.float64)
    w = {name: values.astype(np.float64) for name, values in trainer.weights().items()}
    assert w.keys() == arrays(trainer.sae).keys()
    raw_BD = encoded_by_hand(arch, w, x_BD, 3) @ w["W_dec"] + w["b_dec"]
    with torch.no_grad():
        scaled_BD = trainer.sae(torch.from_numpy(x_BD).float() * trainer.scale).numpy()
    np.testing.assert_allclose(raw_BD, scaled_BD / trainer.scale, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(w["W_dec"], axis=1), 1, rtol=1e-5)


@each_architecture
def test_a_trainer_goes_on_exactly_where_it_was(arch: str) -> None:
    """Taken up at several steps, and beside the first one to the end."""
    trainer = started(arch, dead_after=32)
    silence(trainer, DEAD)
    taken_up: list[SaeTrainer] = []
    for step in range(40):
        if step in (1, 7, 20, 39):
            values, arrays = trainer.state()
            arrays = {name: np.atleast_1d(array).copy() for name, array in arrays.items()}  # as HDF5 gives them back
            taken_up.append(SaeTrainer(settings_of(arch, dead_after=32), CPU))
            taken_up[-1].restore(json.loads(json.dumps(values)), arrays)
        for one in (trainer, *taken_up):
            one.step(inputs(step))
    values, arrays = trainer.state()
    assert values["tally"]["steps"] == 40
    for again in taken_up:
        values_again, arrays_again = again.state()
        assert values == values_again
        assert arrays.keys() == arrays_again.keys()
        assert all(np.array_equal(array, arrays_again[name]) for name, array in arrays.items())


def test_the_seed_is_the_start() -> None:
    starts = [started("topk", seed=seed).sae.W_enc for seed in (3, 3, 4)]
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])


def test_soundness_is_every_weight() -> None:
    for name in ("W_enc", "b_enc", "W_dec", "b_dec"):
        trainer = started("relu")
        assert trainer.is_sound()
        with torch.no_grad():
            trainer.sae.get_parameter(name)[..., -1] = torch.inf
        assert not trainer.is_sound()


def planted(seed: int, n: int, directions_CD: Tensor) -> Tensor:
    """Activations in which 3 of the concepts are present, each by a random amount, about a mean that is not 0."""
    generator = torch.Generator().manual_seed(seed)
    present_NC = torch.zeros(n, len(directions_CD))
    which_NK = torch.rand(n, len(directions_CD), generator=generator).topk(3, dim=1).indices
    present_NC.scatter_(1, which_NK, 1.5 + 4.5 * torch.rand(n, 3, generator=generator))
    return present_NC @ directions_CD + 2.0


@each_trained_long
def test_planted_concepts_are_found(arch: str) -> None:
    """64 directions in 32 dimensions: more concepts than dimensions, separable only by their sparsity."""
    directions_CD = torch.randn(64, 32, generator=torch.Generator().manual_seed(12_345))
    directions_CD /= directions_CD.norm(dim=1, keepdim=True)
    settings = TrainerSettings(
        arch=arch,
        sae=SaeSettings(d_in=32, d_sae=128, **sparsity(arch, l1=2.0)),
        lr=0.06,
        batch=256,
        steps=540,
        warmup=40,
        decay=270,
        dead_after=20_000,
        seed=0,
    )
    trainer = SaeTrainer(settings, CPU)
    trainer.start(planted(0, 4096, directions_CD))

    def nearest_C() -> Tensor:
        with torch.no_grad():
            return (directions_CD @ trainer.sae.W_dec.T).max(1).values

    untrained = nearest_C().mean().item()
    for step in range(540):
        trainer.step(planted(step + 1, 256, directions_CD))
    assert untrained < 0.6
    # Concepts that all matter alike are the worst case of nested dictionaries: 4 features are to stand for 64.
    assert nearest_C().mean().item() > (0.9 if arch == "matryoshka" else 0.95)
    assert (nearest_C() > 0.9).float().mean().item() > (0.5 if arch == "matryoshka" else 0.9)


def test_auxk_does_not_spoil_a_dictionary_that_explains_nearly_everything() -> None:
    """As many active features as inputs: many die, and waking them must not disturb the others.

    While woken features kept the momentum that AuxK gave them, six times as much was left unexplained as without AuxK.
    """
    generator = torch.Generator().manual_seed(7)
    mixing_DD = torch.randn(16, 16, generator=generator) * torch.logspace(0, -1, 16)[:, None]
    x_SBD = torch.randn(401, 64, 16, generator=generator) @ mixing_DD

    def trained(aux_weight: float) -> tuple[float, int]:
        sae = SaeSettings(d_in=16, d_sae=128, k=16, k_aux=16, aux_weight=aux_weight)
        settings = TrainerSettings(
            arch="topk", sae=sae, lr=0.03, batch=64, steps=400, warmup=30, decay=200, dead_after=4000, seed=2
        )
        trainer = SaeTrainer(settings, CPU)
        trainer.start(x_SBD[0])
        for x_BD in x_SBD[1:]:
            trainer.step(x_BD)
        scaled_ND = x_SBD[-200:].flatten(0, 1) * trainer.scale
        with torch.no_grad():
            error_ND = scaled_ND - trainer.sae(scaled_ND)
        return float(error_ND.square().sum() / variance_of(scaled_ND)), trainer.n_dead

    without, dead = trained(0.0)
    assert without < 0.005
    assert dead > 20
    unexplained, dead = trained(1 / 32)
    assert unexplained < 2.5 * without
    assert dead < 10
