"""OpenAI's sparse_autoencoder: one .pt file, a state_dict.

f = act(W (x - pre_bias) + latent_bias). With TopK, its inputs and outputs are layer-normalised token by token, which
cannot be folded into weights. (sparse_autoencoder/model.py; Gao et al. 2024, arXiv 2406.04093)
"""

from __future__ import annotations

from pathlib import Path

from engine.formats.files import need, read_torch, sound
from engine.formats.foreign import Foreign
from store.errors import MonosemError


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
        if activation == "TopK":
            raise MonosemError(
                f"{path} normalises every token before it encodes it, which monosem does not compute",
                "OpenAI's files with ReLU (v1, v4) can be imported, those with TopK (v5) cannot.",
            )
        if activation != "ReLU":
            raise MonosemError(f"{path}: monosem does not compute {activation}", "It computes ReLU.")
        encoder = state["encoder.weight"]
        decoder = state.get("decoder.weight")
        tensors = {
            "W_enc": encoder.mT,
            "b_enc": state["latent_bias"],
            "W_dec": encoder if decoder is None else decoder.mT,  # tied weights are stored once
            "b_dec": state["pre_bias"],
        }
        return Foreign(
            format="OpenAI ReLU",
            source=str(path),
            arch="relu",
            tensors=sound(tensors, path),
            bos="not said",
            notes=("the file names neither model nor place: its path on OpenAI's storage does",),
        )
