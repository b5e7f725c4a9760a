"""Prove by numbers that the places of a block's sites hold what the sites' names say.

One forward pass of a few tokens records them. With attn_out and mlp_out times the block's own factor on them (Granite's
residual_multiplier, 1 elsewhere), these sums must hold at every token within TOLERANCE of the stream's norm:

    serial     resid_pre + attn_out = resid_mid        resid_mid + mlp_out = resid_post
    parallel   resid_pre + attn_out + mlp_out = resid_post
    single     resid_pre + attn_out = resid_post       or with mlp_out

Further, mlp_act times the MLP's last matrix must be what the MLP returns, and a block's output the next block's input.
resid_mid is changed on the way by up to a tenth: the second sum then proves that the change reaches resid_post.

In half precision the sums are rounded as the model rounds them, in any order of three terms. They then hold to the bit,
so the tolerance is that of float32 for every dtype.

Shapes: N tokens, D width of a site.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import permutations
from typing import Any

import torch
from torch import Tensor, nn

from engine.model.blocks import Block, Reached, hidden_in, matrix_in_out, run_few_tokens, tensor_in
from engine.model.language_model import LanguageModel
from engine.model.placement import at_hand

TOLERANCE = 1e-4
"""Largest difference of the two sides of a sum, as a share of the stream's norm."""
SHARE = 0.01
"""Largest difference as a share of the smaller of the terms added, unless the stream's numbers are coarser."""
COARSE = 4 * torch.finfo(torch.float32).eps
PRODUCT = {torch.float32: 1e-3, torch.float64: 1e-3}
"""Largest difference for the product with the MLP's last matrix, as a share of its norm; in half precision HALF."""
HALF = 0.03
PARTS = ("resid_mid", "attn_out", "mlp_in", "mlp_out", "mlp_act")


def disproved(lm: LanguageModel, block: Block) -> dict[str, str]:
    """Return by site why it does not hold, as clauses about the block.

    Raises:
        MonosemError: the model does not run on a few tokens.
    """
    seen = _seen(lm, block)
    found: dict[str, str] = {}
    for total, *terms in _sums(block):
        if not {total, *terms} <= seen.keys() or len({seen[term].shape for term in (total, *terms)}) > 1:
            return dict.fromkeys(PARTS, "has parts that do not return one vector per token")
        off = _off(seen[total], [(seen[term], block.scale if "_out" in term else 1.0) for term in terms])
        if off is not None:
            sum_ = " + ".join(terms).replace(" changed", "")
            clause = f"does not add up: {sum_} differs from {total} by {off:.2g} of its norm"
            found |= dict.fromkeys(PARTS, clause)
    if "after" in seen and _off(seen["after"], [(seen["resid_post"], 1.0)]) is not None:
        found["resid_post"] = "returns something else than the next block is given"
    if "mlp_act" in seen and not _is_product(lm, block, seen):
        found.setdefault("mlp_act", "changes what the MLP's last matrix returns")
    return found


def _sums(block: Block) -> list[tuple[str, ...]]:
    """Return the sums to check, the total first."""
    mlps = [site for site in block.places if site.startswith("mlp_out")]
    if "resid_mid" in block.places:
        return [("resid_mid", "resid_pre", "attn_out"), ("resid_post", "resid_mid changed", *mlps)]
    parts = [site for site in ("attn_out", *mlps) if site in block.places]
    return [("resid_post", "resid_pre", *parts)] if parts else []


def _seen(lm: LanguageModel, block: Block) -> dict[str, Tensor]:
    """Return the sites' tensors [N, D], resid_mid also as changed, the MLP's own output and the next block's input."""
    seen: dict[str, Tensor] = {}
    start, _, layer = block.path.rpartition(".")
    modules = dict(lm.network.named_modules())
    following = f"{start}.{int(layer) + 1}"
    taps = {site: (place.module, place.side) for site, place in block.places.items()}
    if "mlp_act" in taps:
        taps |= {"matrix": (taps["mlp_act"][0], "output"), "mlp": (block.mlp, "output")}
    if following in modules:
        taps["after"] = (following, "input")

    def see(site: str, acts: Tensor | None) -> None:
        if acts is None:
            return
        seen.setdefault(site, acts.reshape(-1, acts.shape[-1]).clone())
        if site == "resid_mid":
            acts.mul_(1 + torch.linspace(-0.1, 0.1, acts.shape[-1], device=acts.device))
            seen["resid_mid changed"] = acts.reshape(-1, acts.shape[-1]).clone()
        if site == ("after" if "after" in taps else "resid_post"):
            raise Reached

    with ExitStack() as hooks:
        # mlp_in is hooked before resid_mid, which may be the same tensor.
        for site, (path, side) in sorted(taps.items(), key=lambda tap: tap[0] == "resid_mid"):

            def before(_module: nn.Module, args: Any, kwargs: Any, site: str = site) -> None:
                see(site, hidden_in(args, kwargs))

            def after(_module: nn.Module, _args: Any, output: Any, site: str = site) -> None:
                see(site, tensor_in(output))

            if side == "input":
                hooks.enter_context(modules[path].register_forward_pre_hook(before, with_kwargs=True))
            else:
                hooks.enter_context(modules[path].register_forward_hook(after))
        run_few_tokens(lm)
    return {site: acts.cpu() for site, acts in seen.items()}


def _off(total_ND: Tensor, terms: Sequence[tuple[Tensor, float]]) -> float | None:
    """Return how far a total is from its terms times their factors, as a share of its norm; None for near enough."""
    exact_ND = sum((term.float() * scale for term, scale in terms), torch.zeros(1))
    tries = [exact_ND.to(total_ND.dtype)]
    (stream_ND, _), *added = terms
    if added:
        tries.append(stream_ND + sum(term for term, _ in added) * added[0][1])
    for first, *others in permutations(term * scale if scale != 1 else term for term, scale in terms):
        for other in others:
            first = first + other
        tries.append(first)
    norm_N = total_ND.float().norm(dim=1)
    smaller_N = torch.stack([term.float().norm(dim=1) * scale for term, scale in terms]).amin(0)
    allowed_N = torch.minimum(TOLERANCE * norm_N, torch.maximum(SHARE * smaller_N, COARSE * norm_N))
    off = []
    for guess_ND in tries:
        off_N = (total_ND.float() - guess_ND.float()).norm(dim=1)
        if bool((off_N <= allowed_N).all()):
            return None
        off.append(float((off_N / norm_N).max()))
    return min(off)


def _is_product(lm: LanguageModel, block: Block, seen: dict[str, Tensor]) -> bool:
    """Return whether the MLP returns mlp_act times its last matrix."""
    if _off(seen["mlp"], [(seen["matrix"], 1.0)]) is not None:
        return False
    module = lm.network.get_submodule(block.places["mlp_act"].module)
    if type(module.weight) is not nn.Parameter:  # of integers: what the module computes is its own affair
        return True
    with at_hand(module):
        out_NM = seen["mlp_act"].float() @ matrix_in_out(module).float().cpu()
        if module.bias is not None:
            out_NM += module.bias.float().cpu()
    norm_N = seen["matrix"].float().norm(dim=1)
    allowed = PRODUCT.get(seen["matrix"].dtype, HALF)
    return bool(((out_NM - seen["matrix"].float()).norm(dim=1) <= allowed * norm_N).all())
