"""The linear part of a norm, found by trying it.

A norm divides each vector by its scale, which depends on the token and is positive, so it does not change in which
order the vocabulary is raised. What remains is linear: the mean is subtracted (LayerNorm) or not (RMSNorm), and each
dimension is multiplied by the weight, by 1 + weight (Gemma) or by nothing (OLMo).

Shapes: N vectors, F features, M width of the stream.
"""

from __future__ import annotations

from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.model.blocks import Reached, blocks_path, hidden_in, run_few_tokens, same_memory, tensor_in
from engine.model.language_model import LanguageModel
from engine.model.placement import at_hand, bare
from store.files.errors import MonosemError

TRIED = 4
"""Random vectors on which a norm is tried."""
NEAR = 1e-5
"""Largest distance of two unit vectors that count as the same."""


@dataclass(frozen=True)
class Norm:
    """The linear part of a norm."""

    multiplier_M: Tensor
    """Float32."""
    centred: bool
    """Whether the mean is subtracted."""

    def through(self, directions_FM: Tensor) -> Tensor:
        """Return directions as they leave the norm, apart from its scale."""
        if self.centred:
            directions_FM = directions_FM - directions_FM.mean(1, keepdim=True)
        return directions_FM * self.multiplier_M


def norm_at(lm: LanguageModel, path: str, width: int) -> Norm | None:
    """Return what a module does if it is a norm of vectors of this width, else None."""
    module = lm.network.get_submodule(path)
    with at_hand(module):
        exact = bare(deepcopy(module)).to(lm.device, torch.float32)
    generator = torch.Generator().manual_seed(0)
    x_NM = torch.randn(1, TRIED, width, generator=generator).to(lm.device)
    try:
        with torch.no_grad():
            out_NM = exact(x_NM).float()
    except Exception:  # it takes something else than a vector per token
        return None
    if out_NM.shape != x_NM.shape:
        return None
    weight_M, bias_M = (getattr(exact, name, None) for name in ("weight", "bias"))
    if bias_M is not None:
        out_NM = out_NM - bias_M.detach()
    weight_M = torch.ones(width, device=lm.device) if weight_M is None else weight_M.detach()
    for multiplier_M in (weight_M, weight_M + 1):
        for centred in (False, True):
            norm = Norm(multiplier_M, centred)
            off_N = functional.normalize(norm.through(x_NM[0]), dim=1) - functional.normalize(out_NM[0], dim=1)
            if multiplier_M.shape == (width,) and float(off_N.norm(dim=1).max()) <= NEAR:
                return norm
    return None


def gain_before(lm: LanguageModel, path: str) -> Tensor | None:
    """Return the gain [M] of the RMSNorm whose output a module reads; None where it reads something else."""
    block, _, _ = path.rpartition(".")
    lm.load([block])
    returned: dict[str, Tensor | None] = {}
    read: list[Tensor | None] = []
    with ExitStack() as hooks:
        for name, part in lm.network.get_submodule(block).named_children():
            full = f"{block}.{name}"

            def after(_part: nn.Module, _args: Any, output: Any, full: str = full) -> None:
                returned[full] = tensor_in(output)

            hooks.enter_context(part.register_forward_hook(after))

        def before(_part: nn.Module, args: Any, kwargs: Any) -> None:
            read.append(hidden_in(args, kwargs))
            raise Reached

        hooks.enter_context(lm.network.get_submodule(path).register_forward_pre_hook(before, with_kwargs=True))
        run_few_tokens(lm)
    held = read[0] if read else None
    source = next((name for name, one in returned.items() if same_memory(one, held)), None)
    if held is None or source is None or getattr(lm.network.get_submodule(source), "bias", None) is not None:
        return None
    norm = norm_at(lm, source, held.shape[-1])
    return None if norm is None or norm.centred else norm.multiplier_M


def final_norm(lm: LanguageModel) -> Norm | None:
    """Return the norm between the last block and the unembedding; None where something else lies between them."""
    head = lm.whole.get_output_embeddings()
    others = [part for part in lm.whole.children() if part is not head and next(part.parameters(), None) is not None]
    try:
        path = blocks_path(lm).rpartition(".")[0]
    except MonosemError:
        return None
    if head is None or len(others) != 1 or lm.d_model != head.weight.shape[1]:
        return None
    beside = lm.whole.get_submodule(path).named_children()
    norms = [f"{path}.{name}" for name, part in beside if "norm" in (name + type(part).__name__).lower()]
    return next((found for name in reversed(norms) if (found := norm_at(lm, name, lm.d_model))), None)
