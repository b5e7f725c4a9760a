"""A feature's examples: the strongest, and some from each quantile interval of its activations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.reader import FeatureStore

TOP = "top"


@dataclass(frozen=True)
class Example:
    """One place where a feature fires, with the text around it. T tokens."""

    interval: str
    """"top", or a quantile interval of the feature's non-zero activations such as "75–100 %"."""
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
    before: int = 24,
    after: int = 12,
) -> list[Section]:
    """The examples of a feature's page: `top` strongest, then `each` from each of `intervals` quantile intervals.

    Quantiles are of the feature's non-zero activations, the strongest interval first. Inside an interval the examples
    are evenly spaced by rank, so the same page comes out every time. A context appears once in a section.

    Raises:
        MonosemError: there is no such feature.
    """
    store.check_feature(feature)
    n = int(store.columns.count_F[feature])
    if n == 0:
        return []
    found = [Section(TOP, 0, n, _top(store, feature, n, top, before, after))]
    if n <= top:
        return found
    for i in range(intervals):
        low, high = 1 - (i + 1) / intervals, 1 - i / intervals
        first, last = round((1 - high) * n), round((1 - low) * n)
        name = interval_name(low, high)
        examples = _spaced(store, feature, (first, last), each, name, before, after)
        found.append(Section(name, first, last - first, examples))
    return found


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


def _top(store: FeatureStore, feature: int, n: int, wanted: int, before: int, after: int) -> list[Example]:
    """The strongest entry of each of the `wanted` contexts with the strongest entries."""
    places: dict[int, int] = {}
    size, start = 4 * wanted, 0
    wanted = min(wanted, store.n_contexts)
    while len(places) < wanted and start < n:
        token = store.postings(feature, start, start + size).token
        number = store.contexts_of(token)
        for i in np.sort(np.unique(number, return_index=True)[1]):
            if len(places) < wanted:
                places.setdefault(int(number[i]), int(token[i]))
        start, size = start + size, 2 * size
    return [window(store, feature, place, TOP, before, after) for place in places.values()]


def _spaced(
    store: FeatureStore, feature: int, interval: tuple[int, int], wanted: int, name: str, before: int, after: int
) -> list[Example]:
    """Entries evenly spaced over the ranks `interval` = (first, behind the last), one a context."""
    first, last = interval
    ranks = np.unique(np.linspace(first, last - 1, min(wanted * 3, last - first)).astype(np.int64))
    token = store.at_ranks(feature, ranks).token
    _, strongest = np.unique(store.contexts_of(token), return_index=True)
    chosen = token[np.sort(strongest)].tolist()
    spread = sorted({round(i) for i in np.linspace(0, len(chosen) - 1, min(wanted, len(chosen)))})
    return [window(store, feature, chosen[i], name, before, after) for i in spread]
