"""Units of text that two stores share: the shortest spans of a document between places at which both cut.

Documents are paired by a digest of their text, so order, split, packing and cuts may differ. A store cuts wherever none
of its tokens goes on: anywhere in text that no token covers, so that " the" of one and "the" of another, which drops
spaces, are one unit.

Shapes: N tokens of a store, T of its tokens that cover text, D its documents, P pairs of documents, U units.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.index.corpus_text import Places
from store.index.index_part import inside
from store.index.reader import FeatureStore
from store.query.document_texts import DocumentTexts, clusters, paired_texts

UnitKind = Literal["token", "word"]
UnitValue = Literal["max", "sum", "last"]
"""A feature's value at a unit: the largest of its tokens', their sum, or the last token's."""
VALUES: tuple[UnitValue, ...] = get_args(UnitValue)
LONGEST = 24
"""Bytes of a unit at most; longer ones are left out and counted."""
NO_UNIT = -1
_WHITE = np.isin(np.arange(256), np.frombuffer(b" \t\n\r\v\f", np.uint8))


@dataclass(frozen=True)
class TextUnits:
    """Units of the documents that two stores share, numbered in the order of the first store's documents."""

    unit_N: tuple[Places, Places]
    """For each store, the unit of each of its tokens [N]; NO_UNIT for tokens outside of all units."""
    last_N: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    """For each store, which of its tokens [N] are the last of their unit, in the order of the text."""
    document_U: NDArray[np.int32]
    """Pair of documents of each unit."""
    length_U: NDArray[np.uint8]
    """Bytes of each unit."""
    end_U: Places
    """Where each unit ends in the bytes of the paired documents, laid end to end in the order of the pairs."""
    documents_P2: Places
    """The documents of both stores in each pair."""
    measuring_P: NDArray[np.bool_]
    """Which pairs of documents measure; the others choose. By the digest, so the same in every pair of stores."""
    too_long: int
    """Units of more than LONGEST bytes, which are left out."""
    one_sided: int
    """Spans that have tokens of one store only, and are left out: the other dropped that text, or ends before it."""
    unpaired: tuple[int, int]
    """Documents of each store that the other lacks."""

    def valued_N(self, side: int, value: UnitValue) -> Places:
        """Return the unit of each token of a store [N] that a unit's value is made of; NO_UNIT for others."""
        return np.where(self.last_N[side], self.unit_N[side], NO_UNIT) if value == "last" else self.unit_N[side]

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.document_U)

    @property
    def n_documents(self) -> int:
        """Number of pairs of documents."""
        return len(self.measuring_P)

    @cached_property
    def measuring_U(self) -> NDArray[np.bool_]:
        """Which units measure."""
        return self.measuring_P[self.document_U]

    @cached_property
    def starts_P(self) -> Places:
        """First unit of each pair of documents; of one without units, of the next."""
        return np.searchsorted(self.document_U, np.arange(self.n_documents))


def shared_units(first: DocumentTexts, second: DocumentTexts, kind: UnitKind = "token") -> TextUnits:
    """Pair the documents of two stores, and cut them into units.

    Args:
        first: the documents of one store.
        second: those of the other.
        kind: `token` for the shortest spans; `word` for those between white space.

    Raises:
        MonosemError: the stores share no document, or only one half of them.
    """
    pairs_P2, digests = _pairs(first, second)
    if not len(pairs_P2):
        raise _nothing_shared(first, second)
    length_P = first.length_D[pairs_P2[:, 0]]
    sides = [_PairedTokens.of(texts, pair_P) for texts, pair_P in zip((first, second), pairs_P2.T, strict=True)]
    bounds = _common_cuts(sides, np.cumsum(length_P))
    if kind == "word":
        bounds = _between_words(bounds, paired_texts(first, second, pairs_P2), np.cumsum(length_P))
    unit_of = [np.searchsorted(bounds, side.end_T, "left") for side in sides]
    having = [np.bincount(unit_T, minlength=len(bounds)) > 0 for unit_T in unit_of]
    length_U = np.diff(bounds, prepend=0)
    shared_U = having[0] & having[1]
    kept_U = shared_U & (length_U <= LONGEST)
    number_U = np.where(kept_U, np.cumsum(kept_U) - 1, NO_UNIT)
    unit_N, last_N = [], []
    for texts, side, unit_T in zip((first, second), sides, unit_of, strict=True):
        units = np.full(texts.n_tokens, NO_UNIT, np.int64)
        units[side.place_T] = number_U[unit_T]
        unit_N.append(units)
        last = np.zeros(texts.n_tokens, bool)
        last[side.place_T] = np.diff(unit_T, append=len(bounds)) != 0
        last_N.append(last)
    measuring_P = np.array([digest[0] & 1 == 1 for digest in digests])
    if measuring_P.all() or not measuring_P.any():
        raise MonosemError(
            f"the {len(measuring_P)} documents in common cannot be cut into two halves", "Index more text."
        )
    return TextUnits(
        (unit_N[0], unit_N[1]),
        (last_N[0], last_N[1]),
        np.searchsorted(np.cumsum(length_P), bounds, "left")[kept_U].astype(np.int32),
        length_U[kept_U].astype(np.uint8),
        bounds[kept_U],
        pairs_P2,
        measuring_P,
        int((shared_U & ~kept_U).sum()),
        int((having[0] ^ having[1]).sum()),
        (len(first.digest_D) - len(pairs_P2), len(second.digest_D) - len(pairs_P2)),
    )


def texts_of(stores: tuple[FeatureStore, FeatureStore]) -> tuple[DocumentTexts, DocumentTexts]:
    """Read the documents of two stores so that they can be paired.

    Beside a store that knows what its tokens cover, an older one may still pair by the bytes of both's tokens: in
    chats, which are the template's text there.

    Raises:
        MonosemError: a store is damaged or has vanished.
    """
    first, second = map(DocumentTexts.of, stores)
    if first.located != second.located and not len(_pairs(first, second)[0]):
        return DocumentTexts.by_vocabulary(stores[0]), DocumentTexts.by_vocabulary(stores[1])
    return first, second


def _nothing_shared(first: DocumentTexts, second: DocumentTexts) -> MonosemError:
    hint = "`data=FILE` and `tokens=N` index both on one text, beside their own."
    if not (first.located and second.located):
        hint = f"`monosem index RUN --add-offsets` aligns indexes of an earlier version whose tokens change it; {hint}"
    return MonosemError("the two indexes have no document in common, to the byte", hint)


def _pairs(first: DocumentTexts, second: DocumentTexts) -> tuple[Places, list[bytes]]:
    """Return the documents of equal bytes [P, 2] and their digests; the n-th of several equal ones with the n-th."""
    waiting: defaultdict[tuple[bytes, int], list[int]] = defaultdict(list)
    for number in range(len(second.digest_D) - 1, -1, -1):
        if second.length_D[number]:
            waiting[second.digest_D[number], int(second.length_D[number])].append(number)
    found, digests = [], []
    for number, digest in enumerate(first.digest_D):
        same = waiting[digest, int(first.length_D[number])]
        if first.length_D[number] and same:
            found.append((number, same.pop()))
            digests.append(digest)
    return np.array(found, np.int64).reshape(-1, 2), digests


@dataclass(frozen=True)
class _PairedTokens:
    """Tokens of paired documents: places, and spans in the documents' bytes laid end to end, starts ascending."""

    place_T: Places
    start_T: Places
    end_T: Places

    @classmethod
    def of(cls, texts: DocumentTexts, document_P: Places) -> _PairedTokens:
        """Return the tokens of some documents of a store."""
        count_P, length_P = texts.tokens_D[document_P], texts.length_D[document_P]
        token = inside((np.cumsum(texts.tokens_D) - texts.tokens_D)[document_P], count_P)
        before_T = np.repeat(np.cumsum(length_P) - length_P, count_P)
        return cls(texts.place_T[token], texts.start_T[token] + before_T, texts.end_T[token] + before_T)


def _common_cuts(sides: Sequence[_PairedTokens], edge_P: Places) -> Places:
    """Return the places at which both cut, ascending, from the first beyond 0 to the end of the last document.

    Of text that no token of either covers, only its ends are taken: between two cuts of it there is nothing.
    """
    found = [clusters(side.start_T, side.end_T)[1:] for side in sides]
    cuts = np.unique(np.concatenate([edge_P, *(edges for pair in found for edges in pair)]))
    cuts = cuts[cuts > 0]
    for start_C, end_C in found:
        if len(start_C):
            before = np.searchsorted(start_C, cuts, "left") - 1  # the last cluster that starts before the place
            cuts = cuts[(before < 0) | (end_C[np.maximum(before, 0)] <= cuts)]
    return cuts


def _between_words(bounds: Places, text: NDArray[np.uint8], edge_P: Places) -> Places:
    """Return the bounds that have white space behind them, and the ends of documents."""
    at_edge = np.isin(bounds, edge_P)
    white = _WHITE[text[np.minimum(bounds, len(text) - 1)]]
    return bounds[white | at_edge]
