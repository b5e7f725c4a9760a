"""The document that an example is from, read a stretch at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.token_text import display_tokens
from monosem_tui.model.feature_card import ShownExample
from store.files.errors import MonosemError
from store.index.reader import FeatureStore

STRETCH = 1024
"""Tokens read at once."""
MOST_INSPECTED = 2048
"""Tokens of a document that are looked at together."""
LOOK = 128
"""Tokens behind the end of a stretch that are searched for a better one."""


@dataclass(frozen=True)
class Whole:
    """A document, or where documents are not known the context, that holds one place where a feature fires."""

    feature: int
    place: int
    """Of the peak in the corpus."""
    start: int
    stop: int
    name: str
    """`document 17`, `context 4`."""
    top: float
    """Activation that counts as full heat."""


@dataclass(frozen=True)
class Stretch:
    """Corpus places start … stop-1 as text. T tokens."""

    start: int
    stop: int
    tokens: list[str]
    act_T: NDArray[np.float32]

    def example(self, place: int) -> ShownExample:
        """Ready to be drawn; the peak is marked if it is in here."""
        peak = place - self.start if self.start <= place < self.stop else -1
        return ShownExample(self.tokens, self.act_T, peak, 0, 0, place)


def find_whole(store: FeatureStore, feature: int, place: int) -> Whole:
    """What holds a corpus place.

    Raises:
        MonosemError: there is no such place or feature, or the store is damaged or has vanished.
    """
    store.check_lengths()
    top = float(store.columns.max_F[feature])
    if store.n_documents:
        number = int(store.documents_of(np.array([place]))[0])
        return Whole(feature, place, *store.document_span(place), f"document {number}", top)
    context = store.context_of(place)
    return Whole(feature, place, context.start, context.start + context.length, f"context {context.number}", top)


@dataclass(frozen=True)
class Passage:
    """A document as text, or the part of it around a place."""

    name: str
    text: str
    n_tokens: int
    of: int
    """Tokens of the whole."""


def place_of(store: FeatureStore, number: int) -> int:
    """Where a document of the corpus begins; where documents are not known, a context.

    Raises:
        MonosemError: there is none of this number.
    """
    store.check_lengths()
    if not store.n_documents:
        if not 0 <= number < store.n_contexts:
            raise MonosemError(f"there is no context {number}", f"They are 0 to {store.n_contexts - 1}.")
        return int(store.layout.contexts.start[number])
    starts, ids = store.layout.documents
    found = np.flatnonzero(ids == number)
    if not len(found):
        near = np.unique([ids[ids < number].max(initial=-1), ids[ids > number].min(initial=ids.max())])
        names = " and ".join(str(one) for one in near if one >= 0)
        raise MonosemError(f"document {number} is not in the index", f"The nearest: {names}.")
    return int(starts[found[0]])


def passage(store: FeatureStore, place: int) -> Passage:
    """The document that holds a place, as text: from its beginning as far as may be, and at least to the place.

    Raises:
        MonosemError: there is no such place, or the store is damaged or has vanished.
    """
    whole = find_whole(store, 0, place)
    start = whole.start
    if place - start >= MOST_INSPECTED:
        start = _cut(store, whole, place - MOST_INSPECTED // 2)
    stop = min(whole.stop, start + MOST_INSPECTED)
    tokens = store.tokens(start, stop)
    if store.spec.excluded == "bos":  # the reader of texts puts its own in front of each context
        tokens = tokens[store.counted(start, stop)]
    return Passage(whole.name, store.vocabulary.text(tokens), len(tokens), whole.stop - whole.start)


def first_stretch(store: FeatureStore, whole: Whole) -> Stretch:
    """The text around the peak: all of a short document."""
    start = _cut(store, whole, whole.place - STRETCH)
    return _read(store, whole, start, _cut(store, whole, whole.place + STRETCH))


def stretch_before(store: FeatureStore, whole: Whole, place: int) -> Stretch:
    """What stands before a place."""
    return _read(store, whole, _cut(store, whole, place - STRETCH), place)


def stretch_from(store: FeatureStore, whole: Whole, place: int) -> Stretch:
    """What stands from a place on."""
    return _read(store, whole, place, _cut(store, whole, place + STRETCH))


def _read(store: FeatureStore, whole: Whole, start: int, stop: int) -> Stretch:
    tokens = display_tokens(store.vocabulary.tokens(store.tokens(start, stop)))
    return Stretch(start, stop, tokens, store.activations(whole.feature, start, stop))


def _cut(store: FeatureStore, whole: Whole, wanted: int) -> int:
    """A place near `wanted` behind a newline, else before a word: no line or character is torn there."""
    if wanted <= whole.start or wanted + LOOK >= whole.stop:
        return whole.start if wanted <= whole.start else whole.stop
    tokens = store.vocabulary.tokens(store.tokens(wanted, wanted + LOOK))
    for number, token in enumerate(tokens[:-1]):
        if token.endswith(b"\n"):
            return wanted + number + 1
    return wanted + next((number for number, token in enumerate(tokens) if token.startswith(b" ")), 0)
