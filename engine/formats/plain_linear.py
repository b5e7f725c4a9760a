"""ReLU autoencoders published as one file of two linear layers, known by their tensors' names.

Goodfire: encoder_linear, decoder_linear. DeepSeek-R1's: encoder, decoder. hook_z of GPT-2: W_enc, W_dec, with
NAME_cfg.json. Only the last subtracts b_dec from its input. The files' names give model and layer: Llama-3.1-8B-
Instruct-SAE-l19. (pretrained_sae_loaders.py of SAELens: goodfire, deepseek_r1, connor_rob_hook_z)
"""

from __future__ import annotations

import re
from pathlib import Path

from engine.formats.foreign_sae import Conventions, Foreign
from engine.formats.tensor_file import read_tensors, shapes_of
from engine.formats.untrusted_files import is_object_with, read_object, sound, words

_GOODFIRE = {
    "W_enc": "encoder_linear.weight",
    "b_enc": "encoder_linear.bias",
    "W_dec": "decoder_linear.weight",
    "b_dec": "decoder_linear.bias",
}
_DEEPSEEK = {ours: name.replace("_linear", "") for ours, name in _GOODFIRE.items()}
_HOOK_Z = {name: name for name in _GOODFIRE}
_MODEL = re.compile(r"((?:Meta-)?Llama-3[.\w-]*?|DeepSeek-R1-Distill-[\w.-]*?)-SAE", re.IGNORECASE)
_LAYER = re.compile(r"l(?:ayer_?)?(\d+)", re.IGNORECASE)


class PlainLinear:
    """Reads single files of two linear layers."""

    name = "two linear layers"

    def recognise(self, path: Path) -> bool:
        """Recognise the tensors' names; dictionary_learning's ae.pt with the same ones has its configuration."""
        return path.name != "ae.pt" and _layout(path) is not None

    def read(self, path: Path) -> Foreign:
        """Read the file; its name gives model and layer."""
        layout = _layout(path)
        assert layout is not None
        name, names = layout
        state = read_tensors(path)
        by_rows = names is not _HOOK_Z
        tensors = {ours: state[one].mT if by_rows and ours[0] == "W" else state[one] for ours, one in names.items()}
        config = {} if by_rows else read_object(_config(path))
        model = _MODEL.search(path.stem + "-SAE") or _MODEL.search(str(path.absolute()))
        layer = _LAYER.search(path.stem.rpartition("SAE")[2])
        found = model[1] if model else ""
        owner = "deepseek-ai" if found.startswith("DeepSeek") else "meta-llama"
        return Foreign(
            format=name,
            source=str(path),
            arch="relu",
            tensors=sound(tensors, path),
            conventions=Conventions(subtracts_b_dec=not by_rows),
            model=("gpt2-small" if not by_rows else f"{owner}/{found}" if found else ""),
            hook=words(config, "act_name") or (f"resid_post_layer_{layer[1]}" if layer else ""),
            context=1024 if by_rows else 128,
            data="lmsys/lmsys-chat-1m" if by_rows and found else "",
            bos="BOS was prepended",
        )


def _layout(path: Path) -> tuple[str, dict[str, str]] | None:
    """Return the name and the tensors' names of a file's layout; None without one."""
    names = set(shapes_of(path))
    if names == set(_GOODFIRE.values()):
        return "Goodfire", _GOODFIRE
    if names == set(_DEEPSEEK.values()):
        return ("DeepSeek-R1" if "deepseek" in path.name.lower() else "linear encoder and decoder"), _DEEPSEEK
    if set(_HOOK_Z) <= names and is_object_with(_config(path), "act_name", "act_size"):
        return "hook_z of GPT-2", _HOOK_Z
    return None


def _config(path: Path) -> Path:
    return path.with_name(f"{path.stem}_cfg.json")
