"""OpenSAE of THU-KEG: config.json, and model.safetensors, or shards with their index.

f = TopK(ReLU(W (n(x) - b_dec) + b)), n the layer norm of each token if `input_normalize`. Trained reconstructions are
those of the normalised token unless `normalize_shift_back`; ours are always turned back. (opensae/saes/open_sae)
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from engine.formats.foreign_sae import Conventions, Foreign, Stated
from engine.formats.untrusted_files import (
    AGAIN,
    is_object_with,
    need,
    number,
    read_object,
    read_safetensors,
    sound,
    words,
)
from engine.sae.token_norm import EPS
from store.files.errors import MonosemError

CONFIG, WHOLE, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
_NAMES = ("encoder.weight", "encoder.bias", "W_dec", "b_dec")


class OpenSae:
    """Reads OpenSAE's folders."""

    name = "OpenSAE"

    def recognise(self, path: Path) -> bool:
        """Recognise config.json with `feature_size` and a hookpoint."""
        return is_object_with(path / CONFIG, "feature_size", "input_hookpoint")

    def read(self, path: Path) -> Foreign:
        """Read a folder."""
        file = path / CONFIG
        config = read_object(file)
        _refuse(config, path)
        state = _state(path)
        need(state, _NAMES, path)
        tensors = {"W_enc": state["encoder.weight"].mT, "b_enc": state["encoder.bias"]}
        found = sound(tensors | {name: state[name] for name in ("W_dec", "b_dec")}, path)
        k = int(number(config, "k", file)) if "k" in config else 128
        hook = words(config, "input_hookpoint")
        block = re.fullmatch(r"layers\.(\d+)", hook)
        normalised = bool(config.get("input_normalize", True))
        return Foreign(
            format="OpenSAE",
            source=str(path),
            arch="topk",
            tensors=found,
            k=k,
            conventions=Conventions(token_norm="layer_norm" if normalised else "none"),
            model=words(config, "model_name"),
            hook=f"resid_post_layer_{block[1]}" if block else hook,
            context=4096,
            bos="not stated",
            stated=Stated(l0=float(k)),
        )


def _refuse(config: dict[str, Any], path: Path) -> None:
    activation = words(config, "activation") or "topk"
    if activation != "topk":
        raise MonosemError(f"{path}: monosem does not compute OpenSAE's {activation}", "It computes topk.")
    if isinstance(experts := config.get("num_experts", 1), int) and experts > 1:
        raise MonosemError(f"{path} has a router of {experts} experts, which monosem does not compute")
    if config.get("output_hookpoint", config["input_hookpoint"]) != config["input_hookpoint"]:
        raise MonosemError(f"{path} is a transcoder of OpenSAE, of which monosem knows no published one")
    eps = config.get("input_normalize_eps", EPS)
    if not (isinstance(eps, float) and math.isclose(eps, EPS)):
        raise MonosemError(f"{path} adds {eps} to the deviation of a token, monosem {EPS}")


def _state(path: Path) -> dict[str, Any]:
    if (path / WHOLE).is_file():
        return dict(read_safetensors(path / WHOLE))
    if not (path / INDEX).is_file():
        raise MonosemError(f"{path} has no weights", f"Looked for {WHOLE} and {INDEX}.")
    weight_map = read_object(path / INDEX).get("weight_map")
    shards = set(weight_map.values()) if isinstance(weight_map, dict) else set()
    if not shards or not all(isinstance(one, str) and one == Path(one).name for one in shards):
        raise MonosemError(f"{path / INDEX} does not name files next to it", AGAIN)
    state: dict[str, Any] = {}
    for shard in sorted(shards):
        state |= read_safetensors(path / shard)
    return state
