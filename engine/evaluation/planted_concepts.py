"""Detection of the planted corpus's concepts by features, compared with neurons.

Detectors are chosen on the selecting half and measured on the other (engine.evaluation.planted_scores), with the same
search for features, for the model's neurons and for those of the same architecture with random weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from engine.corpus.planted.generator import CONCEPTS
from engine.evaluation.planted_detectors import feature_thresholds, sparse_detectors
from engine.evaluation.planted_pass import Gathered
from engine.evaluation.planted_scores import Score, score
from engine.sae.base import Sae

LEAST = 500
"""Fewest tokens with a concept for it to enter the means."""
FIGURES = ("f1", "f1_set", "f1_neuron", "f1_neuron_set", "f1_random", "f1_random_set")


@dataclass(frozen=True)
class ConceptScore:
    """Detection of one concept. F1 is None if either half of the tokens lacks the concept."""

    name: str
    kind: str
    occurrences: int
    """Scored tokens that have it, in both halves."""
    f1: float | None
    feature: int | None
    f1_set: float | None
    features: list[int]
    f1_neuron: float | None
    f1_neuron_set: float | None
    f1_random: float | None
    f1_random_set: float | None


@dataclass(frozen=True)
class ConceptMeans:
    """Means over the concepts of a kind that occur on at least `least` tokens."""

    kind: str
    """A kind, or "all"."""
    concepts: int
    least: int
    f1: float | None
    f1_set: float | None
    f1_neuron: float | None
    f1_neuron_set: float | None
    f1_random: float | None
    f1_random_set: float | None


def concept_scores(gathered: Gathered, sae: Sae) -> list[ConceptScore]:
    """Score every concept; a single context, which cannot be halved, gives no scores."""
    if not gathered.features[1].labels:
        return []
    having = [half.having() for half in gathered.features]
    entries, entries_too = (half.entries() for half in gathered.features)
    thresholds = feature_thresholds(entries, sae.settings.d_sae)
    by_feature = score(sparse_detectors(entries, thresholds), sparse_detectors(entries_too, thresholds), *having)
    by_neuron = score(*gathered.neurons.detectors(), *having)
    by_random = score(*gathered.random.detectors(), *having)
    return [
        _concept_score(number, sum(len(half[number]) for half in having), *scores)
        for number, scores in enumerate(zip(by_feature, by_neuron, by_random, strict=True))
    ]


def concept_means(scores: Sequence[ConceptScore], least: int = LEAST) -> list[ConceptMeans]:
    """Return the means of each kind, then over all."""
    known = [one for one in scores if one.occurrences >= least and one.f1 is not None]
    kinds = [*dict.fromkeys(one.kind for one in scores), "all"]
    means = []
    for kind in kinds:
        of_kind = [one for one in known if kind in (one.kind, "all")]
        figures = {name: fmean(getattr(one, name) or 0.0 for one in of_kind) if of_kind else None for name in FIGURES}
        means.append(ConceptMeans(kind=kind, concepts=len(of_kind), least=least, **figures))
    return means


def _concept_score(number: int, occurrences: int, feature: Score, neuron: Score, random: Score) -> ConceptScore:
    return ConceptScore(
        name=CONCEPTS[number].name,
        kind=CONCEPTS[number].kind,
        occurrences=occurrences,
        f1=feature.f1,
        feature=feature.detectors[0] if feature.detectors else None,
        f1_set=feature.f1_set,
        features=feature.detectors,
        f1_neuron=neuron.f1,
        f1_neuron_set=neuron.f1_set,
        f1_random=random.f1,
        f1_random_set=random.f1_set,
    )
