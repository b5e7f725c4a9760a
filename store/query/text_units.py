"""Units of text that two stores share: the shortest spans of a document between token boundaries common to both.

Documents are paired by a digest of their bytes, so order, split, packing and cuts may differ. The bytes are those of
the tokens, without what begins or ends a document; a space that a tokenizer puts before every document is left out.

Shapes: N tokens of a store, T of its tokens that have text, D its documents, P pairs of documents, U units.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.index.corpus_text import NO_OPENER, Places, opening_token
from store.index.reader import FeatureStore

UnitKind = Literal["token", "word"]
LONGEST = 24
"""Bytes of a unit at most; longer ones are left out and counted."""
NO_UNIT = -1
_SPACE = ord(" ")
_WHITE = np.isin(np.arange(256), np.frombuffer(b" \t\n\r\v\f", np.uint8))


@dataclass(frozen=True)
class DocumentTexts:
    """The documents of a store as bytes, and where its tokens end in them."""

    place_T: Places
    """Corpus places of the tokens that have text, document by document, in the order of the text."""
    length_T: Places
    """Bytes of each."""
    text: NDArray[np.uint8]
    """The bytes of all documents, end to end."""
    tokens_D: Places
    """Tokens of each document."""
    n_tokens: int
    """Tokens of the store, those without text included."""

    @classmethod
    def of(cls, store: FeatureStore) -> DocumentTexts:
        """Read all of a store's documents."""
        place_T, tokens_D = _text_places(store)
        ids_T = store.tokens(0, store.n_tokens)[place_T]
        kept_T = np.ones(len(ids_T), bool)
        if (separator := _separator(ids_T, tokens_D)) is not None:
            kept_T = ids_T != separator
        document_T = np.repeat(np.arange(len(tokens_D)), tokens_D)[kept_T]
        place_T, tokens_D = place_T[kept_T], np.bincount(document_T, minlength=len(tokens_D))
        text, length_T = store.vocabulary.joined(ids_T[kept_T].astype(np.int64))
        found = cls(place_T, length_T, text, tokens_D, store.n_tokens)
        return found._without_first_space()

    @cached_property
    def length_D(self) -> Places:
        """Bytes of each document."""
        ends = np.append(0, np.cumsum(self.length_T))
        length_D: Places = np.diff(ends[np.append(0, np.cumsum(self.tokens_D))])
        return length_D

    @cached_property
    def digest_D(self) -> list[bytes]:
        """A digest of the bytes of each document."""
        raw, edges = self.text.tobytes(), np.append(0, np.cumsum(self.length_D)).tolist()
        return [blake2b(raw[start:end], digest_size=16).digest() for start, end in pairwise(edges)]

    def _without_first_space(self) -> DocumentTexts:
        """Leave out the space before each document, if every one of them has one: a tokenizer put it there."""
        edge_D = np.append(0, np.cumsum(self.length_D)[:-1])[self.length_D > 0]
        if not len(edge_D) or not (self.text[edge_D] == _SPACE).all():
            return self
        document_T = np.repeat(np.arange(len(self.tokens_D)), self.tokens_D)
        having = np.flatnonzero(self.length_T > 0)
        _, first = np.unique(document_T[having], return_index=True)
        length_T = self.length_T.copy()
        length_T[having[first]] -= 1
        return DocumentTexts(self.place_T, length_T, np.delete(self.text, edge_D), self.tokens_D, self.n_tokens)


def _text_places(store: FeatureStore) -> tuple[Places, Places]:
    """Return the places [T] of tokens other than BOS, document by document, and how many each document has [D].

    The pieces of a document come in the order of the corpus; contexts of documents of their own are sorted by length,
    so there the shorter last piece of a document, which precedes the others, goes behind them.
    """
    start_R, number_R = store.layout.documents
    length_R = np.diff(start_R, append=store.n_tokens)
    number_D, document_R = np.unique(number_R, return_inverse=True)
    order_R = np.lexsort((np.arange(len(start_R)), -length_R, document_R))
    in_place = np.lexsort((np.arange(len(start_R)), document_R))
    cut_R = np.bincount(document_R)[document_R[in_place]] > 1
    if store.plan.packing != "documents" or not cut_R.any():
        order_R = in_place
    start, length = start_R[order_R], length_R[order_R]
    place_N = np.arange(length.sum()) + np.repeat(start - (np.cumsum(length) - length), length)
    document_N = np.repeat(document_R[order_R], length)
    opener = opening_token(store, store.layout.counted_tokens())
    if opener != NO_OPENER:
        has_text_N = store.tokens(0, store.n_tokens)[place_N] != opener
        place_N, document_N = place_N[has_text_N], document_N[has_text_N]
    return place_N, np.bincount(document_N, minlength=len(number_D))


def _separator(ids_T: NDArray[np.int32], tokens_D: Places) -> int | None:
    """Return the token that ends every document but perhaps the last, and stands nowhere else; None without one."""
    ends = np.cumsum(tokens_D)[tokens_D > 0] - 1
    if len(ends) < 2:
        return None
    last = ids_T[ends[:-1]]
    if (last != last[0]).any():
        return None
    inside = int((ids_T == last[0]).sum()) - len(last) - int(ids_T[ends[-1]] == last[0])
    return int(last[0]) if inside == 0 else None


@dataclass(frozen=True)
class TextUnits:
    """Units of the documents that two stores share, numbered in the order of the first store's documents."""

    unit_N: tuple[Places, Places]
    """For each store, the unit of each of its tokens [N]; NO_UNIT for tokens outside of all units."""
    document_U: NDArray[np.int32]
    """Pair of documents of each unit."""
    length_U: NDArray[np.uint8]
    """Bytes of each unit."""
    end_U: Places
    """Where each unit ends in the bytes of the paired documents, laid end to end in the order of the pairs."""
    document_P: Places
    """Document of the first store in each pair."""
    measuring_P: NDArray[np.bool_]
    """Which pairs of documents measure; the others choose. By the digest, so the same in every pair of stores."""
    too_long: int
    """Units of more than LONGEST bytes, which are left out."""
    unpaired: tuple[int, int]
    """Documents of each store that the other lacks."""

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
        """First unit of each pair of documents."""
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
        raise MonosemError(
            "the two indexes have no document in common, to the byte",
            "`data=FILE` and `tokens=N` index both on one text, beside their own.",
        )
    ends = [_token_ends(texts, pair_P) for texts, pair_P in zip((first, second), pairs_P2.T, strict=True)]
    bounds = np.intersect1d(ends[0].end_T, ends[1].end_T)
    length_P = first.length_D[pairs_P2[:, 0]]
    if kind == "word":
        bounds = _between_words(bounds, first, pairs_P2[:, 0], length_P)
    edge_P = np.cumsum(length_P)
    document_U = np.searchsorted(edge_P, bounds, "left")
    length_U = np.diff(bounds, prepend=0)
    kept_U = length_U <= LONGEST
    number_U = np.where(kept_U, np.cumsum(kept_U) - 1, NO_UNIT)
    unit_N = []
    for texts, side in zip((first, second), ends, strict=True):
        units = np.full(texts.n_tokens, NO_UNIT, np.int64)
        units[side.place_T] = number_U[np.searchsorted(bounds, side.end_T, "left")]
        unit_N.append(units)
    measuring_P = np.array([digest[0] & 1 == 1 for digest in digests])
    if measuring_P.all() or not measuring_P.any():
        raise MonosemError(
            f"the {len(measuring_P)} documents in common cannot be cut into two halves", "Index more text."
        )
    return TextUnits(
        (unit_N[0], unit_N[1]),
        document_U[kept_U].astype(np.int32),
        length_U[kept_U].astype(np.uint8),
        bounds[kept_U],
        pairs_P2[:, 0],
        measuring_P,
        int((~kept_U).sum()),
        (len(first.digest_D) - len(pairs_P2), len(second.digest_D) - len(pairs_P2)),
    )


def _pairs(first: DocumentTexts, second: DocumentTexts) -> tuple[Places, list[bytes]]:
    """Return the documents of equal bytes [P, 2] and their digests; the n-th of several equal ones with the n-th."""
    waiting = defaultdict(list)
    for number in range(len(second.digest_D) - 1, -1, -1):
        if second.length_D[number]:
            waiting[second.digest_D[number]].append(number)
    found, digests = [], []
    for number, digest in enumerate(first.digest_D):
        if first.length_D[number] and waiting[digest]:
            found.append((number, waiting[digest].pop()))
            digests.append(digest)
    return np.array(found, np.int64).reshape(-1, 2), digests


@dataclass(frozen=True)
class _TokenEnds:
    """Tokens of paired documents: places, and their ends in the paired documents' bytes laid end to end."""

    place_T: Places
    end_T: Places


def _token_ends(texts: DocumentTexts, document_P: Places) -> _TokenEnds:
    count = texts.tokens_D[document_P]
    first = (np.cumsum(texts.tokens_D) - texts.tokens_D)[document_P]
    token = np.arange(count.sum()) + np.repeat(first - (np.cumsum(count) - count), count)
    length = texts.length_T[token]
    end = np.cumsum(length)
    return _TokenEnds(texts.place_T[token][length > 0], end[length > 0])


def _between_words(bounds: Places, texts: DocumentTexts, document_P: Places, length_P: Places) -> Places:
    """Return the bounds that have white space behind them, and the ends of documents."""
    edge_P = np.cumsum(length_P)
    offset_D = np.cumsum(texts.length_D) - texts.length_D
    pair = np.searchsorted(edge_P, bounds, "left")
    inner = bounds < edge_P[pair]
    at = offset_D[document_P[pair]] + bounds - (edge_P - length_P)[pair]
    white = np.zeros(len(bounds), bool)
    white[inner] = _WHITE[texts.text[at[inner]]]
    return bounds[white | ~inner]
