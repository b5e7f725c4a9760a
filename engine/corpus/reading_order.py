"""The order in which documents are read: a split of the corpus, shuffled through a window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Literal

import numpy as np

from engine.corpus.documents import Corpus, Document
from engine.runtime.sizes import WINDOW_BYTES

HELD_OUT_EVERY = 20
"""Every 20th document, starting with number 19, is held out of training."""


Split = Literal["train", "heldout", "all"]


def has_held_out(corpus: Corpus) -> bool:
    """Return whether the corpus has the 20 documents needed to hold one out; reads no further than the 20th."""
    return next(islice(corpus.documents(), HELD_OUT_EVERY - 1, None), None) is not None


def ordered(
    corpus: Corpus,
    *,
    split: Split,
    seed: int,
    epoch: int,
    window: int = 16_384,
    window_bytes: int = WINDOW_BYTES,
) -> Iterator[Document]:
    """Yield the documents of a split, each once, in an order drawn from (seed, epoch).

    A shuffle buffer: documents enter in corpus order; whenever it holds more than `window` documents or
    `window_bytes` of text, one drawn uniformly leaves; at the end of the corpus the rest leaves in random order. A
    corpus that fits is fully shuffled; a larger one streams, each document leaving at most `window` places early and
    arbitrarily late. The draws come from PCG64(SeedSequence([seed, epoch])) alone, so that skipping the first n
    documents resumes an order.

    With fewer than 20 documents nothing is held out: `train` and `heldout` are both everything (`has_held_out`).
    """
    if window < 1 or seed < 0 or epoch < 0:
        raise ValueError(f"window {window}, seed {seed}, epoch {epoch}: a positive window, and no negative numbers")
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch])))
    return _shuffled(_of_split(corpus, split), rng, window, window_bytes)


def _of_split(corpus: Corpus, split: Split) -> Iterator[Document]:
    documents = corpus.documents()
    first = list(islice(documents, HELD_OUT_EVERY))
    everything = chain(first, documents)
    if split == "all" or len(first) < HELD_OUT_EVERY:
        return everything
    held_out = split == "heldout"
    return (one for one in everything if (one.number % HELD_OUT_EVERY == HELD_OUT_EVERY - 1) == held_out)


def _shuffled(
    documents: Iterable[Document], rng: np.random.Generator, window: int, window_bytes: int
) -> Iterator[Document]:
    held: list[Document] = []
    size = 0
    for document in documents:
        held.append(document)
        size += _memory(document.text)
        while len(held) > window or size > window_bytes:
            at = int(rng.integers(len(held)))
            held[at], held[-1] = held[-1], held[at]
            leaving = held.pop()
            size -= _memory(leaving.text)
            yield leaving
    for at in rng.permutation(len(held)):
        yield held[at]


def _memory(text: str) -> int:
    """Return the most bytes `text` can take; not the interpreter's figure, as the order must not depend on it."""
    return len(text) if text.isascii() else 4 * len(text)
