"""Gemma Scope: params.npz in layer_N/width_W/average_l0_X.

JumpReLU with a threshold per feature, b_dec not subtracted from the input. Only the names of repository and folders
give model and site. Transcoders read the output of the norm before the MLP before its gain, which was folded into the
model they were trained on. (Lieberum et al. 2024, arXiv 2408.05147v2, p. 18; README of
google/gemma-scope-2b-pt-transcoders)
"""

from __future__ import annotations

import re
from pathlib import Path

from engine.formats.foreign_sae import Conventions, Foreign, Stated
from engine.formats.untrusted_files import need, read_npz, sound

PARAMS = "params.npz"
_REPOSITORY = re.compile(r"gemma-scope-(\w+)-(pt|it)-(res|mlp|att|transcoders)")
_NAMES = {"w_enc": "W_enc", "w_dec": "W_dec", "b_enc": "b_enc", "b_dec": "b_dec", "threshold": "threshold"}
_HOOKS = {
    "res": ("blocks.{}.hook_resid_post", ""),
    "mlp": ("blocks.{}.hook_mlp_out", ""),
    "att": ("blocks.{}.attn.hook_z", ""),
    "transcoders": ("blocks.{}.ln2.hook_normalized", "blocks.{}.hook_mlp_out"),
}


class GemmaScope:
    """Reads Gemma Scope's files."""

    name = "Gemma Scope"

    def recognise(self, path: Path) -> bool:
        """Recognise params.npz, or a folder with it."""
        return (path.name == PARAMS and path.is_file()) or (path / PARAMS).is_file()

    def read(self, path: Path) -> Foreign:
        """Read the file, and the names of its folders."""
        file = path if path.is_file() else path / PARAMS
        tensors = {_NAMES[name.lower()]: one for name, one in read_npz(file).items() if name.lower() in _NAMES}
        need(tensors, tuple(_NAMES.values()), file)
        found = sound(tensors, file)
        where = str(file.absolute())
        repository = _REPOSITORY.search(where)
        layer = re.search(r"layer_(\d+)", where)
        kind = repository[3] if repository else "res"
        hook, hook_out = (one.format(layer[1]) if layer else "" for one in _HOOKS[kind])
        l0 = re.search(r"average_l0_(\d+)", where)
        embedding = "embedding" in where
        if embedding:
            hook = "hook_embed"
        scale = found["W_enc"].shape[0] ** -0.5 if embedding else 1.0
        model = f"google/gemma-2-{repository[1]}{'-it' if repository[2] == 'it' else ''}" if repository else ""
        return Foreign(
            format=f"Gemma Scope {kind}",
            source=str(file),
            arch="jumprelu",
            tensors=found,
            d_out=len(found["b_dec"]) if kind == "transcoders" else None,
            conventions=Conventions(
                subtracts_b_dec=False, input_scale=scale, output_scale=scale, before_gain=kind == "transcoders"
            ),
            model=model,
            hook=hook if layer or embedding else "",
            hook_out=hook_out,
            context=1024,
            bos="BOS was prepended, and left out of training",
            stated=Stated(l0=float(l0[1]) if l0 else None, nominal=True),
            notes=("Gemma's embeddings are read after their factor √d_model: folded into W_enc",) if embedding else (),
        )
