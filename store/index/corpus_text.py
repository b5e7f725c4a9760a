"""The indexed corpus as text, in blocks, and the way back from characters to tokens.

A *stretch* is the part of one document in one context: the longest text that the model saw in one piece. The token that
opens documents and contexts (BOS) has no text here. Shapes: N tokens, S stretches, C characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.index.reader import FeatureStore
from store.index.vocabulary import Vocabulary

Mask = NDArray[np.bool_]
Places = NDArray[np.int64]

BLOCK = 1 << 19
"""Tokens of a block."""
NO_OPENER = -1
_ESCAPED = re.compile("[\udc80-\udcff]")
"""Undecodable bytes, as Python's surrogateescape decodes them."""


def opening_token(store: FeatureStore, counted_N: Mask) -> int:
    """Return the vocabulary id of BOS, or NO_OPENER.

    Where a model has BOS, it alone is not counted, and nowhere; where it has none, the first position of each context
    is not counted, whatever its token.
    """
    found: set[int] = set()
    for start in range(0, len(counted_N), BLOCK):
        ids, counted = store.tokens(start, start + BLOCK), counted_N[start : start + BLOCK]
        found.update(np.unique(ids[~counted]).tolist())
        if len(found) > 1 or (found and np.isin(ids[counted], list(found)).any()):
            return NO_OPENER
    return found.pop() if found else NO_OPENER


@dataclass(frozen=True)
class TextBlock:
    """Consecutive whole stretches as one string, separated by newlines that belong to none of them."""

    start: int
    """Corpus place of its first token."""
    text: str
    first_S: list[int]
    """First character of each stretch."""
    last_S: list[int]
    """End of each stretch (exclusive)."""
    _byte_C: Places | None
    """First byte of each character, then the end of the last; None where every character is one byte."""
    _first_N: Places
    _end_N: Places
    """Bytes of each token: first, and end (exclusive)."""

    @property
    def n_tokens(self) -> int:
        """Number of tokens."""
        return len(self._first_N)

    def holding(self, first: list[int], last: list[int]) -> Mask:
        """Return which tokens [N] have a byte of a character of some spans first … last-1 (not empty, in order)."""
        spans = np.array([first, last], np.int64)
        if self._byte_C is not None:
            spans = self._byte_C[spans]
        a, b = np.searchsorted(self._end_N, spans[0], "right"), np.searchsorted(self._first_N, spans[1], "left")
        change = np.bincount(a, minlength=self.n_tokens + 1) - np.bincount(b, minlength=self.n_tokens + 1)
        held: Mask = (np.cumsum(change[:-1]) > 0) & (self._end_N > self._first_N)
        return held

    def completing(self, last: list[int]) -> Mask:
        """Return which tokens [N] have the last byte of the character before a character of `last` (none is 0)."""
        ends = np.array(last, np.int64)
        if self._byte_C is not None:
            ends = self._byte_C[ends]
        held = np.zeros(self.n_tokens, bool)
        held[np.searchsorted(self._end_N, ends, "left")] = True
        return held


def text_blocks(store: FeatureStore, begins: Places, opener: int, block: int = BLOCK) -> Iterator[TextBlock]:
    """Yield the corpus as text, in blocks of about `block` tokens cut at stretches, which begin at places `begins`.

    A byte that is not UTF-8 within its stretch reads as U+FFFD.
    """
    edges = np.append(begins, store.n_tokens)
    at = 0
    while at < len(begins):
        until = max(at + 1, int(np.searchsorted(edges, edges[at] + block, "right")) - 1)
        ids = store.tokens(int(edges[at]), int(edges[until]))
        yield _text_block(store.vocabulary, ids, edges[at:until], opener)
        at = until


def stretch_starts(store: FeatureStore) -> Places:
    """Return the first place of every stretch."""
    return np.union1d(store.layout.contexts.start, store.layout.documents.start)


def _text_block(vocabulary: Vocabulary, ids: NDArray[np.int32], begins: Places, opener: int) -> TextBlock:
    has_text = ids != opener
    raw, text_length = vocabulary.joined(ids[has_text].astype(np.int64))
    length_N = np.zeros(len(ids), np.int64)
    length_N[has_text] = text_length
    inner = begins[1:] - begins[0]  # a newline before each stretch but the first
    end_N = np.cumsum(length_N)
    cuts = end_N[inner - 1]
    breaks_N = np.zeros(len(ids), np.int64)
    breaks_N[inner] = 1
    end_N += np.cumsum(breaks_N)
    text = np.insert(raw, cuts, ord("\n")).tobytes().decode("utf-8", errors="surrogateescape")
    byte_C = character_bytes(text)
    first_S = np.append(0, cuts + np.arange(len(cuts)) + 1)
    last_S = np.append(cuts + np.arange(len(cuts)), end_N[-1])
    if byte_C is not None:
        text = _ESCAPED.sub("\ufffd", text)
        first_S, last_S = np.searchsorted(byte_C, first_S), np.searchsorted(byte_C, last_S)
    return TextBlock(int(begins[0]), text, first_S.tolist(), last_S.tolist(), byte_C, end_N - length_N, end_N)


def character_bytes(text: str) -> Places | None:
    """Return the first byte of each character of escaped text, and the end; None where every character is one byte."""
    if text.isascii():
        return None
    code_C = np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), np.uint32)
    width_C = 1 + (code_C >= 0x80).astype(np.int64) + (code_C >= 0x800) + (code_C >= 0x10000)
    width_C[(code_C >= 0xDC80) & (code_C <= 0xDCFF)] = 1
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(width_C)])
