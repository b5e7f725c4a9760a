"""The order in which documents are read: a split of the corpus, shuffled through a window."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import numpy as np

from engine.corpus.documents import Corpus, Document
from engine.runtime.sizes import WINDOW_BYTES
from store.settings.subject import HeldOut

HELD_OUT_EVERY = 20
"""Every 20th text, starting with number 19, is held out of training; in the rule "documents" every 20th document."""
REMEMBERED = 1 << 20
"""Most training documents that held-out ones are compared with."""
SPARE = 1000
"""Most held-out documents that are kept for the case that all of them are in the training text."""


Split = Literal["train", "heldout", "all"]


def has_held_out(corpus: Corpus, rule: HeldOut = "texts") -> bool:
    """Return whether the corpus has the 20 texts needed to hold one out; reads no further than the 20th."""
    return any(_counter(one, rule) >= HELD_OUT_EVERY - 1 for one in corpus.documents())


def ordered(
    corpus: Corpus,
    *,
    split: Split,
    seed: int,
    epoch: int,
    rule: HeldOut = "texts",
    left_out: Callable[[Document], None] | None = None,
    window: int = 16_384,
    window_bytes: int = WINDOW_BYTES,
) -> Iterator[Document]:
    """Yield the documents of a split, each once, in an order drawn from (seed, epoch).

    A shuffle buffer: documents enter in corpus order; whenever it holds more than `window` documents or
    `window_bytes` of text, one drawn uniformly leaves; at the end of the corpus the rest leaves in random order. A
    corpus that fits is fully shuffled; a larger one streams, each document leaving at most `window` places early and
    arbitrarily late. The draws come from PCG64(SeedSequence([seed, epoch])) alone, so that skipping the first n
    documents resumes an order.

    The rule "texts" keeps the pieces of one text on one side, and leaves held-out documents out that are letter for
    letter among the training documents read so far, the first REMEMBERED; `left_out` is called with each. Should that
    be all of them, they are yielded after all. The rule "documents", of monosem 0.1, does neither.

    With fewer than 20 texts nothing is held out: `train` and `heldout` are both everything (`has_held_out`).
    """
    if window < 1 or seed < 0 or epoch < 0:
        raise ValueError(f"window {window}, seed {seed}, epoch {epoch}: a positive window, and no negative numbers")
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch])))
    if split == "all" or not has_held_out(corpus, rule):
        return _shuffled(corpus.documents(), rng, window, window_bytes)
    seen: set[bytes] = set()
    documents = _of_split(corpus, split, rule, seen if split == "heldout" and rule == "texts" else None)
    shuffled = _shuffled(documents, rng, window, window_bytes)
    return _unlike(shuffled, seen, left_out)


def _counter(document: Document, rule: HeldOut) -> int:
    return document.number if rule == "documents" else document.text_number


def _of_split(corpus: Corpus, split: Split, rule: HeldOut, seen: set[bytes] | None) -> Iterator[Document]:
    """Yield the documents of a split, and add the digests of the others to `seen` as they pass."""
    for one in corpus.documents():
        if (_counter(one, rule) % HELD_OUT_EVERY == HELD_OUT_EVERY - 1) == (split == "heldout"):
            yield one
        elif seen is not None and len(seen) < REMEMBERED:
            seen.add(_digest(one))


def _unlike(
    documents: Iterator[Document], seen: set[bytes], left_out: Callable[[Document], None] | None
) -> Iterator[Document]:
    spare: list[Document] | None = []
    for one in documents:
        if not seen or _digest(one) not in seen:
            spare = None
            yield one
            continue
        if left_out is not None:
            left_out(one)
        if spare is not None and len(spare) < SPARE:
            spare.append(one)
    yield from spare or ()


def _digest(document: Document) -> bytes:
    return hashlib.blake2b(document.text.encode(), digest_size=8).digest()


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
