"""Llama Scope, Llama Scope R1 and Llamascopium.

Llama Scope has hyperparams.json and checkpoints/final.safetensors, the others config.json and sae_weights.safetensors;
R1 has the older names of tensors.

Inputs are scaled to a mean length of √d_model and outputs back; thresholds apply to pre-activations of scaled inputs,
times the decoder rows' lengths with `sparsity_include_decoder_norm`. b_dec is not subtracted from the input unless
configured. (He et al. 2024, arXiv 2410.20526; OpenMOSS/Language-Model-SAEs: models/sae.py, activation_functions.py)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.formats.foreign_sae import Conventions, Foreign, Stated
from engine.formats.untrusted_files import (
    is_object_with,
    need,
    number,
    read_object,
    read_safetensors,
    read_torch,
    sound,
    words,
)
from store.files.errors import MonosemError

WEIGHTS = "sae_weights.safetensors"
_NORM = "dataset_average_activation_norm"
_OLD = {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "decoder.weight", "b_dec": "decoder.bias"}
_NEW = {"W_enc": "W_E", "b_enc": "b_E", "W_dec": "W_D", "b_dec": "b_D"}
_LOG_THRESHOLDS = ("activation_function.log_jumprelu_threshold", "log_jumprelu_threshold")
_R1 = ("Llama-Scope-R1-Distill", "deepseek-ai/DeepSeek-R1-Distill-Llama-8B")
"""A part of the path of Llama Scope R1's files, which name no model, and the model."""
_UNSCALED = (
    "it was trained on inputs scaled to a mean length of √d_in, without giving the factor or whether weights contain "
    "it: set it with --input-scale X"
)


class LlamaScope:
    """Llama Scope and Llamascopium."""

    name = "Llama Scope"

    def recognise(self, path: Path) -> bool:
        """Recognise hyperparams.json, or a config.json with `sae_type` or a hook point beside sae_weights."""
        if is_object_with(path / "hyperparams.json", "d_model") or is_object_with(path / "config.json", "sae_type"):
            return True
        return (path / WEIGHTS).is_file() and is_object_with(path / "config.json", "hook_point_in")

    def read(self, path: Path) -> Foreign:
        """Read a folder."""
        older = (path / "hyperparams.json").is_file()
        file = path / ("hyperparams.json" if older else "config.json")
        config = read_object(file)
        _refuse(config, path)
        weights, state = _state(path)
        tensors = _ours(state, weights)
        jumps = "jump_relu_threshold" in config or any(name in state for name in _LOG_THRESHOLDS)
        act_fn = words(config, "act_fn") or ("jumprelu" if jumps else "relu")
        if act_fn == "jumprelu":
            tensors["threshold"] = _threshold(config, state, tensors["b_enc"], file)
        hook, hook_out = words(config, "hook_point_in"), words(config, "hook_point_out")
        transcodes = bool(hook_out) and hook_out != hook
        arch = "topk" if act_fn == "topk" else "jumprelu" if act_fn == "jumprelu" or transcodes else "relu"
        if arch == "jumprelu":
            tensors.setdefault("threshold", torch.zeros_like(tensors["b_enc"]))
        found = sound(tensors, weights)
        how = words(config, "norm_activation")
        is_r1 = not older and _R1[0] in path.absolute().as_posix()
        scale, scale_out = _scales(config, state, hook, hook_out or hook, file)
        k = int(number(config, "top_k", file)) if arch == "topk" else None
        return Foreign(
            format="Llama Scope" if older else "Llama Scope R1" if is_r1 else "Llamascopium",
            source=str(path),
            arch=arch,
            tensors=found,
            k=k,
            d_out=len(found["b_dec"]) if transcodes else None,
            conventions=Conventions(
                subtracts_b_dec=bool(config.get("apply_decoder_bias_to_pre_encoder")) and not transcodes,
                input_scale=scale,
                output_scale=scale_out,
                by_norm="selection" if config.get("sparsity_include_decoder_norm") and arch != "relu" else "none",
            ),
            model="meta-llama/Llama-3.1-8B" if older else words(config, "model_name") or (_R1[1] if is_r1 else ""),
            hook=hook,
            hook_out=hook_out if transcodes else "",
            context=1024,
            bos="BOS was prepended",
            stated=Stated(l0=None if k is None else float(k), nominal=True),
            notes=(_UNSCALED,) if scale == 1 and (is_r1 or how == "dataset-wise") and how != "inference" else (),
        )


def _refuse(config: Mapping[str, Any], path: Path) -> None:
    kind = words(config, "sae_type") or "sae"
    if kind not in ("sae", "transcoder"):
        raise MonosemError(f"{path} is a {kind}, which monosem does not compute", "It reads autoencoders, transcoders.")
    if config.get("use_glu_encoder"):
        raise MonosemError(f"{path} has a gated linear encoder (use_glu_encoder), which monosem does not compute")
    how = words(config, "norm_activation")
    if how in ("token-wise", "batch-wise"):
        raise MonosemError(
            f"{path} scales its inputs {how}, which monosem does not compute", "dataset-wise scales can be folded."
        )
    act_fn = words(config, "act_fn")
    if act_fn not in ("", "relu", "jumprelu", "topk"):
        raise MonosemError(
            f"{path}: what {act_fn} keeps depends on the rest of the batch", "Convert it to JumpReLU with its library."
        )


def _state(path: Path) -> tuple[Path, dict[str, Any]]:
    for name in (WEIGHTS, "checkpoints/pruned.safetensors", "checkpoints/final.safetensors"):
        if (path / name).is_file():
            return path / name, dict(read_safetensors(path / name))
    if (path / "sae_weights.pt").is_file():
        held = read_torch(path / "sae_weights.pt")
        inner = held.get("sae", held)
        return path / "sae_weights.pt", dict(inner) if isinstance(inner, Mapping) else {}
    raise MonosemError(
        f"{path} has no weights",
        "Looked for sae_weights.safetensors, sae_weights.pt and checkpoints/final.safetensors.",
    )


def _ours(state: Mapping[str, Any], weights: Path) -> dict[str, Tensor]:
    """Return tensors by our names; older files have both matrices transposed."""
    names = _OLD if "encoder.weight" in state else _NEW
    need(state, [name for name in names.values() if name not in ("decoder.bias", "b_D")], weights)
    tensors: dict[str, Tensor] = {ours: state[name] for ours, name in names.items() if name in state}
    tensors |= {name: tensors[name].mT for name in ("W_enc", "W_dec")} if names is _OLD else {}
    tensors.setdefault("b_dec", torch.zeros(tensors["W_dec"].shape[-1]))
    return tensors


def _threshold(config: Mapping[str, Any], state: Mapping[str, Any], like_F: Tensor, file: Path) -> Tensor:
    for name in _LOG_THRESHOLDS:
        if isinstance(state.get(name), Tensor):
            log_F: Tensor = state[name]
            return log_F.float().exp()
    return torch.full(like_F.shape, number(config, "jump_relu_threshold", file))


def _scales(
    config: Mapping[str, Any], state: Mapping[str, Any], hook: str, hook_out: str, file: Path
) -> tuple[float, float]:
    """Return √d_model over the mean lengths of inputs and of outputs; 1 where the files do not give them."""
    if words(config, "norm_activation") != "dataset-wise" and _NORM not in config:
        return 1.0, 1.0
    root, kept = math.sqrt(number(config, "d_model", file)), config.get(_NORM)
    if isinstance(kept, Mapping):
        return root / number(kept, "in", file), root / number(kept, "out" if "out" in kept else "in", file)
    lengths = [state.get(f"{_NORM}.{one}") for one in (hook, hook_out)]
    if not all(isinstance(one, Tensor) and one.numel() == 1 and float(one) > 0 for one in lengths):
        return 1.0, 1.0  # noted, and tried by the self-check
    return root / float(lengths[0]), root / float(lengths[1])  # type: ignore[arg-type]
