"""Convert a format's conventions to ours, exactly.

The source computes z = W_encᵀ(s · C x - σ b_dec) + b_enc and x̂ = (W_decᵀ f + b_dec) / t. We compute z = W'ᵀ(x - c) +
b', with c = b_dec' (0 in a transcoder), and x̂ = W_dec'ᵀ f + b_dec'. So W' = s C W_enc, W_dec' = W_dec / t, b_dec' =
b_dec / t, b' = b_enc - σ W_encᵀ b_dec + W'ᵀ c, W_skip' = W_skip / t. Sums over inputs are in float64. Activations keep
the source's units. With a token norm, x and x̂ are the normalised ones: weights cannot express that. What reads a norm's
output before its gain g reads x ⊘ g of ours: the rows of W_enc and the columns of W_skip are divided by g, and an
autoencoder's W_dec and b_dec multiplied by it.

Shapes: D = d_in, O = d_out (D, but in a transcoder), F = d_sae.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.formats.foreign_sae import Conventions, Foreign
from engine.sae.token_norm import TokenNorm
from store.files.errors import MonosemError

ROWS = 256
"""Rows of a matrix multiplied at once."""
LEAST_GAIN = 1e-3
"""Least gain of a norm, relative to its median, by which weights may be divided."""


@dataclass(frozen=True)
class Folded:
    """An autoencoder in our conventions."""

    tensors: dict[str, Tensor]
    """float32, by the names of engine.sae."""
    steps: tuple[str, ...]
    """Foldings applied, one sentence each."""
    arch: str
    """The architecture that computes it."""
    token_norm: TokenNorm = "none"
    """The per-token normalisation that remains."""


def folded(foreign: Foreign, conventions: Conventions | None = None) -> Folded:
    """Return the tensors with which our architecture computes what the source computes.

    Raises:
        MonosemError: it normalises centred tokens by their lengths, which differ from those of the stream, or reads a
            norm before its gain where that is unknown or near 0, or where it normalises tokens once more.
    """
    how = conventions or foreign.conventions
    if how.token_norm == "rms_norm" and how.centred:
        raise MonosemError(
            f"{foreign.source} scales centred tokens by their lengths, which monosem does not compute",
            "If its model was not rewritten by TransformerLens, use `centred=False`.",
        )
    t = dict(foreign.tensors)
    steps = _turn_skip(how, t) + _fold_norms(how, t)
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
    steps += _steps(foreign, how)
    new_dec = t["W_dec"] if how.output_scale == 1 else t["W_dec"] / how.output_scale
    t |= {"W_enc": new_enc, "W_dec": new_dec, "b_dec": new_b_dec}
    if "threshold" in t:
        # Others compute ReLU(z) where z > θ, we z: the same once θ is not negative.
        t["threshold"] = t["threshold"].clamp_min(0.0)
    if "W_skip" in t:
        t["W_skip"] = t["W_skip"] / how.output_scale
    steps += _fold_gain(foreign, how, t)
    if foreign.d_out is not None:
        t["b_in"] = centre
    # One threshold for all features became one for each: that is a JumpReLU.
    by_feature = "threshold" in t and t["threshold"].shape != foreign.tensors["threshold"].shape
    tensors = {name: tensor.float().contiguous() for name, tensor in t.items()}
    return Folded(tensors, tuple(steps), "jumprelu" if by_feature else foreign.arch, how.token_norm)


def _shifts(foreign: Foreign, how: Conventions) -> bool:
    """Return whether the vector subtracted from inputs differs from ours, so that b_enc must absorb it."""
    if foreign.d_out is not None:
        return how.subtracts_b_dec
    return not how.subtracts_b_dec or how.centred or how.input_scale != how.output_scale


def _product(vector_D: Tensor, matrix_DF: Tensor) -> Tensor:
    """Return vector · matrix in float64, some rows at a time: the matrix may have gigabytes."""
    total_F = torch.zeros(matrix_DF.shape[1], dtype=torch.float64)
    for start in range(0, len(vector_D), ROWS):
        rows = slice(start, start + ROWS)
        total_F += vector_D[rows].double() @ matrix_DF[rows].double()
    return total_F


def _turn_skip(how: Conventions, t: dict[str, Tensor]) -> list[str]:
    """Turn the skip connection round, in place; return what was done."""
    if not how.skip_transposed or "W_skip" not in t:
        return []
    t["W_skip"] = t["W_skip"].mT
    return ["skip connection transposed"]


def small_gains(gain_D: Tensor) -> int:
    """Return in how many dimensions a gain is too near 0 for weights to be divided by it."""
    return int((gain_D.abs() < LEAST_GAIN * gain_D.abs().median()).sum())


def _fold_gain(foreign: Foreign, how: Conventions, t: dict[str, Tensor]) -> list[str]:
    """Divide what reads x by the norm's gain, and multiply x̂ by it, in place; return what was done."""
    if not how.before_gain:
        return []
    if how.token_norm != "none":
        raise MonosemError(
            f"{foreign.source} normalises tokens that it reads before a norm's gain, which monosem does not compute",
            "If it reads what the MLP reads, use `before_gain=False`.",
        )
    if foreign.gain is None:
        raise MonosemError(
            f"{foreign.source} reads a norm before its gain, and its place does not follow a norm that has only a gain",
            "Give its `site` and `layer`, or `before_gain=False` if it reads what the MLP reads.",
        )
    gain_D = foreign.gain.cpu()
    if low := small_gains(gain_D):
        raise MonosemError(
            f"{foreign.source} reads a norm before its gain, which is near 0 in {low} of {len(gain_D)} "
            "dimensions: what it reads there cannot be computed from what the MLP reads",
        )
    t["W_enc"] = t["W_enc"] / gain_D[:, None]
    if "W_skip" in t:
        t["W_skip"] = t["W_skip"] / gain_D
    if foreign.d_out is not None:
        return ["the source reads the norm's output before its gain: W_enc divided by the gain"]
    t |= {name: t[name] * gain_D for name in ("W_dec", "b_dec")}
    return ["the source reads the norm's output before its gain: W_enc divided by the gain, W_dec and b_dec multiplied"]


def signed_as_two(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return signed latents as two features each: i fires where latent i is positive, F + i where negative.

    The k largest |z| are the k largest of ReLU([z, -z]), so TopK computes AbsTopK exactly; and all z, ReLU.
    """
    both = {name: torch.cat([found[name], -found[name]], dim=-1) for name in ("W_enc", "b_enc")}
    return {**found, **both, "W_dec": torch.cat([found["W_dec"], -found["W_dec"]])}


def with_unit_rows(t: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors with decoder rows of length 1; z is multiplied by the lengths that they had."""
    norm_F = t["W_dec"].norm(dim=1)
    new = {name: t[name] * norm_F for name in ("W_enc", "b_enc", "b_mag") if name in t}
    return {**t, **new, "W_dec": t["W_dec"] / norm_F.clamp_min(1e-30)[:, None]}


def _fold_norms(how: Conventions, t: dict[str, Tensor]) -> list[str]:
    """Move the decoder rows' lengths into the encoder, in place; return what was done."""
    if how.by_norm == "none":
        return []
    if how.by_norm == "selection" and "threshold" in t:
        t["threshold"] = t["threshold"] / t["W_dec"].norm(dim=1).clamp_min(1e-30)
        return [
            "thresholds divided by the decoder rows' lengths, by which the source multiplies what it compares with them"
        ]
    t |= with_unit_rows(t)
    own = how.by_norm == "activations"
    return [
        "decoder rows scaled to length 1, their lengths moved into W_enc and b_enc"
        + ("" if own else ": activations are the source's times these lengths")
    ]


def _steps(foreign: Foreign, how: Conventions) -> list[str]:
    steps = []
    if how.input_scale != 1:
        steps.append(f"inputs of the source are scaled by {how.input_scale:.6g}: folded into W_enc")
    if how.output_scale != 1:
        steps.append(f"outputs of the source are divided by {how.output_scale:.6g}: folded into W_dec and b_dec")
    if how.centred:
        steps.append("the source reads a residual stream without its mean: folded into W_enc")
    if not how.subtracts_b_dec and foreign.d_out is None:
        steps.append("the source does not subtract b_dec from its input: W_encᵀ b_dec added to b_enc")
    return steps
