"""Every architecture once more: encoding one number at a time, losses dense and plain, for tests to compare with.

Shapes: B tokens of a batch, D = d_in, F = d_sae.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.sae.base import Sae, SaeSettings, SparseActs
from engine.sae.jumprelu import BANDWIDTH, DEAD_PULL, PULL
from engine.sae.registry import architecture
from store.settings.architectures import TABLE

F64 = NDArray[np.float64]
D, F, B = 6, 20, 9
AIMED = ("topk", "batchtopk", "matryoshka", "jumprelu")
"""Architectures that are given k; the others have a penalty by default."""
TRANSCODING = ("topk", "batchtopk", "matryoshka", "jumprelu")
UNIT_ROWS = tuple(sorted(set(TABLE) - {"l1-norm"}))
OFTEN = ("topk", "relu", "jumprelu")
"""Those with which every test run tries long trainings: one that picks, one that resamples, one with thresholds."""
each_architecture = pytest.mark.parametrize("arch", sorted(TABLE))
each_transcoding = pytest.mark.parametrize("arch", TRANSCODING)
each_trained_long, each_transcoding_long = (
    pytest.mark.parametrize(
        "arch", [one if one in OFTEN else pytest.param(one, marks=pytest.mark.slow) for one in all_]
    )
    for all_ in (sorted(TABLE), TRANSCODING)
)
each_token_norm = pytest.mark.parametrize("how", ["layer_norm", "rms_norm"])
each_with_unit_rows = pytest.mark.parametrize("arch", UNIT_ROWS)


def sparsity(arch: str, k: int = 3, k_aux: int = 4, l1: float = 0.5) -> dict[str, Any]:
    """The settings that decide how sparse an architecture is."""
    return {"k": k, "k_aux": k_aux} if arch in AIMED else {"l1": l1}


def sae_settings(arch: str, d_in: int = D, d_sae: int = F, **given: Any) -> SaeSettings:
    """Small, and of a sparsity that leaves every feature some work."""
    return SaeSettings(d_in=d_in, d_sae=d_sae, **(given or sparsity(arch, k=4, k_aux=3, l1=0.7)))


def numbers(seed: int, *shape: int) -> Tensor:
    """Random weights in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_sae(arch: str, seed: int = 0, settings: SaeSettings | None = None) -> Sae:
    """In float64, every weight random and decoder rows of no particular length, so that nothing cancels."""
    sae = architecture(arch)(settings or sae_settings(arch)).double()
    with torch.no_grad():
        for number, (name, tensor) in enumerate(sae.state_dict().items()):
            tensor.copy_(numbers(100 * seed + number, *tensor.shape))
            if name == "threshold":
                tensor.abs_()
            if name == "r_mag":
                tensor.mul_(0.3)
    return sae


def plain(sae: Sae) -> dict[str, Tensor]:
    """The weights as leaves of their own, for gradients to be compared."""
    return {name: tensor.detach().clone().requires_grad_() for name, tensor in sae.named_parameters()}


def array(tensor: Tensor) -> F64:
    """As NumPy has it."""
    return tensor.detach().numpy()


def arrays(sae: Sae) -> dict[str, F64]:
    """All that is saved, by name, in float64."""
    return {name: array(tensor).astype(np.float64) for name, tensor in sae.state_dict().items()}


def dense(acts: SparseActs, d_sae: int = F) -> F64:
    """Sparse activations laid out; a feature twice in one token would be counted twice."""
    acts_BF = np.zeros((len(acts.act_BK), d_sae))
    for row in range(len(acts_BF)):
        for act, feature in zip(acts.act_BK[row].tolist(), acts.feature_BK[row].tolist(), strict=True):
            acts_BF[row, feature] += act
    return acts_BF


def encoded_by_hand(arch: str, w: dict[str, F64], x_BD: F64, k: int | None) -> F64:
    """Dense activations [B, F] as the papers define them, one token and one feature at a time."""
    acts_BF = np.zeros((len(x_BD), w["W_enc"].shape[1]))
    for row, x_D in enumerate(x_BD):
        z_F = np.array([sum((x_D - w["b_dec"]) * w["W_enc"][:, f]) for f in range(acts_BF.shape[1])])
        if arch == "gated":
            magnitude_F = np.exp(w["r_mag"]) * z_F + w["b_mag"]
            acts_BF[row] = [max(m, 0.0) if z + b > 0 else 0.0 for m, z, b in zip(magnitude_F, z_F, w["b_enc"])]  # noqa: B905
            continue
        z_F += w["b_enc"]
        threshold_F = np.broadcast_to(w.get("threshold", np.zeros(1)), z_F.shape)
        kept = np.argsort(z_F)[::-1][:k] if arch == "topk" else np.arange(len(z_F))
        for f in kept:
            acts_BF[row, f] = z_F[f] if z_F[f] > threshold_F[f] else 0.0
    return acts_BF


def unit_by_hand(how: str, x_D: F64) -> float:
    """Scale of a normalised token in the token's own units."""
    if how == "layer_norm":
        return float(np.sqrt(sum((x_D - sum(x_D) / len(x_D)) ** 2) / (len(x_D) - 1)))
    return float(np.sqrt(sum(x_D**2) / len(x_D))) if how == "rms_norm" else 1.0


def normalised_by_hand(how: str, x_BD: F64) -> F64:
    """Tokens as they are encoded, one after another."""
    if how == "none":
        return x_BD
    if how == "layer_norm":
        return np.stack([(x_D - sum(x_D) / len(x_D)) / (unit_by_hand(how, x_D) + 1e-5) for x_D in x_BD])
    return np.stack([x_D / unit_by_hand(how, x_D) for x_D in x_BD])


def turned_back_by_hand(how: str, out_BD: F64, x_BD: F64) -> F64:
    """Reconstructions in the tokens' own units."""
    mean_B = [sum(x_D) / len(x_D) if how == "layer_norm" else 0.0 for x_D in x_BD]
    pairs = zip(out_BD, x_BD, mean_B, strict=True)
    return np.stack([out_D * unit_by_hand(how, x_D) + mean for out_D, x_D, mean in pairs])


class PlainLoss(NamedTuple):
    """A loss as its paper writes it."""

    total: Tensor
    acts_BF: Tensor
    x_hat_BD: Tensor
    terms: dict[str, Tensor]


def plain_loss(
    arch: str,
    s: SaeSettings,
    w: dict[str, Tensor],
    x_BD: Tensor,
    dead_F: Tensor | None,
    warmth: float,
    y_BO: Tensor | None = None,
) -> PlainLoss:
    """The loss of any architecture, all dense; gradients are autograd's but where a paper defines its own.

    With `y_BO` that of a transcoder, which reads x but must explain y.
    """
    pre_BF = (x_BD - w["b_dec" if y_BO is None else "b_in"]) @ w["W_enc"] + w["b_enc"]
    acts_BF, terms = activations(arch, s, w, x_BD, pre_BF)
    if y_BO is not None:
        x_BD = y_BO
    x_hat_BD = acts_BF @ w["W_dec"] + w["b_dec"]
    error_BD = x_BD - x_hat_BD
    variance = ((x_BD - x_BD.mean(0)) ** 2).sum()
    if arch in ("relu", "l1-norm", "gated"):
        assert s.l1 is not None
        lengths_F = w["W_dec"].norm(dim=1) if arch == "l1-norm" else torch.ones_like(w["b_enc"])
        gate_BF = pre_BF.clamp_min(0)
        terms |= {"mse": (error_BD**2).sum(1).mean(), "l1": (gate_BF * lengths_F).sum(1).mean()}
        total = terms["mse"] + warmth * s.l1 * terms["l1"]
        if arch == "gated":
            frozen_BD = gate_BF @ w["W_dec"].detach() + w["b_dec"].detach()
            terms["frozen"] = ((x_BD - frozen_BD) ** 2).sum(1).mean()
            total = total + terms["frozen"]
        unit = variance / len(x_BD)
    else:
        errors = [
            ((x_BD - acts_BF[:, :m] @ w["W_dec"][:m] - w["b_dec"]) ** 2).sum() for m in prefixes(arch, len(w["b_enc"]))
        ]
        terms["unexplained"] = torch.stack(errors).mean() / variance
        total = terms["unexplained"] + warmth * terms.get("penalty", torch.zeros(()))
        if arch == "jumprelu":
            silent_F = (pre_BF <= w["threshold"]).to(pre_BF.dtype).mean(0).detach()
            weight_F = torch.full_like(silent_F, PULL / len(silent_F))
            if dead_F is not None:
                weight_F[dead_F] = DEAD_PULL
            terms["pull"] = (weight_F * w["threshold"] * silent_F).sum()
            total = total + terms["pull"]
        unit = torch.ones_like(variance)
    if dead_F is not None and dead_F.any() and arch not in ("relu", "l1-norm"):
        terms["aux"] = auxk(pre_BF, w["W_dec"], error_BD.detach(), dead_F, s.k_aux)
        weight = s.aux_weight * min(1.0, 32 * float((error_BD.detach() ** 2).sum() / variance))
        total = total + weight * unit * terms["aux"]
    return PlainLoss(total, acts_BF, x_hat_BD, terms)


def prefixes(arch: str, d_sae: int) -> list[int]:
    """Sizes of the nested dictionaries that must each reconstruct."""
    if arch != "matryoshka":
        return [d_sae]
    return sorted({round(d_sae * share / 32) for share in (1, 3, 7, 15, 32)} - {0})


def auxk(pre_BF: Tensor, W_dec_FD: Tensor, left_BD: Tensor, dead_F: Tensor, k_aux: int) -> Tensor:
    """Share of the error that dead features leave unexplained."""
    ranked_BF = pre_BF.masked_fill(~dead_F, -torch.inf)
    n_aux = min(k_aux, int(dead_F.sum()))
    kept_BF = ranked_BF >= ranked_BF.sort(dim=1, descending=True).values[:, n_aux - 1 : n_aux]
    return ((left_BD - (pre_BF * kept_BF) @ W_dec_FD) ** 2).sum() / (left_BD**2).sum()


def activations(
    arch: str, s: SaeSettings, w: dict[str, Tensor], x_BD: Tensor, pre_BF: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Dense activations while training, and the penalty of an architecture that has one of its own."""
    positive_BF = pre_BF.clamp_min(0)
    if arch == "topk":
        return positive_BF * (pre_BF >= pre_BF.sort(dim=1, descending=True).values[:, s.needed_k() - 1, None]), {}
    if arch in ("batchtopk", "matryoshka"):
        kept = min(s.needed_k() * len(x_BD), pre_BF.numel())
        return positive_BF * (positive_BF >= positive_BF.flatten().sort(descending=True).values[kept - 1]), {}
    if arch == "jumprelu":
        acts_BF, active_BF = straight_through(pre_BF, w["threshold"])
        l0 = active_BF.sum(1).mean()
        penalty = (l0 / s.k - 1) ** 2 if s.k else s.needed_l1() * l0 / x_BD.shape[1]
        return acts_BF, {"penalty": penalty}
    if arch == "gated":
        z_BF = (x_BD - w["b_dec"]) @ w["W_enc"]
        return (w["r_mag"].exp() * z_BF + w["b_mag"]).clamp_min(0) * (z_BF + w["b_enc"] > 0), {}
    return positive_BF, {}


def straight_through(pre_BF: Tensor, threshold_F: Tensor) -> tuple[Tensor, Tensor]:
    """JumpReLU and step with the pseudo-derivatives of Rajamanoharan et al. 2024, section 4: their values, plus terms
    that are 0 and have the derivative by θ that is wanted."""
    z_BF, theta_F = pre_BF.detach(), threshold_F.detach()
    kernel_BF = (((z_BF - theta_F) / BANDWIDTH).abs() < 0.5).to(z_BF.dtype)
    open_BF = (z_BF > theta_F).to(z_BF.dtype)
    nothing_F = threshold_F - theta_F
    acts_BF = pre_BF * open_BF - theta_F / BANDWIDTH * kernel_BF * nothing_F
    return acts_BF, open_BF - kernel_BF / BANDWIDTH * nothing_F
