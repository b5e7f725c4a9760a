"""circuit-tracer: config.yaml, and a transcoder per layer in layer_N.safetensors.

z = W_enc x + b_enc, ŷ = W_decᵀ f + b_dec + W_skip x; ReLU, or JumpReLU where there are thresholds, or TopK. config.yaml
names model and places. JumpReLU is z where z > θ, so that with θ < 0 negative activations remain: refused. TopK keeps
the k largest even if negative; ours sets those to 0. Cross-layer transcoders, W_enc_N.safetensors beside
W_dec_N.safetensors, are recognised and refused. (circuit_tracer/transcoder/single_layer_transcoder.py, hf_utils.py)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml  # type: ignore[import-untyped]

from engine.formats.foreign_sae import Conventions, Foreign, Stated
from engine.formats.hook_names import is_before_gain
from engine.formats.untrusted_files import AGAIN, need, number, read_safetensors, skip_of, sound, words
from engine.runtime.hub import one_line
from store.files.errors import MonosemError
from store.files.regular_file import read_whole

CONFIG = "config.yaml"
THRESHOLD = "activation_function.threshold"
LIKE_CONFIG = (CONFIG, "wandb-config.yaml", "wanb-config.yaml")
"""Files beside the layers; sets without config.yaml have the configuration of their training, once misspelt."""
_LAYER = re.compile(r"layer_(\d+)\.safetensors")
_NAMES = ("W_enc", "W_dec", "b_enc", "b_dec")
_QWEN = re.compile(r"qwen3-(\d+(?:\.\d+)?)b", re.IGNORECASE)
CRV_K = 128
"""k of facebook/crv-8b-instruct-transcoders, which states none; circuit-tracer has it in its code."""


class CircuitTracer:
    """Reads circuit-tracer's sets of transcoders, a layer at a time."""

    name = "circuit-tracer"

    def recognise(self, path: Path) -> bool:
        """Recognise a layer's file beside a configuration, and folders of what crosses layers or lies elsewhere."""
        if path.is_file():
            return bool(_LAYER.fullmatch(path.name)) and any((path.parent / name).is_file() for name in LIKE_CONFIG)
        if any(path.glob("W_enc_[0-9]*.safetensors")):
            return True
        return (path / CONFIG).is_file() and not any(path.glob("layer_[0-9]*.safetensors")) and _is_of_a_set(path)

    def read(self, path: Path) -> Foreign:
        """Read a layer's file, and config.yaml next to it."""
        if path.is_dir():
            raise _not_here(path)
        config = _config(path.parent)
        if words(config, "model_kind") not in ("", "transcoder_set"):
            raise _crosses(path.parent)
        layer = int(path.name.removeprefix("layer_").partition(".")[0])
        state = read_safetensors(path)
        need(state, _NAMES, path)
        tensors = {name: state[name] for name in _NAMES} | skip_of(state)
        tensors["W_enc"] = tensors["W_enc"].mT
        arch, k = _activation(config, state, path)
        if arch == "jumprelu":
            zero_F = torch.zeros(tensors["b_enc"].shape)
            tensors["threshold"] = zero_F if words(config, "activation") == "relu" else state.get(THRESHOLD, zero_F)
        found = sound(tensors, path)
        if arch == "jumprelu" and (below := int((found["threshold"] < 0).sum())):
            raise MonosemError(
                f"{path} has {below} thresholds below 0: circuit-tracer lets negative activations through there, which "
                "monosem does not compute",
            )
        hooks = [words(config, f"feature_{end}_hook") for end in ("input", "output")]
        hook, hook_out = (f"blocks.{layer}.{one}" if one else "" for one in hooks)
        return Foreign(
            format="circuit-tracer transcoder",
            source=str(path),
            arch=arch,
            tensors=found,
            k=k,
            d_out=len(found["b_dec"]),
            conventions=Conventions(subtracts_b_dec=False, before_gain=is_before_gain(hook)),
            model=words(config, "model_name"),
            hook=hook,
            hook_out=hook_out,
            places=() if hooks[0] == "hook_resid_mid" else (f"blocks.{layer}.hook_resid_mid",),
            bos="BOS is left out",
            stated=Stated(l0=None if k is None else float(k), nominal=True),
        )


def _is_of_a_set(folder: Path) -> bool:
    try:
        return "model_kind" in _read_yaml(folder / CONFIG)
    except MonosemError:
        return False


def _config(folder: Path) -> dict[str, Any]:
    """Return a set's configuration; of Qwen 3's sets one has none, and its name gives the model."""
    if (folder / CONFIG).is_file():
        return _read_yaml(folder / CONFIG)
    named = _QWEN.search(folder.absolute().as_posix())
    hooks = {"feature_input_hook": "mlp.hook_in", "feature_output_hook": "mlp.hook_out"}
    return hooks | {"model_name": f"Qwen/Qwen3-{named[1]}B" if named else ""}


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        value = yaml.safe_load(read_whole(path, follow=True))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise MonosemError(f"{path} cannot be read: {one_line(error)}", AGAIN) from None
    if not isinstance(value, dict):
        raise MonosemError(f"{path} is not a mapping of names to values", AGAIN)
    return value


def _activation(config: Mapping[str, Any], state: Mapping[str, Any], path: Path) -> tuple[str, int | None]:
    """Return our architecture and k. A ReLU transcoder is a JumpReLU one with thresholds of 0."""
    name = words(config, "activation")
    if name == "topk":
        stated = config.get("k") or (int(state["k"]) if "k" in state else None)
        fixed = CRV_K if stated is None and "crv-8b-instruct" in str(path.absolute()) else stated
        return "topk", int(number({"k": fixed}, "k", path.parent / CONFIG))
    if name not in ("", "relu", "jump_relu", "jumprelu"):
        raise MonosemError(f"{path}: monosem does not compute {name}", "It computes relu, jump_relu and topk.")
    return "jumprelu", None


def _not_here(folder: Path) -> MonosemError:
    """Return why a folder without layers cannot be imported."""
    config = _config(folder)
    elsewhere = config.get("transcoders")
    if words(config, "model_kind") == "transcoder_set" and isinstance(elsewhere, list) and elsewhere:
        first = str(elsewhere[0]).partition("?")[0].replace("hf://", "hf:")
        return MonosemError(
            f"{folder} is a list of {len(elsewhere)} transcoders that lie elsewhere", f"Import them, {first} first."
        )
    if words(config, "model_kind") == "transcoder_set":
        return MonosemError(f"{folder} has no layer_N.safetensors", AGAIN)
    return _crosses(folder)


def _crosses(folder: Path) -> MonosemError:
    return MonosemError(
        f"{folder} is a cross-layer transcoder, whose features explain several layers at once; monosem does not "
        "compute it",
        "Sets of per-layer transcoders (model_kind: transcoder_set) can be imported.",
    )
