"""Qwen Scope: layerN.sae.pt per layer, and config.json for all of them.

TopK of z = W_enc x + b_enc, matrices laid out as nn.Linear's, b_dec not subtracted from the input. k and the model are
in config.json, or else in the repository's name, SAE-Res-MODEL-W32K-L0_50. (huggingface.co/collections/Qwen/qwen-scope)
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from engine.formats.foreign_sae import Conventions, Foreign, Stated
from engine.formats.untrusted_files import need, number, read_object, read_torch, sound, words
from store.files.errors import MonosemError

_FILE = re.compile(r"layer(\d+)\.sae\.pt")
_REPOSITORY = re.compile(r"SAE-Res-([\w.-]+?)-W\d+K-L0_(\d+)")
_NAMES = ("W_enc", "W_dec", "b_enc", "b_dec")


class QwenScope:
    """Reads Qwen Scope's files."""

    name = "Qwen Scope"

    def recognise(self, path: Path) -> bool:
        """Recognise layerN.sae.pt."""
        return bool(_FILE.fullmatch(path.name)) and path.is_file()

    def read(self, path: Path) -> Foreign:
        """Read a layer's file, and config.json next to it."""
        file = path.parent / "config.json"
        config = read_object(file) if file.is_file() else {}
        repository = _REPOSITORY.search(path.absolute().as_posix())
        kind, point = words(config, "model_type") or "topk_sae", words(config, "hook_point") or "resid_post"
        if kind != "topk_sae":
            raise MonosemError(f"{file}: monosem does not compute Qwen Scope's {kind}", "It computes topk_sae.")
        state = read_torch(path)
        need(state, _NAMES, path)
        tensors = {name: state[name].mT if name.startswith("W") else state[name] for name in _NAMES}
        found = sound(tensors, path)
        k = int(number(_with_k(config, repository), "k", file))
        layer = int(path.name.removeprefix("layer").partition(".")[0])
        return Foreign(
            format="Qwen Scope",
            source=str(path),
            arch="topk",
            tensors=found,
            k=k,
            conventions=Conventions(subtracts_b_dec=False),
            model=words(config, "base_model") or (f"Qwen/{repository[1]}" if repository else ""),
            hook=f"{point}_layer_{layer}",
            context=1024,
            bos="not stated; Qwen's models have no BOS token",
            stated=Stated(l0=float(k), nominal=True),
        )


def _with_k(config: dict[str, Any], repository: re.Match[str] | None) -> dict[str, Any]:
    return config if "k" in config or repository is None else {"k": int(repository[2])}
