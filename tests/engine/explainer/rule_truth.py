"""Rules for features that are the planted corpus's concepts, beside the concepts themselves.

`python -m tests.engine.explainer.rule_truth 2000` prints the table of docs/benchmarks.md, for so many documents.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.corpus.planted.generator import CONCEPTS, PlantedCorpus
from store.index.reader import FeatureStore
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


def main(documents: int) -> None:
    """Print the table, and the concepts whose rules are not as good."""
    with TemporaryDirectory() as folder:
        found = planted_figures(documents, Path(folder) / "run")
    print("| kind | concepts | own F1 | rule's F1 | within 0.05 |\n|---|---|---|---|---|")
    for kind in ("word", "class", "state"):
        some = [one for one in found if one.kind == kind and one.own >= 0.9]
        own, mine = (float(np.mean([getattr(one, name) for one in some])) for name in ("own", "rule_f1"))
        print(
            f"| {kind} | {len(some)} | {own:.3f} | {mine:.3f} | {sum(one.rule_f1 >= one.own - NEAR for one in some)} |"
        )
    for one in found:
        if one.rule_f1 < one.own - NEAR:
            print(f"{one.name}: {one.own:.3f}, rule {one.rule_f1:.3f}: {one.rule}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
