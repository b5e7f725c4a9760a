"""All entries of one feature, held in memory while its page is built.

Shapes: N entries, W windows of text, T tokens of a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.index.index_part import IndexPart, Postings, inside


class FeatureWindow(NamedTuple):
    """Tokens of one window of the corpus, and a feature's activations on them."""

    token_T: NDArray[np.int32]
    act_T: NDArray[np.float32]


@dataclass(frozen=True)
class FeaturePostings:
    """Entries of one feature, descending by activation, ties by token."""

    token_N: NDArray[np.int64]
    act_N: NDArray[np.float16]
    """As stored, in units of `unit`."""
    unit: np.float32

    @classmethod
    def of(cls, parts: Sequence[IndexPart], feature: int) -> FeaturePostings:
        """Read a feature's entries from all parts of an index."""
        pieces = [part.stored(*part.span(feature)) for part in parts]
        unit = parts[0].unit(feature)
        if len(pieces) == 1:
            return cls(*pieces[0], unit)
        token_N, act_N = (np.concatenate(column) for column in zip(*pieces, strict=True))
        # Parts cover rising tokens, so a stable sort leaves equal activations in token order.
        order_N = np.argsort(np.uint16(0xFFFF) - act_N.view(np.uint16), kind="stable")
        return cls(token_N[order_N], act_N[order_N], unit)

    def postings(self, wanted: slice | NDArray[np.int64]) -> Postings:
        """Return entries by rank."""
        return Postings(self.token_N[wanted], self.act_N[wanted].astype(np.float32) * self.unit)

    def on(self, start_W: NDArray[np.int64], stop_W: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        """Return the activation on each token of windows start … stop-1; 0 where the feature does not fire."""
        if len(start_W) == 1:  # to sort all entries by token pays off for several windows
            return [self._within(int(start_W[0]), int(stop_W[0]))]
        length_W = stop_W - start_W
        begin_W = np.cumsum(length_W) - length_W
        act = np.zeros(int(length_W.sum()), np.float32)
        token_N, act_N = self._by_token
        first_W, last_W = np.searchsorted(token_N, start_W), np.searchsorted(token_N, stop_W)
        entry = inside(first_W, last_W - first_W)
        act[token_N[entry] + np.repeat(begin_W - start_W, last_W - first_W)] = act_N[entry]
        return [act[at : at + n] for at, n in zip(begin_W.tolist(), length_W.tolist(), strict=True)]

    def _within(self, start: int, stop: int) -> NDArray[np.float32]:
        act_T = np.zeros(stop - start, np.float32)
        hit_N = np.flatnonzero((self.token_N >= start) & (self.token_N < stop))
        act_T[self.token_N[hit_N] - start] = self.act_N[hit_N].astype(np.float32) * self.unit
        return act_T

    @cached_property
    def _by_token(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        order_N = np.argsort(self.token_N)
        return self.token_N[order_N], self.act_N[order_N].astype(np.float32) * self.unit
