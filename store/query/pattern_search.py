"""Search for the features of a regular expression, from its matches to the ranking; reports on the way.

Shapes: N tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from store.files.errors import MonosemError
from store.index.corpus_text import Mask
from store.index.reader import FeatureStore
from store.query.detectors import Detectors
from store.query.find import MOST, FindOptions, Found, Order, Question, search
from store.query.pattern_tokens import compile_pattern, text_matches, token_matches, whole
from store.settings.roles import Role

RANKED, RANKED_HELD_OUT = 1000, 200
"""Features ranked by default; with `held_out` each is measured once more, which costs a look at every token."""
WORDS = 12
"""Matching tokens that are named."""
BLOCK = 1 << 16
"""Tokens that the expression sees between two reports, about."""
BY_THEMSELVES = "Leave `tokens=True` out: running text is searched then."
"""Advice where no token matches by itself."""


@dataclass(frozen=True)
class Inquiry:
    """A regular expression, and how the features that track it are ranked."""

    pattern: str
    tokens: bool = False
    """Match single tokens' strings, not the text."""
    last: bool = False
    """Rank by the last token of each match only."""
    held_out: bool = False
    by: Order = "f1"
    top: int = 0
    """Features in the ranking at most; 0 for RANKED or RANKED_HELD_OUT."""
    most: int = MOST
    role: Role | None = None
    """Score tokens of such turns only; with an empty pattern, these are the tokens to detect among all."""
    ordinary: bool = False
    """Leave outlier tokens out."""
    rule: bool = False
    """`pattern` is a rule (store.rules.grammar); `held_out` then halves documents, as explanations do."""

    @property
    def options(self) -> FindOptions:
        """Return what `search` takes of it."""
        top = self.top or (RANKED_HELD_OUT if self.held_out else RANKED)
        return FindOptions(top=top, most=self.most, held_out=self.held_out, by=self.by)


@dataclass(frozen=True)
class Report:
    """The state of a search."""

    matched: float = 0.0
    """Share of the corpus that the expression has seen."""
    words: tuple[tuple[int, int], ...] = ()
    """The tokens that match most often: vocabulary id and count, once the expression has seen everything."""
    found: Found | None = None

    @property
    def finished(self) -> bool:
        """Whether this is the whole answer."""
        return self.found is not None and self.found.finished


def search_pattern(
    store: FeatureStore, inquiry: Inquiry, block: int = BLOCK, detectors: Detectors | None = None
) -> Iterator[Report]:
    """Yield reports: of each block that was matched, then of each step of `store.query.find.search`.

    `detectors` are what is ranked; None for the index's features.

    Raises:
        MonosemError: the pattern is no expression or no rule, nothing matches, or there are no turns with roles.
    """
    of_role_N = None if inquiry.role is None else store.layout.tokens_of(inquiry.role)
    if of_role_N is not None and not inquiry.pattern:
        question = Question(
            f"{inquiry.role}'s turns", store.layout.counted_tokens(ordinary=inquiry.ordinary), of_role_N
        )
        yield Report(1.0)
        yield from _ranked(store, question, inquiry, detectors)
        return
    if inquiry.rule:
        yield Report()
        yield from _ranked(store, _ruled(store, inquiry, of_role_N), inquiry, detectors)
        return
    pattern = compile_pattern(inquiry.pattern)
    yield Report()
    matches, n_tokens = [], max(1, store.n_tokens)
    for match in (token_matches if inquiry.tokens else text_matches)(store, pattern, block):
        matches.append(match)
        yield Report((match.start + len(match.matched_N)) / n_tokens)
    name = repr(inquiry.pattern).replace("\\\\", "\\")  # control characters escaped, backslashes as they were typed
    question = whole(matches).question(store, name, last=inquiry.last, ordinary=inquiry.ordinary)
    if of_role_N is not None:
        question = question._replace(scored_N=question.scored_N & of_role_N)
    if inquiry.tokens and not (question.scored_N & question.matched_N).any():
        raise MonosemError(f"no single {store.plan.noun.one} matches {question.name}", BY_THEMSELVES)
    yield from _ranked(store, question, inquiry, detectors)


def _ruled(store: FeatureStore, inquiry: Inquiry, of_role_N: Mask | None) -> Question:
    """Return the question of a rule; its halves are those of documents that explanations are chosen and measured on."""
    from store.rules.grammar import parse_rule
    from store.rules.halves import document_halves
    from store.rules.places import RuleCorpus

    rule = parse_rule(inquiry.pattern)
    scored_N = store.layout.counted_tokens(ordinary=inquiry.ordinary)
    if of_role_N is not None:
        scored_N &= of_role_N
    measured_N = document_halves(store).measuring_N if inquiry.held_out else None
    return Question("the rule", scored_N, RuleCorpus(store).rule(rule), measured_N)


def _ranked(store: FeatureStore, question: Question, inquiry: Inquiry, detectors: Detectors | None) -> Iterator[Report]:
    words = _words(store, question.scored_N & question.matched_N)
    for found in search(store, question, inquiry.options, detectors):
        yield Report(1.0, words, found)


def _words(store: FeatureStore, matched_N: Mask) -> tuple[tuple[int, int], ...]:
    count_V = np.zeros(len(store.vocabulary), np.int64)
    for start in range(0, len(matched_N), BLOCK):
        token_N = store.tokens(start, start + BLOCK)[matched_N[start : start + BLOCK]]
        found_V = np.bincount(token_N)
        if len(found_V) > len(count_V):  # some models have tokens beyond the vocabulary
            count_V = np.append(count_V, np.zeros(len(found_V) - len(count_V), np.int64))
        count_V[: len(found_V)] += found_V
    order = np.argsort(-count_V, kind="stable")[:WORDS]
    return tuple((int(i), int(count_V[i])) for i in order if count_V[i])
