"""Options about words before a token: among the last few, in the same sentence, or anywhere in the document.

Candidates are the words that stand before a feature's firings far more often than elsewhere; each is then evaluated on
the whole corpus, once for all features. Shapes: E entries, W words, S sampled entries, B tokens before each.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from store.rules.grammar import Predicate
from store.rules.halves import Halves
from store.rules.options import Option, Target, scoped
from store.rules.places import RuleCorpus

BEFORE = 16
"""Tokens before a firing that are looked at."""
SAMPLED = 1024
"""Firings that candidates are taken from: the strongest."""
WORDS = 4
"""Candidates a feature."""
TOPICS = 5
"""Words of documents, of which the best are taken together."""
LEAST_TOPIC = 0.05
"""F1 of a word of documents below which it is not looked at."""
LEAST_LIFT = 1.5
"""How many times more often than elsewhere a candidate stands before firings."""
NEAR = (4, 16)


class EarlierWords:
    """The words of a corpus, as predicates of what stands before a token."""

    def __init__(self, corpus: RuleCorpus, halves: Halves, word_V: NDArray[np.int32], names: list[str]) -> None:
        self._corpus, self._halves = corpus, halves
        self._word_V, self._names = word_V, names
        counts_W = np.bincount(word_V[corpus.token_N[halves.choosing_N]], minlength=len(names))
        self._frequency_W = counts_W / max(1, int(counts_W.sum()))
        wordy_W = np.array([len(name) > 1 and name.isalpha() for name in names])
        self._usable_W = wordy_W & (counts_W > 0)
        self._seen: dict[Predicate, int] = {}
        self._run, self._word = self._incidence()
        runs_N = corpus.run_N[halves.choosing_N]
        self._n_runs = int(corpus.run_N.max(initial=0)) + 1
        self._seen_W = self._by_word(np.bincount(runs_N, minlength=self._n_runs))

    def options(self, target: Target) -> Iterator[Option]:
        """Yield the options of a feature."""
        words = self._candidates(target)
        predicates = []
        for names in [(word,) for word in words] + ([tuple(words)] if len(words) > 1 else []):
            inner = Predicate("word", names)
            predicates += [Predicate("within", (near, inner)) for near in NEAR]
            predicates.append(Predicate("sentence", (inner,)))
        topics = self._topics(target)
        for names in [(word,) for word in topics[:2]] + [tuple(topics[:n]) for n in range(2, len(topics) + 1)]:
            predicates.append(Predicate("document", (Predicate("word", names),)))
        for predicate in predicates:
            mask_N = self._corpus.holds(predicate)
            if predicate not in self._seen:
                self._seen[predicate] = int(np.count_nonzero(mask_N & self._halves.choosing_N))
            yield scoped(predicate, target, mask_N, self._seen[predicate])

    def _candidates(self, target: Target) -> list[str]:
        """Return the words that stand before firings most above chance, weighted by how often they do."""
        place_S1 = target.place_E[:SAMPLED][:, None]
        at_SB = place_S1 - np.arange(1, BEFORE + 1)
        inside_SB = at_SB >= self._corpus.begin_N[place_S1]
        found = self._word_V[self._corpus.token_N[at_SB[inside_SB]]]
        counts_W = np.bincount(found, minlength=len(self._names)) * self._usable_W
        expected_W = self._frequency_W * max(1, len(found))
        with np.errstate(divide="ignore", invalid="ignore"):
            gain_W = np.where(counts_W > LEAST_LIFT * expected_W, counts_W * np.log(counts_W / expected_W), 0.0)
        best = np.argsort(-gain_W, kind="stable")[:WORDS]
        least = min(SAMPLED, len(target.place_E)) / 20
        return [self._names[word] for word in best.tolist() if gain_W[word] > 0 and counts_W[word] >= least]

    def _topics(self, target: Target) -> list[str]:
        """Return the words whose documents agree best with where the feature fires."""
        level = target.level_T[0]
        hits_W = self._by_word(np.bincount(self._corpus.run_N[target.place_E[:level]], minlength=self._n_runs))
        f1_W = np.where(self._usable_W, 2 * hits_W / (self._seen_W + level), 0.0)
        best = np.argsort(-f1_W, kind="stable")[:TOPICS]
        return [self._names[word] for word in best.tolist() if f1_W[word] > max(LEAST_TOPIC, f1_W[best[0]] / 2)]

    def _by_word(self, count_R: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the sum of a count over the documents that have each word."""
        return np.bincount(self._word, weights=count_R[self._run], minlength=len(self._names)).astype(np.float64)

    def _incidence(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return each pair of a document and a word in it."""
        size = len(self._names)
        key = np.unique(self._corpus.run_N * size + self._word_V[self._corpus.token_N])
        word = key % size
        keep = self._usable_W[word]
        return key[keep] // size, word[keep]
