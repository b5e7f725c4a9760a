"""Per-token normalisation of the encoder's input, and its inverse for reconstructions.

"layer_norm": n(x) = (x - mean(x)) / (std(x) + ε), inverse std(x) · n̂ + mean(x), with the sample standard deviation
(divisor D - 1) and ε = 1e-5 in n alone, as in OpenAI's sparse_autoencoder (model.py, `LN`) and SAELens'
`normalize_activations: layer_norm`.

"rms_norm": n(x) = √D · x / ‖x‖, inverse n̂ · ‖x‖ / √D, as in SAELens' `constant_norm_rescale`.

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
"""Smallest scale divided by, so that a token of zeros stays zero."""


class Moments(NamedTuple):
    """Scale and mean of the inverse, x̂ = scale · n̂ + mean."""

    scale_B1: Tensor
    mean_B1: Tensor


def moments(x_BD: Tensor, how: TokenNorm) -> Moments:
    """Return the scale and mean of each token. Errors: ValueError for "none"."""
    if how == "layer_norm":
        mean_B1 = x_BD.mean(dim=-1, keepdim=True)
        # Not torch.std, which warns about empty batches.
        squares_B1 = (x_BD - mean_B1).square().sum(dim=-1, keepdim=True)
        return Moments((squares_B1 / (x_BD.shape[-1] - 1)).sqrt(), mean_B1)
    if how == "none":
        raise ValueError("tokens that are not normalised have no moments")
    scale_B1 = x_BD.norm(dim=-1, keepdim=True) / x_BD.shape[-1] ** 0.5
    return Moments(scale_B1, scale_B1.new_zeros(()))


def normalised(x_BD: Tensor, how: TokenNorm) -> Tensor:
    """Return n(x), or x itself for "none"."""
    if how == "none":
        return x_BD
    scale_B1, mean_B1 = moments(x_BD, how)
    if how == "layer_norm":
        return (x_BD - mean_B1) / (scale_B1 + EPS)
    return x_BD / scale_B1.clamp_min(LEAST)
