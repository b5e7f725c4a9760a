"""The places of an indexed corpus where rules hold: each predicate is evaluated once, whatever the number of features.

Shapes: N tokens, V vocabulary entries, C contexts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from store.index.reader import FeatureStore
from store.rules.grammar import TOKEN_CLASSES, Predicate, Rule, Term
from store.rules.packed_masks import Mask, PackedMasks
from store.rules.text_states import TextStates, numbered
from store.rules.token_classes import TokenClasses
from store.settings.roles import Role

RARE = 4
"""Classes with less than one in so many tokens are looked up by their places."""
KEPT_BYTES = 256 << 20
"""Bytes of masks of tokens that are kept."""


class RuleCorpus:
    """A store's corpus as predicates see it."""

    def __init__(self, store: FeatureStore) -> None:
        self.store = store
        self.token_N = store.tokens(0, store.n_tokens)
        self.n_tokens = len(self.token_N)
        self.classes = TokenClasses(store.vocabulary, self.token_N)
        self.states = TextStates(store)
        self._start_C = store.layout.contexts.start
        self._shifted: dict[int, NDArray[np.int32]] = {0: self.token_N}
        self._masks = PackedMasks(self.n_tokens, KEPT_BYTES)

    @property
    def none(self) -> int:
        """The id that stands for no token: beyond the ends of a context."""
        return self.classes.size

    @cached_property
    def begin_N(self) -> NDArray[np.int64]:
        """Place of the first token of each token's context."""
        return np.repeat(self._start_C, np.diff(self._start_C, append=self.n_tokens))

    def shifted(self, offset: int) -> NDArray[np.int32]:
        """Return the token `offset` places on in the same context, or `none`: [N]."""
        if offset not in self._shifted:
            there_N = np.arange(self.n_tokens) + offset
            inside_N = (there_N >= self.begin_N) & (there_N < self._stop_N)
            tokens_N = np.full(self.n_tokens, self.none, np.int32)
            tokens_N[inside_N] = self.token_N[there_N[inside_N]]
            if len(self._shifted) < 8:
                self._shifted[offset] = tokens_N
            return tokens_N
        return self._shifted[offset]

    def rule(self, rule: Rule) -> Mask:
        """Return where a rule holds: [N].

        Raises:
            MonosemError: it names a token that does not exist, or needs conversations and there are none.
        """
        holds_N = np.zeros(self.n_tokens, bool)
        for clause in rule.clauses:
            holds_N |= self.clause(clause)
        return holds_N

    def clause(self, terms: tuple[Term, ...]) -> Mask:
        """Return where all of some terms hold: [N]."""
        holds_N = np.ones(self.n_tokens, bool)
        for term in terms:
            holds_N &= self.holds(term.predicate) ^ term.negated
        return holds_N

    def holds(self, predicate: Predicate) -> Mask:
        """Return where a predicate holds, as `rule` does."""
        mask_N = self._masks.get(predicate)
        if mask_N is None:
            mask_N = self._evaluated(predicate)
            self._masks.put(predicate, mask_N)
        return mask_N

    def _evaluated(self, predicate: Predicate) -> Mask:
        name = predicate.name
        if name in TOKEN_CLASSES:
            return self._of_class(predicate, 0)
        scoped: dict[str, Callable[[Predicate], Mask]] = {
            "at": lambda one: self._of_class(one.inner, one.numbers[0]),
            "within": self._within,
            "sentence": lambda one: self._earlier(one.inner, self.sentence_N),
            "line": lambda one: self._earlier(one.inner, self.line_N),
            "document": self._anywhere,
            "ngram": self._sequence,
            "phrase": self._sequence,
            "position": self._position,
            "document_start": lambda _: self._document_start(),
            "language": lambda one: self.states.language(str(one.texts[0])),
            "role": lambda one: self.store.layout.tokens_of(cast(Role, one.texts[0])),
        }
        return scoped[name](predicate) if name in scoped else self.states.mask(name)

    def _of_class(self, inner: Predicate, offset: int) -> Mask:
        """Return where the token `offset` places on is of a class: from the places of rare classes alone."""
        mask_V = self.classes.mask(inner)
        ids = np.flatnonzero(mask_V)
        if int(self._length_V[ids].sum()) > self.n_tokens // RARE:
            found: Mask = np.append(mask_V, False)[self.shifted(offset)]
            return found
        there = self._places_of(ids)
        here = there - offset
        inside = (here >= self.begin_N[there]) & (here < self._stop_N[there])
        return self._mask_of(here[inside])

    def _places_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places of some vocabulary entries, in no particular order."""
        first = self._first_V[ids].tolist()
        pieces = [self._by_token_N[a : a + n] for a, n in zip(first, self._length_V[ids].tolist(), strict=True)]
        return np.concatenate([np.empty(0, np.int64), *pieces])

    def _mask_of(self, places: NDArray[np.int64]) -> Mask:
        found = np.zeros(self.n_tokens, bool)
        found[places] = True
        return found

    @cached_property
    def _by_token_N(self) -> NDArray[np.int64]:
        """All places in order of their tokens."""
        return np.argsort(self.token_N, kind="stable")

    @cached_property
    def _length_V(self) -> NDArray[np.int64]:
        return np.bincount(self.token_N, minlength=self.classes.size)

    @cached_property
    def _first_V(self) -> NDArray[np.int64]:
        return np.cumsum(self._length_V) - self._length_V

    @cached_property
    def _stop_N(self) -> NDArray[np.int64]:
        """End (exclusive) of each token's context."""
        stops = np.append(self._start_C[1:], self.n_tokens)
        return np.repeat(stops, stops - self._start_C)

    def _within(self, predicate: Predicate) -> Mask:
        near = predicate.numbers[0]
        there = np.flatnonzero(self._of_class(predicate.inner, 0))
        if len(there) * near > 4 * self.n_tokens:
            place_N = np.arange(self.n_tokens)
            last_N = np.maximum.accumulate(np.where(self._mask_of(there), place_N, -1))
            reached: Mask = np.append(-1, last_N[:-1]) >= np.maximum(place_N - near, self.begin_N)
            return reached
        found, stop = np.zeros(self.n_tokens, bool), self._stop_N[there]
        for step in range(1, near + 1):
            after = there + step
            found[after[after < stop]] = True
        return found

    def _earlier(self, inner: Predicate, piece_N: NDArray[np.int64]) -> Mask:
        """Return which tokens have such a token before them in the same piece of text."""
        hits = np.flatnonzero(self._of_class(inner, 0))
        first_P = np.full(int(piece_N[-1]) + 1 if len(piece_N) else 1, self.n_tokens)
        piece, at = np.unique(piece_N[hits], return_index=True)
        first_P[piece] = hits[at]
        found: Mask = np.arange(self.n_tokens) > first_P[piece_N]
        return found

    @cached_property
    def sentence_N(self) -> NDArray[np.int64]:
        """Number of the sentence of each token; contexts and documents end one."""
        return numbered(self.states.mask("sentence_start"), self._breaks)

    @cached_property
    def line_N(self) -> NDArray[np.int64]:
        """Number of the line of each token; contexts and documents end one."""
        after_N = np.append(False, np.append(self.classes.mask(Predicate("newline")), False)[self.token_N][:-1])
        return numbered(after_N, self._breaks)

    @cached_property
    def _breaks(self) -> NDArray[np.int64]:
        return np.union1d(self._start_C, self.store.layout.documents.start)

    @cached_property
    def run_N(self) -> NDArray[np.int64]:
        """Number of the run of one document that each token belongs to."""
        starts = self.store.layout.documents.start
        return np.repeat(np.arange(len(starts)), np.diff(starts, append=self.n_tokens))

    def _anywhere(self, predicate: Predicate) -> Mask:
        has_R = (
            np.bincount(self.run_N[self._of_class(predicate.inner, 0)], minlength=int(self.run_N.max(initial=0)) + 1)
            > 0
        )
        found: Mask = has_R[self.run_N]
        return found

    def _sequence(self, predicate: Predicate) -> Mask:
        """Return where one of some sequences ends: from the places of its last token backwards."""
        inner = "token" if predicate.name == "ngram" else "word"
        ends = []
        for sequence in predicate.args:
            *before, last = cast(tuple[str | int, ...], sequence)
            places = self._places_of(np.flatnonzero(self.classes.mask(Predicate(inner, (last,)))))
            for back, one in enumerate(reversed(before), 1):
                places = places[places - back >= self.begin_N[places]]
                places = places[self.classes.mask(Predicate(inner, (one,)))[self.token_N[places - back]]]
            ends.append(places)
        return self._mask_of(np.concatenate(ends))

    def _position(self, predicate: Predicate) -> Mask:
        first, stop = predicate.numbers
        at_N = np.arange(self.n_tokens) - self.begin_N
        return (at_N >= first) & (at_N < stop)

    def _document_start(self) -> Mask:
        counted = np.flatnonzero(self.store.layout.counted_tokens())
        found = np.zeros(self.n_tokens, bool)
        found[counted[np.unique(self.run_N[counted], return_index=True)[1]]] = True
        return found
