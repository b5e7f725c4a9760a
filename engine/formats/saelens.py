"""SAELens: cfg.json and sae_weights.safetensors, of version 6 and earlier.

Before 6 the configuration is flat, and some names differ. BatchTopK and Matryoshka are saved as jumprelu; checkpoints
of their training have one `topk_threshold`. Activations of `topk` with `rescale_acts_by_decoder_norm` are those for
decoder rows of length 1. (sae_lens/saes, sae_lens/loading/pretrained_sae_loaders.py, of 6.54)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.formats.fold import signed_as_two, with_unit_rows
from engine.formats.foreign_sae import ByNorm, Conventions, Foreign, Stated
from engine.formats.hook_names import is_before_gain
from engine.formats.untrusted_files import (
    figure,
    is_object_with,
    need,
    number,
    read_object,
    read_safetensors,
    skip_of,
    sound,
    words,
)
from engine.sae.token_norm import TokenNorm
from store.files.errors import MonosemError

CONFIG, WEIGHTS, SCALER = "cfg.json", "sae_weights.safetensors", "activation_scaler.json"
ARCHITECTURES = {
    "standard": "relu",
    "topk": "topk",
    "abstopk": "topk",
    "jumprelu": "jumprelu",
    "batchtopk": "jumprelu",
    "matryoshka_batchtopk": "jumprelu",
    "gated": "gated",
    "transcoder": "jumprelu",
    "skip_transcoder": "jumprelu",
    "jumprelu_transcoder": "jumprelu",
    "jumprelu_skip_transcoder": "jumprelu",
}
"""Our architectures by theirs. A ReLU transcoder is a JumpReLU one with thresholds of 0."""
TOKEN_NORMS: dict[str, TokenNorm] = {"layer_norm": "layer_norm", "constant_norm_rescale": "rms_norm"}
"""Our token norms by their normalize_activations; its other values scale all tokens alike. Their transcoders do not
de-normalise."""
OLD_NAMES = {
    "hook_point": "hook_name",
    "hook_point_head_index": "hook_head_index",
    "activation_fn_str": "activation_fn",
}

WHITENED, WHITENING = "covariance_whitening", "activation_whitening.safetensors"
"""Its normalize_activations while a training goes on, and the file with the matrix."""
SIGNED = "signed_latents"
"""The detail of an AbsTopK's import: feature i and i + F are one latent."""
_BEFORE = (
    "TransformerLens' ln2.hook_normalized is an RMSNorm's output before its gain; Gemma Scope 2's transcoders have "
    "that name in SAELens but read what the MLP reads: --no-before-gain"
)
PAIRED = "signed latents are two features each: i fires where latent i is positive, i + F where it is negative"


class SaeLens:
    """Reads SAELens' folders."""

    name = "SAELens"

    def recognise(self, path: Path) -> bool:
        """Recognise cfg.json next to sae_weights.safetensors."""
        return (path / WEIGHTS).is_file() and is_object_with(path / CONFIG, "d_sae")

    def read(self, path: Path) -> Foreign:
        """Read a folder."""
        config = flattened(read_object(path / CONFIG))
        theirs = words(config, "architecture") or "standard"
        if theirs not in ARCHITECTURES:
            raise MonosemError(
                f"{path}: monosem does not compute SAELens' {theirs}", f"It reads {', '.join(ARCHITECTURES)}."
            )
        tensors = read_safetensors(path / WEIGHTS)
        notes = _refusals(config, path)
        scale, scaled = _scale(config, path)
        transcodes = "transcoder" in theirs
        subtracts = bool(config.get("apply_b_dec_to_input", True)) and not transcodes
        by_norm: ByNorm = "activations" if config.get("rescale_acts_by_decoder_norm") else "none"
        found = sound(_ours(theirs, tensors, path), path / WEIGHTS)
        if words(config, "normalize_activations") == WHITENED:
            if by_norm == "activations":  # lengths are those of the whitened decoder
                found, by_norm = with_unit_rows(found), "none"
            found, subtracts = _unwhitened(found, path, subtracts=subtracts), True
        if theirs == "abstopk":
            found = signed_as_two(found)
        before_gain = is_before_gain(words(config, "hook_name")) and not words(config, "hf_hook_name")
        k = int(number(config, "k", path / CONFIG)) if ARCHITECTURES[theirs] == "topk" else None
        return Foreign(
            format=f"SAELens {words(config, 'sae_lens_version') or 'before 6'} {theirs}",
            source=str(path),
            arch=ARCHITECTURES[theirs],
            tensors=found,
            k=k,
            d_out=len(found["b_dec"]) if transcodes else None,
            conventions=Conventions(
                subtracts_b_dec=subtracts,
                input_scale=scale,
                output_scale=1.0 if transcodes else scale,
                by_norm=by_norm,
                centred=_is_centred(config),
                token_norm=TOKEN_NORMS.get(words(config, "normalize_activations"), "none"),
                before_gain=before_gain,
            ),
            model=words(config, "model_name"),
            hook=words(config, "hf_hook_name") or words(config, "hook_name"),
            hook_out=words(config, "hook_name_out"),
            context=config["context_size"] if isinstance(config.get("context_size"), int) else None,
            data=words(config, "dataset_path"),
            bos=_bos(config),
            stated=Stated(
                explained_variance=figure(config.get("explained_variance")), l0=figure(config.get("l0")) or figure(k)
            ),
            details=_details(config) | ({SIGNED: True} if theirs == "abstopk" else {}),
            notes=(*notes, *scaled, *([PAIRED] if theirs == "abstopk" else []), *([_BEFORE] if before_gain else [])),
        )


def flattened(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration of any version with `metadata` merged in, by the names of version 6."""
    flat = {OLD_NAMES.get(name, name): value for name, value in config.items() if name != "metadata"}
    metadata = config.get("metadata")
    if isinstance(metadata, Mapping):
        return flat | {name: value for name, value in metadata.items() if value is not None}
    flat.setdefault("prepend_bos", True)
    kwargs = flat.get("activation_fn_kwargs")
    if flat.get("activation_fn") == "topk" and isinstance(kwargs, Mapping):
        flat |= {"architecture": "topk", "k": kwargs.get("k")}
    normalise = flat.get("normalize_activations")
    if normalise is None or isinstance(normalise, bool):
        flat["normalize_activations"] = "expected_average_only_in" if normalise else "none"
    return flat


def _ours(theirs: str, tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return tensors by our names; older versions' `finetuning_scaling_factor` goes into the decoder."""
    file = path / WEIGHTS
    gated = theirs == "gated"
    need(tensors, ("W_enc", "W_dec", "b_dec", *(("b_gate", "b_mag", "r_mag") if gated else ("b_enc",))), file)
    found = {name: tensors[name] for name in ("W_enc", "W_dec", "b_dec")}
    if gated:
        found |= {"b_enc": tensors["b_gate"], "b_mag": tensors["b_mag"], "r_mag": tensors["r_mag"]}
    else:
        found["b_enc"] = tensors["b_enc"]
    if "transcoder" in theirs:
        found |= skip_of(tensors)
    if ARCHITECTURES[theirs] == "jumprelu":
        found["threshold"] = _threshold(theirs, tensors, file)
    factor = next((tensors[name] for name in ("finetuning_scaling_factor", "scaling_factor") if name in tensors), None)
    if factor is not None:
        found["W_dec"] = found["W_dec"] * factor.reshape(-1, 1)
    return found


def _unwhitened(found: Mapping[str, Tensor], path: Path, *, subtracts: bool) -> dict[str, Tensor]:
    """Return tensors that read and explain x, of an autoencoder of (x - mean) M, as subtracting b_dec.

    W_enc becomes M W_enc, W_dec W_dec M⁻¹, and b_dec b_dec M⁻¹ + mean. Subtracted from x, that takes from z what b_dec
    took, so that b_enc makes up for it where it was not subtracted.
    """
    file = path / WHITENING
    held = read_safetensors(file)
    need(held, ("mean", "matrix", "inverse_matrix"), file)
    mean_D, matrix_DD, inverse_DD = (held[name].double() for name in ("mean", "matrix", "inverse_matrix"))
    d = found["W_enc"].shape[0]
    if mean_D.shape != (d,) or matrix_DD.shape != (d, d) or inverse_DD.shape != (d, d):
        raise MonosemError(f"{file} whitens {list(mean_D.shape)} values, the autoencoder reads {d}")
    W_enc, b_dec = found["W_enc"].double(), found["b_dec"].double()
    shift_F = b_dec @ W_enc if not subtracts else torch.zeros(W_enc.shape[1], dtype=torch.float64)
    new = {
        "W_enc": matrix_DD @ W_enc,
        "b_enc": found["b_enc"].double() + shift_F,
        "W_dec": found["W_dec"].double() @ inverse_DD,
        "b_dec": b_dec @ inverse_DD + mean_D,
    }
    if "b_mag" in found:
        new["b_mag"] = found["b_mag"].double() + found["r_mag"].double().exp() * shift_F
    return {**found, **{name: one.float() for name, one in new.items()}}


def _threshold(theirs: str, tensors: Mapping[str, Tensor], file: Path) -> Tensor:
    zero_F = torch.zeros(tensors["b_enc"].shape)
    if theirs in ("transcoder", "skip_transcoder"):
        return zero_F
    if "log_threshold" in tensors:
        return tensors["log_threshold"].float().exp()
    if "topk_threshold" in tensors:
        return zero_F + tensors["topk_threshold"].float()
    need(tensors, ("threshold",), file)
    return tensors["threshold"]


def _refusals(config: Mapping[str, Any], path: Path) -> list[str]:
    """Refuse what our architectures do not compute, and return warnings."""
    activation = config.get("activation_fn", "relu")
    selects = ARCHITECTURES.get(words(config, "architecture")) == "topk"
    if activation not in ("relu", "topk") or (activation == "topk" and not selects):
        raise MonosemError(
            f"{path}: monosem does not compute SAELens' activation_fn {activation} here",
            "It computes relu, and topk of topk.",
        )
    if config.get("normalize_activations") == WHITENED and not (path / WHITENING).is_file():
        raise MonosemError(
            f"{path} whitens its input (normalize_activations: {WHITENED}), and does not hold the matrix",
            f"It is in {WHITENING} until SAELens folds it into the weights, when a training ends.",
        )
    if config.get("hook_head_index") is not None:
        raise MonosemError(
            f"{path} reads head {config['hook_head_index']} of its hook; monosem's sites have all heads",
            "Only autoencoders of all heads can be imported.",
        )
    if _folds_norms(config) and "hook_normalized" not in words(config, "hook_name"):
        return ["its model was loaded with fold_ln: outputs of norms differ from monosem's by the norms' weights"]
    return []


def _folds_norms(config: Mapping[str, Any]) -> bool:
    """Return whether TransformerLens folded the weights of its model's norms into what reads them."""
    kwargs = config.get("model_from_pretrained_kwargs")
    return isinstance(kwargs, Mapping) and bool(kwargs.get("fold_ln"))


def _scale(config: Mapping[str, Any], path: Path) -> tuple[float, list[str]]:
    """Return the factor on inputs that is not in the weights yet, and warnings. Finished trainings contain it."""
    if config.get("normalize_activations") != "expected_average_only_in":
        return 1.0, []
    if (path / SCALER).is_file():
        scaler = read_object(path / SCALER)
        return (number(scaler, "scaling_factor", path / SCALER), []) if scaler.get("scaling_factor") else (1.0, [])
    return 1.0, [
        "it was trained on inputs scaled to a mean length of √d_in, without giving the factor or whether the weights "
        "contain it: set it with --input-scale X"
    ]


def _is_centred(config: Mapping[str, Any]) -> bool:
    kwargs = config.get("model_from_pretrained_kwargs")
    hook = words(config, "hook_name")
    in_stream = any(part in hook for part in ("hook_resid", "hook_attn_out", "hook_mlp_out"))
    return isinstance(kwargs, Mapping) and bool(kwargs.get("center_writing_weights")) and in_stream


def _bos(config: Mapping[str, Any]) -> str:
    prepended = config.get("prepend_bos")
    parts = [] if prepended is None else [f"prepend_bos {str(prepended).lower()}"]
    excluded = config.get("exclude_special_tokens")
    return ", ".join([*parts, *(["special tokens excluded"] if excluded else [])])


def _details(config: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("training_architecture", "training_tokens", "neuronpedia_id", "dtype", "seqpos_slice", "num_dead_features")
    return {name: config[name] for name in kept if config.get(name) is not None}
