"""Figures of rules against dense counting, the best union against all unions, and rules that were planted."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from store.index.reader import FeatureStore
from store.query.find import FindOptions, Question, find
from store.rules.grammar import parse_rule
from store.rules.halves import Halves, document_halves
from store.rules.measures import Firings, Measures, best_threshold
from store.rules.places import RuleCorpus
from store.rules.search import RuleSearch
from store.rules.unions import Covered, best_union
from tests.store.query.test_find import auroc, dense_of, opened
from tests.store.raw import random_raw
from tests.store.rules.corpora import SlowTruth, pieces, text_store


def firings(store: FeatureStore, feature: int, half_N: NDArray[np.bool_]) -> Firings:
    postings = store.postings(feature)
    inside = half_N[postings.token]
    return Firings(postings.token[inside], postings.act[inside].astype(np.float64))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_figures_are_those_of_dense_counting(seed: int, data: st.DataObject) -> None:
    raw = random_raw(seed, n_contexts=24)
    with opened(raw, 5, merged=True) as store:
        halves, acts_NF = document_halves(store, seed), dense_of(raw)
        measures = Measures(halves, seed)
        rng = np.random.default_rng(seed)
        rule_N = rng.random(store.n_tokens) < data.draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
        feature = data.draw(st.integers(0, raw.d_sae - 1))
        act_N, here_N = acts_NF[:, feature], halves.measuring_N
        threshold = float(rng.choice([0.5, 1.0, 2.0, 7.0]))
        scores = measures.scores(firings(store, feature, here_N), threshold, rule_N)
        fires_N, holds_N = (act_N >= threshold) & here_N, rule_N & here_N
        both = int((fires_N & holds_N).sum())
        assert scores.precision is not None and scores.recall is not None and scores.f1 is not None
        assert scores.precision.value == pytest.approx(both / max(1, fires_N.sum()))
        assert scores.recall.value == pytest.approx(both / max(1, holds_N.sum()))
        assert scores.f1.value == pytest.approx(2 * both / max(1, fires_N.sum() + holds_N.sum()))
        known = auroc(act_N[here_N], rule_N[here_N])
        assert (scores.auroc is None) == (known is None)
        if scores.auroc is not None:
            assert scores.auroc.value == pytest.approx(known)
        if scores.r is not None:
            assert scores.r.value == pytest.approx(np.corrcoef(act_N[here_N], rule_N[here_N])[0, 1], abs=1e-9)
        for figure in (scores.precision, scores.recall, scores.f1, scores.auroc, scores.r):
            assert figure is None or figure.low <= figure.value <= figure.high
        assert measures.scores(firings(store, feature, here_N), threshold, rule_N) == scores


def test_intervals_are_of_documents_drawn_again() -> None:
    """One draw, drawn by hand, document by document."""
    raw = random_raw(3, n_contexts=40)
    with opened(raw, 40, merged=True) as store:
        halves, acts_NF = document_halves(store), dense_of(raw)
        measures = Measures(halves)
        rule_N = np.arange(store.n_tokens) % 3 == 0
        scores = measures.scores(firings(store, 0, halves.measuring_N), 2.0, rule_N)
        documents = [halves.measuring_N & (halves.document_N == number) for number in halves.measured_D]
        f1s, aurocs = [], []
        for draw in measures.draws_BD:
            rows = np.concatenate(
                [np.flatnonzero(one) for one, n in zip(documents, draw, strict=True) for _ in range(int(n))]
            )
            fires, holds = acts_NF[rows, 0] >= 2.0, rule_N[rows]
            f1s.append(2 * (fires & holds).sum() / (fires.sum() + holds.sum()))
            aurocs.append(auroc(acts_NF[rows, 0], holds))
        assert scores.f1 is not None and scores.auroc is not None
        np.testing.assert_allclose((scores.f1.low, scores.f1.high), np.percentile(f1s, [2.5, 97.5]))
        np.testing.assert_allclose((scores.auroc.low, scores.auroc.high), np.percentile(aurocs, [2.5, 97.5]))


COUNTS = st.lists(st.tuples(st.integers(2, 30), st.integers(0, 30)), min_size=1, max_size=7)


@given(counts=COUNTS, silent=st.integers(0, 40), covered=st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_the_best_union_is_the_best_of_all(
    counts: list[tuple[int, int]], silent: int, covered: tuple[int, int]
) -> None:
    """Without a cost, no set of groups is better; with one, each group is worth it."""
    hits_G = np.array([0, *(h for h, _ in counts)])
    seen_G = hits_G + np.array([0, *(extra for _, extra in counts)])
    before = Covered(covered[0], covered[0] + covered[1])
    fired = int(hits_G.sum()) + before.hits + silent

    def f1(groups: Sequence[int]) -> float:
        hits, size = before.hits + sum(hits_G[list(groups)]), before.size + sum(seen_G[list(groups)])
        return 2 * hits / (size + fired)

    every = [groups for n in range(1, len(hits_G)) for groups in combinations(range(1, len(hits_G)), n)]
    free = best_union(hits_G, seen_G, fired, before, cost=0.0)
    assert free is not None
    assert free.f1 == pytest.approx(max(map(f1, every)))
    costly = best_union(hits_G, seen_G, fired, before, cost=0.02)
    assert costly is not None
    assert costly.f1 == pytest.approx(f1(costly.groups))
    if len(costly.groups) > 1:
        assert all(f1(costly.groups) - f1([g for g in costly.groups if g != one]) >= 0.02 for one in costly.groups)


WORDS = "the a dog cat sea boat Mary said ran big small red house tree walking talking singing one two".split()
PLANTED = {
    0: 'word("sea", "boat")',
    1: 'at(-1, word("the"))',
    2: "quote",
    3: 'ends("ing")',
    4: 'at(-1, word("the")) & word("dog", "cat")',
    5: 'quote | word("red")',
    6: "position(1, 2)",
    7: 'at(1, word("dog"))',
    8: 'word("dog") & !quote',
}


def planted_texts() -> list[str]:
    rng = random.Random(5)
    texts = []
    for _ in range(300):
        words = rng.choices(WORDS, k=40)
        for at in range(5, 35, 12):
            if rng.random() < 0.6:
                words[at], words[at + 5] = f'"{words[at]}', f'{words[at + 5]}"'
        texts.append(" ".join(words))
    return texts


@pytest.fixture(scope="module")
def planted() -> Iterator[FeatureStore]:
    """Features that fire where a rule holds, with one place in five hundred wrong."""
    texts, rng = planted_texts(), np.random.default_rng(0)
    with text_store(texts, [], 1, context=64) as plain:
        truth = SlowTruth(plain)
        quote_N = RuleCorpus(plain).rule(parse_rule("quote")).tolist()
        truth_of = truth.of_token
        truth.of_token = lambda one, i: quote_N[i] if one.name == "quote" else truth_of(one, i)  # type: ignore[method-assign]
        holds_FN = [np.array(truth.rule(parse_rule(rule))) for rule in PLANTED.values()]
    acts: list[list[dict[int, float]]] = []
    at = 0
    for text in texts:
        acts.append([])
        for _ in pieces(text):
            wrong = rng.random(len(PLANTED)) < 0.002
            fires = {f: float(1 + rng.random()) for f in PLANTED if holds_FN[f][at] and not wrong[f]}
            acts[-1].append(fires | {f: 0.3 for f in PLANTED if wrong[f] and not holds_FN[f][at]})
            at += 1
    with text_store(texts, acts, len(PLANTED), context=64) as store:
        yield store


@pytest.mark.parametrize("feature", PLANTED)
def test_planted_rules_are_found(planted: FeatureStore, feature: int) -> None:
    """The rule found is as good as the planted one on documents that it was not chosen on, at the planted threshold."""
    halves, corpus = document_halves(planted), RuleCorpus(planted)
    found = RuleSearch(corpus, halves).best(firings(planted, feature, halves.choosing_N))
    assert found is not None
    held_out = firings(planted, feature, halves.measuring_N)
    mine = Measures(halves).scores(held_out, 1.0, corpus.rule(found.rule))
    theirs = Measures(halves).scores(held_out, 1.0, corpus.rule(parse_rule(PLANTED[feature])))
    assert mine.f1 is not None and theirs.f1 is not None
    assert mine.f1.value >= theirs.f1.value - 0.05, str(found.rule)
    assert parse_rule(str(found.rule)) == found.rule
    again = RuleSearch(RuleCorpus(planted), halves).best(firings(planted, feature, halves.choosing_N))
    assert again == found


def test_the_threshold_is_that_of_find(planted: FeatureStore) -> None:
    """On the choosing half, the search for features and the search for rules agree to the last digit."""
    halves, corpus = document_halves(planted), RuleCorpus(planted)
    rule_N = corpus.rule(parse_rule(PLANTED[0]))
    entries = firings(planted, 0, halves.choosing_N)
    threshold, f1 = best_threshold(entries, rule_N[entries.place_E], int((rule_N & halves.choosing_N).sum()))
    found = find(planted, Question("rule", halves.choosing_N, rule_N), FindOptions(most=0))
    score = next(one for one in found.results if one.choice.feature == 0)
    assert (score.choice.threshold, score.tally.f1) == (threshold, f1)


def test_a_feature_that_hardly_fires_has_no_rule(planted: FeatureStore) -> None:
    halves = document_halves(planted)
    some = Firings(np.arange(5), np.ones(5))
    assert RuleSearch(RuleCorpus(planted), halves).best(some) is None
    assert isinstance(halves, Halves)
