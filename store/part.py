"""One file's share of the feature index, and where one feature fires in several of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

TOKENS_AT_ONCE = 1 << 16
"""Tokens whose rows are looked up together; at 32 active features they have 4 MB of forward/feature."""
FEW_ROWS = 64
"""Up to so many of them each row is read by itself: a read costs about a 64th of reading them all."""


class Postings(NamedTuple):
    """Where one feature fires, descending by activation, ties by token."""

    token: NDArray[np.int64]
    """Place in the corpus, counted over all its tokens."""
    act: NDArray[np.float32]


class Part:
    """features.h5 whole, or one segment."""

    def __init__(self, file: h5py.File) -> None:
        self.first_token = int(file.attrs["first_token"])
        self.first_context = int(file.attrs["first_context"])
        self.n_tokens = int(file.attrs["n_tokens"])
        self.n_counted = int(file.attrs["n_counted"])
        self.tokens = file["corpus/tokens"]
        self.forward_indptr, self.forward_feature, self.forward_act = (
            file["forward"][name] for name in ("indptr", "feature", "act")
        )
        self.inverted_indptr, self.inverted_token, self.inverted_act = (
            file["inverted"][name] for name in ("indptr", "token", "act")
        )
        self.file = file

    def column(self, name: str) -> NDArray[Any]:
        """One value a feature, over this part's tokens."""
        return np.asarray(self.file[f"feature/{name}"][()])

    def span(self, feature: int) -> tuple[int, int]:
        """The feature's entries in the inverted order: the first, and the one behind the last."""
        first, last = self.inverted_indptr[feature : feature + 2]
        return int(first), int(last)

    def entries(self, first: int, last: int) -> Postings:
        """Entries first … last-1 of the inverted order."""
        token = self.inverted_token[first:last].astype(np.int64)
        return Postings(token + self.first_token, self.inverted_act[first:last].astype(np.float32))

    def places(self, feature: int) -> NDArray[np.int64]:
        """The corpus places of the feature's entries, without their activations."""
        first, last = self.span(feature)
        return np.asarray(self.inverted_token[first:last].astype(np.int64) + self.first_token)

    def features_on(self, token_N: NDArray[np.int64]) -> Iterator[NDArray[np.unsignedinteger[Any]]]:
        """The features that fire on some tokens, piece by piece: each as often as there are tokens it fires on.

        `token_N` rises and counts from this part's first token.
        """
        blocks = np.searchsorted(token_N, np.arange(0, self.n_tokens + TOKENS_AT_ONCE, TOKENS_AT_ONCE))
        for start, stop in pairwise(blocks.tolist()):
            if start == stop:
                continue
            token = token_N[start:stop]
            indptr = self.forward_indptr[token[0] : token[-1] + 2]
            first, last = indptr[token - token[0]], indptr[token - token[0] + 1]
            if len(token) <= FEW_ROWS:
                for a, b in zip(first.tolist(), last.tolist(), strict=True):
                    yield self.forward_feature[a:b]
            else:
                features = self.forward_feature[indptr[0] : indptr[-1]]
                yield features[_inside(first - indptr[0], last - first)]


def _inside(first_N: NDArray[np.int64], length_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """first[0], first[0]+1, … for length[0] numbers, then the same from first[1] on, and so forth."""
    behind_N = np.cumsum(length_N)
    return np.repeat(first_N - behind_N + length_N, length_N) + np.arange(behind_N[-1])


def merged_entries(parts: Sequence[Part], feature: int) -> Postings:
    """Every entry of a feature in segments that follow each other."""
    pieces = [part.entries(*part.span(feature)) for part in parts]
    token = np.concatenate([piece.token for piece in pieces])
    act = np.concatenate([piece.act for piece in pieces])
    # Segments cover rising tokens, so a stable sort leaves equal activations in token order.
    falling = np.uint16(0xFFFF) - act.astype(np.float16).view(np.uint16)
    order = np.argsort(falling, kind="stable")
    return Postings(token[order], act[order])
