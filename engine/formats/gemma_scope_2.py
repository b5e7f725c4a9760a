"""Gemma Scope 2: config.json and params.safetensors in {resid_post,mlp_out,attn_out,transcoder}[_all]/layer_N_width_W….

JumpReLU with a threshold per feature, b_dec not subtracted from the input; a transcoder's affine connection adds
x · affine. config.json names the place in the modules of transformers; without it the folders' names give it.
Transcoders read what the MLP reads, after the norm's gain, although libraries call the place hook_normalized.
Cross-layer transcoders and crosscoders, params_layer_N.safetensors, are refused. (google/gemma-scope-2-*)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.formats.foreign_sae import Conventions, Foreign, Stated
from engine.formats.hook_names import hook_of_point
from engine.formats.untrusted_files import figure, need, read_object, read_safetensors, skip_of, sound, words
from store.files.errors import MonosemError

CONFIG, PARAMS, PART = "config.json", "params.safetensors", re.compile(r"params_layer_\d+\.safetensors")
AFFINE = "affine_skip_connection"
_NAMES = {"W_enc": "w_enc", "W_dec": "w_dec", "b_enc": "b_enc", "b_dec": "b_dec", "threshold": "threshold"}
_REPOSITORY = re.compile(r"gemma-scope-2-(\w+?)-(pt|it)(?![a-z])")
_FOLDER = re.compile(r"(resid_post|mlp_out|attn_out|transcoder|crosscoder|clt)(?:_all)?/(?:.*/)?layer_(\d+)_")
_HOOKS = {
    "resid_post": ("resid_post_layer_{}", ""),
    "mlp_out": ("mlp_out_layer_{}", ""),
    "attn_out": ("layers.{}.self_attn.o_proj:input", ""),
    "transcoder": ("mlp_in_layer_{}", "mlp_out_layer_{}"),
}
_CROSSING = {"crosscoder": "crosscoder"} | dict.fromkeys(("clt", "cross_layer_transcoder"), "cross-layer transcoder")
CHAT_START = 4
"""Positions of <bos><start_of_turn>user and a line break, with which chats begin; circuit-tracer leaves them out."""


class GemmaScope2:
    """Reads Gemma Scope 2's folders."""

    name = "Gemma Scope 2"

    def recognise(self, path: Path) -> bool:
        """Recognise params.safetensors, a folder with it, and folders with a params_layer_N.safetensors per layer."""
        if path.is_file():
            return path.name == PARAMS or bool(PART.fullmatch(path.name))
        return (path / PARAMS).is_file() or bool(_parts(path))

    def read(self, path: Path) -> Foreign:
        """Read a folder; config.json may be absent."""
        folder = path.parent if path.is_file() else path
        config = read_object(folder / CONFIG) if (folder / CONFIG).is_file() else {}
        where = folder.absolute().as_posix()
        placed = _FOLDER.search(f"{where}/_")
        _refuse(folder, config, placed[1] if placed else "")
        file = folder / PARAMS
        state = {name.lower(): tensor for name, tensor in read_safetensors(file).items()}
        need(state, tuple(_NAMES.values()), file)
        tensors = {ours: state[theirs] for ours, theirs in _NAMES.items()}
        if tensors["W_dec"].ndim == 3:
            raise _crosses(folder, _CROSSING["clt"])
        by_folder = tuple(one.format(placed[2]) for one in _HOOKS[placed[1]]) if placed else ("", "")
        hook, hook_out = (hook_of_point(words(config, f"hf_hook_point_{end}")) for end in ("in", "out"))
        named, hook, hook_out = hook, hook or by_folder[0], hook_out or by_folder[1]
        transcodes = hook_out not in ("", hook)
        if transcodes and AFFINE in state:
            tensors |= skip_of({"W_skip": state[AFFINE].mT})
        elif AFFINE in state:
            raise MonosemError(f"{folder} adds x · {AFFINE} to x̂", "Only transcoders may have a skip connection.")
        found = sound(tensors, file)
        model = _model(words(config, "model_name"), where)
        chats = model.endswith("-it")
        return Foreign(
            format=f"Gemma Scope 2 {'transcoder' if transcodes else 'SAE'}",
            source=str(folder),
            arch="jumprelu",
            tensors=found,
            d_out=len(found["b_dec"]) if transcodes else None,
            conventions=Conventions(subtracts_b_dec=False),
            model=model,
            hook=hook,
            hook_out=hook_out if transcodes else "",
            places=(*_others(hook), *([by_folder[0]] if by_folder[0] != hook else [])) if hook else (),
            first_positions=CHAT_START if chats else 0,
            context=1024,
            bos="BOS was prepended" + (", and chats begin with 4 positions that are alike" if chats else ""),
            stated=Stated(l0=figure(config.get("l0")), nominal=True),
            details={name: config[name] for name in ("hf_hook_point_in", "hf_hook_point_out") if name in config},
            notes=tuple(_notes(folder, named, by_folder[0], chats=chats)),
        )


def _parts(folder: Path) -> list[Path]:
    return [one for one in folder.glob("params_layer_*.safetensors") if PART.fullmatch(one.name)]


def _refuse(folder: Path, config: Mapping[str, Any], kind: str) -> None:
    named = _CROSSING.get(words(config, "type").lower()) or _CROSSING.get(kind)
    if named or not (folder / PARAMS).is_file():
        raise _crosses(folder, named or _CROSSING["crosscoder" if "crosscoder" in str(folder) else "clt"])
    architecture = words(config, "architecture") or "jump_relu"
    if architecture not in ("jump_relu", "jumprelu"):
        raise MonosemError(f"{folder}: monosem does not compute {architecture}", "Of Gemma Scope 2 it reads jump_relu.")


def _crosses(folder: Path, kind: str) -> MonosemError:
    return MonosemError(
        f"{folder} is a {kind}, which reads or explains several layers at once; monosem does not compute it",
        "Gemma Scope 2's folders resid_post, mlp_out, attn_out and transcoder can be imported.",
    )


def _others(hook: str) -> tuple[str, ...]:
    """Return the places that libraries read instead: hook_mlp_in before the norm, an MLP's output before its norm."""
    site, _, layer = hook.rpartition("_layer_")
    other = {"mlp_in": "hook_mlp_in", "mlp_out": "mlp.hook_out"}.get(site)
    return (f"blocks.{layer}.{other}",) if other else ()


def _model(name: str, where: str) -> str:
    """Return the model's hub id; the smallest has no -pt there."""
    repository = _REPOSITORY.search(where)
    name = re.sub(r"-v3(?=-|$)", "-3", name) or (f"gemma-3-{repository[1]}-{repository[2]}" if repository else "")
    name = name if "/" in name or not name else f"google/{name}"
    return name.removesuffix("-pt") if "270m" in name else name


def _notes(folder: Path, named: str, by_folder: str, *, chats: bool) -> list[str]:
    notes = []
    if named and by_folder and named != by_folder:
        notes.append(f"{folder / CONFIG} says {named} and the folder's name {by_folder}: read at the first")
    if chats:
        notes.append(
            f"it is of a chat model, whose chats begin with the same {CHAT_START} positions; they are left out of the "
            "self-check, as circuit-tracer leaves them out"
        )
    return notes
