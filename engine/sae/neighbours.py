"""Nearest features by decoder cosine: exact, from the weights alone, in tiles of bounded size.

The cosine of two features is computed once and counts for both, so only tiles on and above the diagonal are multiplied.
Shapes: F features, N features with a direction, D width of the decoder, T neighbours, R and C rows and columns of a
tile.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

TILE = 4096
"""Rows and columns of a tile: 64 MB of cosines, and as much for their transpose."""


def tiles(n_features: int, tile: int = TILE) -> int:
    """Return the number of tiles that the search takes."""
    blocks = -(-n_features // tile)
    return blocks * (blocks + 1) // 2


def neighbours(
    W_dec_FD: torch.Tensor, top: int = 10, *, tile: int = TILE, advance: Callable[[int], object] = lambda _: None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return ids and cosines [F, T] of the features with the most similar decoder rows, nearest first.

    A feature is not its own neighbour. Rows of zeros have no direction: they are not listed, and their own lists have
    cosines of 0. T is `top`, or less if fewer other rows have a direction.

    Args:
        W_dec_FD: the decoder, on any device.
        top: neighbours asked for.
        tile: rows and columns that are multiplied at a time.
        advance: is told how many more of `tiles` are done.
    """
    W_FD = W_dec_FD.detach().float()
    norm_F = W_FD.norm(dim=1)
    directed = (norm_F > 0).nonzero().flatten()
    unit_ND = W_FD[directed] / norm_F[directed, None]
    listed = max(0, min(top, len(directed) - 1))
    shape = len(W_FD), listed
    ids, cosines = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    if not listed:
        return ids, cosines
    place_NT, cosine_NT = _nearest(unit_ND, listed, tile, advance)
    at = directed.cpu().numpy()
    ids[:] = at[:listed]  # of rows of zeros, to which all are equally near
    ids[at] = at[place_NT.cpu().numpy()]
    cosines[at] = cosine_NT.clamp(-1, 1).cpu().numpy()
    return ids, cosines


def _nearest(
    unit_ND: torch.Tensor, top: int, tile: int, advance: Callable[[int], object]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return places and cosines [N, T] of the rows nearest to each row."""
    n = len(unit_ND)
    place_NT = torch.full((n, top), n, device=unit_ND.device)
    cosine_NT = unit_ND.new_full((n, top), -torch.inf)
    room = unit_ND.new_empty(min(tile, n) ** 2)
    for first in range(0, n, tile):
        rows = slice(first, min(first + tile, n))
        for second in range(first, n, tile):
            columns = slice(second, min(second + tile, n))
            size = rows.stop - rows.start, columns.stop - columns.start
            cosine_RC = torch.mm(unit_ND[rows], unit_ND[columns].T, out=room[: size[0] * size[1]].view(size))
            if first == second:
                cosine_RC.fill_diagonal_(-torch.inf)
            else:
                _take(place_NT[columns], cosine_NT[columns], cosine_RC.T.contiguous(), first)
            _take(place_NT[rows], cosine_NT[rows], cosine_RC, second)
            advance(1)
    return place_NT, cosine_NT


def _take(place_RT: torch.Tensor, cosine_RT: torch.Tensor, cosine_RC: torch.Tensor, start: int) -> None:
    """Put the nearest of a tile's columns, which begin at `start`, into the lists of its rows, in place."""
    top = cosine_RT.shape[1]
    found = cosine_RC.topk(min(top, cosine_RC.shape[1]), dim=1)
    place = torch.cat([place_RT, found.indices + start], dim=1)
    by_place, order = place.sort(dim=1)
    cosine, kept = (
        torch.cat([cosine_RT, found.values], dim=1).gather(1, order).sort(dim=1, descending=True, stable=True)
    )
    cosine_RT.copy_(cosine[:, :top])
    place_RT.copy_(by_place.gather(1, kept[:, :top]))
