"""The document of an example, read one stretch at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.token_text import display_tokens
from monosem_tui.model.context_borders import Border, context_borders
from monosem_tui.model.example_choice import CUTS, Cuts
from monosem_tui.model.feature_card import ShownExample
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.run.counted_noun import TOKEN, CountedNoun

MOST_INSPECTED = 2048
"""Tokens of a document that are inspected together."""


@dataclass(frozen=True)
class Whole:
    """A document (or a context, where documents are unknown) around one place at which a feature is active."""

    feature: int
    place: int
    """Corpus position of the peak."""
    start: int
    stop: int
    name: str
    """Title, such as `document 17` or `context 4`."""
    top: float
    """Activation drawn at full heat."""
    noun: CountedNoun = TOKEN
    """The noun for what it consists of."""


@dataclass(frozen=True)
class Stretch:
    """Text of the corpus positions start to stop (exclusive). T tokens."""

    start: int
    stop: int
    tokens: list[str]
    act_T: NDArray[np.float32]
    borders: tuple[Border, ...] = ()

    def holds(self, place: int) -> bool:
        """Return whether a corpus position is inside."""
        return self.start <= place < self.stop

    def example(self, place: int) -> ShownExample:
        """Return the stretch as an example, with the peak marked if it is inside."""
        peak = place - self.start if self.holds(place) else -1
        return ShownExample(self.tokens, self.act_T, peak, 0, 0, place, borders=self.borders)


def find_whole(store: FeatureStore, feature: int, place: int) -> Whole:
    """Return the document around a corpus position.

    Raises:
        MonosemError: there is no such position or feature, or the store is damaged or has vanished.
    """
    store.check_lengths()
    top, noun = float(store.columns.max_F[feature]), store.plan.noun
    if store.n_documents:
        number = int(store.documents_of(np.array([place]))[0])
        return Whole(feature, place, *store.document_span(place), f"document {number}", top, noun)
    context = store.context_of(place)
    return Whole(feature, place, context.start, context.start + context.length, f"context {context.number}", top, noun)


def firing_places(store: FeatureStore, whole: Whole) -> NDArray[np.int64]:
    """Return the corpus positions of a document at which the feature fires, ascending."""
    place_N = store.places(whole.feature)
    return np.sort(place_N[(place_N >= whole.start) & (place_N < whole.stop)])


@dataclass(frozen=True, eq=False)
class Passage:
    """A document as text, or the part of it around a position. T tokens."""

    name: str
    text: str
    of: int
    """Tokens of the whole document."""
    token_T: NDArray[np.int32]
    place: int
    """The token at the position, counted from 0."""
    feature: int | None
    """The feature whose activations were read, if any."""
    act_T: NDArray[np.float32]
    """Its activations in the index; zeros without a feature."""

    @property
    def n_tokens(self) -> int:
        """Tokens of the text."""
        return len(self.token_T)


def place_of(store: FeatureStore, number: int) -> int:
    """Return the start of document `number`, or of a context where documents are unknown.

    Raises:
        MonosemError: the number is out of range.
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


def passage(store: FeatureStore, place: int, feature: int | None = None, most: int = MOST_INSPECTED) -> Passage:
    """Return at most `most` tokens of the document around a position: from its start, up to the position at least.

    With a feature, its activations come along.

    Raises:
        MonosemError: there is no such position, or the store is damaged or has vanished.
    """
    whole = find_whole(store, 0, place)
    start = whole.start
    if place - start >= most:
        start = _cut(store, whole, place - most // 2, CUTS)
    stop = min(whole.stop, start + most)
    kept_T = np.ones(stop - start, bool)
    if store.spec.excluded == "bos":  # Inspect adds its own BOS to each context
        kept_T = store.counted(start, stop)
    act_T = np.zeros(stop - start, np.float32) if feature is None else store.activations(feature, start, stop)
    token_T = store.tokens(start, stop)[kept_T]
    at = min(int(kept_T[: place - start].sum()), max(0, len(token_T) - 1))
    text = store.vocabulary.text(token_T)
    return Passage(whole.name, text, whole.stop - whole.start, token_T, at, feature, act_T[kept_T])


def stretch_around(store: FeatureStore, whole: Whole, place: int, cuts: Cuts = CUTS) -> Stretch:
    """Return the text around a position, or all of a short document."""
    start = _cut(store, whole, place - cuts.size, cuts)
    return _read(store, whole, start, _cut(store, whole, place + cuts.size, cuts))


def stretch_before(store: FeatureStore, whole: Whole, place: int, cuts: Cuts = CUTS) -> Stretch:
    """Return the stretch that ends at a position."""
    return _read(store, whole, _cut(store, whole, place - cuts.size, cuts), place)


def stretch_from(store: FeatureStore, whole: Whole, place: int, cuts: Cuts = CUTS) -> Stretch:
    """Return the stretch that starts at a position."""
    return _read(store, whole, place, _cut(store, whole, place + cuts.size, cuts))


def _read(store: FeatureStore, whole: Whole, start: int, stop: int) -> Stretch:
    tokens = display_tokens(store.vocabulary.tokens(store.tokens(start, stop)))
    # A border at the end stands at the start of the text that follows.
    borders = tuple(border for border in context_borders(store, start, stop) if border.token < stop - start)
    return Stretch(start, stop, tokens, store.activations(whole.feature, start, stop), borders)


def _cut(store: FeatureStore, whole: Whole, wanted: int, cuts: Cuts) -> int:
    """Return a position near `wanted`, after a newline or else before a word, so that nothing is split."""
    if wanted <= whole.start or wanted + cuts.look >= whole.stop:
        return whole.start if wanted <= whole.start else whole.stop
    tokens = store.vocabulary.tokens(store.tokens(wanted, wanted + cuts.look))
    for number, token in enumerate(tokens[:-1]):
        if token.endswith(b"\n"):
            return wanted + number + 1
    return wanted + next((number for number, token in enumerate(tokens) if token.startswith(b" ")), 0)
