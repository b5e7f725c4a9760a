"""Settings of `monosem import`: what a person knows better than the files of an autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from store.settings.setting import optional, setting
from store.settings.subject import FULL, ReopenSettings, SubjectSettings, Weights


@dataclass(frozen=True, kw_only=True)
class ImportSettings(ReopenSettings):
    """The site, conventions and self-check of an imported autoencoder. None takes the value from its files."""

    model: str | None = optional(SubjectSettings, "model", "as the source says")
    tensors: str | None = setting(
        None, "Of a file of no known format: W_enc=NAME,W_dec=NAME,b_enc=NAME,b_dec=NAME[,threshold=NAME]", "NAMES"
    )
    arch: Literal["relu", "topk", "jumprelu"] | None = setting(
        None, "With `tensors`, relu, topk, jumprelu: what computes it", "ARCH"
    )
    k: int | None = setting(None, "With `tensors`, of a topk: active features per token", "N", least=1)
    data: str | None = optional(SubjectSettings, "data", "as the source says, or stdlib")
    activations: str | None = setting(
        None, "Check on this array, with no model: .npy, .h5:DATASET, .safetensors:NAME", "FILE"
    )
    layer: int | None = setting(None, "Layer, from 0, where the source says none or a wrong one", "N")
    site: str | None = setting(None, "Site, where the source says none or a wrong one", "SITE")
    layer_out: int | None = setting(None, "Of a transcoder: layer of what it explains", "N")
    site_out: str | None = setting(None, "Of a transcoder: the site it explains", "SITE")
    context: int | None = optional(SubjectSettings, "context", "as the source says, or 256")
    device: str | None = optional(SubjectSettings, "device", "auto")
    dtype: str | None = optional(SubjectSettings, "dtype", "auto")
    weights: Weights | None = optional(SubjectSettings, "weights", FULL)
    check: bool = setting(True, "Measure it on text at once", unset="`check=True`")
    tokens: int = setting(4096, "Tokens to check on", "COUNT")
    explained_variance: float | None = setting(None, "As published, to compare with", "X")
    l0: float | None = setting(None, "As published, to compare with", "X", least=0)
    input_scale: float | None = setting(None, "What its inputs were multiplied by in training", "X", least=1e-12)
    subtracts_b_dec: bool | None = setting(None, "Whether b_dec is taken from its inputs")
    by_norm: Literal["none", "activations", "selection"] | None = setting(
        None,
        "none, activations, selection: what decoder norms weigh: activations, or which are selected",
        "HOW",
    )
    centred: bool | None = setting(None, "Whether it read a stream without its mean")
    token_norm: Literal["none", "layer_norm", "rms_norm"] | None = setting(
        None, "none, layer_norm, rms_norm: how every token is normalised by itself", "HOW"
    )
    before_gain: bool | None = setting(None, "Whether it read a norm's output before the norm's gain")
    skip_transposed: bool | None = setting(None, "Whether its skip connection is to be transposed")
