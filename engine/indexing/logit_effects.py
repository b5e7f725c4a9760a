"""Direct effects of features on logits, from the weights alone.

The direct effect on the logits (Towards Monosemanticity, "Feature Activations and Logit Weights") is a feature's
decoder row times the final norm's weight and the unembedding, ignoring later layers. The norm's scale, which depends on
the token, is ignored too: it is positive and the same for the whole vocabulary, so the order does not change. Gemma's
soft-capping of logits preserves order as well.

Shapes: F features, D = d_in of the site, M = d_model, V vocabulary, T listed tokens, B = BINS.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.model.blocks import matrix_in_out
from engine.model.language_model import LanguageModel
from engine.model.norms import final_norm, norm_at
from engine.model.sites import Site, block_of
from engine.runtime.progress import Progress, Silent
from engine.runtime.sizes import SCRATCH, UNEMBEDDED

BINS = 40
"""Bins of the histogram of a feature's logits."""
BINNED = 1 << 18
"""Logits listed and binned at a time, which stay in the processor's cache."""
GROUPS = 512
"""Groups of a large vocabulary, of which only those with the largest logits are searched."""


@dataclass(frozen=True)
class LogitTable:
    """Tokens that each feature raises and lowers most, strongest first; logits are relative to their mean over V.

    T is the number asked for, at most V, and 0 if the site has no direct path to the logits.
    """

    top_id_FT: NDArray[np.int32]
    top_value_FT: NDArray[np.float32]
    bottom_id_FT: NDArray[np.int32]
    bottom_value_FT: NDArray[np.float32]
    histogram_FB: NDArray[np.unsignedinteger[Any]] | None = None
    """Tokens in each of BINS equal bins from the lowest to the highest logit; None if T is 0."""


def logit_directions(lm: LanguageModel, site: Site, W_dec_FD: torch.Tensor) -> torch.Tensor | None:
    """Return each feature's direction in the residual stream [F, M], float32; None for mlp_in and module paths.

    resid_*, attn_out and mlp_out are in, or added to, the stream. mlp_act goes through the MLP's last matrix and the
    weight of the norm after it, as in Gemma 2 and 3; None where something else than a norm follows.
    """
    if site.is_raw or site.name == "mlp_in" or site.layer is None:
        return None
    W_FD = W_dec_FD.detach().to(lm.device, torch.float32)
    return W_FD if site.name != "mlp_act" else through_mlp(lm, site.layer, W_FD)


def through_mlp(lm: LanguageModel, layer: int, W_FH: torch.Tensor | None = None) -> torch.Tensor | None:
    """Return what directions of an MLP's hidden layer add to the stream [F, M], float32; without any, its neurons'.

    None if the MLP has no single hidden layer, or if something else than a norm lies between it and the stream.
    """
    block = block_of(lm, layer)
    if "mlp_act" in block.missing:
        return None
    lm.load([block.path])
    W_FM = matrix_in_out(lm.network.get_submodule(block.places["mlp_act"].module)).detach().float()
    if W_FH is not None:
        W_FM = W_FH @ W_FM
    if block.scale != 1:
        W_FM = W_FM * block.scale
    if not block.mlp_norm:
        return W_FM
    norm = norm_at(lm, block.mlp_norm, W_FM.shape[1])
    return None if norm is None else norm.through(W_FM)


def logit_effects(
    lm: LanguageModel,
    site: Site,
    W_dec_FD: torch.Tensor,
    top: int = 10,
    *,
    progress: Progress | None = None,
    scratch: int = SCRATCH,
    block: int = UNEMBEDDED,
    groups: int = GROUPS,
) -> LogitTable:
    """Return the `top` tokens that each feature's decoder row raises and lowers most, and a histogram of its logits.

    In dictionaries with a token norm, effects on the model are multiplied by the token's unit (`Sae.unit_of`): the
    order is the same, and the numbers hold for a token of unit 1.

    Memory: `scratch` logits, and `block` rows of the unembedding, both in float32.
    """
    lm.load([site.module])
    n_features = W_dec_FD.shape[0]
    directions_FM = logit_directions(lm, site, W_dec_FD)
    norm = final_norm(lm)
    if directions_FM is None or norm is None:
        return _table(n_features, 0)
    unembedding_VM = lm.unembedding()
    vocab = unembedding_VM.shape[0]
    histogram_FB = np.zeros((n_features, BINS), np.uint16 if vocab < 1 << 16 else np.uint32)
    table = replace(_table(n_features, min(top, vocab)), histogram_FB=histogram_FB)
    mean_M = _mean_row(unembedding_VM, block)
    rows = min(max(1, scratch // vocab), n_features)
    room_FV = directions_FM.new_empty(rows, vocab)
    with (progress or Silent()).task("logit effects", n_features, "features") as bar:
        for start in range(0, n_features, rows):
            read_FM = norm.through(directions_FM[start : start + rows])
            logits_FV = _times_transposed(read_FM, unembedding_VM, block, room_FV[: len(read_FM)])
            means_F = (read_FM @ mean_M)[:, None]
            pieces = (torch.split(one, _rows_binned(vocab)) for one in (logits_FV, means_F))
            for some_FV, mean_F in zip(*pieces, strict=True):
                _describe(some_FV.sub_(mean_F), table, histogram_FB, start, groups)
                start += len(some_FV)
                bar.advance(len(some_FV))
    return table


def _rows_binned(vocab: int) -> int:
    """Return how many features are described at once: their bins are numbered in 16 bits."""
    return min(max(1, BINNED // vocab), (1 << 15) // BINS)


def _describe(
    logits_FV: torch.Tensor, table: LogitTable, histogram_FB: NDArray[np.unsignedinteger[Any]], start: int, groups: int
) -> None:
    """Enter the extremes of each row, and its values counted in BINS equal bins between them, at `start`."""
    at = slice(start, start + len(logits_FV))
    ends: list[torch.Tensor] = []
    for ids, values, largest in (
        (table.bottom_id_FT, table.bottom_value_FT, False),
        (table.top_id_FT, table.top_value_FT, True),
    ):
        value_FT, id_FT = _extremes(logits_FV, ids.shape[1], groups, largest=largest)
        ids[at], values[at] = id_FT.cpu().numpy(), value_FT.cpu().numpy()
        ends.append(value_FT[:, :1])
    low_F, high_F = ends
    scale_F = torch.where(high_F > low_F, BINS / (high_F - low_F), 0.0)
    bin_FV = logits_FV.sub_(low_F).mul_(scale_F).to(torch.int16).clamp_(max=BINS - 1)
    bin_FV += torch.arange(len(bin_FV), dtype=torch.int16, device=bin_FV.device)[:, None] * BINS
    counts = torch.bincount(bin_FV.flatten(), minlength=len(bin_FV) * BINS)
    histogram_FB[at] = counts.view(-1, BINS).cpu().numpy()


def _extremes(logits_FV: torch.Tensor, listed: int, groups: int, *, largest: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the `listed` largest or smallest values of each row, from the outermost, and their places [F, T].

    Of a large vocabulary only the `listed` groups with the outermost values are searched (every value beyond the
    last of them lies in one), and what is left over after equal groups.
    """
    vocab = logits_FV.shape[1]
    if vocab < 4 * groups * listed or groups < listed:
        found = logits_FV.topk(listed, dim=1, largest=largest)
        return found.values, found.indices
    deep = vocab // groups
    grouped_FNG = logits_FV[:, : deep * groups].view(-1, deep, groups)
    best_FG = grouped_FNG.amax(1) if largest else grouped_FNG.amin(1)
    group_FT = best_FG.topk(listed, dim=1, largest=largest).indices
    step_N = torch.arange(deep, device=logits_FV.device) * groups
    left_R = torch.arange(deep * groups, vocab, device=logits_FV.device).expand(len(logits_FV), -1)
    place_FC = torch.cat([(step_N[:, None] + group_FT[:, None]).flatten(1), left_R], dim=1)
    found = logits_FV.gather(1, place_FC).topk(listed, dim=1, largest=largest)
    return found.values, place_FC.gather(1, found.indices)


def _table(n_features: int, listed: int) -> LogitTable:
    shape = n_features, listed
    return LogitTable(
        np.zeros(shape, np.int32), np.zeros(shape, np.float32), np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    )


def _mean_row(unembedding_VM: torch.Tensor, block: int) -> torch.Tensor:
    starts = range(0, len(unembedding_VM), block)
    sums = [unembedding_VM[start : start + block].float().sum(0) for start in starts]
    return torch.stack(sums).sum(0) / len(unembedding_VM)


def _times_transposed(
    read_FM: torch.Tensor, unembedding_VM: torch.Tensor, block: int, logits_FV: torch.Tensor
) -> torch.Tensor:
    """Return `logits_FV` filled with the product in float32."""
    room_VM = None if unembedding_VM.dtype == torch.float32 else read_FM.new_empty(block, read_FM.shape[1])
    for start in range(0, len(unembedding_VM), block):
        some_VM = unembedding_VM[start : start + block]
        if room_VM is not None:
            some_VM = room_VM[: len(some_VM)].copy_(some_VM)
        torch.mm(read_FM, some_VM.T, out=logits_FV[:, start : start + block])
    return logits_FV
