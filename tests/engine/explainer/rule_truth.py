"""Rules for features of the planted corpus's concepts, beside the concepts themselves.

The tables of docs/benchmarks.md: `python -m tests.engine.explainer.rule_truth 2000` for features that are the concepts,
in so many documents; with an index of the corpus in place of the number, for those of a trained dictionary.
Shapes: N tokens, K concepts.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.corpus.planted.concept_patterns import planted_concepts
from engine.corpus.planted.generator import CONCEPTS, PlantedCorpus
from engine.corpus.planted.lexicon import CLASS_CONCEPTS, WORDS
from store.index.reader import FeatureStore
from store.query.pattern_tokens import compile_pattern, matches_of_several
from store.rules.measures import Firings, Measures, best_threshold
from store.rules.rule_author import RuleAuthor
from tests.engine.explainer.planted_store import PlantedText, planted_run, token_spans

MISSED = 0.03
"""Share of a concept's tokens on which its feature is silent."""
NEAR = 0.05
"""Largest difference of F1 for a rule to be as good as the concept."""


class Planted(NamedTuple):
    """Held-out F1 of one concept and of the rule that was found for its feature."""

    name: str
    kind: str
    own: float
    rule_f1: float
    rule: str


def planted_figures(documents: int, folder: Path) -> list[Planted]:
    """Explain a feature for every concept."""
    run, text = planted_run(folder, documents, concepts=tuple(range(len(CONCEPTS))), missed=MISSED)
    has_NK, found = concepts_of(text, documents), []
    with FeatureStore.open(run.path) as store:
        author = RuleAuthor(store, 0)
        measures, halves = Measures(author.halves), author.halves
        for feature, concept in enumerate(CONCEPTS):
            postings, has_N = store.postings(feature), has_NK[:, feature]
            choosing, measuring = (
                Firings(postings.token[half_N[postings.token]], postings.act[half_N[postings.token]].astype(np.float64))
                for half_N in (halves.choosing_N, halves.measuring_N)
            )
            holds = int((has_N & halves.choosing_N).sum())
            threshold, _ = best_threshold(choosing, has_N[choosing.place_E], holds)
            own = measures.scores(measuring, threshold, has_N).f1
            one = author.explanation(feature)
            mine = one.scores.f1.value if one.scores.f1 else 0.0
            found.append(Planted(concept.name, concept.kind, own.value if own else 0.0, mine, one.rule or one.text))
    return found


def trained_figures(path: Path) -> list[Planted]:
    """Explain every feature of an index, beside the concept with the best F1 on the choosing half.

    Concepts are known by their patterns, which hold on the corpus's own spans; topics have none.
    """
    concepts, found = planted_concepts().concepts, []
    with FeatureStore.open(path) as store:
        patterns = [compile_pattern(one.pattern) for one in concepts]
        blocks = [[one.matched_N for one in block] for block in matches_of_several(store, patterns)]
        has_KN = [np.concatenate(rows) for rows in zip(*blocks, strict=True)]
        author = RuleAuthor(store, 0)
        measures, halves = Measures(author.halves), author.halves
        holds_K = [int((has_N & halves.choosing_N).sum()) for has_N in has_KN]
        for feature in np.flatnonzero(store.columns.count_F).tolist():
            choosing, measuring = author.firings(feature)
            chosen = [
                best_threshold(choosing, has_N[choosing.place_E], holds)
                for has_N, holds in zip(has_KN, holds_K, strict=True)
            ]
            best = int(np.argmax([f1 for _, f1 in chosen]))
            own = measures.scores(measuring, chosen[best][0], has_KN[best]).f1
            one = author.explanation(feature)
            mine = one.scores.f1.value if one.scores.f1 else 0.0
            kind = "word" if best < len(WORDS) else "class" if best < len(WORDS) + len(CLASS_CONCEPTS) else "state"
            name = f"{concepts[best].name} (feature {feature})"
            found.append(Planted(name, kind, own.value if own else 0.0, mine, one.rule or one.text))
    return found


def concepts_of(text: PlantedText, documents: int) -> NDArray[np.bool_]:
    """Which concepts each token of the index has: [N, K]."""
    corpus, rows = PlantedCorpus(documents), []
    for number in range(documents):
        start = text.starts[number]
        rows.append(np.zeros((1, text.concepts_CK.shape[1]), bool))
        rows += [
            np.array([text.concepts_CK[start + a : start + b].any(0) for a, b in token_spans(corpus.text(number))])
        ]
    return np.concatenate(rows)


def main(given: str) -> None:
    """Print the table, and the concepts whose rules are not as good."""
    if given.isdecimal():
        with TemporaryDirectory() as folder:
            found = planted_figures(int(given), Path(folder) / "run")
    else:
        found = [one for one in trained_figures(Path(given)) if one.own >= 0.9]
    print("| kind | concepts | own F1 | rule's F1 | within 0.05 |\n|---|---|---|---|---|")
    for kind in ("word", "class", "state"):
        some = [one for one in found if one.kind == kind and one.own >= 0.9]
        if not some:
            continue
        own, mine = (float(np.mean([getattr(one, name) for one in some])) for name in ("own", "rule_f1"))
        print(
            f"| {kind} | {len(some)} | {own:.3f} | {mine:.3f} | {sum(one.rule_f1 >= one.own - NEAR for one in some)} |"
        )
    for one in found:
        if one.rule_f1 < one.own - NEAR:
            print(f"{one.name}: {one.own:.3f}, rule {one.rule_f1:.3f}: {one.rule}")


if __name__ == "__main__":
    main(sys.argv[1])
