"""A feature's examples: the strongest, some from each quantile interval of its activations, some at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from store.reader import FeatureStore

TOP, RANDOM = "top", "random"

Groups = Callable[[NDArray[np.int64]], NDArray[np.int64]]
"""The context, or the document, of each of some corpus places."""


@dataclass(frozen=True)
class Example:
    """One place where a feature fires, with the text around it. T tokens."""

    interval: str
    """"top", a quantile interval of the feature's non-zero activations such as "75–100 %", or "random"."""
    start: int
    """Place in the corpus of the first token shown."""
    token_T: NDArray[np.int32]
    act_T: NDArray[np.float32]
    peak: int
    """Index of the token the example is about."""
    context: int
    position: int
    """Place of the peak in its context, from 0."""

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
    """How many of the feature's activations the interval holds."""
    examples: list[Example]


def interval_name(low: float, high: float) -> str:
    """`75–100 %`."""
    return f"{100 * low:.0f}–{100 * high:.0f} %"


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
    before: int = 24,
    after: int = 12,
) -> list[Section]:
    """The examples of a feature's page, from all of its activations.

    First the `top` strongest, then `each` from each of `intervals` quantile intervals of the non-zero activations, the
    strongest interval first (Towards Monosemanticity has 12), then `random` drawn uniformly from the non-zero
    activations, the same ones for the same `seed`, the strongest first. Inside an interval the examples are evenly
    spaced by rank, so the same page comes out every time. An interval that holds no activation is left out.

    A context appears once in a section, or with `one_per_document` a document; random examples are left as they are
    drawn but for that.

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
    found = [(TOP, 0, n, _top(store, feature, n, min(top, limit), groups))]
    for i in range(intervals if n > top else 0):
        first, last = _share(n, i, intervals), _share(n, i + 1, intervals)
        if first < last:
            places = _spaced(store, feature, (first, last), each, groups)
            name = interval_name(1 - (i + 1) / intervals, 1 - i / intervals)
            found.append((name, first, last - first, places))
    if random:
        rng = np.random.default_rng((seed, feature))
        distinct = groups if one_per_document else None
        found.append((RANDOM, 0, n, _random(store, feature, n, random, rng, distinct)))
    return [
        Section(title, first, size, [window(store, feature, place, title, before, after) for place in places])
        for title, first, size, places in found
    ]


def window(store: FeatureStore, feature: int, place: int, interval: str, before: int, after: int) -> Example:
    """The text around one corpus place, cut at the edges of its context: the model saw no further."""
    context = store.context_of(place)
    start = max(context.start, place - before)
    stop = min(context.start + context.length, place + after + 1)
    return Example(
        interval=interval,
        start=start,
        token_T=store.tokens(start, stop),
        act_T=store.activations(feature, start, stop),
        peak=place - start,
        context=context.number,
        position=place - context.start,
    )


def _share(n: int, parts: int, of: int) -> int:
    """n · parts / of, rounded half to even: exact, so that no rank moves with an error of floating point."""
    return round(Fraction(n * parts, of))


def _top(store: FeatureStore, feature: int, n: int, wanted: int, groups: Groups) -> list[int]:
    """The strongest place of each of the `wanted` groups with the strongest places."""
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


def _spaced(store: FeatureStore, feature: int, interval: tuple[int, int], wanted: int, groups: Groups) -> list[int]:
    """Places evenly spaced over the ranks `interval` = (first, behind the last), one a group."""
    first, last = interval
    ranks = np.unique(np.linspace(first, last - 1, min(wanted * 3, last - first)).astype(np.int64))
    token = store.at_ranks(feature, ranks).token
    _, strongest = np.unique(groups(token), return_index=True)
    chosen = token[np.sort(strongest)].tolist()
    spread = sorted({round(i) for i in np.linspace(0, len(chosen) - 1, min(wanted, len(chosen)))})
    return [chosen[i] for i in spread]


def _random(
    store: FeatureStore, feature: int, n: int, wanted: int, rng: np.random.Generator, groups: Groups | None
) -> list[int]:
    """Places drawn without replacement, the strongest first; with `groups` the first drawn of each group."""
    size = min(n, wanted if groups is None else 4 * wanted)
    while True:
        ranks = rng.choice(n, size, replace=False)
        if groups is not None:
            drawn = groups(store.at_ranks(feature, ranks).token)
            ranks = ranks[np.sort(np.unique(drawn, return_index=True)[1])]
        if len(ranks) >= wanted or size == n:
            return [int(place) for place in store.at_ranks(feature, np.sort(ranks[:wanted])).token]
        size = min(n, 8 * size)
