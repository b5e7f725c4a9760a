"""Adam over weights in either memory layout, and resampling of dead features.

Shapes: N inputs, D = d_in, F = d_sae, A dead features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.sae.base import Sae

MOMENTUM = "exp_avg"
"""Adam's name for its running mean of gradients."""
ENCODER_SHARE = 0.2
"""Norm of resampled encoder columns, as a share of the living features' mean norm."""
LEAST_SCALE = 1e-4
"""Least scale of them where they would add too much: columns of zeros would never fire again."""


class Adam(torch.optim.Adam):
    """torch's fused Adam (Kingma and Ba 2015), which updates transposed weights as contiguous matrices.

    Otherwise the fused step would copy four large tensors back and forth. Adam works element by element, so the result
    is the same.
    """

    def _init_group(self, group: dict[str, Any], *lists: list[Tensor]) -> Any:
        found = super()._init_group(group, *lists)  # type: ignore[no-untyped-call]
        for tensors in lists:
            tensors[:] = [tensor.T if tensor.ndim == 2 and tensor.T.is_contiguous() else tensor for tensor in tensors]
        return found


def like(parameter: Tensor, values: Tensor) -> Tensor:
    """Return a copy of `values` in the parameter's memory layout and on its device."""
    return torch.empty_like(parameter).copy_(values)


def adam_arrays(name: str, state: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """Return Adam's state of the parameter `name`, as a checkpoint keeps it."""
    return {f"adam.{key}.{name}": value.cpu().numpy() for key, value in state.items()}


def adam_state(name: str, parameter: Tensor, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """Return Adam's state of a parameter from a checkpoint's arrays."""
    kept = {key: torch.from_numpy(arrays[f"adam.{key}.{name}"]) for key in ("step", "exp_avg", "exp_avg_sq")}
    return {"step": kept.pop("step").reshape(()).to(parameter.device)} | {
        key: like(parameter, values) for key, values in kept.items()
    }


def all_finite(module: nn.Module) -> bool:
    """Return whether no parameter holds NaN or infinity."""
    return all(bool(parameter.isfinite().all()) for parameter in module.parameters())


@torch.no_grad()
def resample(
    sae: Sae, optimizer: torch.optim.Optimizer, dead_F: Tensor, x_ND: Tensor, generator: torch.Generator
) -> int:
    """Point each dead feature at a badly reconstructed input, and return the number of dead features.

    The recipe of Bricken et al. 2023 (appendix, "Neuron Resampling"): inputs are drawn with probability proportional to
    the square of their loss. The decoder row becomes the input's direction from b_dec, at length 1; the encoder column
    the same direction at ENCODER_SHARE of the living features' mean norm, or shorter: what they add to the
    reconstruction together is scaled to the least loss, as thousands of features that are each small enough add up to
    many times the input. Per-feature numbers (biases, a gate's scale) become 0. Adam's moments of what was changed are
    cleared.
    """
    shard, dead_A = sae.settings.shard, dead_F.nonzero().squeeze(1)
    rivals = shard.all_ids(dead_A, sae.settings.d_sae)
    if not len(rivals) or len(rivals) == sae.settings.d_sae:
        return 0
    error_ND = x_ND - sae(x_ND)
    loss_N = error_ND.square().sum(1)
    weight_N = loss_N.cpu().double().square() + 1e-30
    if not weight_N.isfinite().all():  # the training has diverged: its loop reports it at the next log line
        return 0
    chosen = torch.multinomial(weight_N, len(rivals), replacement=len(rivals) > len(x_ND), generator=generator)
    chosen = chosen[shard.is_own(rivals)]
    rows_AD = x_ND[chosen.to(x_ND.device)] - sae.b_dec
    rows_AD = rows_AD / rows_AD.norm(dim=1, keepdim=True).clamp_min(1e-12)
    living_norm = shard.total(sae.W_enc[:, ~dead_F].norm(dim=0).sum()) / (sae.settings.d_sae - len(rivals))
    sae.W_dec[dead_A] = rows_AD
    enc_DA = rows_AD.T * living_norm * ENCODER_SHARE
    added_ND = shard.total(((x_ND - sae.b_dec) @ enc_DA).relu() @ rows_AD)
    sae.W_enc[:, dead_A] = enc_DA * _least_loss_scale(error_ND, added_ND)
    for one_F in (parameter for parameter in sae.parameters() if parameter.shape == dead_F.shape):
        if one_F is not sae.b_dec:
            one_F[dead_A] = 0.0
    forget(sae, optimizer, dead_A, MOMENTUM, "exp_avg_sq")
    return len(rivals)


def _least_loss_scale(error_ND: Tensor, added_ND: Tensor) -> Tensor:
    """Return the scale of an addition that leaves the least squared error: a scalar from LEAST_SCALE to 1."""
    energy = added_ND.square().sum()
    return ((error_ND * added_ND).sum() / energy.clamp_min(1e-30)).clamp(LEAST_SCALE, 1.0)


def clipped_norm(sae: Sae, most: float) -> Tensor:
    """Scale all gradients down to a norm of at most `most` over all features, and return what it was before."""
    parameters, shard = list(sae.parameters()), sae.settings.shard
    if shard.alone:
        return torch.nn.utils.clip_grad_norm_(parameters, most)
    assert sae.b_dec.grad is not None
    grads = [one.grad for one in parameters if one is not sae.b_dec and one.grad is not None]
    own = torch.stack([grad.square().sum() for grad in grads]).sum()
    norm = (shard.total(own) + sae.b_dec.grad.square().sum()).sqrt()
    torch.nn.utils.clip_grads_with_norm_(parameters, most, norm)
    return norm


@torch.no_grad()
def forget(sae: Sae, optimizer: torch.optim.Optimizer, feature_A: Tensor, *moments: str) -> None:
    """Set some of Adam's moments to 0 for selected features: every parameter but b_dec has a row or column for each."""
    for parameter in sae.parameters():
        if parameter is not sae.b_dec:
            where = (slice(None), feature_A) if parameter is sae.W_enc else (feature_A,)
            for moment in set(moments) & optimizer.state[parameter].keys():
                optimizer.state[parameter][moment][where] = 0.0
