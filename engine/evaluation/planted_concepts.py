"""Detection of the planted corpus's concepts by features, compared with neurons.

Every other context, starting with the first, belongs to the selecting half: detectors are chosen there and measured on
the rest (engine.evaluation.planted_scores). With the same search, features are compared with

- the model's neurons: `mlp_act` of the site's layer (or the coordinates of a site without one), with both signs;
- the same neurons of the same architecture with random weights.

Shapes: N counted tokens, D width of the neurons, F = d_sae, C concepts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.corpus.planted.generator import CONCEPTS, PlantedCorpus
from engine.corpus.reading_order import Split
from engine.data.activations import forward_contexts
from engine.data.contexts import ContextBatch
from engine.evaluation.planted_detectors import (
    ActiveFeatures,
    DenseDetectors,
    Tokens,
    feature_thresholds,
    neuron_levels,
    neuron_thresholds,
    sparse_detectors,
)
from engine.evaluation.planted_labels import Labeller, TokenConcepts
from engine.evaluation.planted_scores import Score, score
from engine.jobs.subject import Subject
from engine.model.drawn_weights import reinitialised
from engine.model.hooks import capture_all
from engine.model.language_model import LanguageModel
from engine.model.sites import Site, resolve_site
from engine.runtime.progress import Progress
from engine.sae.base import Sae, encoded_rows
from store.files.errors import MonosemError

LEAST = 500
"""Fewest tokens with a concept for it to enter the means."""
MOST_TOKENS = 1 << 18
MOST_BYTES = 1 << 28
"""Most bytes of the neurons' levels and of the features' activations; they limit the tokens scored."""
SAMPLED = 1 << 15
"""First tokens of the selecting half, from which neurons' thresholds are taken."""
ENTRY_BYTES = 12
RANDOM_SEED = 0
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


def concept_scores(
    subject: Subject, corpus: PlantedCorpus, sae: Sae, split: Split, contexts: int, progress: Progress
) -> list[ConceptScore]:
    """Score every concept on the first contexts of a split, packed whatever the run's packing.

    MOST_TOKENS and MOST_BYTES limit the contexts. A single context, which cannot be halved, gives no scores.
    """
    gathered = _gather(subject, corpus, sae, split, contexts, progress)
    if not gathered.features[1].labels:
        return []
    progress.say("detecting concepts by features and by neurons")
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


def _neurons_of(lm: LanguageModel, site: Site) -> Site:
    if site.layer is None:
        return site
    try:
        return resolve_site(lm, "mlp_act", site.layer)
    except MonosemError:  # a mixture of experts has no single hidden layer
        return site


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


class _Levels:
    """Turns neurons' activations into levels, once there are enough to set thresholds."""

    def __init__(self) -> None:
        self._raw: tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]] = ([], [])
        self._levels: tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]] = ([], [])
        self._thresholds_DG: NDArray[np.float32] | None = None

    def add(self, half: int, acts_ND: Tensor) -> None:
        """Add activations of further tokens of a half."""
        self._raw[half].append(acts_ND.float().cpu().numpy())
        if self._thresholds_DG is not None or sum(map(len, self._raw[0])) >= SAMPLED:
            self._convert()

    def detectors(self) -> tuple[DenseDetectors, DenseDetectors]:
        """Return the detectors on both halves."""
        self._convert()
        selecting, measuring = (DenseDetectors(np.concatenate(levels)) for levels in self._levels)
        return selecting, measuring

    def _convert(self) -> None:
        if self._thresholds_DG is None:
            self._thresholds_DG = neuron_thresholds(np.concatenate(self._raw[0]))
        for raw, levels in zip(self._raw, self._levels, strict=True):
            levels += [neuron_levels(acts_ND, self._thresholds_DG) for acts_ND in raw]
            raw.clear()


@dataclass
class _Features:
    """Features and concepts of one half of the tokens."""

    labels: list[TokenConcepts] = field(default_factory=list)
    active: list[NDArray[np.int64]] = field(default_factory=list)
    features: list[NDArray[np.int64]] = field(default_factory=list)
    acts: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, sae: Sae, acts_ND: Tensor) -> int:
        """Add activations of further tokens, and return the number of active features."""
        entries = 0
        for some_ND in torch.split(acts_ND.float(), encoded_rows(sae)):
            found = sae.encode(some_ND)
            active_BK = found.act_BK > 0
            self.active.append(active_BK.sum(1).cpu().numpy())
            self.features.append(found.feature_BK[active_BK].cpu().numpy())
            self.acts.append(found.act_BK[active_BK].cpu().numpy())
            entries += len(self.acts[-1])
        return entries

    def entries(self) -> ActiveFeatures:
        """Return the active features of all tokens."""
        return ActiveFeatures(np.concatenate(self.active), np.concatenate(self.features), np.concatenate(self.acts))

    def having(self) -> list[Tokens]:
        """Return the tokens that have each concept."""
        found: list[list[int]] = [[] for _ in CONCEPTS]
        for token, concepts in enumerate(self.labels):
            for concept in concepts:
                found[concept].append(token)
        return [np.array(tokens, np.int64) for tokens in found]


class _Gathered(NamedTuple):
    """The detectors to score."""

    features: tuple[_Features, _Features]
    neurons: _Levels
    random: _Levels


def _gather(
    subject: Subject, corpus: PlantedCorpus, sae: Sae, split: Split, contexts: int, progress: Progress
) -> _Gathered:
    lm, site = subject.lm, subject.site()
    neurons = _neurons_of(lm, site)
    random = reinitialised(lm, RANDOM_SEED)
    stream = replace(subject, settings=replace(subject.settings, packing="packed")).stream(split)
    labeller = Labeller(corpus, subject.encoding)
    gathered = _Gathered((_Features(), _Features()), _Levels(), _Levels())
    left, bytes_left = min(MOST_TOKENS, MOST_BYTES // (2 * neurons.d_in)), MOST_BYTES
    with progress.task("concepts", contexts, "contexts") as bar:
        for batch in stream.batches(forward_contexts(subject.context), contexts):
            labels = labeller.label(batch)
            inputs = batch.tensors(lm.device)
            acts_BTD, neurons_BTD = capture_all(lm, [site, neurons], *inputs)
            (random_BTD,) = capture_all(random, [neurons], *inputs)
            for half, mine_BT in enumerate(_halves(batch)):
                mine = torch.from_numpy(mine_BT).to(lm.device)
                bytes_left -= ENTRY_BYTES * gathered.features[half].add(sae, acts_BTD[mine])
                gathered.neurons.add(half, neurons_BTD[mine])
                gathered.random.add(half, random_BTD[mine])
                of_half_N = mine_BT[batch.counted_BT]
                gathered.features[half].labels += [one for one, its in zip(labels, of_half_N, strict=True) if its]
            bar.advance(len(batch.tokens_BT))
            left -= len(labels)
            if left <= 0 or bytes_left <= 0:
                break
    return gathered


def _halves(batch: ContextBatch) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the counted positions [B, T] of the selecting half, and those of the other."""
    odd_B = (batch.first + np.arange(len(batch.tokens_BT))) % 2 == 1
    return batch.counted_BT & ~odd_B[:, None], batch.counted_BT & odd_B[:, None]
