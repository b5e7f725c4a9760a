"""The author `rules`: explains features by the best rule that is found, with its figures on held-out documents."""

from __future__ import annotations

import hashlib
import time
from functools import cached_property
from pathlib import Path

import numpy as np

from store.index.reader import FeatureStore
from store.notes.explanations import POOR, RULES, Explanation, ExplanationScores
from store.rules.grammar import Rule
from store.rules.halves import document_halves
from store.rules.kind_file import index_digest
from store.rules.measures import Firings, Measures, best_threshold
from store.rules.neuron_firings import NeuronFirings
from store.rules.places import RuleCorpus
from store.rules.rule_words import rule_words
from store.rules.search import FoundRule, RuleSearch

METHOD = 1
"""Version of the search: explanations of another one are made again."""


def rules_key(path: Path, seed: int) -> str:
    """Return the digest by which explanations of an index by rules are known: of the same key, none is made again."""
    return hashlib.sha256(f"rules {METHOD} seed {seed} index {index_digest(path)}".encode()).hexdigest()


class RuleAuthor:
    """Explains the features of one store, or neurons on its tokens."""

    def __init__(self, store: FeatureStore, seed: int, neurons: NeuronFirings | None = None) -> None:
        self._store, self._seed, self._neurons = store, seed, neurons
        self.halves = document_halves(store, seed)

    @cached_property
    def _corpus(self) -> RuleCorpus:
        return RuleCorpus(self._store)

    @cached_property
    def _search(self) -> RuleSearch:
        return RuleSearch(self._corpus, self.halves)

    @cached_property
    def _measures(self) -> Measures:
        return Measures(self.halves, self._seed)

    @cached_property
    def _key(self) -> str:
        return rules_key(self._neurons.path if self._neurons else self._store.path, self._seed)

    def explanation(self, feature: int) -> Explanation:
        """Explain a feature; one that fires on too few tokens gets the reason, and no rule."""
        choosing, measuring = self.firings(feature)
        found = self._search.best(choosing)
        if found is None:
            fires = len(choosing.act_E) + len(measuring.act_E)
            text = f"fires on {fires} tokens: too rarely to be explained" if fires else "never fires"
            return self._made(feature, text, None, ExplanationScores())
        scores = self._measures.scores(measuring, found.threshold, self._corpus.rule(found.rule))
        words = rule_words(found.rule, self._text)
        poor = scores.f1 is None or scores.f1.value < POOR
        return self._made(feature, f"no rule explains it; the nearest: {words}" if poor else words, found, scores)

    def threshold(self, feature: int, rule: Rule) -> float:
        """Return the activation from which on a feature's firing agrees best with a rule, on the choosing half."""
        choosing, holds_N = self.firings(feature)[0], self._corpus.rule(rule)
        holds = int(np.count_nonzero(holds_N & self.halves.choosing_N))
        return best_threshold(choosing, holds_N[choosing.place_E], holds)[0]

    def scores(self, feature: int, rule: Rule, threshold: float) -> ExplanationScores:
        """Measure a given rule on the measuring half.

        Raises:
            MonosemError: there is no such feature, or the rule names a token that does not exist.
        """
        return self._measures.scores(self.firings(feature)[1], threshold, self._corpus.rule(rule))

    def firings(self, feature: int) -> tuple[Firings, Firings]:
        """Return a feature's entries on the choosing and on the measuring half."""
        postings = (self._neurons or self._store).postings(feature)
        act_E = postings.act.astype(np.float64)
        halves = [half_N[postings.token] for half_N in (self.halves.choosing_N, self.halves.measuring_N)]
        choosing, measuring = (Firings(postings.token[half_E], act_E[half_E]) for half_E in halves)
        return choosing, measuring

    def _text(self, token: int) -> str:
        return self._corpus.classes.texts[token] if token < self._corpus.classes.size else ""

    def _made(self, feature: int, text: str, found: FoundRule | None, scores: ExplanationScores) -> Explanation:
        return Explanation(
            feature=feature,
            author=RULES,
            date=round(time.time(), 3),
            text=text,
            rule=None if found is None else str(found.rule),
            threshold=None if found is None else found.threshold,
            made_from=f"rules, chosen on the other half of the index's documents, seed {self._seed}",
            key=self._key,
            documents=len(self.halves.measured_D),
            scores=scores,
        )
