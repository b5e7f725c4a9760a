"""The documents of a store, and the bytes of each that its tokens cover, to pair and align them with another store's.

An index that knows what its tokens cover of the original text is believed. In older ones the bytes of the tokens, laid
end to end, are the text, without what begins or ends a document; a space that a tokenizer puts before every document is
left out. Tokenizers that change the text do not give it back so, and their documents are found in no other store.

Shapes: N tokens of a store, T of its tokens that cover text, D its documents, C clusters of tokens, B bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from store.index.corpus_text import NO_OPENER, Places, opening_token
from store.index.index_part import inside
from store.index.reader import FeatureStore
from store.index.text_spans import NO_TEXT, TextColumns, text_digest
from store.index.vocabulary import Vocabulary

_SPACE = ord(" ")


@dataclass(frozen=True)
class DocumentTexts:
    """The documents of a store, and where its tokens lie in them."""

    place_T: Places
    """Corpus places of the tokens that cover text, document by document, ascending by where they start in it."""
    start_T: Places
    end_T: Places
    """The half-open range of bytes of its document that each covers; tokens may overlap, and leave gaps."""
    tokens_D: Places
    """Tokens of each document that cover text."""
    length_D: Places
    """Bytes of each document's text; 0 for one that cannot be paired."""
    digest_D: list[bytes]
    """A digest of the text of each document."""
    n_tokens: int
    """Tokens of the store, those without text included."""
    located: bool
    """Whether the index knows what its tokens cover."""
    vocabulary: Vocabulary
    id_T: NDArray[np.int64]
    """Vocabulary ids of the tokens."""

    @classmethod
    def of(cls, store: FeatureStore) -> DocumentTexts:
        """Read all of a store's documents.

        Raises:
            MonosemError: the store is damaged or has vanished.
        """
        columns = store.layout.text
        return cls.by_vocabulary(store) if columns is None else _by_spans(store, columns)

    @classmethod
    def by_vocabulary(cls, store: FeatureStore) -> DocumentTexts:
        """Read all of a store's documents from the bytes of their tokens alone."""
        place_T, tokens_D = _text_places(store)
        id_T = store.tokens(0, store.n_tokens)[place_T].astype(np.int64)
        if (separator := _separator(id_T, tokens_D)) is not None:
            kept_T = id_T != separator
            document_T = np.repeat(np.arange(len(tokens_D)), tokens_D)[kept_T]
            place_T, id_T = place_T[kept_T], id_T[kept_T]
            tokens_D = np.bincount(document_T, minlength=len(tokens_D))
        text, length_T = store.vocabulary.joined(id_T)
        document_T = np.repeat(np.arange(len(tokens_D)), tokens_D)
        text, length_T = _without_first_space(text, length_T, document_T)
        having = length_T > 0
        length_D = np.bincount(document_T, length_T, len(tokens_D)).astype(np.int64)
        offset_D = np.cumsum(length_D) - length_D
        end_T = (np.cumsum(length_T) - offset_D[document_T])[having]
        raw, edges = text.tobytes(), np.append(0, np.cumsum(length_D)).tolist()
        return cls(
            place_T[having],
            end_T - length_T[having],
            end_T,
            np.bincount(document_T[having], minlength=len(tokens_D)),
            length_D,
            [text_digest(raw[start:end]) for start, end in pairwise(edges)],
            store.n_tokens,
            False,
            store.vocabulary,
            id_T[having],
        )

    @cached_property
    def offset_D(self) -> Places:
        """The first byte of each document, all laid end to end."""
        return np.asarray(np.cumsum(self.length_D) - self.length_D)

    @cached_property
    def text(self) -> NDArray[np.uint8]:
        """All documents end to end, as far as the tokens give them back.

        Text that no token covers is spaces. Tokens that stand for fewer bytes than they cover are filled with zeros;
        of those that stand for more, the first bytes are left out: a space before a word.
        """
        found = np.full(int(self.length_D.sum()), _SPACE, np.uint8)
        raw_B, bytes_T = self.vocabulary.joined(self.id_T)
        shift_T = np.repeat(self.offset_D, self.tokens_D)
        first, start_C, end_C = clusters(self.start_T + shift_T, self.end_T + shift_T)
        if not len(first):
            return found
        bytes_C = np.add.reduceat(bytes_T, first)
        size_C = end_C - start_C
        under = np.flatnonzero(bytes_C < size_C)
        found[inside(start_C[under] + bytes_C[under], size_C[under] - bytes_C[under])] = 0
        over_C = np.maximum(bytes_C - size_C, 0)
        place_B = inside(start_C - over_C, bytes_C)
        kept_B = place_B >= np.repeat(start_C, bytes_C)
        found[place_B[kept_B]] = raw_B[kept_B]
        return found

    @cached_property
    def exact_D(self) -> NDArray[np.bool_]:
        """Which documents' text is the original, to the byte."""
        raw, ends = self.text.tobytes(), np.cumsum(self.length_D).tolist()
        spans = zip(self.offset_D.tolist(), ends, self.digest_D, strict=True)
        return np.array([text_digest(raw[start:end]) == digest for start, end, digest in spans], bool)


def clusters(start_T: Places, end_T: Places) -> tuple[Places, Places, Places]:
    """Return the first token, the start and the end of each cluster of tokens that overlap; starts ascend [C]."""
    if not len(start_T):
        return start_T, start_T, start_T
    reach_T = np.maximum.accumulate(end_T)
    first = np.flatnonzero(np.append(True, start_T[1:] >= reach_T[:-1]))
    return first, start_T[first], reach_T[np.append(first[1:], len(start_T)) - 1]


def paired_texts(first: DocumentTexts, second: DocumentTexts, pairs_P2: Places) -> NDArray[np.uint8]:
    """Return the text of pairs of documents end to end, from the side that gives it back to the byte where one does."""
    sides = (first, second)
    pieces = []
    for pair in pairs_P2.tolist():
        side = 1 if not first.exact_D[pair[0]] and second.exact_D[pair[1]] else 0
        texts, document = sides[side], pair[side]
        start = int(texts.offset_D[document])
        pieces.append(texts.text[start : start + int(texts.length_D[document])])
    return np.concatenate([np.empty(0, np.uint8), *pieces])


def _by_spans(store: FeatureStore, columns: TextColumns) -> DocumentTexts:
    start_R, number_R = store.layout.documents
    number_D, document_R = np.unique(number_R, return_inverse=True)
    # Pieces of documents, by where they start in their document: an index need not hold them in that order.
    start = np.union1d(start_R, store.layout.contexts.start)
    document = np.repeat(document_R, np.diff(np.searchsorted(start, np.append(start_R, store.n_tokens))))
    order = np.lexsort((columns.start_N[start], document))
    length = np.diff(start, append=store.n_tokens)[order]
    place_N = inside(start[order], length)
    document_N = np.repeat(document[order], length)
    covers_N = columns.end_N[place_N] > columns.start_N[place_N]
    place_T, document_T = place_N[covers_N], document_N[covers_N]
    start_T, end_T = columns.start_N[place_T], columns.end_N[place_T]
    if ((np.diff(start_T) < 0) & (np.diff(document_T) == 0)).any():
        order = np.lexsort((start_T, document_T))
        place_T, start_T, end_T = place_T[order], start_T[order], end_T[order]
    length_D = np.zeros(len(number_D), np.int64)
    length_D[document_R] = columns.bytes_R
    digest_D = [NO_TEXT.digest] * len(number_D)
    for at, digest in zip(document_R.tolist(), columns.digest_R, strict=True):
        digest_D[at] = digest.tobytes()
    return DocumentTexts(
        place_T,
        start_T,
        end_T,
        np.bincount(document_T, minlength=len(number_D)),
        length_D,
        digest_D,
        store.n_tokens,
        True,
        store.vocabulary,
        store.tokens(0, store.n_tokens)[place_T].astype(np.int64),
    )


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
    place_N = inside(start, length)
    document_N = np.repeat(document_R[order_R], length)
    opener = opening_token(store, store.layout.counted_tokens())
    if opener != NO_OPENER:
        has_text_N = store.tokens(0, store.n_tokens)[place_N] != opener
        place_N, document_N = place_N[has_text_N], document_N[has_text_N]
    return place_N, np.bincount(document_N, minlength=len(number_D))


def _separator(ids_T: NDArray[np.int64], tokens_D: Places) -> int | None:
    """Return the token that ends every document but perhaps the last, and stands nowhere else; None without one."""
    ends = np.cumsum(tokens_D)[tokens_D > 0] - 1
    if len(ends) < 2:
        return None
    last = ids_T[ends[:-1]]
    if (last != last[0]).any():
        return None
    inside = int((ids_T == last[0]).sum()) - len(last) - int(ids_T[ends[-1]] == last[0])
    return int(last[0]) if inside == 0 else None


def _without_first_space(
    text: NDArray[np.uint8], length_T: Places, document_T: Places
) -> tuple[NDArray[np.uint8], Places]:
    """Leave out the space before each document, if every one of them has one: a tokenizer put it there."""
    having = np.flatnonzero(length_T > 0)
    if not len(having):
        return text, length_T
    first = having[np.unique(document_T[having], return_index=True)[1]]
    edge = (np.cumsum(length_T) - length_T)[first]
    if not (text[edge] == _SPACE).all():
        return text, length_T
    length_T = length_T.copy()
    length_T[first] -= 1
    return np.delete(text, edge), length_T
