"""Which features are active in which token, and the same by feature.

Shapes: B tokens of a batch, F = d_sae, G = F + 1, K entries kept a token, E = B·K entries, P pieces of long features.
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
"""Entries of a feature that one program of a kernel sums; features with more are cut into pieces."""


class ByFeature(NamedTuple):
    """The entries of a batch, put in order of their features."""

    entry_E: Tensor
    """Number of each entry, in the order in which they were listed."""
    token_E: Tensor
    """Its token."""
    start_G: Tensor
    """Where each feature's entries begin, and behind the last one where they end."""


class Pieces(NamedTuple):
    """The entries of features that have more than `length` of them, cut into stretches of that length."""

    length: int
    feature_P: Tensor
    """Whose entries they are, in order of features; F for those that fill up the fixed number of pieces."""
    first_G: Tensor
    """Where each feature's pieces begin, and behind the last one where they end."""


class Listed(ABC):
    """A list of entries, each a feature in a token, and the same by feature once somebody asks for it.

    Nothing here waits for the device: all sizes follow from the shapes.
    """

    def __init__(self, feature_E: Tensor, n_rows: int, d_sae: int, piece: int = PIECE) -> None:
        self.feature_E = feature_E
        self.n_rows = n_rows
        """How many tokens there are."""
        self.d_sae = d_sae
        self.piece = piece

    @abstractmethod
    def tokens_of(self, entry_E: Tensor) -> Tensor:
        """The tokens of some entries, by their numbers."""

    @cached_property
    def by_feature(self) -> ByFeature:
        """Stable, so that sums have one order and a resumed run the same bits."""
        feature_E, entry_E = _sorted(self.feature_E, self.d_sae)
        each_G = torch.arange(self.d_sae + 1, dtype=torch.int32, device=feature_E.device)
        return ByFeature(entry_E, self.tokens_of(entry_E), torch.searchsorted(feature_E, each_G))

    @cached_property
    def pieces(self) -> Pieces:
        """Where long features are cut: it depends on a feature's own entries and on nothing else.

        A feature of more entries than `piece` needs at most 2 · (entries // piece); so many are reckoned for.
        """
        start_G = self.by_feature.start_G
        count_F = start_G.diff()
        pieces_F = torch.where(count_F > self.piece, (count_F + self.piece - 1) // self.piece, 0)
        first_G = functional.pad(pieces_F.cumsum(0), (1, 0))
        each_P = torch.arange(2 * (self.feature_E.numel() // self.piece), device=start_G.device)
        return Pieces(self.piece, torch.searchsorted(first_G[1:], each_P, right=True), first_G)


def _sorted(feature_E: Tensor, d_sae: int) -> tuple[Tensor, Tensor]:
    """Features in order, and where each was. NumPy sorts 16-bit numbers by their digits: ten times as fast."""
    if feature_E.is_cpu and d_sae <= 1 << 16:
        short_E = feature_E.numpy().astype(np.uint16)
        entry_E = torch.from_numpy(np.argsort(short_E, kind="stable"))
        return feature_E.int()[entry_E], entry_E
    feature_E, entry_E = feature_E.int().sort(stable=True)
    return feature_E, entry_E


class Entries(Listed):
    """K entries in every token."""

    def __init__(self, feature_BK: Tensor, d_sae: int, piece: int = PIECE) -> None:
        super().__init__(feature_BK.flatten(), len(feature_BK), d_sae, piece)
        self.feature_BK = feature_BK

    def tokens_of(self, entry_E: Tensor) -> Tensor:
        """Entries lie token by token."""
        return entry_E // max(1, self.feature_BK.shape[1])
