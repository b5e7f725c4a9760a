"""F1 of single detectors, and of sets of up to five, for the tokens that have a concept.

Detectors and thresholds are chosen on one half of the tokens, the selecting half, and F1 = 2·tp / (2·tp + fp + fn) is
measured on the other:

- the best detector of a concept is the pair of detector and threshold with the highest F1 on the selecting half;
- the best set starts with it. It grows to at most five, as long as F1 on the selecting half rises, by the pair of
  another detector and threshold whose union (OR) with the set has the highest F1. Ties go to the lower detector, then
  to the lower threshold.

Shapes: M detectors, G thresholds of each.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.planted_detectors import Counts, Detectors, Tokens

MOST = 5
"""Detectors in a set."""


class ChosenDetector(NamedTuple):
    """A detector at one of its thresholds."""

    detector: int
    level: int


class Score(NamedTuple):
    """F1 for a concept on the tokens not used for choosing; None if none of them has it."""

    f1: float | None
    f1_set: float | None
    detectors: list[int]
    """The set in the order chosen, the best single detector first; empty if no selecting token has the concept."""


def choose(
    detectors: Detectors, having: Tokens, fired_MG: Counts, most: int = MOST, rise: float = 0.0
) -> list[ChosenDetector]:
    """Return the best set for a concept, the best single detector first.

    Args:
        detectors: on the selecting half.
        having: the tokens that have the concept.
        fired_MG: `detectors.counts` of all tokens.
        most: detectors in the set.
        rise: least F1 that another detector must add.
    """
    chosen: list[ChosenDetector] = []
    covered = np.zeros(detectors.n_tokens, bool)
    has = np.zeros(detectors.n_tokens, bool)
    has[having] = True
    # Counts over the tokens not covered by the set yet.
    fresh_MG, fresh_true_MG = fired_MG.copy(), detectors.counts(having)
    best = 0.0
    while len(chosen) < most and len(having):
        n_covered, n_true = int(covered.sum()), int((covered & has).sum())
        f1_MG = 2 * (n_true + fresh_true_MG) / (len(having) + n_covered + fresh_MG)
        f1_MG[[one.detector for one in chosen]] = 0
        detector, level = (int(i) for i in np.unravel_index(f1_MG.argmax(), f1_MG.shape))
        if f1_MG[detector, level] <= best or (chosen and f1_MG[detector, level] - best < rise):
            break
        best = float(f1_MG[detector, level])
        chosen.append(ChosenDetector(detector, level))
        added = detectors.fires(detector, level) & ~covered
        covered |= added
        fresh_MG -= detectors.counts(np.flatnonzero(added))
        fresh_true_MG -= detectors.counts(np.flatnonzero(added & has))
    return chosen


def f1_of(detectors: Detectors, having: Tokens, chosen: list[ChosenDetector]) -> float | None:
    """Return F1 of the union of a set; None if no token has the concept or the set is empty."""
    if not len(having) or not chosen:
        return None
    fires: NDArray[np.bool_] = np.logical_or.reduce([detectors.fires(*one) for one in chosen])
    return 2 * int(fires[having].sum()) / (len(having) + int(fires.sum()))


def score(selecting: Detectors, measuring: Detectors, having: list[Tokens], having_too: list[Tokens]) -> list[Score]:
    """Return each concept's score; `having` are its tokens in the selecting half, `having_too` those in the other."""
    fired_MG = selecting.counts(np.arange(selecting.n_tokens))
    scores = []
    for tokens, tokens_too in zip(having, having_too, strict=True):
        chosen = choose(selecting, tokens, fired_MG)
        single, union = f1_of(measuring, tokens_too, chosen[:1]), f1_of(measuring, tokens_too, chosen)
        scores.append(Score(single, union, [one.detector for one in chosen]))
    return scores
