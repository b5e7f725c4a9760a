"""Lists of (token, feature) entries, and the same entries sorted by feature.

Shapes: B tokens of a batch, F = d_sae, G = F + 1, K entries per token, E entries, P pieces of long features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

PIECE = 128
"""Most entries of a feature that one GPU program sums; features with more are cut into pieces."""


class ByFeature(NamedTuple):
    """The entries of a batch, sorted by feature."""

    entry_E: Tensor
    """Index of each entry in the original list."""
    token_E: Tensor
    """Its row: a token, or a part of one."""
    start_G: Tensor
    """Start of each feature's entries, then the end of the last."""


class Pieces(NamedTuple):
    """The entries of features that have more than `length` of them, cut into pieces of that length."""

    length: int
    feature_P: Tensor
    """The feature of each piece, ascending; F for padding, as the number of pieces is fixed."""
    first_G: Tensor
    """Start of each feature's pieces, then the end of the last."""


class EntryList(ABC):
    """A list of entries, each a feature in a token; sorted by feature on first use.

    Nothing here waits for the device: all sizes follow from shapes.
    """

    def __init__(self, feature_E: Tensor, n_rows: int, d_sae: int, piece: int = PIECE) -> None:
        self.feature_E = feature_E
        self.n_rows = n_rows
        """Rows that entries are summed into: tokens, or parts of tokens."""
        self.d_sae = d_sae
        self.piece = piece

    @abstractmethod
    def tokens_of(self, entry_E: Tensor) -> Tensor:
        """Return the rows of some entries, given by index."""

    @cached_property
    def by_feature(self) -> ByFeature:
        """The entries by feature. The sort is stable: sums have one order, and a resumed run gives the same bits."""
        entry_E, start_G = _sorted(self.feature_E, self.d_sae)
        return ByFeature(entry_E, self.tokens_of(entry_E), start_G)

    @cached_property
    def pieces(self) -> Pieces:
        """Cut features with many entries into pieces, by a feature's own entries alone.

        Features with more than `piece` entries need at most 2 · (E // piece) pieces; that many are allotted.
        """
        start_G = self.by_feature.start_G
        count_F = start_G.diff()
        pieces_F = torch.where(count_F > self.piece, (count_F + self.piece - 1) // self.piece, 0)
        first_G = functional.pad(pieces_F.cumsum(0), (1, 0))
        each_P = torch.arange(2 * (self.feature_E.numel() // self.piece), device=start_G.device)
        return Pieces(self.piece, torch.searchsorted(first_G[1:], each_P, right=True), first_G)

    def fired(self, active_V: Tensor) -> Tensor:
        """Return True for features with an active entry [F]."""
        fired_F = torch.zeros(self.d_sae, dtype=torch.bool, device=active_V.device)
        fired_F[self.feature_E[active_V.flatten()]] = True
        return fired_F


def _sorted(feature_E: Tensor, d_sae: int) -> tuple[Tensor, Tensor]:
    """Return the index of each entry in order of features, and where the entries of each feature begin.

    NumPy radix-sorts 16-bit numbers: ten times as fast; and counting takes a tenth of searching for each feature.
    """
    if feature_E.is_cpu and d_sae <= 1 << 16:
        short_E, start_G = feature_E.numpy().astype(np.uint16), np.zeros(d_sae + 1, np.int64)
        np.cumsum(np.bincount(short_E, minlength=d_sae), out=start_G[1:])
        return torch.from_numpy(np.argsort(short_E, kind="stable")), torch.from_numpy(start_G)
    feature_E, entry_E = feature_E.int().sort(stable=True)
    each_G = torch.arange(d_sae + 1, dtype=torch.int32, device=feature_E.device)
    return entry_E, torch.searchsorted(feature_E, each_G)
