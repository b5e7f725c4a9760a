"""EleutherAI sparsify: cfg.json and sae.safetensors, one folder per hookpoint, named after it.

f = TopK(ReLU(W (x - b_dec) + b)); a transcoder reads x unchanged. (sparsify/sparse_coder.py, of 1.3)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from engine.formats.foreign_sae import Conventions, Foreign, Stated
from engine.formats.untrusted_files import is_object_with, need, number, read_object, read_safetensors, skip_of, sound
from store.files.errors import MonosemError

CONFIG, WEIGHTS = "cfg.json", "sae.safetensors"
_HOOKPOINT = re.compile(r"(?:[\w]+\.)*(?:layers|h|blocks)\.\d+(?:\.[\w.]+)?|embed_tokens|embed_in|wte")


class Sparsify:
    """Reads EleutherAI sparsify's folders."""

    name = "sparsify"

    def recognise(self, path: Path) -> bool:
        """Recognise cfg.json next to sae.safetensors."""
        return (path / WEIGHTS).is_file() and is_object_with(path / CONFIG, "d_in")

    def read(self, path: Path) -> Foreign:
        """Read a hookpoint's folder."""
        config = read_object(path / CONFIG)
        found = sound(_ours(config, path), path / WEIGHTS)
        k, transcodes = int(number(config, "k", path / CONFIG)), bool(config.get("transcode"))
        run = path.parent / "config.json"
        trained = read_object(run) if run.is_file() else {}
        hook = path.name if _HOOKPOINT.fullmatch(path.name) else ""
        return Foreign(
            format="sparsify transcoder" if transcodes else "sparsify",
            source=str(path),
            arch="topk",
            tensors=found,
            k=k,
            d_out=len(found["b_dec"]) if transcodes else None,
            conventions=Conventions(subtracts_b_dec=not transcodes),
            model=str(trained.get("model", "")),
            hook=f"{hook}:input" if hook and transcodes else hook,
            hook_out=hook if transcodes else "",
            context=trained["ctx_len"] if isinstance(trained.get("ctx_len"), int) else None,
            data=str(trained.get("dataset", "")),
            bos="contexts are packed text; special tokens are read like others",
            stated=Stated(l0=float(k)),
            details={name: config[name] for name in ("normalize_decoder", "multi_topk") if name in config},
        )


def _ours(config: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """Return tensors by our names, refusing what our architectures do not compute."""
    activation = config.get("activation", "topk")
    if activation != "topk":
        raise MonosemError(f"{path}: monosem does not compute sparsify's {activation} activation", "It computes topk.")
    if config.get("signed"):
        raise MonosemError(f"{path} has signed activations; monosem's are never negative", "Train it with signed off.")
    tensors = read_safetensors(path / WEIGHTS)
    need(tensors, ("encoder.weight", "encoder.bias", "W_dec", "b_dec"), path / WEIGHTS)
    skip = skip_of(tensors)
    if skip and not config.get("transcode"):
        raise MonosemError(
            f"{path} adds W_skip x to x̂, so that it need not explain x", "Only transcoders may have a skip connection."
        )
    return {
        "W_enc": tensors["encoder.weight"].mT,
        "b_enc": tensors["encoder.bias"],
        "W_dec": tensors["W_dec"],
        "b_dec": tensors["b_dec"],
        **skip,
    }
