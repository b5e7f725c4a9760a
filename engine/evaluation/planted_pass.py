"""One pass of the planted corpus through model and autoencoder: the detectors of its concepts, on two halves.

Every other context, starting with the first, belongs to the selecting half, the rest to the measuring half. Beside
features there are the model's neurons, `mlp_act` of the site's layer (or the coordinates of a site without one), and
the same neurons of the same architecture with random weights.

Shapes: N counted tokens, D width of the neurons or of the site, F = d_sae, B contexts, T positions.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
    neuron_levels,
    neuron_thresholds,
)
from engine.evaluation.planted_labels import Labeller, TokenLabel
from engine.jobs.subject import Subject
from engine.model.drawn_weights import reinitialised
from engine.model.hooks import capture_all
from engine.model.language_model import LanguageModel
from engine.model.sites import Site, resolve_site
from engine.runtime.progress import Progress
from engine.sae.base import Sae, encoded_rows
from store.files.errors import MonosemError

MOST_TOKENS = 1 << 18
MOST_BYTES = 1 << 28
"""Most bytes of the neurons' levels and of the features' activations; they limit the tokens scored."""
SAMPLED = 1 << 15
"""First tokens of the selecting half, from which neurons' thresholds are taken."""
ENTRY_BYTES = 12
RANDOM_SEED = 0


class Levels:
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
class HalfFeatures:
    """Features and concepts of one half of the tokens."""

    labels: list[TokenLabel] = field(default_factory=list)
    inputs: list[NDArray[np.float32]] = field(default_factory=list)
    """The site's activations on tokens that end a word."""
    active: list[NDArray[np.int64]] = field(default_factory=list)
    features: list[NDArray[np.int64]] = field(default_factory=list)
    acts: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, sae: Sae, acts_ND: Tensor, labels: list[TokenLabel]) -> int:
        """Add activations and labels of further tokens, and return the number of active features."""
        entries = 0
        self.labels += labels
        ends_word_N = torch.tensor([bool(label.word) for label in labels], dtype=torch.bool, device=acts_ND.device)
        self.inputs.append(acts_ND[ends_word_N].float().cpu().numpy())
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
        for token, label in enumerate(self.labels):
            for concept in label.concepts:
                found[concept].append(token)
        return [np.array(tokens, np.int64) for tokens in found]


class Gathered(NamedTuple):
    """The detectors to score; of each kind those of the selecting half first."""

    features: tuple[HalfFeatures, HalfFeatures]
    neurons: Levels
    random: Levels


def gather(
    subject: Subject, corpus: PlantedCorpus, sae: Sae, split: Split, contexts: int, progress: Progress
) -> Gathered:
    """Read the first contexts of a split, packed whatever the run's packing; MOST_TOKENS and MOST_BYTES limit them."""
    lm, site = subject.lm, subject.site()
    neurons = _neurons_of(lm, site)
    random = reinitialised(lm, RANDOM_SEED)
    stream = replace(subject, settings=replace(subject.settings, packing="packed")).stream(split)
    labeller = Labeller(corpus, subject.encoding)
    gathered = Gathered((HalfFeatures(), HalfFeatures()), Levels(), Levels())
    left, bytes_left = min(MOST_TOKENS, MOST_BYTES // (2 * neurons.d_in)), MOST_BYTES
    with progress.task("concepts", contexts, "contexts") as bar:
        for batch in stream.batches(forward_contexts(subject.context), contexts):
            labels = labeller.label(batch)
            inputs = batch.tensors(lm.device)
            acts_BTD, neurons_BTD = capture_all(lm, [site, neurons], *inputs)
            (random_BTD,) = capture_all(random, [neurons], *inputs)
            for half, mine_BT in enumerate(_halves(batch)):
                mine = torch.from_numpy(mine_BT).to(lm.device)
                of_half_N = mine_BT[batch.counted_BT]
                its = [one for one, is_its in zip(labels, of_half_N, strict=True) if is_its]
                bytes_left -= ENTRY_BYTES * gathered.features[half].add(sae, acts_BTD[mine], its)
                gathered.neurons.add(half, neurons_BTD[mine])
                gathered.random.add(half, random_BTD[mine])
            bar.advance(len(batch.tokens_BT))
            left -= len(labels)
            if left <= 0 or bytes_left <= 0:
                break
    return gathered


def _neurons_of(lm: LanguageModel, site: Site) -> Site:
    if site.layer is None:
        return site
    try:
        return resolve_site(lm, "mlp_act", site.layer)
    except MonosemError:  # a mixture of experts has no single hidden layer
        return site


def _halves(batch: ContextBatch) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the counted positions [B, T] of the selecting half, and those of the other."""
    odd_B = (batch.first + np.arange(len(batch.tokens_BT))) % 2 == 1
    return batch.counted_BT & ~odd_B[:, None], batch.counted_BT & odd_B[:, None]
