"""The bytes of the original text that each token covers, and a digest of each document's text: `corpus/text`.

Tokenizers that change letters or drop spaces do not give a text back, so two of them can be aligned only by where their
tokens lie in the original. Tokens may share a character (pieces of it), and text between two may belong to none.

Shapes: N tokens, C contexts, R runs of documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from store.files.sealed_hdf5 import put

DIGEST_BYTES = 16
GROUP = "corpus/text"
BY_TOKEN, BY_CONTEXT, BY_RUN = ("skipped", "length"), ("start",), ("bytes", "digest")
"""The columns of `corpus/text`, by what they have a row for."""
Offsets = NDArray[np.int32]


class DocumentText(NamedTuple):
    """The original text of a document."""

    n_bytes: int
    digest: bytes

    @classmethod
    def of(cls, text: bytes) -> DocumentText:
        """Return length and digest of a text in UTF-8."""
        return cls(len(text), text_digest(text))


def text_digest(text: bytes) -> bytes:
    """Return the digest of a document's text, by which documents of different indexes are paired."""
    return blake2b(text, digest_size=DIGEST_BYTES).digest()


NO_TEXT = DocumentText(0, bytes(DIGEST_BYTES))
"""A document of which only tokens are known."""


@dataclass(frozen=True)
class TokenSpans:
    """The half-open range of bytes of its document's text that each of some tokens covers; empty for none."""

    start_N: Offsets
    end_N: Offsets
    texts: Mapping[int, DocumentText]
    """The text of each document that has one, by its number."""

    @classmethod
    def nothing(cls, n_tokens: int) -> TokenSpans:
        """Return the spans of tokens that cover nothing, of documents without a text."""
        return cls(np.zeros(n_tokens, np.int32), np.zeros(n_tokens, np.int32), {})

    @classmethod
    def joined(cls, pieces: Sequence[TokenSpans]) -> TokenSpans:
        """Return spans of consecutive tokens end to end."""
        texts = {number: text for piece in pieces for number, text in piece.texts.items()}
        starts, ends = [piece.start_N for piece in pieces], [piece.end_N for piece in pieces]
        return cls(np.concatenate(starts), np.concatenate(ends), texts)

    def part(self, first: int, stop: int, document_N: NDArray[np.int64], *, head: bool) -> TokenSpans:
        """Return the spans of tokens first … stop-1, of documents `document_N`; `head` puts a token of none before."""
        start_N, end_N = self.start_N[first:stop], self.end_N[first:stop]
        if head:
            start_N, end_N = (np.concatenate([start_N[:1], edge_N]) for edge_N in (start_N, end_N))
        numbers = np.unique(document_N[first:stop]).tolist()
        return TokenSpans(start_N, end_N, {one: self.texts[one] for one in numbers if one in self.texts})


class TextColumns(NamedTuple):
    """The spans of all tokens of an index, and the texts of its runs of documents."""

    start_N: NDArray[np.int64]
    end_N: NDArray[np.int64]
    bytes_R: NDArray[np.int64]
    """Bytes of the document's text; 0 where only tokens are known."""
    digest_R: NDArray[np.uint8]
    """[R, 16]; zeros where only tokens are known."""


def write_spans(
    corpus: h5py.Group, spans: TokenSpans, document_N: NDArray[np.int64], start_C: NDArray[np.int64]
) -> None:
    """Write `text` into the group `corpus`: numbers that stay small, and follow from their context alone."""
    changes = np.diff(document_N, prepend=document_N[:1] - 1) != 0
    before_N = np.concatenate([np.zeros(1, np.int32), spans.end_N[:-1]])
    before_N[changes] = 0
    before_N[start_C] = spans.start_N[start_C]
    group = corpus.create_group("text")
    put(group, "skipped", (spans.start_N - before_N).astype(np.int32), packed=True)
    put(group, "length", (spans.end_N - spans.start_N).astype(np.int32), packed=True)
    put(group, "start", spans.start_N[start_C].astype(np.int64), packed=True)
    texts = [spans.texts.get(number, NO_TEXT) for number in document_N[changes].tolist()]
    put(group, "bytes", np.array([text.n_bytes for text in texts], np.int64), packed=True)
    digests = np.frombuffer(b"".join(text.digest for text in texts), np.uint8).reshape(-1, DIGEST_BYTES)
    put(group, "digest", digests, packed=True)


def read_spans(
    skipped_N: Offsets,
    length_N: Offsets,
    text_start_C: NDArray[np.int64],
    start_C: NDArray[np.int64],
    start_R: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each token's span starts and ends, from what `write_spans` wrote.

    Args:
        skipped_N: bytes between a span and the one before.
        length_N: bytes of a span.
        text_start_C: where the first span of each context starts.
        start_C: first token of each context.
        start_R: first token of each run of documents, where spans begin at 0 inside of a context.
    """
    reset = np.union1d(start_C, start_R)
    base = np.zeros(len(reset), np.int64)
    base[np.searchsorted(reset, start_C)] = text_start_C
    total_N = np.cumsum(skipped_N.astype(np.int64) + length_N, dtype=np.int64)
    base[1:] -= total_N[reset[1:] - 1]
    end_N: NDArray[np.int64] = total_N + np.repeat(base, np.diff(reset, append=len(total_N)))
    return end_N - length_N, end_N


def checked_columns(
    start_N: NDArray[np.int64],
    end_N: NDArray[np.int64],
    bytes_R: NDArray[np.int64],
    digest_R: NDArray[np.uint8],
    start_R: NDArray[np.int64],
) -> TextColumns:
    """Return columns whose spans lie in their documents.

    Raises:
        ValueError: one does not.
    """
    most_N = np.repeat(bytes_R, np.diff(start_R, append=len(start_N)))
    if ((start_N < 0) | (end_N > most_N) | (start_N > end_N)).any():
        raise ValueError(f"{GROUP}: a token covers what its document does not have")
    return TextColumns(start_N, end_N, bytes_R, digest_R)
