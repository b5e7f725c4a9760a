"""The document that an example is from, read a stretch at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monosem_tui.text.card import ShownExample
from monosem_tui.text.tokens import display_tokens
from store.reader import FeatureStore

STRETCH = 1024
"""Tokens read at once."""
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
