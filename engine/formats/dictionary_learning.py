"""dictionary_learning: ae.pt, a state_dict, with config.json next to it.

config.json names the class that wrote it, or else the tensors' names show it. Only JumpReluAutoEncoder and
AutoEncoderNew read x unchanged; all others subtract their decoder's bias. AutoEncoderTopK selects `k` unless set to use
its threshold; BatchTopK and Matryoshka use theirs, which is -1 while unset. (dictionary.py and trainers/, of 0.1.0)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.formats.foreign_sae import Conventions, Foreign, Stated
from engine.formats.tensor_file import read_tensors, shapes_of
from engine.formats.untrusted_files import need, read_object, sound, words
from store.files.errors import MonosemError

WEIGHTS, CONFIG = "ae.pt", "config.json"


@dataclass(frozen=True)
class ClassLayout:
    """The tensors and conventions of a class of dictionary_learning."""

    arch: str
    names: Mapping[str, str]
    """Their tensor names by ours."""
    by_rows: bool = True
    """Whether matrices are laid out as nn.Linear's, [out, in]."""
    subtracts: bool = True
    """Whether the decoder's bias is subtracted from inputs."""


_LINEAR = {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "decoder.weight"}
_PLAIN = {"W_enc": "W_enc", "b_enc": "b_enc", "W_dec": "W_dec", "b_dec": "b_dec", "threshold": "threshold"}
LAYOUTS = {
    "AutoEncoder": ClassLayout("relu", _LINEAR | {"b_dec": "bias"}),
    "AutoEncoderNew": ClassLayout("relu", _LINEAR | {"b_dec": "decoder.bias"}, subtracts=False),
    "AutoEncoderTopK": ClassLayout("topk", _LINEAR | {"b_dec": "b_dec"}),
    "BatchTopKSAE": ClassLayout("batchtopk", _LINEAR | {"b_dec": "b_dec", "threshold": "threshold"}),
    "MatryoshkaBatchTopKSAE": ClassLayout("matryoshka", _PLAIN, by_rows=False),
    "JumpReluAutoEncoder": ClassLayout("jumprelu", _PLAIN, by_rows=False, subtracts=False),
    "GatedAutoEncoder": ClassLayout(
        "gated", _LINEAR | {"b_enc": "gate_bias", "b_mag": "mag_bias", "r_mag": "r_mag", "b_dec": "decoder_bias"}
    ),
}

EITHER = "AutoEncoderTopK or BatchTopKSAE"


class DictionaryLearning:
    """Reads dictionary_learning's files."""

    name = "dictionary_learning"

    def recognise(self, path: Path) -> bool:
        """Recognise ae.pt, a folder with it, or a file with the tensors of one of its classes."""
        if path.is_dir():
            return (path / WEIGHTS).is_file()
        return (path.name == WEIGHTS and path.is_file()) or bool(class_by_names(set(shapes_of(path))))

    def read(self, path: Path) -> Foreign:
        """Read the file, and config.json next to it."""
        file = path if path.is_file() else path / WEIGHTS
        config = read_object(file.parent / CONFIG) if (file.parent / CONFIG).is_file() else {}
        trainer, buffer = (_part(config, name) for name in ("trainer", "buffer"))
        state = read_tensors(file)
        theirs = words(trainer, "dict_class") or class_of(state, file)
        if theirs == "AutoEncoder" and "decoder.bias" in state:
            theirs = "AutoEncoderNew"  # its trainers write "AutoEncoder" for both classes
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


def class_of(state: Mapping[str, Any], file: Path) -> str:
    """Return the class that wrote a state_dict, from its tensors' names.

    Raises:
        MonosemError: it is not one of the known classes.
    """
    theirs = class_by_names(set(state))
    if theirs == EITHER:
        # Both have the same names; only a BatchTopKSAE needs a threshold that was set.
        raise MonosemError(
            f"{file} is an AutoEncoderTopK or a BatchTopKSAE, which have the same tensors",
            'Put a config.json next to it: {"trainer": {"dict_class": "BatchTopKSAE"}}.',
        )
    if theirs:
        return theirs
    there = ", ".join(sorted(state)[:8]) or "nothing"
    raise MonosemError(f"{file} is not of a class of dictionary_learning that monosem knows", f"It has {there}.")


def class_by_names(names: set[str]) -> str:
    """Return the class with these tensors, EITHER of two, or nothing."""
    if {"encoder.weight", "gate_bias", "mag_bias"} <= names:
        return "GatedAutoEncoder"
    if {"W_enc", "group_sizes"} <= names:
        return "MatryoshkaBatchTopKSAE"
    if {"W_enc", "W_dec", "b_enc", "b_dec", "threshold"} == names:
        return "JumpReluAutoEncoder"
    if {"encoder.weight", "decoder.weight", "b_dec", "k"} <= names:
        return EITHER
    if {"encoder.weight", "encoder.bias", "decoder.weight"} <= names and names & {"decoder.bias", "bias"}:
        return "AutoEncoderNew" if "decoder.bias" in names else "AutoEncoder"
    return ""


def _part(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = config.get(name)
    return part if isinstance(part, Mapping) else {}


def _k(state: Mapping[str, Any], trainer: Mapping[str, Any], file: Path) -> int:
    value = state.get("k", trainer.get("k"))
    k = int(value) if isinstance(value, int | Tensor) and torch.as_tensor(value).numel() == 1 else 0
    if k < 1:
        raise MonosemError(f"{file} does not give k", "Put it into config.json's trainer.")
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
