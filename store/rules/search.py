"""The search for the rule that explains a feature: greedy, over conjunctions and unions, on the choosing half.

F1 is that of the rule as a detector of the feature's firings, less a cost for every predicate and for every further
text in a set of texts. Firing is tried at four levels: all activations, and the strongest that make up 90, 70 and 50 %
of the feature's total activation. At the end the threshold is the one of the best F1 among all activations, as in
`monosem find`. Shapes: N tokens, E entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from store.rules.conditions import Conditions
from store.rules.earlier_words import EarlierWords
from store.rules.grammar import Predicate, Rule, Term
from store.rules.groupings import Groupings
from store.rules.halves import Halves
from store.rules.measures import Firings, best_threshold
from store.rules.options import Domain, Option, OptionSource, Target, ranked
from store.rules.places import RuleCorpus
from store.rules.unions import FEWEST_TOKENS, ITEM_COST, TERM_COST, Covered

SHARES = (1.0, 0.9, 0.7, 0.5)
"""Shares of a feature's total activation that its firing tokens have, from its strongest on."""
FEWEST = 10
"""Entries on the choosing half below which no rule is looked for."""
BEAM = 4
"""Terms that are tried as the first of a conjunction: as many again of those that hold on most firing tokens."""
GOOD = 0.95
"""F1 from which on no longer rule is looked for."""
BROAD = 0.8
"""Share of the strongest firing tokens that a conjunction's broad first term holds on at least."""
BROADEST = 60
"""A conjunction's first term may hold on this many times the firing tokens, for the search to stay fast."""


@dataclass(frozen=True)
class FoundRule:
    """A rule, and where it was chosen: the threshold of the best F1 on the choosing half."""

    rule: Rule
    threshold: float
    f1: float
    """On the choosing half."""


@dataclass(frozen=True)
class _Clause:
    terms: tuple[Term, ...]
    level: int
    f1: float
    score: float


class RuleSearch:
    """Finds rules for the features of one corpus."""

    def __init__(self, corpus: RuleCorpus, halves: Halves) -> None:
        self.corpus, self.halves = corpus, halves

    @cached_property
    def _source(self) -> OptionSource:
        return OptionSource(Groupings(self.corpus, self.halves), Conditions(self.corpus, self.halves))

    @cached_property
    def _earlier(self) -> EarlierWords:
        groupings = self._source.groupings
        return EarlierWords(self.corpus, self.halves, groupings.words, groupings.word_names)

    def best(self, firings: Firings) -> FoundRule | None:
        """Return the best rule for a feature's entries on the choosing half; None where it hardly fires there."""
        if len(firings.place_E) < FEWEST:
            return None
        target = Target(firings.place_E, _levels(firings.act_E))
        singles = self._source.options(target)
        if singles and singles[0].f1 < GOOD:
            singles = ranked([*singles, *self._earlier.options(target)])
        if not singles:
            return None
        clause = self._conjunction(target, singles)
        rules = [Rule.of(singles[0].term.predicate), Rule((clause.terms,)), self._alternatives(target, clause)]
        return max(
            (self._measured(rule, firings) for rule in dict.fromkeys(rules)),
            key=lambda found: found.f1 - _cost(found.rule, target),
        )

    def _measured(self, rule: Rule, firings: Firings) -> FoundRule:
        holds_N = self.corpus.rule(rule)
        threshold, f1 = best_threshold(
            firings, holds_N[firings.place_E], int(np.count_nonzero(holds_N & self.halves.choosing_N))
        )
        return FoundRule(rule, threshold, f1)

    def _places(self, terms: tuple[Term, ...]) -> NDArray[np.int64]:
        return np.flatnonzero(self.corpus.clause(terms) & self.halves.choosing_N)

    def _conjunction(self, target: Target, singles: list[Option]) -> _Clause:
        """Return the best conjunction of up to three terms."""
        best = _Clause((singles[0].term,), singles[0].level, singles[0].f1, singles[0].score)
        if best.f1 >= GOOD:
            return best
        begun = [_Clause((option.term,), option.level, option.f1, option.score) for option in singles]
        found = [clause for first in self._beam(target, begun) for clause in self._extended(target, first, most=3)]
        for _ in range(2):
            found = sorted(found, key=lambda clause: (-clause.score, len(clause.terms)))[:2]
            if not found or found[0].score <= best.score:
                return best
            best = found[0]
            if best.f1 >= GOOD or len(best.terms) == 3:
                return best
            found = list(self._extended(target, best, most=1))
        return best

    def _beam(self, target: Target, begun: list[_Clause]) -> list[_Clause]:
        """Return the terms to begin with: the best, and of those that most firing tokens have the most specific."""
        fired = target.level_T[0]
        broad = []
        for clause in begun[BEAM:]:
            mask_N = self.corpus.clause(clause.terms)
            strongest = target.place_E[: target.level_T[-1]]
            if np.count_nonzero(mask_N[strongest]) < BROAD * len(strongest):
                continue
            size = np.count_nonzero(mask_N & self.halves.choosing_N)
            if size <= BROADEST * fired:
                broad.append((size, str(clause.terms[0]), clause))
        return begun[:BEAM] + [clause for _, _, clause in sorted(broad, key=lambda one: one[:2])[: BEAM - 1]]

    def _extended(self, target: Target, first: _Clause, most: int) -> Iterator[_Clause]:
        """Yield the best conjunctions of a clause and one more term."""
        places = self._places(first.terms)
        if len(places) > BROADEST * target.level_T[0]:
            return
        used = {str(term.predicate) for term in first.terms}
        paid = _cost(Rule((first.terms,)), target) + _term_cost(target)
        options = self._source.options(target, Domain(places))
        for option in [option for option in options if str(option.term.predicate) not in used][:most]:
            yield _Clause((*first.terms, option.term), option.level, option.f1, option.score - paid)

    def _alternatives(self, target: Target, first: _Clause) -> Rule:
        """Return a clause with up to two others that add the most."""
        clauses, score = [first.terms], first.score
        while len(clauses) < 3 and first.f1 < GOOD:
            places = np.flatnonzero(self.corpus.rule(Rule(tuple(clauses))) & self.halves.choosing_N)
            inside_E = Domain(places).entries(target)
            covered_T = tuple(Covered(int(np.count_nonzero(inside_E[:level])), len(places)) for level in target.level_T)
            options = self._source.options(target, Domain(places, outside=True, covered_T=covered_T))
            paid = _cost(Rule(tuple(clauses)), target) + _term_cost(target)
            if not options or options[0].score - paid <= score:
                break
            score = options[0].score - paid
            clauses.append((options[0].term,))
        return Rule(tuple(clauses))


def _levels(act_E: NDArray[np.float64]) -> tuple[int, ...]:
    """Return the numbers of strongest entries that have each share of the total, the largest first."""
    mass_E = np.cumsum(act_E)
    counts = [int(np.searchsorted(mass_E, share * mass_E[-1] * (1 - 1e-12))) + 1 for share in SHARES]
    return tuple(min(len(act_E), max(FEWEST, count)) for count in counts)


def _term_cost(target: Target) -> float:
    """Return the F1 that another predicate must add."""
    return max(TERM_COST, FEWEST_TOKENS / target.level_T[0])


def _cost(rule: Rule, target: Target) -> float:
    """Return the cost of reading a rule beyond its first predicate."""
    items = sum(_items(term.predicate) for clause in rule.clauses for term in clause)
    return _term_cost(target) * (rule.n_terms - 1) + ITEM_COST * (items - rule.n_terms)


def _items(predicate: Predicate) -> int:
    """Return the texts of a predicate; a sequence counts as many as it has tokens."""
    inner = [arg for arg in predicate.args if isinstance(arg, Predicate)]
    if inner:
        return _items(inner[0])
    sizes = [len(arg) if isinstance(arg, tuple) else 1 for arg in predicate.args]
    return max(1, sum(sizes)) if predicate.name != "position" else 1
