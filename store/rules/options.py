"""Predicates that could be a feature's rule, or be added to one, with the F1 that each would give on the choosing half.

Shapes: E entries of a feature on the choosing half, the strongest first; T levels; G groups; Q conditions; P places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.rules.conditions import Conditions
from store.rules.grammar import NAMES, Predicate, Term
from store.rules.groupings import Grouping, Groupings
from store.rules.unions import FEWEST_TOKENS, ITEM_COST, TERM_COST, Covered, best_union, fewest_hits

_PLAINNESS = {name: number for number, name in enumerate(NAMES)}


class Target(NamedTuple):
    """A feature's entries on the choosing half, and the numbers of strongest ones that may count as firing."""

    place_E: NDArray[np.int64]
    level_T: tuple[int, ...]


class Option(NamedTuple):
    """One term, the level at which it is best, and its F1 there with what is covered, less the cost of reading it."""

    term: Term
    level: int
    f1: float
    score: float


@dataclass(frozen=True)
class Domain:
    """The part of the choosing half that a term is asked about."""

    places: NDArray[np.int64] | None = None
    """Places of a rule, ascending; None for all."""
    outside: bool = False
    """Ask about the other places."""
    covered_T: tuple[Covered, ...] = ()
    """Counts of a rule that is kept, at each level of the target; empty where there is none."""

    def entries(self, target: Target) -> NDArray[np.bool_]:
        """Return which entries lie in it: [E]."""
        if self.places is None:
            return np.ones(len(target.place_E), bool)
        at = np.minimum(np.searchsorted(self.places, target.place_E), max(0, len(self.places) - 1))
        inside_E = self.places[at] == target.place_E if len(self.places) else np.zeros(len(target.place_E), bool)
        return ~inside_E if self.outside else inside_E

    def seen(self, seen_G: NDArray[np.int64], counts_G: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """Return the counts in the domain, from those of all and those of `places`."""
        if counts_G is None:
            return seen_G
        return seen_G - counts_G if self.outside else counts_G


class _Question(NamedTuple):
    """A target in a domain."""

    target: Target
    domain: Domain
    place_E: NDArray[np.int64]
    """Places of the entries in the domain."""
    level_T: tuple[int, ...]
    """The target's levels, in entries in the domain."""
    covered_T: tuple[Covered, ...]

    @classmethod
    def of(cls, target: Target, domain: Domain) -> _Question:
        inside_E = domain.entries(target)
        level_T = tuple(int(np.count_nonzero(inside_E[:level])) for level in target.level_T)
        covered_T = domain.covered_T or (Covered(),) * len(level_T)
        return cls(target, domain, target.place_E[inside_E], level_T, covered_T)


@dataclass(frozen=True)
class OptionSource:
    """All groupings and conditions of a corpus."""

    groupings: Groupings
    conditions: Conditions

    def options(self, target: Target, domain: Domain = Domain()) -> list[Option]:
        """Return the best option of every grouping, and every condition, the best first."""
        asked = _Question.of(target, domain)
        return ranked([*self._grouped(asked), *self._conditions(asked)])

    def _grouped(self, asked: _Question) -> Iterator[Option]:
        target, domain, place_E, level_T, covered_T = asked
        for grouping in self.groupings.all:
            group_E = grouping.at(place_E)
            some_S = _hit_groups(group_E, len(grouping.seen_G), target.level_T)
            if not len(some_S):
                continue
            seen_S = domain.seen(grouping.seen_G[some_S], _counted(grouping, domain, some_S))
            # Groups are numbered anew, from 1: most of a corpus's sequences never meet the feature.
            number_G = np.zeros(len(grouping.seen_G), np.int32)
            number_G[some_S] = np.arange(1, len(some_S) + 1)
            number_E, unions = number_G[group_E], []
            for number, level in enumerate(level_T):
                hits = np.bincount(number_E[:level], minlength=len(some_S) + 1)
                fired = target.level_T[number]
                cost = max(ITEM_COST * grouping.length, FEWEST_TOKENS / (2 * fired))
                union = best_union(hits, np.append(0, seen_S), fired, covered_T[number], cost)
                if union is not None:
                    unions.append((union.score, -number, union))
            if unions:
                score, number, union = max(unions)
                groups = some_S[np.array(union.groups) - 1].tolist()
                yield Option(Term(grouping.named(groups)), -number, union.f1, score)

    def _conditions(self, asked: _Question) -> Iterator[Option]:
        target, domain, place_E, level_T, covered_T = asked
        hits_TQ = np.stack([self.conditions.counts(place_E[:level]) for level in level_T])
        counts_Q = None if domain.places is None else self.conditions.counts(domain.places)
        seen_Q = domain.seen(self.conditions.seen_Q, counts_Q)
        sides = [(False, hits_TQ, seen_Q)]
        if domain.places is not None and not domain.outside:
            rest_TQ = np.array(level_T)[:, None] - hits_TQ
            sides.append((True, rest_TQ, len(domain.places) - seen_Q))
        fired_T1 = np.array(target.level_T)[:, None]
        covered_hits_T1 = np.array([covered.hits for covered in covered_T])[:, None]
        covered_size_T1 = np.array([covered.size for covered in covered_T])[:, None]
        for negated, side_TQ, size_Q in sides:
            f1_TQ = 2 * (covered_hits_T1 + side_TQ) / (covered_size_T1 + size_Q + fired_T1)
            for q in np.flatnonzero(side_TQ.any(axis=0)).tolist():
                level = int(f1_TQ[:, q].argmax())
                f1 = float(f1_TQ[level, q])
                yield Option(Term(self.conditions.predicates[q], negated), level, f1, f1 - TERM_COST / 2 * negated)


def _hit_groups(group_E: NDArray[np.int32], size: int, level_T: Sequence[int]) -> NDArray[np.int64]:
    """Return the groups with enough of a feature's entries to be in a union at any level, ascending; never group 0."""
    hits_G = np.bincount(group_E, minlength=size)
    hits_G[0] = 0
    return np.flatnonzero(hits_G > fewest_hits(min(level_T)))


def _counted(grouping: Grouping, domain: Domain, some_S: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the places of a domain in each of some groups; None where it is everywhere."""
    if domain.places is None:
        return None
    return np.bincount(grouping.at(domain.places), minlength=len(grouping.seen_G))[some_S]


def ranked(options: Sequence[Option]) -> list[Option]:
    """Return options, the best first; ties by the plainest predicate, then by the shorter text."""
    in_order = sorted(options, key=lambda one: -one.score)
    return [one for _, tied in groupby(in_order, key=lambda one: one.score) for one in _plainest_first(list(tied))]


def _plainest_first(options: list[Option]) -> list[Option]:
    if len(options) < 2:
        return options
    texts = [str(one.term) for one in options]
    order = sorted(
        range(len(options)), key=lambda n: (_PLAINNESS[options[n].term.predicate.name], len(texts[n]), texts[n])
    )
    return [options[n] for n in order]


def scoped(predicate: Predicate, target: Target, mask_N: NDArray[np.bool_], seen: int) -> Option:
    """Return the option of one predicate whose mask is known and holds on `seen` places of the choosing half.

    Its words cost as much as predicates: they stand for whole sentences or documents, of which there are few.
    """
    hits_E = np.cumsum(mask_N[target.place_E])
    f1_T = [2 * int(hits_E[level - 1]) / (seen + level) for level in target.level_T]
    level = int(np.argmax(f1_T))
    return Option(Term(predicate), level, f1_T[level], f1_T[level] - TERM_COST * (len(predicate.inner.args) - 1))
