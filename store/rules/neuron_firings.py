"""Firings of neurons, as rules need them: a neuron's direction fires on its highest values, as often as a feature does.

Neurons have a value everywhere, and rules explain where something fires. So each direction of a neuron fires on as many
counted tokens as the median of the run's features that fire: on its highest values above 0. Values below that cut count
as silence; thresholds are searched above it. Detectors are numbered as in store.query.detectors. Shapes: N tokens, D
neurons, M = 2D detectors, E firings.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.index.corpus_text import Mask
from store.index.index_part import Postings
from store.index.neuron_file import NeuronActs
from store.index.reader import FeatureStore
from store.rules.feature_blocks import FeatureBlock

AT_ONCE = 64
"""Detectors of a block."""


class NeuronFirings:
    """The firings of an MLP's neurons on an index's tokens."""

    def __init__(self, acts: NeuronActs, counted_N: Mask, most: int) -> None:
        """Each direction fires on `most` counted tokens (ties on more), and only above 0."""
        self.path = acts.path
        self._acts, self._counted_N, self._most = acts, counted_N, most

    @property
    def n_neurons(self) -> int:
        """Number of neurons, D."""
        return self._acts.n_neurons

    @property
    def n_detectors(self) -> int:
        """Number of directions, 2D."""
        return 2 * self._acts.n_neurons

    def check_feature(self, detector: int) -> None:
        """Refuse a number that no detector has.

        Raises:
            MonosemError: it is one.
        """
        if not 0 <= detector < self.n_detectors:
            raise MonosemError(f"there is no neuron {detector}", f"They are numbered from 0 to {self.n_neurons - 1}.")

    def postings(self, feature: int) -> Postings:
        """Return the firings of a detector, the strongest first."""
        self.check_feature(feature)
        neuron = feature % self.n_neurons
        act_N = self._acts.acts(neuron, neuron + 1)[0]
        if feature >= self.n_neurons:
            act_N = -act_N
        place = np.flatnonzero(self._counted_N & (act_N > 0))
        act = act_N[place]
        if len(act) > self._most:
            reaching = act >= np.partition(act, -self._most)[-self._most]
            place, act = place[reaching], act[reaching]
        order = np.argsort(-act, kind="stable")
        return Postings(place[order], act[order])

    @cached_property
    def density_F(self) -> NDArray[np.float64]:
        """Share of the counted tokens on which each detector fires."""
        counts = [np.bincount(block.feature_E, minlength=block.stop - block.first) for block in self.blocks()]
        density_F: NDArray[np.float64] = np.concatenate(counts) / max(1, int(self._counted_N.sum()))
        return density_F

    def blocks(self) -> Iterator[FeatureBlock]:
        """Yield the firings of all detectors, some at a time."""
        for first in range(0, self.n_detectors, AT_ONCE):
            stop = min(first + AT_ONCE, self.n_detectors)
            found = [self.postings(detector) for detector in range(first, stop)]
            feature_E = np.repeat(np.arange(stop - first), [len(one.token) for one in found])
            place_E = np.concatenate([one.token for one in found])
            act_E = np.concatenate([one.act for one in found]).astype(np.float64)
            yield FeatureBlock(first, stop, feature_E, place_E, act_E)


@contextmanager
def open_firings(store: FeatureStore, path: Path | None) -> Iterator[NeuronFirings | None]:
    """Yield the firings of the neurons in a file, on an index's tokens; None without a file.

    Raises:
        MonosemError: the file is missing or damaged, or of other tokens.
    """
    if path is None:
        yield None
        return
    with NeuronActs.open(path) as acts:
        if acts.n_tokens != store.n_tokens:
            raise MonosemError(f"{path} is of other tokens than {store.path}", "--make makes it again.")
        count_F = store.columns.count_F
        most = int(np.median(count_F[count_F > 0])) if count_F.any() else 1
        yield NeuronFirings(acts, store.layout.counted_tokens(), max(1, most))
