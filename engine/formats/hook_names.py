"""Our sites for other libraries' names of places in a model, and back.

TransformerLens' names (`blocks.8.hook_resid_pre`), paths of modules from the root or from the base model
(`model.layers.8`, `layers.8.mlp`, `h.8`), also with `.output` or `.input`, and `resid_post_layer_8` are understood.
"""

from __future__ import annotations

import re

from engine.model.blocks import blocks_path
from engine.model.language_model import LanguageModel
from engine.model.sites import SITES, Site, block_of, module_names, resolve_site
from store.files.errors import MonosemError

HOOKS = {
    "hook_resid_pre": "resid_pre",
    "hook_resid_mid": "resid_mid",
    "hook_mlp_in": "resid_mid",
    "hook_resid_post": "resid_post",
    "hook_attn_out": "attn_out",
    "hook_mlp_out": "mlp_out",
    "ln2.hook_normalized": "mlp_in",
    "mlp.hook_in": "mlp_in",
    "mlp.hook_post": "mlp_act",
}
"""Our sites by TransformerLens' names after `blocks.N.`; its hook_mlp_in is the stream before the norm, its
hook_normalized what the MLP reads before the norm's gain (see `is_before_gain`), mlp.hook_in after it."""
BACK = {site: hook for hook, site in HOOKS.items() if hook not in ("hook_mlp_in", "mlp.hook_in")}
_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")
_LAYER = re.compile(r"(resid_pre|resid_mid|resid_post|attn_out|attention_out|mlp_in|mlp_out|mlp_act)_layer_(\d+)")
_PREFIXES = ("", "model.", "transformer.", "gpt_neox.", "model.language_model.", "model.model.")
_ATTENTION_OUT = ("self_attn.o_proj", "attn.c_proj", "attention.dense")

_POINT = re.compile(r"(?:[a-z_]+\.)*layers\.(\d+)(?:\.([\w.]+?))?\.(output|input)")
_OUTPUTS = {"pre_feedforward_layernorm": "mlp_in_layer_{}", "post_feedforward_layernorm": "mlp_out_layer_{}"}
"""Our names of places by the module, inside a layer, whose output they are."""

MODELS = {"gpt2-small": "gpt2", "gpt2": "gpt2"}
"""Models by those of TransformerLens' names that are not hub ids."""
_OWNERS = (("gemma-", "google"), ("pythia-", "EleutherAI"), ("llama-3", "meta-llama"), ("qwen", "Qwen"))


def site_of_hook(lm: LanguageModel, hook: str) -> Site:
    """Return the site of a model that another library calls `hook`.

    Raises:
        MonosemError: the model lacks it, or the name is unknown.
    """
    hook = hook_of_point(hook)
    if found := _BLOCK.fullmatch(hook):
        return _of_block(lm, int(found[1]), found[2])
    if found := _LAYER.fullmatch(hook):
        return resolve_site(lm, found[1].replace("attention_out", "attn_out"), int(found[2]))
    if hook == "hook_embed":
        return resolve_site(lm, "resid_pre", 0)
    path, _, side = hook.partition(":")
    # Of a model that was loaded up to another layer, the modules behind that one are not there yet.
    if layers := [int(part) for part in path.split(".") if part.isdecimal() and int(part) < lm.n_layers]:
        lm.load([f"{blocks_path(lm)}.{layer}" for layer in layers])
    names = module_names(lm)
    module = next((prefix + path for prefix in _PREFIXES if prefix + path in names), None)
    if module is None:
        raise _unknown(lm, hook)
    return _named(lm, resolve_site(lm, f"{module}:{side}" if side else module, None))


def hook_of_point(point: str) -> str:
    """Return a place among transformers' modules, as in `model.layers.9.mlp.output`, by a name without its root."""
    found = _POINT.fullmatch(point)
    if found is None:
        return point
    layer, module, side = found[1], found[2] or "", found[3]
    if side == "input":
        return f"layers.{layer}.{module}:input" if module else f"resid_pre_layer_{layer}"
    return _OUTPUTS.get(module, f"layers.{{}}.{module}" if module else "resid_post_layer_{}").format(layer)


def hook_of_site(site: str, layer: int | None) -> str:
    """Return a site's name in TransformerLens; module paths are returned unchanged."""
    return site if layer is None else f"blocks.{layer}.{BACK.get(site, site)}"


def is_before_gain(hook: str) -> bool:
    """Return whether a name of TransformerLens means a norm's output before its gain.

    Of a LayerNorm some versions mean what lies after weights and bias: such files need `--no-before-gain`.
    (components/rms_norm.py, layer_norm.py)
    """
    return hook.endswith("ln2.hook_normalized")


def hub_name(model: str) -> str:
    """Return a model's hub id; TransformerLens' names lack the owner."""
    if model in MODELS or "/" in model or not model:
        return MODELS.get(model, model)
    owner = next((owner for start, owner in _OWNERS if model.lower().startswith(start)), None)
    return f"{owner}/{model}" if owner else model


def _of_block(lm: LanguageModel, layer: int, part: str) -> Site:
    if part in HOOKS:
        return resolve_site(lm, HOOKS[part], layer)
    if part == "mlp.hook_out" and block_of(lm, layer).mlp:
        return _named(lm, resolve_site(lm, block_of(lm, layer).mlp, None))
    if part == "attn.hook_z":
        paths, names = [f"{blocks_path(lm)}.{layer}.{one}" for one in _ATTENTION_OUT], module_names(lm)
        path = next((one for one in paths if one in names), None)
        if path is not None:
            return resolve_site(lm, f"{path}:input", None)
    raise _unknown(lm, f"blocks.{layer}.{part}")


def _named(lm: LanguageModel, raw: Site) -> Site:
    """Return the named site that is a module's input or output, or else the raw one."""
    for layer in {int(part) for part in raw.module.split(".") if part.isdecimal() and int(part) < lm.n_layers}:
        # Written to by path, an input is the module's alone: where it is the stream too, it is mlp_in, not resid_mid.
        for name in sorted(SITES, key="resid_mid".__eq__):
            try:
                site = resolve_site(lm, name, layer)
            except MonosemError:
                continue
            if (site.module, site.side, site.scale) == (raw.module, raw.side, 1):
                return site
    return raw


def _unknown(lm: LanguageModel, hook: str) -> MonosemError:
    return MonosemError(
        f"{lm.name} has no place that monosem knows as {hook}", "Give its `site`, and its `layer` if it has one."
    )
