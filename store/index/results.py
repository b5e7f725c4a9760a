"""Results of the feature index: columns of the list, and figures of one feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Weighted(NamedTuple):
    """Ids (tokens, features or neurons) with a value each, the strongest first."""

    id: NDArray[np.int32]
    value: NDArray[np.float32]


class LogitEffects(NamedTuple):
    """Direct effect of one unit of activation on the next token's logits, before the final norm divides by its scale.

    Values are relative to the mean over the vocabulary. Empty where the site does not lead to the logits.
    """

    top: Weighted
    bottom: Weighted


class Quantiles(NamedTuple):
    """Quantiles of a feature's non-zero activations: nearest ranks, no interpolation (see store.index.columns)."""

    q: tuple[float, ...]
    value: NDArray[np.float32]
    """Empty where the feature never fires."""


class Context(NamedTuple):
    """One context of the corpus, as the model saw it."""

    number: int
    start: int
    """Corpus place of its first token."""
    length: int
    document: int
    """Number of the document of its first token."""


@dataclass(frozen=True)
class FeatureColumns:
    """One value per feature, over the indexed corpus."""

    count_F: NDArray[np.int64]
    """Tokens on which it fires."""
    density_F: NDArray[np.float64]
    """Share of counted tokens on which it fires."""
    max_F: NDArray[np.float32]
    mean_F: NDArray[np.float32]
    """Mean over the tokens on which it fires; 0 if it never does."""
    top_token_F: NDArray[np.int32]
    """Vocabulary id it fires on most (see store.index.columns); -1 if it never fires."""
    decoder_norm_F: NDArray[np.float32]
