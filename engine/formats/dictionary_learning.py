"""dictionary_learning: ae.pt, a state_dict, with config.json beside it.

Which class wrote it is told by config.json, else by the names of the tensors. Only JumpReluAutoEncoder and
AutoEncoderNew read x as it is; all others take their decoder's bias from it. AutoEncoderTopK selects `k` unless told to
use its threshold; BatchTopK and Matryoshka use theirs, -1 while it is not set. (dictionary.py and trainers/, of 0.1.0)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.formats.foreign_sae import Conventions, Foreign, Stated
from engine.formats.untrusted_files import need, read_object, read_torch, sound, words
from store.files.errors import MonosemError

WEIGHTS, CONFIG = "ae.pt", "config.json"


@dataclass(frozen=True)
class Layout:
    """How one class keeps things."""

    arch: str
    names: Mapping[str, str]
    """Theirs by ours."""
    by_rows: bool = True
    """Whether matrices are nn.Linear's, [out, in]."""
    subtracts: bool = True


_LINEAR = {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "decoder.weight"}
_PLAIN = {"W_enc": "W_enc", "b_enc": "b_enc", "W_dec": "W_dec", "b_dec": "b_dec", "threshold": "threshold"}
LAYOUTS = {
    "AutoEncoder": Layout("relu", _LINEAR | {"b_dec": "bias"}),
    "AutoEncoderNew": Layout("relu", _LINEAR | {"b_dec": "decoder.bias"}, subtracts=False),
    "AutoEncoderTopK": Layout("topk", _LINEAR | {"b_dec": "b_dec"}),
    "BatchTopKSAE": Layout("batchtopk", _LINEAR | {"b_dec": "b_dec", "threshold": "threshold"}),
    "MatryoshkaBatchTopKSAE": Layout("matryoshka", _PLAIN, by_rows=False),
    "JumpReluAutoEncoder": Layout("jumprelu", _PLAIN, by_rows=False, subtracts=False),
    "GatedAutoEncoder": Layout(
        "gated",
        {
            "W_enc": "encoder.weight",
            "b_enc": "gate_bias",
            "b_mag": "mag_bias",
            "r_mag": "r_mag",
            "W_dec": "decoder.weight",
            "b_dec": "decoder_bias",
        },
    ),
}


class DictionaryLearning:
    """dictionary_learning."""

    name = "dictionary_learning"

    def recognise(self, path: Path) -> bool:
        """ae.pt, or a folder with it."""
        return (path.name == WEIGHTS and path.is_file()) or (path / WEIGHTS).is_file()

    def read(self, path: Path) -> Foreign:
        """Read the file, and the config.json beside it."""
        file = path if path.is_file() else path / WEIGHTS
        config = read_object(file.parent / CONFIG) if (file.parent / CONFIG).is_file() else {}
        trainer, buffer = (_part(config, name) for name in ("trainer", "buffer"))
        state = read_torch(file)
        theirs = words(trainer, "dict_class") or told_by(state, file)
        if theirs == "AutoEncoder" and "decoder.bias" in state:
            theirs = "AutoEncoderNew"  # its trainers write "AutoEncoder" whichever of the two they train
        layout = LAYOUTS.get(theirs)
        if layout is None:
            raise MonosemError(
                f"{file}: monosem does not compute dictionary_learning's {theirs}", f"It reads {', '.join(LAYOUTS)}."
            )
        need(state, tuple(layout.names.values()), file)
        tensors: dict[str, Tensor] = {ours: state[name] for ours, name in layout.names.items()}
        if layout.by_rows:
            tensors |= {name: tensors[name].mT for name in ("W_enc", "W_dec")}
        if "threshold" in tensors:
            tensors["threshold"] = tensors["threshold"].reshape(-1)
        k = _k(state, trainer, file) if layout.arch in ("topk", "batchtopk", "matryoshka") else None
        notes = _notes(theirs, tensors)
        groups = state.get("group_sizes")
        return Foreign(
            format=f"dictionary_learning {theirs}",
            source=str(file),
            arch=layout.arch,
            tensors=sound(tensors, file),
            k=k,
            conventions=Conventions(subtracts_b_dec=layout.subtracts),
            model=words(trainer, "lm_name"),
            hook=_hook(trainer),
            context=buffer["ctx_len"] if isinstance(buffer.get("ctx_len"), int) else None,
            bos="depends on its buffer's tokenizer; remove_bos " + str(buffer.get("remove_bos", "not said")).lower(),
            stated=Stated(l0=None if k is None else float(k)),
            details={"trainer_class": words(trainer, "trainer_class")}
            | ({"group_sizes": groups.tolist()} if isinstance(groups, Tensor) else {}),
            notes=notes,
        )


def told_by(state: Mapping[str, Any], file: Path) -> str:
    """The class that wrote a state_dict, told by its names.

    Raises:
        MonosemError: none did.
    """
    names = set(state)
    if "gate_bias" in names:
        return "GatedAutoEncoder"
    if "group_sizes" in names:
        return "MatryoshkaBatchTopKSAE"
    if {"W_enc", "threshold"} <= names:
        return "JumpReluAutoEncoder"
    if {"encoder.weight", "k"} <= names:
        # Both hold the same names; a threshold that was ever set is what only the batch's needs.
        raise MonosemError(
            f"{file} is of AutoEncoderTopK or of BatchTopKSAE, which keep the same tensors",
            'Put a config.json beside it: {"trainer": {"dict_class": "BatchTopKSAE"}}.',
        )
    if {"encoder.weight", "decoder.bias"} <= names:
        return "AutoEncoderNew"
    if {"encoder.weight", "bias"} <= names:
        return "AutoEncoder"
    there = ", ".join(sorted(names)[:8]) or "nothing"
    raise MonosemError(f"{file} is of no class of dictionary_learning that monosem knows", f"It has {there}.")


def _part(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = config.get(name)
    return part if isinstance(part, Mapping) else {}


def _k(state: Mapping[str, Any], trainer: Mapping[str, Any], file: Path) -> int:
    value = state.get("k", trainer.get("k"))
    k = int(value) if isinstance(value, int | Tensor) and torch.as_tensor(value).numel() == 1 else 0
    if k < 1:
        raise MonosemError(f"{file} does not say k", "Put it into config.json's trainer.")
    return k


def _notes(theirs: str, tensors: Mapping[str, Tensor]) -> tuple[str, ...]:
    threshold = tensors.get("threshold")
    if theirs in ("BatchTopKSAE", "MatryoshkaBatchTopKSAE") and threshold is not None and bool((threshold < 0).all()):
        return ("its threshold was never set: every positive pre-activation is active, as in its own library",)
    return ()


def _hook(trainer: Mapping[str, Any]) -> str:
    submodule, layer = words(trainer, "submodule_name"), trainer.get("layer")
    if submodule:
        return submodule
    return f"resid_post_layer_{layer}" if isinstance(layer, int) else ""
