"""Sites at which activations are read: seven named ones per block of the known families, or any module by its path.

With resid_pre, the residual stream entering a block, a block computes

    resid_mid = resid_pre + attn_out        attn_out = what attention adds
    resid_post = resid_mid + mlp_out        mlp_out = what the MLP adds
    mlp_in = what the MLP reads: resid_mid after its norm
    mlp_act = the MLP's hidden layer after its nonlinearity; for a gated MLP the product, the input of its last matrix

In Gemma 2 and 3 attention and MLP are followed by norms of their own: attn_out and mlp_out are the outputs of those
norms, which are what is added. If attention and MLP run in parallel (Pythia), resid_mid does not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from engine.model.language_model import LanguageModel, rehearsed
from store.files.errors import MonosemError

SITES = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_in", "mlp_out", "mlp_act")
Side = Literal["input", "output"]


@dataclass(frozen=True)
class Site:
    """A tensor in a model's forward pass: the input or output of one of its modules."""

    name: str
    """One of SITES, or the raw module path as the user wrote it."""
    layer: int | None
    """From 0; None for a raw module path."""
    d_in: int
    """Width of the activations."""
    module: str
    """Path of the module in the network."""
    side: Side
    is_stream: bool = False
    """Whether the tensor is the residual stream itself, which the block adds to after the module has read it."""

    @property
    def title(self) -> str:
        """`mlp_out 2`, or the module path."""
        return self.name if self.layer is None else f"{self.name} {self.layer}"

    @property
    def is_raw(self) -> bool:
        """Whether it was given as a module path."""
        return self.name not in SITES


@dataclass(frozen=True, kw_only=True)
class Family:
    """Module paths of an architecture; those of a block's parts are relative to the block."""

    blocks: str
    attn_out: str
    """Module whose output attention adds to the stream."""
    mlp_out: str
    """Module whose output the MLP adds to the stream."""
    mlp_down: str
    """The MLP's last matrix."""
    mid_norm: str
    """The norm that reads the stream between attention and MLP."""
    mlp: str = "mlp"
    """The MLP itself."""
    final_norm: str
    """The norm before the unembedding, from the root."""
    centred: bool = False
    """Whether norms subtract the mean (LayerNorm) or only scale (RMSNorm)."""
    unit_offset: bool = False
    """Whether norms multiply by 1 + weight."""
    mlp_post_norm: str = ""
    """The norm between the MLP's last matrix and the stream, if any."""
    parallel_flag: str = ""
    """Configuration entry that makes attention and MLP run in parallel."""


_LLAMA = Family(
    blocks="model.layers",
    attn_out="self_attn",
    mlp_out="mlp",
    mlp_down="mlp.down_proj",
    mid_norm="post_attention_layernorm",
    final_norm="model.norm",
)
_GEMMA = replace(
    _LLAMA,
    attn_out="post_attention_layernorm",
    mlp_out="post_feedforward_layernorm",
    mid_norm="pre_feedforward_layernorm",
    mlp_post_norm="post_feedforward_layernorm",
    unit_offset=True,
)
FAMILIES = {
    "gpt2": Family(
        blocks="transformer.h",
        attn_out="attn",
        mlp_out="mlp",
        mlp_down="mlp.c_proj",
        mid_norm="ln_2",
        final_norm="transformer.ln_f",
        centred=True,
    ),
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "mixtral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen2_moe": _LLAMA,
    "qwen3": _LLAMA,
    "qwen3_moe": _LLAMA,
    "gemma": replace(_LLAMA, unit_offset=True),
    "gemma2": _GEMMA,
    "gemma3_text": _GEMMA,
    "gemma3": replace(_GEMMA, blocks="model.language_model.layers", final_norm="model.language_model.norm"),
    "gpt_neox": Family(
        blocks="gpt_neox.layers",
        attn_out="attention",
        mlp_out="mlp",
        mlp_down="mlp.dense_4h_to_h",
        mid_norm="post_attention_layernorm",
        final_norm="gpt_neox.final_layer_norm",
        centred=True,
        parallel_flag="use_parallel_residual",
    ),
}
"""Families by the `model_type` of their configuration."""


class _Place(NamedTuple):
    part: str
    """Field of Family that holds the module's path; empty for the block itself."""
    side: Side


_PLACES = {
    "resid_pre": _Place("", "input"),
    "resid_mid": _Place("mid_norm", "input"),
    "resid_post": _Place("", "output"),
    "attn_out": _Place("attn_out", "output"),
    "mlp_in": _Place("mlp", "input"),
    "mlp_out": _Place("mlp_out", "output"),
    "mlp_act": _Place("mlp_down", "input"),
}


def family_of(lm: LanguageModel) -> Family | None:
    """Return the model's family; None if only module paths work."""
    return FAMILIES.get(lm.network.config.model_type)


def resolve_site(lm: LanguageModel, site: str, layer: int | None) -> Site:
    """Find a site in a model.

    `site` is one of SITES, with a layer, or a module path, without: the module's output, or its input with `:input`
    after the path.

    Raises:
        MonosemError: there is no such site, module or layer, or the architecture lacks it.
    """
    if site in SITES:
        return _named_site(lm, site, layer)
    path, _, side = site.partition(":")
    known = path in module_names(lm)
    if not known and "." not in path:
        raise MonosemError(
            f"no site is called {site!r}",
            f"Use {', '.join(SITES)}, or a module path{_nearest(lm, path)}.",
        )
    if side not in ("", "input", "output"):
        raise MonosemError(f"{site!r}: a module has an input and an output, not {side!r}", f"Write {path}:input.")
    if not known:
        raise MonosemError(f"{lm.name} has no module {path}", f"Give the path of a module{_nearest(lm, path)}.")
    if layer is not None:
        raise MonosemError(f"{path} is a module path, which contains the layer", "Leave `layer` out.")
    return _raw_site(lm, site, path, "input" if side == "input" else "output")


def block_path(family: Family, layer: int, part: str = "") -> str:
    """Return the path of a block's part from the root."""
    return f"{family.blocks}.{layer}" + (f".{part}" if part else "")


def tensor_in(value: Any) -> torch.Tensor | None:
    """Return the hidden states in a module's input or output: the tensor itself, or the first entry of a tuple."""
    if isinstance(value, tuple | list) and value:
        value = value[0]
    return value if isinstance(value, torch.Tensor) else None


def _named_site(lm: LanguageModel, site: str, layer: int | None) -> Site:
    family = family_of(lm)
    if family is None:
        raise MonosemError(
            f"{lm.name} is a {lm.network.config.model_type} model, in which monosem knows no named sites",
            f"Give a module path as `site`{_block_example(lm)}.",
        )
    if layer is None:
        raise MonosemError(f"{site} needs a layer", f"Add `layer`, from 0 to {lm.n_layers - 1}.")
    if not 0 <= layer < lm.n_layers:
        raise MonosemError(f"{lm.name} has no layer {layer}", f"Its layers are 0 to {lm.n_layers - 1}.")
    if site == "resid_mid" and family.parallel_flag and getattr(lm.text_config, family.parallel_flag):
        raise MonosemError(
            f"{lm.name} has no resid_mid: its attention and MLP both read resid_pre and are added together",
            "Use resid_pre, attn_out, mlp_out or resid_post.",
        )
    place = _PLACES[site]
    path = block_path(family, layer, getattr(family, place.part) if place.part else "")
    d_in = lm.d_model
    if site == "mlp_act":
        if path not in module_names(lm):
            raise MonosemError(
                f"the MLP of layer {layer} of {lm.name} is a mixture of experts: it has no single mlp_act",
                "Use mlp_out, or a module path inside the block.",
            )
        d_in = matrix_in_out(lm.network.get_submodule(path)).shape[0]
    return Site(site, layer, d_in, path, place.side, is_stream=site == "resid_mid")


def matrix_in_out(module: nn.Module) -> torch.Tensor:
    """Return a linear layer's weight as [d_in, d_out]: the layout of GPT-2's Conv1D; nn.Linear is transposed."""
    weight = module.get_parameter("weight")
    return weight.T if isinstance(module, nn.Linear) else weight


def _raw_site(lm: LanguageModel, site: str, path: str, side: Side) -> Site:
    """Run two short contexts to see the module's input or output: its shape cannot be known otherwise."""
    raw = Site(site, None, 0, path, side)

    def run() -> list[torch.Tensor | None]:
        seen: list[torch.Tensor | None] = []
        with attach(lm, raw, seen.append), torch.no_grad():
            lm.network(input_ids=torch.zeros(2, 3, dtype=torch.long, device=lm.network.device), use_cache=False)
        return seen

    seen = rehearsed(lm, run)
    if not seen:
        raise MonosemError(f"{path} never runs in {lm.name}", f"Give a module that computes{_children(lm, path)}.")
    acts = seen[0]
    if acts is None or acts.ndim != 3 or acts.shape[:2] != (2, 3) or not acts.is_floating_point():
        shape = "not a tensor" if acts is None else f"{list(acts.shape)} for 2 contexts of 3 tokens"
        raise MonosemError(f"the {side} of {path} is not one vector per token: {shape}", "Choose another module.")
    return replace(raw, d_in=acts.shape[2])


def attach(lm: LanguageModel, site: Site, see: Callable[[torch.Tensor | None], torch.Tensor | None]) -> RemovableHandle:
    """Call `see` in every forward pass with the site's tensor, None if it is not one; what it returns replaces it.

    A module's input is its first argument, or `hidden_states` by keyword.
    """
    module: nn.Module = lm.network.get_submodule(site.module)

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
        acts_BTD = tensor_in(args if args else kwargs.get("hidden_states"))
        changed = see(acts_BTD)
        if changed is None:
            return None
        if site.is_stream and acts_BTD is not None:
            acts_BTD.copy_(changed)
            return None
        if args:
            return (changed, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": changed}

    def after(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
        changed = see(tensor_in(output))
        if changed is None or isinstance(output, torch.Tensor):
            return changed
        return type(output)([changed, *output[1:]])

    if site.side == "input":
        return module.register_forward_pre_hook(before, with_kwargs=True)
    return module.register_forward_hook(after)


def module_names(lm: LanguageModel) -> set[str]:
    """Return the paths of a model's modules."""
    return {name for name, _ in lm.network.named_modules() if name}


def _nearest(lm: LanguageModel, path: str) -> str:
    near = get_close_matches(path, sorted(module_names(lm)), n=3, cutoff=0.5)
    return f"; the nearest: {', '.join(near)}" if near else ""


def _children(lm: LanguageModel, path: str) -> str:
    names = [name for name, _ in lm.network.get_submodule(path).named_children()]
    return f", such as {path}.{names[0]}" if names else ""


def _block_example(lm: LanguageModel) -> str:
    for name, module in lm.network.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == lm.n_layers:
            return f", such as {name}.{lm.n_layers // 2}"
    return ""
