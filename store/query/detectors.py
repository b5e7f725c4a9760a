"""The detectors that `find` ranks, which fire from a threshold on: the features of an index, or neurons.

Shapes: N tokens, M detectors, D neurons, V values of a float16.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from store.index.corpus_text import Mask
from store.index.neuron_file import Keys, NeuronActs, numbers_of
from store.index.reader import FeatureStore
from store.query.inverted_scan import InvertedScan
from store.query.scores import TieGroups

BLOCK_BYTES = 1 << 28
"""Bytes of the activations of neurons that are held at once."""
ZERO, MOST_KEY = np.uint16(0x8000), np.uint16(0xFFFF)
_VALUES = 1 << 16


class Choice(NamedTuple):
    """A detector (a feature, or a neuron's direction) and its threshold: the least activation that counts as firing."""

    feature: int
    threshold: float


class DetectorScan(Protocol):
    """One pass over the activations on scored tokens."""

    count_F: NDArray[np.int64]
    """Tokens of the whole index on which each detector is active."""

    def features(self) -> NDArray[np.int64]:
        """Return the detectors that may fire on a matching token, ascending."""

    def groups(self, wanted: NDArray[np.int64]) -> Iterator[TieGroups]:
        """Yield the groups of these detectors, ascending, some at a time."""


class Detectors(Protocol):
    """Detectors on the tokens of an index."""

    @property
    def unit_F(self) -> NDArray[np.float32]:
        """Powers of two by which each one's stored activations are multiplied."""

    def scan(self, scored_N: Mask, matched_N: Mask) -> DetectorScan:
        """Return a scan of the activations on scored tokens."""

    def firing_places(self, choice: Choice) -> NDArray[np.int64]:
        """Return the corpus places where a detector fires."""


@dataclass(frozen=True)
class FeatureDetectors:
    """The features of an index: active where they have an entry."""

    store: FeatureStore

    @property
    def unit_F(self) -> NDArray[np.float32]:
        """See `Detectors`."""
        return self.store.unit_F

    def scan(self, scored_N: Mask, matched_N: Mask) -> DetectorScan:
        """See `Detectors`."""
        return InvertedScan(self.store, scored_N, matched_N)

    def firing_places(self, choice: Choice) -> NDArray[np.int64]:
        """Return the corpus places where a feature fires, the strongest first."""
        postings = self.store.postings(choice.feature)
        reaching = len(postings.act) - int(np.searchsorted(postings.act[::-1], choice.threshold))
        return postings.token[:reaching]


class NeuronDetectors:
    """Neurons, each as two detectors: d fires where neuron d reaches a threshold, D + d where its negative does.

    Every value is a threshold, those below 0 too.
    """

    def __init__(self, acts: NeuronActs, counted_N: Mask) -> None:
        self.acts = acts
        self._counted_N = counted_N

    @property
    def unit_F(self) -> NDArray[np.float32]:
        """See `Detectors`."""
        return np.concatenate([self.acts.unit_D, self.acts.unit_D])

    @cached_property
    def count_F(self) -> NDArray[np.int64]:
        """Counted tokens on which each detector's value is above 0."""
        high, low = [], []
        for block in self.acts.blocks(BLOCK_BYTES):
            keys = self.acts.keys(block.start, block.stop)[:, self._counted_N]
            high.append((keys > ZERO).sum(axis=1))
            low.append((keys < ZERO).sum(axis=1))
        return np.concatenate(high + low).astype(np.int64)

    def scan(self, scored_N: Mask, matched_N: Mask) -> DetectorScan:
        """See `Detectors`."""
        return NeuronScan(self, scored_N, matched_N)

    def firing_places(self, choice: Choice) -> NDArray[np.int64]:
        """Return the counted corpus places where a neuron fires, in order."""
        neuron, is_low = neuron_of(choice.feature, self.acts.n_neurons)
        act_N = self.acts.acts(neuron, neuron + 1)[0]
        fires_N = (-act_N if is_low else act_N) >= np.float32(choice.threshold)
        return np.flatnonzero(fires_N & self._counted_N)


@contextmanager
def open_detectors(store: FeatureStore, path: Path | None) -> Iterator[NeuronDetectors | None]:
    """Yield the neurons in a file as detectors on an index's tokens; None without a file.

    Raises:
        MonosemError: the file is missing or damaged.
    """
    if path is None:
        yield None
        return
    with NeuronActs.open(path) as acts:
        yield NeuronDetectors(acts, store.layout.counted_tokens())


def neuron_of(detector: int, n_neurons: int) -> tuple[int, bool]:
    """Return the neuron of a detector, and whether it fires where that is low."""
    return detector % n_neurons, detector >= n_neurons


class NeuronScan:
    """Counts of every value of neurons on scored tokens; both directions of a neuron follow from the same counts."""

    def __init__(self, detectors: NeuronDetectors, scored_N: Mask, matched_N: Mask) -> None:
        self._acts = detectors.acts
        self.count_F = detectors.count_F
        self._scored = np.flatnonzero(scored_N)
        self._hit = matched_N[self._scored]

    def features(self) -> NDArray[np.int64]:
        """Return all detectors: neurons have a value everywhere."""
        return np.arange(2 * self._acts.n_neurons)

    def groups(self, wanted: NDArray[np.int64]) -> Iterator[TieGroups]:
        """Yield the groups of these detectors (ascending), one at a time; each neuron is read for either direction."""
        n = self._acts.n_neurons
        for is_low, some in ((False, wanted[wanted < n]), (True, wanted[wanted >= n] - n)):
            for start, stop in _stretches(some, max(1, BLOCK_BYTES // (4 * max(1, self._acts.n_tokens)))):
                keys = self._acts.keys(start, stop)[:, self._scored]
                for neuron in some[(some >= start) & (some < stop)].tolist():
                    yield self._groups(keys[neuron - start], neuron + n * is_low, is_low=is_low)

    def _groups(self, keys: Keys, detector: int, *, is_low: bool) -> TieGroups:
        entries_V = np.bincount(keys, minlength=_VALUES)
        hits_V = np.bincount(keys[self._hit], minlength=_VALUES)
        found = np.flatnonzero(entries_V)
        found = found if is_low else found[::-1]
        numbers = numbers_of(found.astype(np.uint16))
        bits = ((-numbers if is_low else numbers) + np.float16(0)).view(np.uint16)
        return TieGroups(np.full(len(found), detector), bits, entries_V[found], hits_V[found])


def _stretches(wanted: NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Yield half-open ranges of at most `most` that hold all wanted numbers (ascending)."""
    at = 0
    while at < len(wanted):
        start = int(wanted[at])
        end = int(np.searchsorted(wanted, start + most))
        yield start, int(wanted[end - 1]) + 1
        at = end
