"""OpenAI's sparse_autoencoder: one .pt file, a state_dict.

f = act(W (x - pre_bias) + latent_bias). With TopK (v5) every token is layer-normalised before, and the reconstruction
turned back; the file says so by its activation alone. (sparse_autoencoder/model.py; Gao et al. 2024, arXiv 2406.04093)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.formats.foreign_sae import Conventions, Foreign, Stated
from engine.formats.untrusted_files import need, number, read_torch, sound
from store.files.errors import MonosemError


class OpenAi:
    """OpenAI's sparse_autoencoder."""

    name = "OpenAI"

    def recognise(self, path: Path) -> bool:
        """A .pt file by itself; others that are one have names of their own."""
        return path.is_file() and path.suffix == ".pt" and path.name not in ("ae.pt", "sae_weights.pt")

    def read(self, path: Path) -> Foreign:
        """Read the file."""
        state = read_torch(path)
        need(state, ("encoder.weight", "latent_bias", "pre_bias"), path)
        activation = str(state.get("activation", "ReLU"))
        if activation not in ("ReLU", "TopK"):
            raise MonosemError(f"{path}: monosem does not compute {activation}", "It computes ReLU and TopK.")
        k = _k(state, path) if activation == "TopK" else None
        encoder = state["encoder.weight"]
        decoder = state.get("decoder.weight")
        tensors = {
            "W_enc": encoder.mT,
            "b_enc": state["latent_bias"],
            "W_dec": encoder if decoder is None else decoder.mT,  # tied weights are stored once
            "b_dec": state["pre_bias"],
        }
        return Foreign(
            format=f"OpenAI {activation}",
            source=str(path),
            arch="relu" if k is None else "topk",
            tensors=sound(tensors, path),
            k=k,
            conventions=Conventions(token_norm="none" if k is None else "layer_norm"),
            bos="not said",
            stated=Stated(l0=None if k is None else float(k)),
            notes=("the file names neither model nor place: its path on OpenAI's storage does",),
        )


def _k(state: Mapping[str, Any], path: Path) -> int:
    """How many features TopK keeps; behind it only ReLU gives activations that are never negative."""
    held = state.get("activation_state_dict")
    held = held if isinstance(held, Mapping) else {}
    behind = held.get("postact_fn", "ReLU")
    if behind != "ReLU":
        raise MonosemError(f"{path}: monosem does not compute TopK with {behind} behind it", "It computes ReLU there.")
    return int(number(held, "k", path))
