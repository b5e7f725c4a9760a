"""Names of the detectors that `find` ranks: features by number and label, neurons by number and direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monosem_tui.cli.reports.feature import read_notes
from monosem_tui.cli.sources import FoundSource
from monosem_tui.draw.numbers import count
from monosem_tui.draw.safe_text import cut
from monosem_tui.model.feature_card import top_token
from monosem_tui.model.feature_explanations import best_explanation, said_of
from store.index.reader import FeatureStore
from store.notes.explanations import Explanations
from store.notes.note_file import FeatureNotes
from store.query.detectors import Choice, NeuronDetectors, neuron_of

NAME = 32
"""Cells for a feature's label, explanation or token at most."""


@dataclass(frozen=True)
class DetectorNames:
    """Names of the features of an index, or of neurons on its tokens."""

    store: FeatureStore
    notes: dict[int, FeatureNotes]
    explanations: Explanations
    neurons: NeuronDetectors | None = None

    @property
    def what(self) -> str:
        """How many of them there are: `1 024 features`."""
        if self.neurons is None:
            return f"{count(self.store.d_sae)} features"
        return f"{count(self.neurons.acts.n_neurons)} neurons, each in both directions,"

    def of(self, detector: int) -> tuple[str, str]:
        """Return number and name of a detector."""
        if self.neurons is None:
            said = said_of(self.notes, self.explanations, detector)
            return str(detector), cut(said.text if said else top_token(self.store, detector), NAME)
        neuron, is_low = neuron_of(detector, self.neurons.acts.n_neurons)
        return f"{'−' if is_low else ''}{neuron}", "at most" if is_low else "at least"

    def threshold(self, choice: Choice) -> float:
        """Return the activation from which on a detector fires; for a neuron's low values, down from which."""
        if self.neurons is None or not neuron_of(choice.feature, self.neurons.acts.n_neurons)[1]:
            return choice.threshold
        return -choice.threshold

    def json(self, detector: int) -> dict[str, Any]:
        """Return number, label and explanation of a feature, or number and sign of a neuron."""
        if self.neurons is None:
            said = best_explanation(self.explanations, detector)
            label = self.notes.get(detector, FeatureNotes()).label
            return {"feature": detector, "label": label, "explanation": said.text if said else None}
        neuron, is_low = neuron_of(detector, self.neurons.acts.n_neurons)
        return {"feature": neuron, "label": None, "explanation": None, "sign": -1 if is_low else 1}


def names_of(source: FoundSource, store: FeatureStore, neurons: NeuronDetectors | None) -> DetectorNames:
    """Return the names of a source's detectors.

    Raises:
        MonosemError: notes or explanations cannot be read.
    """
    return DetectorNames(store, read_notes(source.place), Explanations.load(source.place.path), neurons)
