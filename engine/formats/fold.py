"""From a format's conventions to ours, exactly.

Wanted is z = W_encᵀ(s · C x - σ b_dec) + b_enc and x̂ = (W_decᵀ f + b_dec) / t. Ours is z = W'ᵀ(x - c) + b', with
c = b_dec' (0 in a transcoder), x̂ = W_dec'ᵀ f + b_dec'. So W' = s C W_enc, W_dec' = W_dec / t, b_dec' = b_dec / t,
b' = b_enc - σ W_encᵀ b_dec + W'ᵀ c, W_skip' = W_skip / t. Sums over inputs are made in float64. Activations keep the
source's units. Where tokens are normalised one by one, x and x̂ are the normalised ones: weights cannot hold that.

Shapes: D = d_in, O = d_out (D, but in a transcoder), F = d_sae.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.formats.foreign_sae import Conventions, Foreign
from engine.sae.token_norm import TokenNorm
from store.files.errors import MonosemError

ROWS = 256
"""Of a matrix that are multiplied at once."""


@dataclass(frozen=True)
class Folded:
    """An autoencoder of ours."""

    tensors: dict[str, Tensor]
    """By the names of `engine.sae`, float32."""
    steps: tuple[str, ...]
    """What was folded, a sentence each."""
    token_norm: TokenNorm = "none"
    """What stays to be done to every token."""


def folded(foreign: Foreign, conventions: Conventions | None = None) -> Folded:
    """The tensors that compute in our architecture what the source computes in its own.

    Raises:
        MonosemError: it reads centred tokens by their lengths, which are others than those of the stream.
    """
    how = conventions or foreign.conventions
    if how.token_norm == "rms_norm" and how.centred:
        raise MonosemError(
            f"{foreign.source} scales tokens without their mean by their lengths, which monosem does not compute",
            "If its model was not rewritten by TransformerLens, say `centred=False`.",
        )
    t = dict(foreign.tensors)
    steps = _fold_norms(how, t)
    W_enc, b_dec = t["W_enc"], t["b_dec"].double()
    read = W_enc - W_enc.mean(0, dtype=torch.float64).float() if how.centred else W_enc
    new_enc = read if how.input_scale == 1 else read * how.input_scale
    new_b_dec = b_dec / how.output_scale
    centre = torch.zeros(foreign.d_in, dtype=torch.float64) if foreign.d_out is not None else new_b_dec
    if _shifts(foreign, how):
        shift_F = _product(centre, new_enc) - (_product(b_dec, W_enc) if how.subtracts_b_dec else 0)
        t["b_enc"] = t["b_enc"] + shift_F
        if "b_mag" in t:
            t["b_mag"] = t["b_mag"] + t["r_mag"].double().exp() * shift_F
    steps += _said(foreign, how)
    new_dec = t["W_dec"] if how.output_scale == 1 else t["W_dec"] / how.output_scale
    t |= {"W_enc": new_enc, "W_dec": new_dec, "b_dec": new_b_dec}
    if "threshold" in t:
        # Theirs take ReLU(z) where z > θ, ours z: the same once θ is not negative.
        t["threshold"] = t["threshold"].clamp_min(0.0)
    if "W_skip" in t:
        t["W_skip"] = t["W_skip"] / how.output_scale
    if foreign.d_out is not None:
        t["b_in"] = centre
    tensors = {name: tensor.float().contiguous() for name, tensor in t.items()}
    return Folded(tensors, tuple(steps), how.token_norm)


def _shifts(foreign: Foreign, how: Conventions) -> bool:
    """Whether what is taken from inputs differs from ours, so that b_enc must take it up."""
    if foreign.d_out is not None:
        return how.subtracts_b_dec
    return not how.subtracts_b_dec or how.centred or how.input_scale != how.output_scale


def _product(vector_D: Tensor, matrix_DF: Tensor) -> Tensor:
    """vector · matrix in float64, some rows at a time: the matrix may be of gigabytes."""
    total_F = torch.zeros(matrix_DF.shape[1], dtype=torch.float64)
    for start in range(0, len(vector_D), ROWS):
        rows = slice(start, start + ROWS)
        total_F += vector_D[rows].double() @ matrix_DF[rows].double()
    return total_F


def _fold_norms(how: Conventions, t: dict[str, Tensor]) -> list[str]:
    """Bring the decoder rows' lengths into the encoder, in place."""
    if how.by_norm == "none":
        return []
    norm_F = t["W_dec"].norm(dim=1)
    if how.by_norm == "selection" and "threshold" in t:
        t["threshold"] = t["threshold"] / norm_F.clamp_min(1e-30)
        return [
            "thresholds divided by the decoder rows' lengths, by which the source weighs what it compares with them"
        ]
    t["W_enc"], t["b_enc"] = t["W_enc"] * norm_F, t["b_enc"] * norm_F
    if "b_mag" in t:
        t["b_mag"] = t["b_mag"] * norm_F
    t["W_dec"] = t["W_dec"] / norm_F.clamp_min(1e-30)[:, None]
    own = how.by_norm == "activations"
    return [
        "decoder rows brought to length 1, their lengths into W_enc and b_enc"
        + ("" if own else ": activations are the source's times these lengths")
    ]


def _said(foreign: Foreign, how: Conventions) -> list[str]:
    said = []
    if how.input_scale != 1:
        said.append(f"inputs of the source are scaled by {how.input_scale:.6g}: folded into W_enc")
    if how.output_scale != 1:
        said.append(f"outputs of the source are divided by {how.output_scale:.6g}: folded into W_dec and b_dec")
    if how.centred:
        said.append("the source reads a residual stream without its mean: folded into W_enc")
    if not how.subtracts_b_dec and foreign.d_out is None:
        said.append("the source does not subtract b_dec from its input: W_encᵀ b_dec added to b_enc")
    return said
