"""Architectures by name, and autoencoders built from saved weights."""

from __future__ import annotations

from typing import cast

import torch

from engine.sae.base import Sae, SaeSettings
from engine.sae.batchtopk import BatchTopKSae
from engine.sae.gated import GatedSae
from engine.sae.jumprelu import JumpReluSae
from engine.sae.matryoshka import MatryoshkaSae
from engine.sae.relu import L1NormSae, ReluSae
from engine.sae.token_norm import TokenNorm
from engine.sae.topk import TopKSae
from store.files.errors import MonosemError
from store.run.weights import SaeWeights

ARCHITECTURES: dict[str, type[Sae]] = {
    sae.arch: sae for sae in (TopKSae, BatchTopKSae, JumpReluSae, MatryoshkaSae, GatedSae, L1NormSae, ReluSae)
}


def architecture(name: str) -> type[Sae]:
    """Return the class of an architecture.

    Raises:
        MonosemError: no architecture has that name.
    """
    if name not in ARCHITECTURES:
        raise MonosemError(f"unknown architecture {name!r}", f"Choose one of: {', '.join(ARCHITECTURES)}.")
    return ARCHITECTURES[name]


def from_weights(weights: SaeWeights, device: torch.device) -> Sae:
    """Return the trained autoencoder, ready to encode raw activations; no parameter requires a gradient."""
    spec = weights.spec
    settings = SaeSettings(
        d_in=spec.d_in,
        d_sae=spec.d_sae,
        k=spec.k,
        l1=spec.l1,
        d_out=spec.d_out,
        token_norm=cast(TokenNorm, spec.token_norm),  # SaeSettings checks it
        skip=spec.skip,
    )
    sae = architecture(spec.arch)(settings)
    sae.load_state_dict({name: torch.from_numpy(values) for name, values in weights.tensors.items()})
    return sae.eval().requires_grad_(False).to(device)
