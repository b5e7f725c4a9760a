"""One file of the feature index: features.h5, or one segment.

Shapes: N tokens, F features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.index.feature_ids import FeatureIds
from store.index.index_file import IndexFile


class Postings(NamedTuple):
    """Entries of one feature, descending by activation, ties by token."""

    token: NDArray[np.int64]
    """Corpus place: number of the token in the whole corpus."""
    act: NDArray[np.float32]


class FeatureEntries(NamedTuple):
    """Entries of several features: E of them."""

    feature: NDArray[np.int64]
    token: NDArray[np.int64]
    """Corpus places."""
    act: NDArray[np.float32]


@dataclass(frozen=True)
class ColumnTotals:
    """Columns summed over consecutive parts."""

    n_parts: int
    count_F: NDArray[np.int64]
    sum_F: NDArray[np.float64]
    max_F: NDArray[np.float32]
    top_sum_F: NDArray[np.float64]
    top_token_F: NDArray[np.int32]
    """Top token of the part where its sum is largest."""

    @classmethod
    def of(cls, parts: Sequence[IndexPart], known: ColumnTotals | None = None) -> ColumnTotals:
        """Sum the columns of `parts`; `known` already covers the first ones."""
        total = known
        for number in range(known.n_parts if known else 0, len(parts)):
            total = cls._first(parts[number]) if total is None else total._plus(parts[number])
        if total is None:
            raise ValueError("there are no parts")
        return total

    @classmethod
    def _first(cls, part: IndexPart) -> ColumnTotals:
        names = ("count", "sum", "max", "top_sum", "top_token")
        total = cls(1, *(part.column(name) for name in names))
        if (np.diff(part.inverted_indptr[:]) != total.count_F).any():
            raise ValueError("feature/count does not follow from inverted/indptr")
        return total

    def _plus(self, part: IndexPart) -> ColumnTotals:
        other = ColumnTotals._first(part)
        better_F = other.top_sum_F > self.top_sum_F
        return ColumnTotals(
            self.n_parts + 1,
            self.count_F + other.count_F,
            self.sum_F + other.sum_F,
            np.maximum(self.max_F, other.max_F),
            np.where(better_F, other.top_sum_F, self.top_sum_F),
            np.where(better_F, other.top_token_F, self.top_token_F),
        )


class IndexPart:
    """An open features.h5 or segment."""

    block_tokens = 1 << 17
    """Corpus places handled at once."""
    near = 1 << 14
    """Entries between two rows up to which both are read in one read."""
    tokens_at_once = 1 << 16
    """Tokens whose rows are handled at once: 4 MB of forward/feature at 32 active features."""
    few_rows = 64
    """Rows up to which each is read by itself: a read costs about a 64th of reading them all."""

    def __init__(self, file: IndexFile) -> None:
        self.n_tokens = file.lengths["N"]
        self.first_token = file.number("first_token")
        self.first_context = file.number("first_context")
        self.n_counted = file.number("n_counted", self.n_tokens)
        self.tokens = file.array("corpus/tokens")
        self.forward_indptr, self.forward_act = (file.array(f"forward/{name}") for name in ("indptr", "act"))
        self.forward_feature = FeatureIds(file)
        self.inverted_indptr, self.inverted_token, self.inverted_act = (
            file.array(f"inverted/{name}") for name in ("indptr", "token", "act")
        )
        self.file, self.unit_F = file, file.unit_F

    def column(self, name: str) -> NDArray[Any]:
        """Read a column with one value per feature, over this part's tokens."""
        return self.file.whole(f"feature/{name}")

    def span(self, feature: int) -> tuple[int, int]:
        """Return the feature's half-open range of entries in the inverted order."""
        first, last = self.inverted_indptr[feature : feature + 2]
        return int(first), int(last)

    def unit(self, feature: int) -> np.float32:
        """Return the activation of a feature that a stored 1 stands for, a power of two."""
        return np.float32(1) if self.unit_F is None else self.unit_F[feature]

    def entries(self, feature: int, first: int, last: int) -> Postings:
        """Read entries first … last-1 of the inverted order, all of them a feature's."""
        token, act = self.stored(first, last)
        return Postings(token, act.astype(np.float32) * self.unit(feature))

    def entries_of(self, first: int, stop: int) -> FeatureEntries:
        """Read all entries of features first … stop-1."""
        edges = self.inverted_indptr[first : stop + 1]
        feature_E = np.repeat(np.arange(first, stop), np.diff(edges))
        token_E, stored_E = self.stored(int(edges[0]), int(edges[-1]))
        act_E = stored_E.astype(np.float32)
        if self.unit_F is not None:
            act_E *= self.unit_F[feature_E]
        return FeatureEntries(feature_E, token_E, act_E)

    def forward_entries(self, first: int, last: int) -> tuple[NDArray[np.unsignedinteger[Any]], NDArray[np.float32]]:
        """Read features and activations of entries first … last-1 of the forward order."""
        feature, act = self.forward_feature[first:last], self.forward_act[first:last].astype(np.float32)
        if self.unit_F is not None:
            act *= self.unit_F[feature]
        return feature, act

    def stored(self, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Read corpus places and activations, as stored, of entries first … last-1 of the inverted order."""
        token = self.inverted_token[first:last].astype(np.int64)
        token += self.first_token
        return token, self.inverted_act[first:last]

    def entries_on(self, vocab: NDArray[np.int64]) -> Iterator[tuple[NDArray[Any], NDArray[np.float32]]]:
        """Yield features and activations of all entries on tokens with one of the ids `vocab`, block by block.

        Rows near each other are read together: a read costs as much as some thousands of entries.
        """
        for first in range(0, self.n_tokens, self.block_tokens):
            token_N = self.tokens[first : first + self.block_tokens]
            place_N = np.flatnonzero(np.isin(token_N, vocab) if len(vocab) != 1 else token_N == vocab[0])
            if not len(place_N):
                continue
            edges = self.forward_indptr[first : first + len(token_N) + 1]
            start_N, stop_N = edges[place_N], edges[place_N + 1]
            far = np.flatnonzero(start_N[1:] - stop_N[:-1] > self.near) + 1
            features, acts = [], []
            for a, b in zip([0, *far.tolist()], [*far.tolist(), len(place_N)], strict=True):
                low, high = int(start_N[a]), int(stop_N[b - 1])
                wanted = inside(start_N[a:b] - low, stop_N[a:b] - start_N[a:b])
                feature, act = self.forward_entries(low, high)
                features.append(feature[wanted])
                acts.append(act[wanted])
            yield np.concatenate(features), np.concatenate(acts)

    def entries_where(self, wanted_N: NDArray[np.bool_]) -> Iterator[tuple[NDArray[Any], NDArray[np.float32]]]:
        """Yield features and activations of all entries on some of this part's tokens, block by block."""
        for first in range(0, self.n_tokens, self.tokens_at_once):
            edges = self.forward_indptr[first : first + self.tokens_at_once + 1]
            keep = np.repeat(wanted_N[first : first + len(edges) - 1], np.diff(edges))
            feature, act = self.forward_entries(int(edges[0]), int(edges[-1]))
            yield feature[keep], act[keep]

    def places(self, feature: int) -> NDArray[np.int64]:
        """Read the corpus places of the feature's entries, without their activations."""
        first, last = self.span(feature)
        return np.asarray(self.inverted_token[first:last].astype(np.int64) + self.first_token)

    def features_on(self, token_N: NDArray[np.int64]) -> Iterator[NDArray[np.unsignedinteger[Any]]]:
        """Yield the features that fire on each of some tokens, in blocks; a feature comes once per token it fires on.

        `token_N` rises and counts from this part's first token.
        """
        blocks = np.searchsorted(token_N, np.arange(0, self.n_tokens + self.tokens_at_once, self.tokens_at_once))
        for start, stop in pairwise(blocks.tolist()):
            if start == stop:
                continue
            token = token_N[start:stop]
            indptr = self.forward_indptr[token[0] : token[-1] + 2]
            first, last = indptr[token - token[0]], indptr[token - token[0] + 1]
            if len(token) <= self.few_rows:
                for a, b in zip(first.tolist(), last.tolist(), strict=True):
                    yield self.forward_feature[a:b]
            else:
                features = self.forward_feature[indptr[0] : indptr[-1]]
                yield features[inside(first - indptr[0], last - first)]


def inside(first_N: NDArray[np.int64], length_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices of ranges end to end: length[0] numbers from first[0] on, length[1] from first[1] on, …"""
    end_N = np.cumsum(length_N)
    return np.repeat(first_N - end_N + length_N, length_N) + np.arange(end_N[-1] if len(end_N) else 0)
