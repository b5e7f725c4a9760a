"""`monosem export`: a run's autoencoder in the files of another library.

Written is what computes the same there; what a library has no class for is refused. Ours is
z = W_encᵀ(x - b_dec) + b_enc, in a transcoder W_encᵀ(x - b_in) + b_enc: where a library takes nothing from its input,
the shift goes into b_enc.

Shapes: D = d_in, O = d_out (D, but in a transcoder), F = d_sae.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from engine.formats.dictionary_learning import LAYOUTS
from engine.formats.fold import signed_as_two
from engine.formats.hook_names import hook_of_site
from engine.formats.saelens import SIGNED, TOKEN_NORMS
from engine.sae.base import Sae
from engine.sae.matryoshka import MatryoshkaSae
from engine.sae.registry import from_weights
from store.files.atomic import atomic_path, new_folder, write_text
from store.files.errors import MonosemError
from store.run.folder import RunFolder
from store.run.spec import SaeSpec
from store.run.weights import load_sae

LENS = {"relu": "standard", "l1-norm": "standard", "topk": "topk", "gated": "gated"}
"""SAELens' architectures by ours; all with thresholds are its jumprelu."""
CLASSES = {layout.arch: name for name, layout in reversed(LAYOUTS.items())} | {"l1-norm": "AutoEncoder"}
"""dictionary_learning's classes by our architectures."""
LENS_NORMS = {"none": "none"} | {ours: theirs for theirs, ours in TOKEN_NORMS.items()}
"""SAELens' normalize_activations by ours."""
LENS_VERSION = "6.0.0"
"""The first version that keeps things so."""


def export(run: RunFolder, to: str, out: Path) -> list[Path]:
    """Write a run's autoencoder for another library into a folder, all or nothing; return the files.

    Raises:
        MonosemError: there is no such format, the library cannot compute it, or something is in the way.
    """
    if to not in WRITERS:
        raise MonosemError(f"monosem writes no {to}", f"It writes {', '.join(WRITERS)}.")
    with new_folder(out) as folder:
        return [out / path.name for path in WRITERS[to](run, folder)]


def to_saelens(run: RunFolder, out: Path) -> list[Path]:
    """cfg.json and sae_weights.safetensors."""
    spec, context = _spec(run), run.record().config.get("train", {}).get("context")
    sae, t = _opened(run)
    transcodes = spec.d_out is not None
    theirs = LENS.get(spec.arch, "jumprelu")
    if run.record().config.get("import", {}).get(SIGNED) and theirs == "topk":
        spec, t, theirs = replace(spec, d_sae=spec.d_sae // 2), _signed(t, run), "abstopk"
    if transcodes and theirs == "topk":
        raise MonosemError("SAELens has no TopK transcoder", "Those with thresholds can be exported; sparsify has one.")
    config: dict[str, Any] = {
        "architecture": f"{theirs}{'_skip' * spec.skip}_transcoder" if transcodes else theirs,
        "d_in": spec.d_in,
        "d_sae": spec.d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": not transcodes,
        "normalize_activations": LENS_NORMS[spec.token_norm],
        "reshape_activations": "none",
        "metadata": {
            "sae_lens_version": LENS_VERSION,
            "model_name": spec.model,
            "model_class_name": "HookedTransformer",
            "hook_name": hook_of_site(spec.site, spec.layer),
            "hook_head_index": None,
            "prepend_bos": spec.excluded == "bos",
            "context_size": context,
            "exported_by": "monosem",
        },
    }
    config |= (
        {"k": sae.settings.needed_k(), "rescale_acts_by_decoder_norm": False} if theirs in ("topk", "abstopk") else {}
    )
    if transcodes:
        config["d_out"] = spec.d_out
        config["metadata"]["hook_name_out"] = hook_of_site(spec.site_out, spec.layer_out)
    tensors = _lens_tensors(theirs, spec, t)
    return [_tensors(out / "sae_weights.safetensors", tensors), _json(out / "cfg.json", config)]


def _signed(t: Mapping[str, Tensor], run: RunFolder) -> dict[str, Tensor]:
    """Put the two features of each signed latent together again.

    Raises:
        MonosemError: they are no longer the negatives of each other.
    """
    half = len(t["b_enc"]) // 2
    one = {name: t[name][..., :half] for name in ("W_enc", "b_enc")} | {"W_dec": t["W_dec"][:half]}
    if not all(torch.equal(value, t[name]) for name, value in signed_as_two(one).items()):
        raise MonosemError(f"{run.path} has signed latents whose two features are not each other's negatives")
    return {**t, **one}


def _lens_tensors(theirs: str, spec: SaeSpec, t: Mapping[str, Tensor]) -> dict[str, Tensor]:
    tensors = {name: t[name] for name in ("W_enc", "W_dec", "b_dec")}
    if theirs == "gated":
        tensors |= {"b_gate": t["b_enc"], "b_mag": t["b_mag"], "r_mag": t["r_mag"]}
    else:
        tensors["b_enc"] = t["b_enc"] if spec.d_out is None else _unshifted(t, "b_in")
    if theirs == "jumprelu":
        tensors["threshold"] = t["threshold"].expand(spec.d_sae)
    if spec.skip:
        tensors["W_skip"] = t["W_skip"]
    return tensors


def to_sparsify(run: RunFolder, out: Path) -> list[Path]:
    """cfg.json and sae.safetensors."""
    spec = _spec(run)
    _, t = _opened(run)
    if spec.arch != "topk":
        raise MonosemError(f"sparsify computes TopK alone, not {spec.arch}", "Choose `to=saelens`.")
    if spec.d_out not in (None, spec.d_in):
        raise MonosemError(f"sparsify's transcoders give as many values as they take, not {spec.d_out} of {spec.d_in}")
    _refuse_token_norm(spec, "sparsify")
    transcodes = spec.d_out is not None
    tensors = {
        "encoder.weight": t["W_enc"].mT,
        "encoder.bias": _unshifted(t, "b_in") if transcodes else t["b_enc"],
        "W_dec": t["W_dec"],
        "b_dec": t["b_dec"],
    }
    tensors |= {"W_skip": t["W_skip"]} if spec.skip else {}
    config = {
        "activation": "topk",
        "expansion_factor": max(1, spec.d_sae // spec.d_in),
        "normalize_decoder": True,
        "num_latents": spec.d_sae,
        "k": spec.k,
        "multi_topk": False,
        "skip_connection": spec.skip,
        "transcode": transcodes,
        "d_in": spec.d_in,
    }
    return [_tensors(out / "sae.safetensors", tensors), _json(out / "cfg.json", config)]


def to_dictionary_learning(run: RunFolder, out: Path) -> list[Path]:
    """ae.pt, a state_dict, and config.json."""
    spec = _spec(run)
    sae, t = _opened(run)
    if spec.d_out is not None:
        raise MonosemError("dictionary_learning has no transcoders", "Choose `to=saelens` or sparsify.")
    _refuse_token_norm(spec, "dictionary_learning")
    state = _state(spec.arch, sae, t)
    trainer: dict[str, Any] = {
        "dict_class": CLASSES[spec.arch],
        "activation_dim": spec.d_in,
        "dict_size": spec.d_sae,
        "lm_name": spec.model,
        "layer": spec.layer,
        "submodule_name": spec.site if spec.layer is None else f"{spec.site}_layer_{spec.layer}",
    }
    trainer |= {"k": spec.k} if "k" in state else {}
    path = out / "ae.pt"
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save(state, file)
    buffer = {"ctx_len": run.record().config.get("train", {}).get("context")}
    return [path, _json(out / "config.json", {"trainer": trainer, "buffer": buffer})]


def _state(arch: str, sae: Sae, t: Mapping[str, Tensor]) -> dict[str, Tensor]:
    rows = {"encoder.weight": t["W_enc"].mT.contiguous(), "decoder.weight": t["W_dec"].mT.contiguous()}
    plain = {name: t[name] for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
    if arch == "gated":
        biases = {"decoder_bias": t["b_dec"], "gate_bias": t["b_enc"], "mag_bias": t["b_mag"], "r_mag": t["r_mag"]}
        return rows | biases
    if arch == "jumprelu":
        return plain | {"b_enc": _unshifted(t, "b_dec"), "threshold": t["threshold"]}
    if arch in ("relu", "l1-norm"):
        return rows | {"encoder.bias": t["b_enc"], "bias": t["b_dec"]}
    chosen = {"k": torch.tensor(sae.settings.needed_k(), dtype=torch.int32)}
    chosen["threshold"] = t["threshold"].reshape(()) if "threshold" in t else torch.tensor(-1.0)
    if isinstance(sae, MatryoshkaSae):
        ends = [*sae.group_starts()[1:], sae.settings.d_sae]
        sizes = torch.tensor([end - start for start, end in zip(sae.group_starts(), ends, strict=True)])
        return plain | chosen | {"group_sizes": sizes}
    return rows | chosen | {"encoder.bias": t["b_enc"], "b_dec": t["b_dec"]}


def _opened(run: RunFolder) -> tuple[Sae, dict[str, Tensor]]:
    """Return a run's autoencoder, and copies of its tensors."""
    sae = from_weights(load_sae(run.sae), torch.device("cpu"))
    return sae, {name: tensor.detach().clone().contiguous() for name, tensor in sae.state_dict().items()}


def _spec(run: RunFolder) -> SaeSpec:
    if not run.sae.is_file():
        raise MonosemError(f"{run.path} has no trained autoencoder", "Train or import one first.")
    return load_sae(run.sae).spec


def _refuse_token_norm(spec: SaeSpec, library: str) -> None:
    if spec.token_norm != "none":
        raise MonosemError(f"{library} does not normalise every token by itself", "Choose `to=saelens`.")


def _unshifted(t: Mapping[str, Tensor], centre: str) -> Tensor:
    """b_enc for a library that takes nothing from its input."""
    return (t["b_enc"].double() - t[centre].double() @ t["W_enc"].double()).float()


def _tensors(path: Path, tensors: Mapping[str, Tensor]) -> Path:
    with atomic_path(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary)
    return path


def _json(path: Path, value: Mapping[str, Any]) -> Path:
    write_text(path, json.dumps(value, indent=2) + "\n")
    return path


WRITERS: dict[str, Callable[[RunFolder, Path], list[Path]]] = {
    "saelens": to_saelens,
    "sparsify": to_sparsify,
    "dictionary-learning": to_dictionary_learning,
}
"""By the name after --to."""
