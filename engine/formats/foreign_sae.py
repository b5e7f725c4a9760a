"""An autoencoder as its own format means it.

Shapes: D = d_in, O = d_out (D, but in a transcoder), F = d_sae.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from torch import Tensor

from engine.sae.token_norm import TokenNorm

ByNorm = Literal["none", "activations", "selection"]


@dataclass(frozen=True, kw_only=True)
class Conventions:
    """How the tensors are meant: z = W_encᵀ(s · C x - b_dec) + b_enc, x̂ = (W_decᵀ f + b_dec) / t.

    Where tokens are normalised, x is read as n(x), and x̂ as what is still to be turned back (engine.sae.token_norm).
    Libraries differ in these without saying so; `engine.formats.self_check` tries them when figures are off.
    """

    subtracts_b_dec: bool = True
    """Whether b_dec is taken from the input before it is encoded."""
    input_scale: float = 1.0
    """s: what the input is multiplied by."""
    output_scale: float = 1.0
    """t: what the reconstruction is divided by."""
    by_norm: ByNorm = "none"
    """Whether z is multiplied by the decoder rows' lengths: "activations" keeps the product, "selection" only decides
    by it which features are active."""
    centred: bool = False
    """Whether C takes from every input its mean over the width, as models do that TransformerLens has rewritten."""
    token_norm: TokenNorm = "none"
    """How every token is normalised by itself; what no weights can hold."""


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What the source says of its own quality; None where it says nothing."""

    explained_variance: float | None = None
    l0: float | None = None


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """What one importer read."""

    format: str
    """The format's name, as people know it."""
    source: str
    """File or folder that was read."""
    arch: str
    """Our architecture that computes it, once folded."""
    tensors: dict[str, Tensor]
    """float32, by our names: W_enc [D, F], b_enc [F], W_dec [F, O], b_dec [O], and threshold [F] or [1], or r_mag [F]
    and b_mag [F]; of a transcoder with a skip connection W_skip [O, D], which reads x as it is."""
    k: int | None = None
    conventions: Conventions = field(default_factory=Conventions)
    d_out: int | None = None
    """Of a transcoder."""
    model: str = ""
    """The language model, as the source names it."""
    hook: str = ""
    """The place that is read, as the source names it; empty where it does not."""
    hook_out: str = ""
    """Of a transcoder: the place that is explained."""
    context: int | None = None
    """Tokens a context in its training."""
    data: str = ""
    """The text it was trained on, as the source names it."""
    bos: str = ""
    """What the source says of BOS tokens in its training; empty where it says nothing."""
    stated: Stated = field(default_factory=Stated)
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else is worth keeping, for the run's record."""
    notes: tuple[str, ...] = ()
    """What a person had better know: traps of this format, and what was done about them."""

    @property
    def d_in(self) -> int:
        """Width of what is read."""
        return int(self.tensors["W_enc"].shape[0])

    @property
    def d_sae(self) -> int:
        """Number of features."""
        return int(self.tensors["W_enc"].shape[1])

    @property
    def skips(self) -> bool:
        """Whether it has a skip connection."""
        return "W_skip" in self.tensors


class Importer(Protocol):
    """One format."""

    name: str

    def recognise(self, path: Path) -> bool:
        """Whether a file or folder is of this format, from names and headers alone: no weights are read."""

    def read(self, path: Path) -> Foreign:
        """Read it.

        Raises:
            MonosemError: something is missing, damaged, or beyond what our architectures compute.
        """
