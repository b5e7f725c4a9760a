"""Settings of what is looked at: a language model, a site in it, and the text it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from store.settings import architectures
from store.settings.setting import LARGEST_SEED, Settings, optional, setting

Packing = Literal["packed", "documents"]
HeldOut = Literal["texts", "documents"]
Weights = Literal["full", "int8", "int4"]
FULL: Weights = "full"
"""Weights in the dtype to compute in."""
HELD_OUT_HELP = "Hold out every 20th text, or every 20th document (long texts are several), as monosem 0.1 did"
SPREAD = "spread"
"""The device of a model that lies on all of a machine's."""
DEVICE_HINT = f"Use auto, cpu, cuda, cuda:1, mps or {SPREAD}."
OLD_AUTO = "auto32"
"""The dtype `auto` as runs of 0.1 have it: every model is taken for one in float32."""
SITES_HELP = "resid_pre, resid_mid, resid_post, attn_out, mlp_in, mlp_out, mlp_act, or a module's path"


@dataclass(frozen=True, kw_only=True)
class SubjectSettings(Settings):
    """Settings that every command on a language model shares."""

    model: str = setting("gpt2", "Language model: gpt2, llama, gemma, a hub id, a folder or a run", "MODEL")
    layer: int | None = setting(None, "Layer of the model, counted from 0", "N", unset="the middle one")
    site: str = setting("resid_post", SITES_HELP, "SITE")
    layer_out: int | None = setting(None, "Layer of `site_out`", "N", unset="that of `site`")
    site_out: str = setting(
        "",
        f"Explain this site by features of `site`: a transcoder ({architectures.listed(transcodes=True)})",
        "SITE",
    )
    data: str = setting(
        "stdlib",
        "Text: stdlib, planted, files, URLs, globs (.txt .jsonl[.zst .gz] .parquet; :FIELD), hf:NAME[:CONFIG][@SPLIT]",
        "DATA",
    )
    context: int | None = setting(
        None, "Tokens per context", "N", unset="256, or what the model was made for if that is less", least=2
    )
    packing: Packing = setting("packed", "Lay documents end to end, or give each its own contexts")
    held_out: HeldOut = setting("texts", HELD_OUT_HELP)
    seed: int = setting(0, "Seed of everything that is drawn at random", "N", most=LARGEST_SEED)
    data_seed: int | None = setting(
        None, "Seed of the order of text and batches", "N", unset="`seed`, the first", most=LARGEST_SEED
    )
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps, or spread over all (accelerate)", "DEVICE")
    dtype: str = setting("auto", "Of matrix products: auto, float32, bfloat16 or float16", "TYPE")
    weights: Weights = setting(FULL, "The model's matrices: as `dtype`, or in int8 or int4 (torchao)")

    @property
    def order_seed(self) -> int:
        """Seed of the order of text and activations."""
        return self.seed if self.data_seed is None else self.data_seed


@dataclass(frozen=True, kw_only=True)
class ReopenSettings(Settings):
    """Settings with which a trained run is opened again; None keeps the training's."""

    model: str | None = optional(SubjectSettings, "model", "as in training")
    data: str | None = optional(SubjectSettings, "data", "as in training")
    device: str | None = optional(SubjectSettings, "device", "as in training")
    dtype: str | None = optional(SubjectSettings, "dtype", "as in training")
    weights: Weights | None = optional(SubjectSettings, "weights", "as in training")
