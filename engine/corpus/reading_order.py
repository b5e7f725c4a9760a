"""The order in which documents are read: a split of the corpus, shuffled through a window by a seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Literal

import numpy as np

from engine.corpus.documents import Corpus, Document
from engine.runtime.sizes import WINDOW_BYTES

HELD_OUT_EVERY = 20
"""Every 20th document, from number 19 on, is held out of training."""


Split = Literal["train", "heldout", "all"]


def has_held_out(corpus: Corpus) -> bool:
    """Whether the corpus is large enough to hold documents out: 20 at least. Reads no further than the 20th."""
    return next(islice(corpus.documents(), HELD_OUT_EVERY - 1, None), None) is not None


def ordered(corpus: Corpus, *, split: Split, seed: int, epoch: int, window: int = 16_384) -> Iterator[Document]:
    """The documents of a split, each once, in an order drawn from (seed, epoch).

    A shuffle buffer: documents enter in corpus order; whenever more than `window` of them or WINDOW_BYTES of text are
    held, one drawn uniformly leaves; at the end of the corpus the rest leaves in a random order. A corpus that fits is
    thus shuffled wholly, and a larger one streams: a document leaves at most `window` places early, and as late as it
    happens. The draws come from PCG64(SeedSequence([seed, epoch])) and depend on nothing else, so that leaving out the
    first n of an order resumes it.

    With fewer than 20 documents nothing is held out: `train` and `heldout` are both everything, see `has_held_out`.
    """
    if window < 1 or seed < 0 or epoch < 0:
        raise ValueError(f"window {window}, seed {seed}, epoch {epoch}: a positive window, and no negative numbers")
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch])))
    return _shuffled(_of_split(corpus, split), rng, window)


def _of_split(corpus: Corpus, split: Split) -> Iterator[Document]:
    documents = corpus.documents()
    first = list(islice(documents, HELD_OUT_EVERY))
    everything = chain(first, documents)
    if split == "all" or len(first) < HELD_OUT_EVERY:
        return everything
    held_out = split == "heldout"
    return (one for one in everything if (one.number % HELD_OUT_EVERY == HELD_OUT_EVERY - 1) == held_out)


def _shuffled(documents: Iterable[Document], rng: np.random.Generator, window: int) -> Iterator[Document]:
    held: list[Document] = []
    size = 0
    for document in documents:
        held.append(document)
        size += _memory(document.text)
        while len(held) > window or size > WINDOW_BYTES:
            at = int(rng.integers(len(held)))
            held[at], held[-1] = held[-1], held[at]
            leaving = held.pop()
            size -= _memory(leaving.text)
            yield leaving
    for at in rng.permutation(len(held)):
        yield held[at]


def _memory(text: str) -> int:
    """Bytes that `text` takes at most. Not asked of the interpreter: the order must not depend on its version."""
    return len(text) if text.isascii() else 4 * len(text)
