"""A feature's examples: the strongest, some from each interval of its activations, some at random.

Shapes: T tokens of an example, W windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.index.reader import FeatureStore
from store.query.intervals import ActivationInterval, activation_intervals
from store.settings.roles import Role, role_of

TOP, RANDOM = "top", "random"

Groups = Callable[[NDArray[np.int64]], NDArray[np.int64]]
"""Returns the number of the context, or of the document, of each of some corpus places."""


@dataclass(frozen=True)
class Example:
    """One place where a feature fires, with the text around it."""

    interval: str
    """"top", "random", or an interval of the feature's non-zero activations: "75–100 %" of ranks, or by value."""
    start: int
    """Corpus place of the first token."""
    token_T: NDArray[np.int32]
    act_T: NDArray[np.float32]
    peak: int
    """Index of the token where the feature fires."""
    context: int
    position: int
    """Position of the peak in its context, from 0."""
    role: Role | None = None
    """The role of the turn with the peak, in a conversation."""

    @property
    def act(self) -> float:
        """Activation at the peak."""
        return float(self.act_T[self.peak])


@dataclass(frozen=True)
class Section:
    """Examples of one interval."""

    title: str
    first_rank: int
    n_entries: int
    """Number of the feature's activations in the interval."""
    examples: list[Example]
    interval: ActivationInterval | None = None
    """None for the strongest and for random ones."""


def sections(
    store: FeatureStore,
    feature: int,
    *,
    top: int = 10,
    intervals: int = 4,
    each: int = 3,
    random: int = 0,
    seed: int = 0,
    one_per_document: bool = False,
    by_value: bool = False,
    before: int = 24,
    after: int = 12,
) -> list[Section]:
    """Return the examples of a feature's page, from all of its activations.

    First the `top` strongest, then `each` from each of `intervals` intervals of the non-zero activations, equal in
    ranks or with `by_value` in activation, the strongest interval first (Towards Monosemanticity has 12 by value), then
    `random` drawn uniformly from the non-zero activations by `seed`, the strongest first. Within an interval the
    examples are evenly spaced by rank, so the page is deterministic; those of the strongest are not repeated in an
    interval that has others. An empty interval is left out.

    A section has at most one example per context, or with `one_per_document` per document; random examples may repeat
    a context.

    Raises:
        MonosemError: there is no such feature.
    """
    store.check_feature(feature)
    n = int(store.columns.count_F[feature])
    if n == 0:
        return []
    groups, limit = (
        (store.documents_of, store.n_documents) if one_per_document else (store.contexts_of, store.n_contexts)
    )
    found = [_Chosen(TOP, 0, n, _top(store, feature, n, min(top, limit), groups))]
    if n > top and intervals:
        parts = activation_intervals(store, feature, intervals, by_value=by_value)
        spaced = zip(parts, _spaced(store, feature, parts, each, groups, set(found[0].places)), strict=True)
        found += [_Chosen(part.name, part.first, part.last - part.first, some, part) for part, some in spaced if some]
    if random:
        rng = np.random.default_rng((seed, feature))
        distinct = groups if one_per_document else None
        found.append(_Chosen(RANDOM, 0, n, _random(store, feature, n, random, rng, distinct)))
    wanted = [(some.title, place) for some in found for place in some.places]
    examples = windows(store, feature, wanted, before, after)
    return [
        Section(some.title, some.first, some.size, list(islice(examples, len(some.places))), some.interval)
        for some in found
    ]


class _Chosen(NamedTuple):
    """The places of a section."""

    title: str
    first: int
    size: int
    places: list[int]
    interval: ActivationInterval | None = None


def windows(
    store: FeatureStore, feature: int, wanted: list[tuple[str, int]], before: int, after: int
) -> Iterator[Example]:
    """Yield the text around some corpus places, cut at the edges of their contexts."""
    place_W = np.array([place for _, place in wanted], np.int64)
    number_W = store.contexts_of(place_W)
    contexts = store.layout.contexts
    begin_W = contexts.start[number_W]
    start_W = np.maximum(begin_W, place_W - before)
    stop_W = np.minimum(begin_W + contexts.length[number_W], place_W + after + 1)
    columns = (start_W, place_W - start_W, number_W, place_W - begin_W)
    roles_N = store.layout.roles
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for (interval, _), shown, row in zip(wanted, store.shown(feature, start_W, stop_W), rows, strict=True):
        start, peak, context, position = row
        role = None if roles_N is None else role_of(int(roles_N[start + peak]))
        yield Example(interval, start, *shown, peak, context, position, role)


def _top(store: FeatureStore, feature: int, n: int, wanted: int, groups: Groups) -> list[int]:
    """Return the strongest place of each of the `wanted` groups with the strongest places."""
    places: dict[int, int] = {}
    size, start = 4 * wanted, 0
    while len(places) < wanted and start < n:
        token = store.postings(feature, start, start + size).token
        number = groups(token)
        for i in np.sort(np.unique(number, return_index=True)[1]):
            if len(places) < wanted:
                places.setdefault(int(number[i]), int(token[i]))
        start, size = start + size, 2 * size
    return list(places.values())


def _spaced(
    store: FeatureStore,
    feature: int,
    intervals: list[ActivationInterval],
    wanted: int,
    groups: Groups,
    known: set[int],
) -> Iterator[list[int]]:
    """Yield, for each interval, places evenly spaced over its ranks, at most one per group.

    None of them is known, unless the interval has no others.
    """
    ranks = [_even(one.first, one.last - 1, min(wanted * 3, one.last - one.first)) for one in intervals]
    token = store.at_ranks(feature, np.array([rank for some in ranks for rank in some], np.int64)).token
    pairs = iter(list(zip(groups(token).tolist(), token.tolist(), strict=True)))
    for some in ranks:
        found = list(islice(pairs, len(some)))
        strongest: dict[int, int] = {}
        for group, place in [pair for pair in found if pair[1] not in known] or found:
            strongest.setdefault(group, place)
        chosen = list(strongest.values())
        yield [chosen[i] for i in _spread(len(chosen), wanted)]


def _even(first: int, last: int, n: int) -> list[int]:
    """Return `n` integers evenly spaced from `first` to `last`, rounded down."""
    return [first + i * (last - first) // max(1, n - 1) for i in range(n)]


@lru_cache(64)
def _spread(n: int, wanted: int) -> list[int]:
    """Return up to `wanted` indices evenly spaced over `n`."""
    return sorted({round(i) for i in np.linspace(0, n - 1, min(wanted, n))})


def _random(
    store: FeatureStore, feature: int, n: int, wanted: int, rng: np.random.Generator, groups: Groups | None
) -> list[int]:
    """Draw places without replacement and return them strongest first; with `groups`, the first drawn of each group."""
    size = min(n, wanted if groups is None else 4 * wanted)
    while True:
        ranks = rng.choice(n, size, replace=False)
        if groups is not None:
            drawn = groups(store.at_ranks(feature, ranks).token)
            ranks = ranks[np.sort(np.unique(drawn, return_index=True)[1])]
        if len(ranks) >= wanted or size == n:
            return [int(place) for place in store.at_ranks(feature, np.sort(ranks[:wanted])).token]
        size = min(n, 8 * size)
