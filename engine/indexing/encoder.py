"""Active features of consecutive tokens, in the form that the feature index takes.

Shapes: N tokens, B tokens encoded at once, D = d_in, F = d_sae, K features per token, G groups of features, C most
candidates of a token, E entries of all tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from engine.sae.base import Sae, encoded_rows
from engine.sae.sparse.products import largest
from engine.sae.topk import TopKSae
from store.index.segment import SparseRows

ENCODED, FEWEST_ROWS = 1 << 19, 512
"""Pre-activations computed at once on a CPU, so that they stay in its cache; and the fewest rows that keep it busy."""
GROUPS_A_KEPT = 4
"""Fewest groups of features per feature kept: with fewer groups there are more candidates than needed."""
_POSITIVE = np.nextafter(np.float32(0), np.float32(1))


class _Found(NamedTuple):
    """Active features, token by token, unordered within a token."""

    count_B: NDArray[np.int64]
    feature_E: NDArray[np.int64]
    act_E: NDArray[np.float32]


@torch.no_grad()
def encode_rows(sae: Sae, acts_ND: torch.Tensor, counted_N: NDArray[np.bool_], rows: int | None = None) -> SparseRows:
    """Return the active features of consecutive tokens; `acts_ND` holds the activations of the counted ones."""
    pieces = torch.split(acts_ND, rows or _rows_at_once(sae, acts_ND.device))
    groups = _groups(sae, acts_ND.device)
    found = list(_by_groups(sae, pieces, groups) if groups else (_plainly(sae, x_BD.float()) for x_BD in pieces))
    per_token = np.zeros(len(counted_N), np.int64)
    per_token[counted_N] = np.concatenate([np.zeros(0, np.int64), *(one.count_B for one in found)])
    return SparseRows(
        np.concatenate([np.zeros(1, np.int64), np.cumsum(per_token)]),
        np.concatenate([np.zeros(0, np.int64), *(one.feature_E for one in found)]),
        np.concatenate([np.zeros(0, np.float32), *(one.act_E for one in found)]),
    )


def _rows_at_once(sae: Sae, device: torch.device) -> int:
    """Return how many tokens to encode at once. Depends on the autoencoder alone, as rounding depends on the rows."""
    most = encoded_rows(sae)
    return min(most, max(FEWEST_ROWS, ENCODED // sae.settings.d_sae)) if device.type == "cpu" else most


def _plainly(sae: Sae, x_BD: torch.Tensor) -> _Found:
    found = sae.encode(x_BD)
    act_BK, feature_BK = found.act_BK.cpu().numpy(), found.feature_BK.cpu().numpy()
    active_BK = act_BK > 0
    if active_BK.all():
        return _Found(np.full(len(act_BK), act_BK.shape[1]), feature_BK.ravel(), act_BK.ravel())
    return _Found(active_BK.sum(1), feature_BK[active_BK], act_BK[active_BK])


def _groups(sae: Sae, device: torch.device) -> int:
    """Return the number of groups of features for `_by_groups`; 0 if it does not apply or pay."""
    if type(sae) is not TopKSae or device.type != "cpu" or sae.product_dtype is not None:
        return 0
    groups = 1 << (GROUPS_A_KEPT * sae.k - 1).bit_length()
    return groups if sae.settings.d_sae % groups == 0 and sae.settings.d_sae >= 4 * groups else 0


def _by_groups(sae: Sae, pieces: tuple[torch.Tensor, ...], groups: int) -> Iterator[_Found]:
    """Yield the same as `_plainly` for a TopK autoencoder, in a third of its time (docs/log.md).

    K groups have a maximum of at least the K-th largest maximum, so smaller entries are not among the K largest; few
    more than K entries remain. All pieces are encoded into the same memory. Remove this when torch's top-k over [B, F]
    is no longer the larger part of encoding on a CPU.
    """
    k, width = sae.settings.needed_k(), sae.settings.d_sae
    room_BF = torch.empty(len(pieces[0]), width)
    room = np.empty(room_BF.shape, np.bool_)
    for x_BD in pieces:
        n_rows = len(x_BD)
        pre_BF = torch.addmm(sae.b_enc, sae.read_in(x_BD.float()), sae.W_enc, out=room_BF[:n_rows])
        top_BG = pre_BF.view(n_rows, width // groups, groups).amax(1)
        least_B1 = top_BG.topk(k, dim=1, sorted=False).values.amin(1, keepdim=True).numpy()
        pre = pre_BF.numpy()
        place_E = np.flatnonzero(np.greater_equal(pre, np.maximum(least_B1, _POSITIVE), out=room[:n_rows]))
        count_B = np.diff(np.searchsorted(place_E, np.arange(n_rows + 1) * width))
        act_E = pre.ravel()[place_E]
        kept_E = _among_largest(act_E, count_B, k)
        row_E = np.repeat(np.arange(n_rows), count_B)[kept_E]
        place_E, act_E, count_B = place_E[kept_E], act_E[kept_E], np.bincount(row_E, minlength=n_rows)
        if count_B.max(initial=0) > k:  # ties for the K-th place are left to `largest`
            value_BK, feature_BK = (tensor.numpy() for tensor in largest(pre_BF, k))
            active_BK = value_BK > 0
            yield _Found(active_BK.sum(1), feature_BK[active_BK], value_BK[active_BK])
        else:
            yield _Found(count_B, place_E - row_E * width, act_E)


def _among_largest(act_E: NDArray[np.float32], count_B: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Return True for entries that reach the `k`-th largest of their token."""
    most = int(count_B.max(initial=0))
    if most <= k:
        return np.ones(len(act_E), np.bool_)
    act_BC = np.zeros((len(count_B), most), np.float32)
    act_BC[np.arange(most) < count_B[:, None]] = act_E
    kth_B = torch.from_numpy(act_BC).topk(k, dim=1, sorted=False).values.amin(1).numpy()
    kept_E: NDArray[np.bool_] = act_E >= np.repeat(kth_B, count_B)
    return kept_E
