"""Tokens normalised each by itself before they are encoded, and reconstructions turned back.

"layer_norm": n(x) = (x - mean(x)) / (std(x) + ε), and back by std(x) · n̂ + mean(x), with the standard deviation of a
sample (divided by D - 1) and ε = 1e-5 on the way in alone. So it is in OpenAI's sparse_autoencoder (model.py, `LN`) and
in SAELens' `normalize_activations: layer_norm`.

"rms_norm": n(x) = √D · x / ‖x‖, and back by n̂ · ‖x‖ / √D; SAELens' `constant_norm_rescale`.

Shapes: B tokens, D = d_in.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor

TokenNorm = Literal["none", "layer_norm", "rms_norm"]
TOKEN_NORMS: tuple[TokenNorm, ...] = ("none", "layer_norm", "rms_norm")
EPS = 1e-5
"""ε of layer_norm."""
LEAST = 1e-12
"""A token of zeros, which has no direction, stays one."""


class Moments(NamedTuple):
    """What a token is turned back by: x̂ = scale · n̂ + mean."""

    scale_B1: Tensor
    mean_B1: Tensor


def moments(x_BD: Tensor, how: TokenNorm) -> Moments:
    """Scale and mean of each token."""
    if how == "layer_norm":
        mean_B1 = x_BD.mean(dim=-1, keepdim=True)
        # Not torch.std, which warns where there is no token at all.
        squares_B1 = (x_BD - mean_B1).square().sum(dim=-1, keepdim=True)
        return Moments((squares_B1 / (x_BD.shape[-1] - 1)).sqrt(), mean_B1)
    if how == "none":
        raise ValueError("tokens that are not normalised have nothing to be turned back by")
    scale_B1 = x_BD.norm(dim=-1, keepdim=True) / x_BD.shape[-1] ** 0.5
    return Moments(scale_B1, scale_B1.new_zeros(()))


def normalised(x_BD: Tensor, how: TokenNorm) -> Tensor:
    """n(x); x itself for "none"."""
    if how == "none":
        return x_BD
    scale_B1, mean_B1 = moments(x_BD, how)
    if how == "layer_norm":
        return (x_BD - mean_B1) / (scale_B1 + EPS)
    return x_BD / scale_B1.clamp_min(LEAST)
