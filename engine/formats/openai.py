"""OpenAI's sparse_autoencoder: one .pt file, a state_dict.

f = act(W (x - pre_bias) + latent_bias). With TopK (v5) tokens are layer-normalised first and reconstructions
de-normalised; only the activation's name shows it. (sparse_autoencoder/model.py; Gao et al. 2024, arXiv 2406.04093)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.formats.foreign_sae import Conventions, Foreign, Stated
from engine.formats.tensor_file import read_tensors, shapes_of
from engine.formats.untrusted_files import need, number, sound
from store.files.errors import MonosemError

_NAMES = ("encoder.weight", "latent_bias", "pre_bias")


class OpenAi:
    """Reads the files of OpenAI's sparse_autoencoder."""

    name = "OpenAI"

    def recognise(self, path: Path) -> bool:
        """Recognise a file with its tensors' names."""
        return set(_NAMES) <= set(shapes_of(path))

    def read(self, path: Path) -> Foreign:
        """Read the file."""
        state = read_tensors(path)
        need(state, _NAMES, path)
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
            bos="not stated",
            stated=Stated(l0=None if k is None else float(k)),
            notes=("the file names neither model nor site: its path on OpenAI's storage does",),
        )


def _k(state: Mapping[str, Any], path: Path) -> int:
    """Return k; only ReLU after TopK gives activations that are never negative."""
    held = state.get("activation_state_dict")
    held = held if isinstance(held, Mapping) else {}
    after = held.get("postact_fn", "ReLU")
    if after != "ReLU":
        raise MonosemError(f"{path}: monosem does not compute TopK followed by {after}", "It computes ReLU there.")
    return int(number(held, "k", path))
