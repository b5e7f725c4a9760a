"""Texts in which a feature fires or is silent, drawn from the index: one half of the documents to explain it by, the
other to judge the explanation on.

An excerpt never crosses the end of a document or of a context. It is *silent* if the feature fires on none of its
tokens. Texts of the judging half that the explaining half has word for word are left out.
Shapes: N places of the corpus, P places where a feature fires, T tokens of an excerpt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.index.corpus_text import Places, stretch_starts
from store.index.reader import FeatureStore
from store.rules.halves import is_measuring

Half = Literal["explaining", "judging"]
"""The choosing and the measuring half of `store.rules.halves`."""
BEFORE, AFTER = 20, 11
"""Tokens around the place that an excerpt was drawn for."""
SHORTEST = 6
"""Tokens of an excerpt at least: less is no text to be judged."""
LOOKED_AT = 1 << 21
"""Places of each half among which silent texts are looked for, at most."""
FREQUENT = 5
"""Tokens on which a feature is strongest, and its nearest features, from which hard silent texts come."""
STRONGEST = 1 << 14
"""Entries of a feature by which its strongest tokens are chosen."""
INTERVALS = 4
"""Intervals of equal count of a feature's activations."""


@dataclass(frozen=True)
class Excerpt:
    """Consecutive tokens of one document."""

    start: int
    """Corpus place of the first token."""
    token_T: NDArray[np.int32]
    act_T: NDArray[np.float32]
    """The feature's activations."""
    document: int
    interval: int = 0
    """Quarter of the feature's activations that it was drawn for, 0 with the strongest; it may hold stronger ones."""

    @property
    def fires(self) -> bool:
        """Whether the feature fires on one of its tokens."""
        return bool((self.act_T > 0).any())


@dataclass(frozen=True)
class ShownExcerpts:
    """Excerpts that an explanation is made from."""

    top: tuple[Excerpt, ...]
    """The strongest."""
    spread: tuple[Excerpt, ...]
    """Some of each interval, the strongest interval first."""
    boundary: tuple[Excerpt, ...]
    """Among the weakest."""
    near_misses: tuple[Excerpt, ...]
    """Silent although they have a token on which the feature is strong."""

    @property
    def all(self) -> tuple[Excerpt, ...]:
        """Every excerpt."""
        return (*self.top, *self.spread, *self.boundary, *self.near_misses)


@dataclass(frozen=True)
class JudgedExcerpts:
    """Excerpts that an explanation is judged on."""

    firing: tuple[Excerpt, ...]
    random: tuple[Excerpt, ...]
    """Silent, from anywhere."""
    same_token: tuple[Excerpt, ...]
    """Silent although they have a token on which the feature is strong."""
    neighbour: tuple[Excerpt, ...]
    """Silent where a feature with a similar direction fires."""


class _Half(NamedTuple):
    """Places of one half, ascending, and their tokens."""

    place_N: Places
    token_N: NDArray[np.int32]


class ExcerptSampler:
    """Draws excerpts of one store; the same ones for the same seed."""

    def __init__(self, store: FeatureStore, seed: int = 0) -> None:
        self._store, self._seed = store, seed
        self._edges = np.append(stretch_starts(store), store.n_tokens)
        self._halves = {half: self._looked_at(half) for half in ("explaining", "judging")}

    def shown(self, feature: int, *, top: int = 8, each: int = 3, boundary: int = 4, misses: int = 5) -> ShownExcerpts:
        """Return excerpts to explain a feature by, at most one of each document where there are enough.

        Raises:
            MonosemError: there is no such feature.
        """
        rng = np.random.default_rng((self._seed, feature, 0))
        silence = _Firing(self._store, feature)
        place_P = self._firing(feature, "explaining")
        used: set[int] = set()
        strongest = self._taken(silence, place_P, top, used)
        spread = [
            replaced(one, number)
            for number, part in enumerate(np.array_split(place_P, INTERVALS))
            for one in self._taken(silence, rng.permutation(part), each, used)
        ]
        weakest = self._taken(silence, rng.permutation(place_P[-max(boundary, len(place_P) // 10) :]), boundary, used)
        likely = rng.permutation(self._with_tokens(feature, "explaining"))
        near = self._taken(silence, likely, misses, used, fires=False)
        return ShownExcerpts(tuple(strongest), tuple(spread), tuple(weakest), tuple(near))

    def judged(
        self, feature: int, *, firing: int = 20, silent: int = 10, but: Iterable[Excerpt] = ()
    ) -> JudgedExcerpts:
        """Return excerpts to judge an explanation on, none of them word for word as one of `but`.

        `firing` of them are spread evenly over the intervals of its activations; there are `silent` of each kind, or
        fewer where the corpus has fewer.

        Raises:
            MonosemError: there is no such feature.
        """
        rng = np.random.default_rng((self._seed, feature, 1))
        silence, used = _Firing(self._store, feature), set[int]()
        texts = {one.token_T.tobytes() for one in but}
        each = -(-firing // INTERVALS)
        found = [
            replaced(one, number)
            for number, part in enumerate(np.array_split(self._firing(feature, "judging"), INTERVALS))
            for one in self._taken(silence, rng.permutation(part), each, used, texts=texts)
        ]
        drawn = rng.permutation(self._halves["judging"].place_N)[: 200 * silent]
        with_token = rng.permutation(self._with_tokens(feature, "judging"))
        near = rng.permutation(self._of_neighbours(feature))
        kinds = [
            tuple(self._taken(silence, places, silent, set(), texts=texts, fires=False))
            for places in (drawn, with_token, near)
        ]
        return JudgedExcerpts(tuple(found), *kinds)

    def _firing(self, feature: int, half: Half) -> Places:
        """Return the places of a half where a feature fires, the strongest first."""
        place_P = self._store.postings(feature).token
        return place_P[in_half(self._store.documents_of(place_P), half, self._seed)]

    def _with_tokens(self, feature: int, half: Half) -> Places:
        """Return looked-at places with one of the tokens on which a feature is strongest in all."""
        postings = self._store.postings(feature, 0, STRONGEST)
        if not len(postings.token):
            return np.empty(0, np.int64)
        held = self._halves[half]
        order = np.argsort(postings.token)
        id_P = _tokens_at(self._store, postings.token[order])
        total = np.bincount(id_P, weights=postings.act[order])
        strongest = np.argsort(-total, kind="stable")[:FREQUENT]
        return held.place_N[np.isin(held.token_N, strongest[total[strongest] > 0])]

    def _of_neighbours(self, feature: int) -> Places:
        """Return places of the judging half where features of the nearest directions are at their strongest."""
        places = [np.empty(0, np.int64)]
        for other in self._store.neighbours(feature).id[:FREQUENT].tolist():
            place_P = self._firing(other, "judging") if 0 <= other < self._store.d_sae else places[0]
            places.append(place_P[: max(200, len(place_P) // 4)])
        return np.unique(np.concatenate(places))

    def _taken(
        self,
        silence: _Firing,
        places: Places,
        wanted: int,
        used: set[int],
        *,
        texts: set[bytes] | None = None,
        fires: bool = True,
    ) -> list[Excerpt]:
        """Return the first excerpts that fit, of documents that were not used; of used ones where there are too few."""
        texts = set() if texts is None else texts
        found: list[Excerpt] = []
        for spare in (False, True):
            for place in places[: 400 * max(1, wanted)].tolist():
                if len(found) >= wanted:
                    return found
                document = int(self._store.documents_of(np.array([place]))[0])
                if (document in used) != spare:
                    continue
                one = self._around(silence, place, document)
                if one is None or one.token_T.tobytes() in texts or one.fires != fires:
                    continue
                texts.add(one.token_T.tobytes())
                used.add(document)
                found.append(one)
        return found

    def _around(self, silence: _Firing, place: int, document: int) -> Excerpt | None:
        """Return the excerpt around a place; None where the document is too short there."""
        at = int(np.searchsorted(self._edges, place, "right")) - 1
        start, stop = max(int(self._edges[at]), place - BEFORE), min(int(self._edges[at + 1]), place + AFTER + 1)
        if not self._store.counted(start, start + 1)[0]:  # a token that opens texts, or one that nothing is known about
            start += 1
        if stop - start < SHORTEST or not start <= place < stop:
            return None
        return Excerpt(start, self._store.tokens(start, stop), silence.on(start, stop), document)

    def _looked_at(self, half: Half) -> _Half:
        """Return the counted places of a half, or of blocks drawn from it where the corpus is large."""
        n, block = self._store.n_tokens, 1 << 16
        starts = np.arange(0, n, block)
        if n > 2 * LOOKED_AT:
            rng = np.random.default_rng((self._seed, 2))
            starts = np.sort(rng.choice(starts, 2 * LOOKED_AT // block, replace=False))
        places, tokens = [np.empty(0, np.int64)], [np.empty(0, np.int32)]
        for start in starts.tolist():
            stop = min(start + block, n)
            place_N = np.arange(start, stop)
            kept_N = self._store.counted(start, stop) & in_half(self._store.documents_of(place_N), half, self._seed)
            places.append(place_N[kept_N])
            tokens.append(self._store.tokens(start, stop)[kept_N])
        return _Half(np.concatenate(places), np.concatenate(tokens))


def in_half(number_N: NDArray[np.int64], half: Half, seed: int) -> NDArray[np.bool_]:
    """Return which documents, by their numbers, belong to a half."""
    measures_N = is_measuring(number_N, seed)
    return measures_N if half == "judging" else ~measures_N


class _Firing:
    """A feature's activations by place."""

    def __init__(self, store: FeatureStore, feature: int) -> None:
        postings = store.postings(feature)
        order_P = np.argsort(postings.token)
        self._place_P, self._act_P = postings.token[order_P], postings.act[order_P]

    def on(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return the activation on each of places start … stop-1."""
        acts_T = np.zeros(stop - start, np.float32)
        first, last = np.searchsorted(self._place_P, [start, stop])
        acts_T[self._place_P[first:last] - start] = self._act_P[first:last]
        return acts_T


def replaced(excerpt: Excerpt, interval: int) -> Excerpt:
    """Return an excerpt with its interval."""
    return Excerpt(excerpt.start, excerpt.token_T, excerpt.act_T, excerpt.document, interval)


def _tokens_at(store: FeatureStore, place_P: Places) -> NDArray[np.int64]:
    """Return the tokens at ascending places, block by block."""
    pieces = [np.empty(0, np.int64)]
    for start, at in _blocks(place_P):
        ids = store.tokens(start, int(at[-1]) + 1)
        pieces.append(ids[at - start].astype(np.int64))
    return np.concatenate(pieces)


def _blocks(place_P: Places, block: int = 1 << 18) -> Iterator[tuple[int, Places]]:
    """Yield ascending places by blocks of the corpus, with the first place of each."""
    first = 0
    while first < len(place_P):
        start = int(place_P[first])
        last = int(np.searchsorted(place_P, start + block))
        yield start, place_P[first:last]
        first = last
