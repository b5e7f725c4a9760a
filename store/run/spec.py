"""Description of a sparse autoencoder and the place in a model it reads, shared by run.json, sae.h5 and the index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from store.files.typed_json import decode, parse

SELDOM = ("token_norm", "skip")
"""Fields that files leave out at their defaults, as files from before these fields do."""


@dataclass(frozen=True, kw_only=True)
class SaeSpec:
    """A sparse autoencoder and the place in a model it reads.

    f = act(W_encᵀ(x - b_dec) + b_enc), x̂ = W_decᵀ f + b_dec; inputs are the model's own activations, unscaled.
    A transcoder reads one site and explains another: f = act(W_encᵀ(x - b_in) + b_enc), ŷ = W_decᵀ f + b_dec.
    """

    model: str = ""
    """Hub id or folder of the language model, as the user wrote it; empty where only activations are known."""
    layer: int | None = None
    """Counted from 0; None for a raw module path."""
    site: str = ""
    """One of the sites in docs/guide.md, or a raw module path."""
    layer_out: int | None = None
    """For a transcoder, the layer it reconstructs."""
    site_out: str = ""
    """For a transcoder, the site it reconstructs; empty for an autoencoder."""
    d_out: int | None = None
    """For a transcoder, the width of the site it reconstructs."""
    arch: str = ""
    """Name in the registry of architectures."""
    d_in: int = 0
    """Width of the activations."""
    d_sae: int = 0
    """Number of features."""
    k: int | None = None
    """Active features per token, for architectures that fix it or aim at it."""
    l1: float | None = None
    """Weight of the sparsity penalty, for architectures that have one."""
    excluded: str = "bos"
    """Positions left out of training, index and metrics: "bos", "first" (no BOS token exists) or "none"."""
    token_norm: str = "none"
    """Normalisation of each token before encoding: "none", "layer_norm" or "rms_norm". An autoencoder undoes it after
    decoding, a transcoder does not."""
    skip: bool = False
    """For a transcoder, whether W_skip x is added to its output."""

    def to_json(self) -> str:
        """Return one line of JSON, as HDF5 attributes have it."""
        return json.dumps(self.as_values(), sort_keys=True)

    def as_values(self) -> dict[str, Any]:
        """Return the fields by name as files have them: those of `SELDOM` only where they differ from their default."""
        values, plain = asdict(self), SaeSpec()
        return {name: value for name, value in values.items() if name not in SELDOM or value != getattr(plain, name)}

    @classmethod
    def from_json(cls, text: str) -> SaeSpec:
        """Read the text of `to_json`; ValueError where it is not that."""
        return decode(cls, parse(text))

    def check_lengths(self, lengths: Mapping[str, int]) -> None:
        """Check that arrays have these widths; `lengths` are by axis, as `store.run.sae_rules` names them.

        Raises:
            ValueError: an array is of another width.
        """
        for axis, wanted in (("D", self.d_in), ("F", self.d_sae), ("O", self.d_out or self.d_in)):
            if lengths.get(axis, wanted) != wanted:
                raise ValueError(f"its weights are {lengths[axis]} wide along {axis} where its spec says {wanted}")

    def place(self) -> str:
        """Return `resid_post 2`, for a transcoder `mlp_in 2 → mlp_out 2`; empty where only activations are known."""
        read = _named(self.site, self.layer)
        return f"{read} → {_named(self.site_out, self.layer_out)}" if self.site_out else read

    @property
    def written(self) -> tuple[str, int | None]:
        """The site that it explains, and its layer: for a transcoder another one than it reads."""
        return (self.site_out, self.layer_out) if self.site_out else (self.site, self.layer)

    @property
    def read(self) -> tuple[str, int | None]:
        """The site that it reads, and its layer."""
        return self.site, self.layer

    @property
    def neuron_layer(self) -> int | None:
        """Layer of the MLP whose neurons the features are compared with; None where there is none.

        It is the last MLP that wrote into the space of the decoder's rows: the layer's own for resid_post, mlp_out and
        mlp_act, the one before for resid_pre and resid_mid. Attention's output, an MLP's input and raw module paths
        have none.
        """
        site, layer = self.written
        if layer is None:
            return None
        if site in ("resid_pre", "resid_mid"):
            return layer - 1 if layer > 0 else None
        return layer if site in ("resid_post", "mlp_out", "mlp_act") else None

    def title(self) -> str:
        """Return one line that names a run: `stories260K resid_post 2 · topk 1 024 k16`."""
        place = f"{self.model.rstrip('/').split('/')[-1]} {self.place()}"
        size = f"{self.arch} {self.d_sae:,}".replace(",", " ") + (f" k{self.k}" if self.k else "")
        size += "" if self.token_norm == "none" else f" {self.token_norm}"
        size += " skip" if self.skip else ""
        return f"{place} · {size}" if place.strip() else f"{size} of {self.d_in} values"


def _named(site: str, layer: int | None) -> str:
    return site if layer is None else f"{site} {layer}"
