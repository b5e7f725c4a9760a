"""Import architectures by name, and build autoencoders from saved weights."""

from __future__ import annotations

from importlib import import_module
from typing import cast

import torch

from engine.sae.base import Sae, SaeSettings
from engine.sae.token_norm import TokenNorm
from store.files.errors import MonosemError
from store.run.weights import SaeWeights
from store.settings.architectures import known_architecture


def architecture(name: str) -> type[Sae]:
    """Return the class of an architecture.

    Raises:
        MonosemError: no architecture has that name.
    """
    known = known_architecture(name)
    return cast(type[Sae], getattr(import_module(f"engine.sae.{known.module}"), known.class_name))


def from_weights(weights: SaeWeights, device: torch.device) -> Sae:
    """Return the trained autoencoder, ready to encode raw activations; no parameter requires a gradient.

    Raises:
        MonosemError: the weights are not those of the architecture that they name.
    """
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
    try:
        sae.load_state_dict({name: torch.from_numpy(values) for name, values in weights.tensors.items()})
    except RuntimeError as error:
        what = " ".join(str(error).split())
        raise MonosemError(f"the weights are not those of a {spec.arch} autoencoder: {what}") from error
    return sae.eval().requires_grad_(False).to(device)
