"""Completeness: the share of a list's concepts for which a feature, or a small set of features, is a good detector.

Features and thresholds are chosen on one half of the documents, with F1 as `store.query.find` does, and every figure is
measured on the other. All concepts are looked for together, in one pass over the index for each feature of the sets.

Shapes: N tokens, C concepts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from math import floor, log10

import numpy as np
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.index.corpus_text import Mask
from store.index.reader import FeatureStore
from store.query.concept_lists import Concept, ConceptList
from store.query.concept_scan import AT_ONCE, Codes, ConceptScan
from store.query.detectors import Choice
from store.query.find import MOST, firing_places
from store.query.pattern_tokens import compile_pattern, matches_of_several
from store.query.scores import Tally, TokenTotals
from store.rules.grammar import parse_rule
from store.rules.halves import Halves, document_halves
from store.rules.places import RuleCorpus

ENOUGH = 0.5
"""F1 from which a concept counts as found."""
LEAST = 20
"""Tokens that a concept must have to be judged, half of them in each half of the documents."""


@dataclass(frozen=True)
class Detector:
    """A feature or a set of them, and its counts on the measuring half."""

    features: tuple[int, ...]
    thresholds: tuple[float, ...]
    """The least activation of each that counts as firing."""
    hits: int
    fired: int
    matched: int

    @property
    def tally(self) -> Tally:
        """The counts, with precision, recall and F1."""
        return Tally(self.hits, self.fired, self.matched)

    @property
    def found(self) -> bool:
        """Whether it is good enough."""
        return self.tally.f1 >= ENOUGH


@dataclass(frozen=True)
class ConceptFigures:
    """How well a concept is detected."""

    concept: Concept
    tokens: int
    """Counted tokens that have it."""
    judged: bool
    """Whether there are enough of them in each half."""
    one: Detector | None
    """The best feature; None where the concept is not judged or no feature fires on it."""
    several: Detector | None
    """The best set."""


@dataclass(frozen=True)
class Decade:
    """The judged concepts of similar frequency."""

    power: int
    """Their share of the counted tokens is at least ten to the power of this, and less than ten times that."""
    concepts: int
    found: int
    """By one feature."""
    found_by_several: int


@dataclass(frozen=True)
class Completeness:
    """How completely a dictionary covers a list of concepts."""

    name: str
    """Name of the list."""
    features: int
    """Size of the dictionary."""
    tokens: int
    """Counted tokens of the index."""
    least: int
    most: int
    """Features of a set at most."""
    concepts: tuple[ConceptFigures, ...]

    @property
    def judged(self) -> tuple[ConceptFigures, ...]:
        """The concepts that occur often enough."""
        return tuple(one for one in self.concepts if one.judged)

    @property
    def found(self) -> int:
        """Judged concepts that one feature detects."""
        return sum(one.one is not None and one.one.found for one in self.judged)

    @property
    def found_by_several(self) -> int:
        """Judged concepts that a set detects."""
        return sum(one.several is not None and one.several.found for one in self.judged)

    def decades(self) -> tuple[Decade, ...]:
        """Return the judged concepts by frequency, the most frequent first."""
        by_power: dict[int, list[ConceptFigures]] = {}
        for one in self.judged:
            by_power.setdefault(floor(log10(one.tokens / self.tokens)), []).append(one)
        return tuple(
            Decade(power, len(some), part.found, part.found_by_several)
            for power, some in sorted(by_power.items(), reverse=True)
            for part in [replace(self, concepts=tuple(some))]
        )


class Pass(Enum):
    """A pass that is done."""

    TEXT = auto()
    INDEX = auto()


def passes(concepts: ConceptList, most: int = MOST) -> int:
    """Return the number of passes that `completeness` makes."""
    return -(-len(concepts.concepts) // AT_ONCE) * (1 + max(1, most))


def completeness(
    store: FeatureStore, concepts: ConceptList, most: int = MOST, least: int = LEAST, seed: int = 0
) -> Iterator[Pass | Completeness]:
    """Yield a step after each pass, and at the end the figures of all concepts.

    Args:
        store: an index.
        concepts: a list.
        most: features of a set at most.
        least: tokens that a concept must have.
        seed: decides which half of the documents measures.

    Raises:
        MonosemError: the index has a single document, or a rule names a token that does not exist.
    """
    halves = document_halves(store, seed)
    found: list[ConceptFigures] = []
    batches = [concepts.concepts[at : at + AT_ONCE] for at in range(0, len(concepts.concepts), AT_ONCE)]
    for batch in batches:
        matched_N = _codes(store, batch)
        yield Pass.TEXT
        sets = _Sets(store, halves, matched_N, _judged(halves, matched_N, len(batch), least))
        for _ in range(max(1, most)):
            sets.grow()
            yield Pass.INDEX
        found += [_figures(store, halves, matched_N, number, concept, sets) for number, concept in enumerate(batch)]
    yield Completeness(concepts.name, store.d_sae, store.n_counted, least, most, tuple(found))


def _codes(store: FeatureStore, concepts: Sequence[Concept]) -> Codes:
    """Return the concepts of each token, a bit each."""
    codes_N = np.zeros(store.n_tokens, np.uint64)
    by_pattern = [number for number, one in enumerate(concepts) if not one.is_rule]
    patterns = [compile_pattern(concepts[number].pattern) for number in by_pattern]
    for block in matches_of_several(store, patterns) if patterns else ():
        for number, found in zip(by_pattern, block, strict=True):
            codes_N[found.start : found.start + len(found.matched_N)][found.matched_N] |= _bit(number)
    corpus = RuleCorpus(store) if len(by_pattern) < len(concepts) else None
    for number, one in enumerate(concepts):
        if one.is_rule and corpus is not None:
            try:
                codes_N[corpus.rule(parse_rule(one.pattern))] |= _bit(number)
            except MonosemError as error:
                raise MonosemError(f"{one.name}: {error.what}", error.hint) from error
    return codes_N


def _bit(number: int) -> np.uint64:
    return np.uint64(1) << np.uint64(number)


def _having(codes_N: Codes, number: int) -> Mask:
    having_N: Mask = (codes_N & _bit(number)) != 0
    return having_N


def _judged(halves: Halves, codes_N: Codes, n_concepts: int, least: int) -> NDArray[np.bool_]:
    """Return which concepts have enough tokens, half of them in each half [C]."""
    count_2C = np.array(
        [
            [int((_having(codes_N, number) & half_N).sum()) for number in range(n_concepts)]
            for half_N in (halves.choosing_N, halves.measuring_N)
        ]
    )
    judged_C: NDArray[np.bool_] = (count_2C.sum(0) >= least) & (count_2C.min(0) >= max(1, least // 2))
    return judged_C


class _Sets:
    """The sets of all concepts, grown together by a feature each."""

    def __init__(self, store: FeatureStore, halves: Halves, codes_N: Codes, judged_C: NDArray[np.bool_]) -> None:
        self.judged_C = judged_C
        self.choices: list[tuple[Choice, ...]] = [()] * len(judged_C)
        self._store, self._chosen_N = store, halves.choosing_N
        self._scan = ConceptScan(store, halves.choosing_N)
        wanted = np.bitwise_or.reduce([_bit(number) for number in np.flatnonzero(judged_C).tolist()] or [np.uint64(0)])
        self._codes_N = np.where(halves.choosing_N, codes_N & wanted, np.uint64(0))
        self._taken_N = np.zeros_like(codes_N)
        self._f1 = [0.0] * len(judged_C)
        self._totals = [
            TokenTotals(int(halves.choosing_N.sum()), int(_having(self._codes_N, number).sum()))
            for number in range(len(judged_C))
        ]
        self._open = self._codes_N.copy()

    def grow(self) -> None:
        """Add to each set the feature that raises its F1 most; sets that cannot be bettered are left alone."""
        if not self._open.any():
            return
        found = self._scan.best(self._open, self._taken_N, self._totals, self.choices)
        for number, best in enumerate(found):
            if best is None or best.f1 <= self._f1[number]:
                self._open &= ~_bit(number)
                continue
            self._f1[number] = best.f1
            self.choices[number] = (*self.choices[number], best.choice)
            places = firing_places(self._store, best.choice)
            self._taken_N[places[self._chosen_N[places]]] |= _bit(number)
            taken_N = _having(self._taken_N, number)
            hits = int((taken_N & _having(self._codes_N, number)).sum())
            self._totals[number] = self._totals[number]._replace(taken=int(taken_N.sum()), taken_hits=hits)


def _figures(
    store: FeatureStore, halves: Halves, codes_N: Codes, number: int, concept: Concept, sets: _Sets
) -> ConceptFigures:
    having_N = _having(codes_N, number)
    tokens = int((having_N & (halves.choosing_N | halves.measuring_N)).sum())
    choices = sets.choices[number]
    if not choices:
        return ConceptFigures(concept, tokens, bool(sets.judged_C[number]), None, None)
    one, several = (_measured(store, halves, having_N, some) for some in (choices[:1], choices))
    return ConceptFigures(concept, tokens, True, one, several)


def _measured(store: FeatureStore, halves: Halves, having_N: Mask, choices: tuple[Choice, ...]) -> Detector:
    """Count a set's hits and firings on the measuring half."""
    places = np.unique(np.concatenate([firing_places(store, choice) for choice in choices]))
    places = places[halves.measuring_N[places]]
    return Detector(
        tuple(choice.feature for choice in choices),
        tuple(choice.threshold for choice in choices),
        int(having_N[places].sum()),
        len(places),
        int((having_N & halves.measuring_N).sum()),
    )
