"""Sites at which activations are read: seven named ones per block, as far as they are proven, or any module by path.

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
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from engine.model.blocks import Block, Side, blocks_path, hidden_in, propose_block, tensor_in
from engine.model.config_file import SITES as SITES
from engine.model.language_model import LanguageModel, rehearsed
from engine.model.site_proof import disproved
from store.files.errors import MonosemError


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
    scale: float = 1.0
    """Factor on the module's tensor: what a block adds may be a multiple of what its part returns."""
    flat_in: str = ""
    """Path of the block in which the tensor is [B·T, d_in], contexts one after the other; empty where it is not."""
    overwritten: bool = False
    """Whether the model changes the tensor in place later on."""

    @property
    def title(self) -> str:
        """`mlp_out 2`, or the module path."""
        return self.name if self.layer is None else f"{self.name} {self.layer}"

    @property
    def is_raw(self) -> bool:
        """Whether it was given as a module path."""
        return self.name not in SITES


_BLOCKS: WeakKeyDictionary[LanguageModel, dict[int, tuple[Block, bool]]] = WeakKeyDictionary()
"""Blocks by layer, and whether their sites are proven."""


def block_of(lm: LanguageModel, layer: int) -> Block:
    """Return where a block holds its sites: proven once weights are loaded, by running a few tokens twice.

    Raises:
        MonosemError: its blocks do not pass on one vector per token.
    """
    known = _BLOCKS.setdefault(lm, {})
    block, proven = known.get(layer, (None, False))
    if block is None:
        path = f"{blocks_path(lm)}.{layer}"
        block = rehearsed(lm, lambda: propose_block(lm, layer), [path])
    if not proven and lm.loaded is not False:
        lm.load([block.path])
        block, proven = replace(block, missing=disproved(lm, block) | block.missing), True
    known[layer] = block, proven
    return block


def prove(lm: LanguageModel, *sites: Site) -> None:
    """Prove sites that were resolved before weights were loaded.

    Raises:
        MonosemError: one does not hold.
    """
    for site in sites:
        if site.layer is not None:
            _refuse_missing(lm, site.name, site.layer)


def _refuse_missing(lm: LanguageModel, site: str, layer: int) -> Block:
    block = block_of(lm, layer)
    if site in block.missing:
        others = [name for name in SITES if name not in block.missing]
        raise MonosemError(
            f"{lm.name} has no {site} in layer {layer}: the block {block.missing[site]}",
            f"Use {', '.join(others)}, or a module path such as {block.path}.",
        )
    return block


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


def _named_site(lm: LanguageModel, site: str, layer: int | None) -> Site:
    if layer is None:
        raise MonosemError(f"{site} needs a layer", f"Add `layer`, from 0 to {lm.n_layers - 1}.")
    if not 0 <= layer < lm.n_layers:
        raise MonosemError(f"{lm.name} has no layer {layer}", f"Its layers are 0 to {lm.n_layers - 1}.")
    block = _refuse_missing(lm, site, layer)
    place = block.places[site]
    return Site(
        site,
        layer,
        place.width,
        place.module,
        place.side,
        is_stream=site == "resid_mid",
        scale=block.scale if site in ("attn_out", "mlp_out") else 1.0,
        flat_in=block.path if place.flat else "",
        overwritten=place.overwritten,
    )


def _raw_site(lm: LanguageModel, site: str, path: str, side: Side) -> Site:
    """Run two short contexts to see the module's input or output: its shape cannot be known otherwise."""
    raw = Site(site, None, 0, path, side)

    def run() -> list[torch.Tensor | None]:
        seen: list[torch.Tensor | None] = []
        with attach(lm, raw, seen.append), torch.no_grad():
            lm.network(input_ids=torch.zeros(2, 3, dtype=torch.long, device=lm.input_device), use_cache=False)
        return seen

    seen = rehearsed(lm, run)
    if not seen:
        raise MonosemError(f"{path} never runs in {lm.name}", f"Give a module that computes{_children(lm, path)}.")
    acts = seen[0]
    if acts is None or acts.ndim != 3 or acts.shape[:2] != (2, 3) or not acts.is_floating_point():
        shape = "not a tensor" if acts is None else f"{list(acts.shape)} for 2 contexts of 3 tokens"
        raise MonosemError(f"the {side} of {path} is not one vector per token: {shape}", "Choose another module.")
    return replace(raw, d_in=acts.shape[2])


def attach(
    lm: LanguageModel, site: Site, see: Callable[[torch.Tensor | None], torch.Tensor | None]
) -> AbstractContextManager[Any]:
    """Call `see` in every forward pass with the site's tensor, None if it is not one; what it returns replaces it.

    A module's input is its first argument, or `hidden_states` by keyword.
    """
    module: nn.Module = lm.network.get_submodule(site.module)
    shape: list[int] = []

    def exchanged(held: torch.Tensor | None) -> torch.Tensor | None:
        """Return what replaces the module's tensor, None to keep it."""
        acts = held if held is None or not site.flat_in else held.view(*shape, -1)
        if acts is not None and site.overwritten:
            acts = acts.clone()
        if site.scale == 1 or acts is None:
            changed = see(acts)
        else:
            scaled = acts * site.scale
            changed = see(scaled)
            # Numbers that stay are not divided, so that they stay to the bit.
            changed = None if changed is None else torch.where(changed == scaled, acts, changed / site.scale)
        return changed.view_as(held) if changed is not None and held is not None and site.flat_in else changed

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
        held = hidden_in(args, kwargs)
        changed = exchanged(held)
        if changed is None:
            return None
        if site.is_stream and held is not None:
            held.copy_(changed)
            return None
        if args:
            return (changed, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": changed}

    def after(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
        changed = exchanged(tensor_in(output))
        if changed is None or isinstance(output, torch.Tensor):
            return changed
        return type(output)([changed, *output[1:]])

    def shaped(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        stream = hidden_in(args, kwargs)
        shape[:] = [] if stream is None else stream.shape[:2]

    with ExitStack() as hooks:
        if site.flat_in:
            block = lm.network.get_submodule(site.flat_in)
            hooks.enter_context(block.register_forward_pre_hook(shaped, with_kwargs=True))
        if site.side == "input":
            hooks.enter_context(module.register_forward_pre_hook(before, with_kwargs=True))
        else:
            hooks.enter_context(module.register_forward_hook(after))
        return hooks.pop_all()


def module_names(lm: LanguageModel) -> set[str]:
    """Return the paths of a model's modules."""
    return {name for name, _ in lm.network.named_modules() if name}


def _nearest(lm: LanguageModel, path: str) -> str:
    near = get_close_matches(path, sorted(module_names(lm)), n=3, cutoff=0.5)
    return f"; the nearest: {', '.join(near)}" if near else ""


def _children(lm: LanguageModel, path: str) -> str:
    names = [name for name, _ in lm.network.get_submodule(path).named_children()]
    return f", such as {path}.{names[0]}" if names else ""
