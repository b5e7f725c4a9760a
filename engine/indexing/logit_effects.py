"""Direct effects of features on logits, and nearest features by decoder cosine: both from the weights alone.

The direct effect on the logits (Towards Monosemanticity, "Feature Activations and Logit Weights") is a feature's
decoder row times the final norm's weight and the unembedding, ignoring later layers. The norm's scale, which depends on
the token, is ignored too: it is positive and the same for the whole vocabulary, so the order does not change. Gemma's
soft-capping of logits preserves order as well.

Shapes: F features, D = d_in of the site, M = d_model, V vocabulary, T listed tokens or neighbours, B = BINS.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.model.language_model import LanguageModel
from engine.model.sites import Family, Site, block_path, family_of, matrix_in_out

SCRATCH = 1 << 26
"""Most numbers in an intermediate matrix (256 MiB in float32)."""
COMPARED = 1 << 22
"""Cosines computed at a time, into the same memory, which stays in the cache."""
BINS = 40
"""Bins of the histogram of a feature's logits."""
BINNED = 1 << 22
"""Logits binned at a time: bins are 64-bit numbers."""
BLOCK = 1 << 14
"""Rows of a half-precision unembedding converted to float32 at a time."""


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

    resid_*, attn_out and mlp_out are in, or added to, the stream. mlp_act goes through the MLP's last matrix and, in
    Gemma 2 and 3, the weight of the norm after it.
    """
    family = family_of(lm)
    if site.is_raw or site.name == "mlp_in" or family is None or site.layer is None:
        return None
    W_FD = W_dec_FD.detach().to(lm.device, torch.float32)
    if site.name != "mlp_act":
        return W_FD
    W_FM = W_FD @ matrix_in_out(lm.network.get_submodule(site.module)).float()
    if family.mlp_post_norm:
        W_FM = W_FM * norm_weight(lm, family, block_path(family, site.layer, family.mlp_post_norm))
    return W_FM


def logit_effects(
    lm: LanguageModel, site: Site, W_dec_FD: torch.Tensor, top: int = 10, *, scratch: int = SCRATCH, block: int = BLOCK
) -> LogitTable:
    """Return the `top` tokens that each feature's decoder row raises and lowers most, and a histogram of its logits.

    In dictionaries with a token norm, effects on the model are multiplied by the token's unit (`Sae.unit_of`): the
    order is the same, and the numbers hold for a token of unit 1.
    """
    lm.load([site.module])
    n_features = W_dec_FD.shape[0]
    directions_FM = logit_directions(lm, site, W_dec_FD)
    family = family_of(lm)
    if directions_FM is None or family is None:
        return _table(n_features, 0)
    unembedding_VM = lm.unembedding()
    vocab = unembedding_VM.shape[0]
    histogram_FB = np.zeros((n_features, BINS), np.uint16 if vocab < 1 << 16 else np.uint32)
    table = replace(_table(n_features, min(top, vocab)), histogram_FB=histogram_FB)
    mean_M = _mean_row(unembedding_VM, block)
    rows = max(1, scratch // vocab)
    for start in range(0, n_features, rows):
        at = slice(start, start + rows)
        read_FM = _through_final_norm(lm, family, directions_FM[at])
        logits_FV = _times_transposed(read_FM, unembedding_VM, block) - (read_FM @ mean_M)[:, None]
        for ids, values, largest in (
            (table.top_id_FT, table.top_value_FT, True),
            (table.bottom_id_FT, table.bottom_value_FT, False),
        ):
            found = logits_FV.topk(ids.shape[1], dim=1, largest=largest)
            ids[at], values[at] = found.indices.cpu().numpy(), found.values.cpu().numpy()
        histogram_FB[at] = _histograms(logits_FV, min(BINNED, scratch))
    return table


def _histograms(logits_FV: torch.Tensor, binned: int) -> NDArray[np.int64]:
    """Count each row's values in BINS equal bins from its lowest to its highest: [F, BINS]."""
    counts = []
    for some_FV in torch.split(logits_FV, max(1, binned // logits_FV.shape[1])):
        low_F, high_F = some_FV.amin(1, keepdim=True), some_FV.amax(1, keepdim=True)
        scale_F = torch.where(high_F > low_F, BINS / (high_F - low_F), 0.0)
        bin_FV = ((some_FV - low_F) * scale_F).long().clamp_(max=BINS - 1)
        first_F = torch.arange(len(some_FV), device=some_FV.device)[:, None] * BINS
        found = torch.bincount((bin_FV + first_F).flatten(), minlength=len(some_FV) * BINS)
        counts.append(found.view(-1, BINS).cpu().numpy())
    return np.concatenate(counts)


def neighbours(
    W_dec_FD: torch.Tensor, top: int = 10, *, compared: int = COMPARED
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return ids and cosines [F, T] of the features with the most similar decoder rows, nearest first.

    A feature is not its own neighbour. Rows of zeros have no direction: they are not listed, and their own lists have
    cosines of 0. T is `top`, or less if fewer other rows have a direction.
    """
    W_FD = W_dec_FD.detach().float()
    norm_F = W_FD.norm(dim=1)
    unit_FD = torch.where(norm_F[:, None] > 0, W_FD / norm_F[:, None], 0.0)
    n_features, directed = len(unit_FD), int((norm_F > 0).sum())
    listed = max(0, min(top, directed - 1))
    ids = np.zeros((n_features, listed), np.int32)
    cosines = np.zeros((n_features, listed), np.float32)
    rows = max(1, compared // max(1, n_features))
    room_FF = unit_FD.new_empty(min(rows, n_features), n_features)
    for start in range(0, n_features if listed else 0, rows):
        at = slice(start, start + rows)
        cosine_FF = torch.mm(unit_FD[at], unit_FD.T, out=room_FF[: len(unit_FD[at])])
        if directed < n_features:
            cosine_FF[:, norm_F == 0] = -torch.inf
        own = torch.arange(len(cosine_FF), device=cosine_FF.device)
        cosine_FF[own, own + start] = -torch.inf
        found = cosine_FF.topk(listed, dim=1)
        ids[at] = found.indices.cpu().numpy()
        cosines[at] = found.values.clamp(-1, 1).cpu().numpy()
    return ids, cosines


def _table(n_features: int, listed: int) -> LogitTable:
    shape = n_features, listed
    return LogitTable(
        np.zeros(shape, np.int32), np.zeros(shape, np.float32), np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    )


def norm_weight(lm: LanguageModel, family: Family, path: str) -> torch.Tensor:
    """Return a norm's multiplier [M], float32."""
    weight_M: torch.Tensor = lm.network.get_submodule(path).get_parameter("weight").detach().float()
    return weight_M + 1 if family.unit_offset else weight_M


def _through_final_norm(lm: LanguageModel, family: Family, directions_FM: torch.Tensor) -> torch.Tensor:
    if family.centred:
        directions_FM = directions_FM - directions_FM.mean(1, keepdim=True)
    return directions_FM * norm_weight(lm, family, family.final_norm)


def _mean_row(unembedding_VM: torch.Tensor, block: int) -> torch.Tensor:
    starts = range(0, len(unembedding_VM), block)
    sums = [unembedding_VM[start : start + block].float().sum(0) for start in starts]
    return torch.stack(sums).sum(0) / len(unembedding_VM)


def _times_transposed(read_FM: torch.Tensor, unembedding_VM: torch.Tensor, block: int) -> torch.Tensor:
    logits_FV = read_FM.new_empty(len(read_FM), len(unembedding_VM))
    for start in range(0, len(unembedding_VM), block):
        at = slice(start, start + block)
        logits_FV[:, at] = read_FM @ unembedding_VM[at].float().T
    return logits_FV
