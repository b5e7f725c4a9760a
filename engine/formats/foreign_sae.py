"""An autoencoder in the conventions of its own format.

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
    """The use of the tensors: z = W_encᵀ(s · C x - b_dec) + b_enc, x̂ = (W_decᵀ f + b_dec) / t.

    With a token norm, x stands for n(x), and x̂ for the output before de-normalisation (engine.sae.token_norm).
    Libraries differ in these silently; engine.formats.self_check tries them when figures are off.
    """

    subtracts_b_dec: bool = True
    """Whether b_dec is subtracted from the input."""
    input_scale: float = 1.0
    """s: factor on the input."""
    output_scale: float = 1.0
    """t: divisor of the reconstruction."""
    by_norm: ByNorm = "none"
    """Whether z is multiplied by the decoder rows' lengths: for "activations" throughout, for "selection" only to
    decide which features are active."""
    centred: bool = False
    """Whether C subtracts each input's mean over its width, as in models rewritten by TransformerLens."""
    token_norm: TokenNorm = "none"
    """Normalisation of each token."""
    before_gain: bool = False
    """Whether x is what a norm returns before it multiplies by its weights; our sites lie after that."""
    skip_transposed: bool = False
    """Whether the skip connection is W_skipᵀ x, with W_skip as it was read."""


@dataclass(frozen=True, kw_only=True)
class Stated:
    """The quality that the source states; None if it states none."""

    explained_variance: float | None = None
    l0: float | None = None
    nominal: bool = False
    """Whether l0 is a target or an average of the training: something to show, not to judge by."""


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """An autoencoder as an importer has read it."""

    format: str
    """The format's usual name."""
    source: str
    """The file or folder."""
    arch: str
    """The architecture of ours that computes it once folded."""
    tensors: dict[str, Tensor]
    """float32, by our names: W_enc [D, F], b_enc [F], W_dec [F, O], b_dec [O], and threshold [F] or [1], or r_mag [F]
    and b_mag [F]; for a transcoder with a skip connection W_skip [O, D], which reads x unchanged."""
    k: int | None = None
    conventions: Conventions = field(default_factory=Conventions)
    d_out: int | None = None
    """Output width of a transcoder."""
    model: str = ""
    """The language model's name in the source."""
    hook: str = ""
    """The input site's name in the source; empty if unnamed."""
    hook_out: str = ""
    """The output site's name of a transcoder."""
    places: tuple[str, ...] = ()
    """Names of other places that its input is said to be at, in the source or in libraries that read it."""
    gain: Tensor | None = None
    """g [D], by which the model's norm multiplies what is read; set once the model is open, where there is one."""
    first_positions: int = 0
    """First positions of a context that its training left out, BOS among them; 0 for BOS alone."""
    context: int | None = None
    """Tokens per context in its training."""
    data: str = ""
    """The name of its training text in the source."""
    bos: str = ""
    """The source's statement about BOS tokens in its training; empty without one."""
    stated: Stated = field(default_factory=Stated)
    details: Mapping[str, Any] = field(default_factory=dict)
    """Further facts for the run's record."""
    notes: tuple[str, ...] = ()
    """Warnings: traps of the format, and what was done about them."""

    @property
    def d_in(self) -> int:
        """Width of the input."""
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
    """Recognises and reads one format."""

    name: str

    def recognise(self, path: Path) -> bool:
        """Return whether a file or folder has this format, from names and headers without reading weights."""

    def read(self, path: Path) -> Foreign:
        """Read a file or folder.

        Raises:
            MonosemError: something is missing, damaged, or not computed by our architectures.
        """
