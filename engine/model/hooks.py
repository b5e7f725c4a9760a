"""Capture a site's activations, and run the model with replaced ones.

Shapes: B contexts, T positions, D = d_in of the site, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

import torch

from engine.model.blocks import Reached
from engine.model.language_model import LanguageModel, rehearsed
from engine.model.sites import Site, attach, prove
from engine.runtime.sizes import PASS_BYTES

Replace = Callable[[torch.Tensor], torch.Tensor]


def capture(
    lm: LanguageModel, site: Site, tokens_BT: torch.Tensor, mask_BT: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the site's activations [B, T, D], in the model's dtype on its device, computing nothing after the site.

    `mask_BT` is True for real tokens; padding may be on either side, and activations at padding are meaningless.
    """
    return capture_all(lm, [site], tokens_BT, mask_BT)[0]


def capture_all(
    lm: LanguageModel, sites: Sequence[Site], tokens_BT: torch.Tensor, mask_BT: torch.Tensor | None = None
) -> list[torch.Tensor]:
    """Return the activations of several sites from one forward pass, which ends at the last of them; see `capture`.

    On a CPU a wide model takes the contexts in as many equal pieces as keep a layer's output in the caches.
    """
    lm.load([site.module for site in sites])
    prove(lm, *sites)
    n_pieces = _pieces(lm, *tokens_BT.shape)
    if n_pieces == 1:
        return _captured(lm, sites, tokens_BT, mask_BT)
    masks = [None] * n_pieces if mask_BT is None else mask_BT.tensor_split(n_pieces)
    pieces = [_captured(lm, sites, *one) for one in zip(tokens_BT.tensor_split(n_pieces), masks, strict=True)]
    return [torch.cat(of_site) for of_site in zip(*pieces, strict=True)]


def _pieces(lm: LanguageModel, contexts: int, length: int) -> int:
    """Return the number of forward passes for some contexts: one on a GPU, and for models that are not wide."""
    if lm.device.type != "cpu":
        return 1
    widest: int = 4 * lm.d_model * lm.network.dtype.itemsize
    return max(1, min(contexts, -(-contexts * length * widest // PASS_BYTES)))


def _captured(
    lm: LanguageModel, sites: Sequence[Site], tokens_BT: torch.Tensor, mask_BT: torch.Tensor | None
) -> list[torch.Tensor]:
    found: dict[int, torch.Tensor] = {}

    def see(number: int, acts_BTD: torch.Tensor) -> None:
        found.setdefault(number, acts_BTD)
        if len(found) == len(sites):
            raise Reached

    with ExitStack() as hooks:
        for number, site in enumerate(sites):
            hooks.enter_context(_attach(lm, site, partial(see, number)))
        try:
            _forward(lm, tokens_BT, mask_BT)
        except Reached:
            return [found[number].to(lm.device) for number in range(len(sites))]
    missed = next(site.module for number, site in enumerate(sites) if number not in found)
    raise RuntimeError(f"{missed} did not run, though resolve_site saw it run")


def stopped_at(
    lm: LanguageModel, module: torch.nn.Module, tokens_BT: torch.Tensor, mask_BT: torch.Tensor | None = None
) -> Any:
    """Return the output of a module, computing nothing after it; see `capture`."""
    found: list[Any] = []

    def see(_module: torch.nn.Module, _args: Any, output: Any) -> None:
        found.append(output)
        raise Reached

    with module.register_forward_hook(see), suppress(Reached):
        _forward(lm, tokens_BT, mask_BT)
    return found[0]


@contextmanager
def replaced(lm: LanguageModel, site: Site, fn: Replace) -> Iterator[None]:
    """Within the block, every forward pass continues with fn(acts_BTD) instead of the site's activations.

    At resid_mid the transformer block holds the stream twice: as the input of the norm, which a hook can reach, and as
    the sum to which the MLP's output will be added. Both are one tensor, so its content is overwritten; the MLP and
    everything after it see the change. Elsewhere the module's input or output is exchanged.
    """

    lm.load()
    prove(lm, site)

    def see(acts_BTD: torch.Tensor) -> torch.Tensor:
        # fn may keep what it gets: a copy, because the stream is overwritten.
        changed = fn(acts_BTD.to(lm.device, copy=site.is_stream))
        if changed.shape != acts_BTD.shape:
            raise ValueError(f"{site.name} is {list(acts_BTD.shape)}, its replacement {list(changed.shape)}")
        return changed.to(acts_BTD)

    with _attach(lm, site, see):
        yield


@contextmanager
def rerouted(
    lm: LanguageModel, source: Site, target: Site, fn: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> Iterator[None]:
    """Within the block, every forward pass continues with fn(source_BTD, target_BTO) instead of the target's output.

    The source is the target itself or runs before it (`runs_before`).
    """
    if source == target:
        with replaced(lm, target, lambda acts_BTD: fn(acts_BTD, acts_BTD)):
            yield
        return
    lm.load()
    prove(lm, source, target)
    seen: list[torch.Tensor] = []

    def see(acts_BTD: torch.Tensor) -> None:
        seen[:] = [acts_BTD.to(lm.device)]

    with _attach(lm, source, see), replaced(lm, target, lambda acts_BTO: fn(seen[0], acts_BTO)):
        yield


def runs_before(lm: LanguageModel, first: Site, second: Site) -> bool:
    """Return whether a forward pass reaches `first` before `second`."""

    def order() -> list[Site]:
        reached: list[Site] = []
        with ExitStack() as hooks:
            for site in (second, first):
                hooks.enter_context(_attach(lm, site, lambda _, site=site: reached.append(site)))  # type: ignore[misc]
            _forward(lm, torch.zeros(1, 2, dtype=torch.long, device=lm.input_device), None)
        return reached

    reached = rehearsed(lm, order)
    return reached.index(first) < reached.index(second)


def logits(lm: LanguageModel, tokens_BT: torch.Tensor, mask_BT: torch.Tensor | None = None) -> torch.Tensor:
    """Return the model's logits [B, T, V] for the token after each position; `mask_BT` as in `capture`."""
    logits_BTV: torch.Tensor = _forward(lm.load(), tokens_BT, mask_BT).logits
    return logits_BTV


@torch.no_grad()
def _forward(lm: LanguageModel, tokens_BT: torch.Tensor, mask_BT: torch.Tensor | None) -> Any:
    # no_grad rather than inference_mode: trainers differentiate functions of these activations.
    inputs: dict[str, Any] = {"input_ids": tokens_BT.to(lm.input_device), "use_cache": False}
    if mask_BT is not None:
        mask_BT = mask_BT.to(lm.input_device)
        inputs["attention_mask"] = mask_BT.long()
        if not mask_BT[:, 0].all():  # padding on the left: the first real token is still at position 0
            inputs["position_ids"] = (mask_BT.long().cumsum(1) - 1).clamp(min=0)
    return lm.network(**inputs)


def _attach(
    lm: LanguageModel, site: Site, see: Callable[[torch.Tensor], torch.Tensor | None]
) -> AbstractContextManager[Any]:
    """As `attach`, for a site that was a tensor when it was resolved."""

    def tensor(acts_BTD: torch.Tensor | None) -> torch.Tensor | None:
        if acts_BTD is None:
            raise RuntimeError(f"the {site.side} of {site.module} is not a tensor, but was when the site was resolved")
        return see(acts_BTD)

    return attach(lm, site, tensor)
