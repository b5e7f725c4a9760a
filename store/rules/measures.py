"""Figures of a rule for a feature on the measuring half: exact counts, and intervals from documents drawn again.

The feature is the detector and the rule the truth, as in `monosem find`: precision is the share of the tokens where it
fires that the rule holds on, recall the share of the rule's tokens where it fires. AUROC takes the activation as score
and the rule as label, ties counting half. r is Pearson's correlation of the rule (0 or 1) with the activation, zeros
included. Tokens of a document are not independent, so intervals are from whole documents drawn with replacement: the
2.5 % and 97.5 % quantiles of the figure over the draws, the same draws for every feature.

Shapes: D measured documents, B draws, E entries of the feature on measured tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.notes.explanations import ExplanationScores, Figure
from store.rules.halves import Halves

DRAWS = 200
"""Times that the documents are drawn again."""
MOST_CELLS = 1 << 22
"""Cells of draws and entries at once: fewer draws at a time for features with many entries."""


class Firings(NamedTuple):
    """A feature's entries on tokens of a half, the strongest first."""

    place_E: NDArray[np.int64]
    act_E: NDArray[np.float64]


@dataclass(frozen=True)
class Measures:
    """Measures rules on the measuring half."""

    halves: Halves
    seed: int = 0

    @cached_property
    def draws_BD(self) -> NDArray[np.float64]:
        """How often each document is in each draw."""
        n_documents = len(self.halves.measured_D)
        rng = np.random.default_rng(self.seed)
        return np.stack(
            [np.bincount(rng.integers(0, n_documents, n_documents), minlength=n_documents) for _ in range(DRAWS)]
        ).astype(np.float64)

    @cached_property
    def _counted_D(self) -> NDArray[np.float64]:
        return self._per_document(np.flatnonzero(self.halves.measuring_N))

    def _row(self, place: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.halves.row_of[self.halves.document_N[place]]

    def _per_document(self, place: NDArray[np.int64], values: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Count places, or sum values, by document."""
        n_documents = len(self.halves.measured_D)
        return np.bincount(self._row(place), weights=values, minlength=n_documents).astype(np.float64)

    def scores(self, firings: Firings, threshold: float, rule_N: NDArray[np.bool_]) -> ExplanationScores:
        """Return the figures of a rule that holds on `rule_N` for a feature that fires from `threshold` on."""
        holds = np.flatnonzero(rule_N & self.halves.measuring_N)
        hit_E = rule_N[firings.place_E]
        fires_E = firings.act_E >= threshold
        both = firings.place_E[fires_E & hit_E]
        table_KD = np.stack(
            [
                self._per_document(both),
                self._per_document(firings.place_E[fires_E]),
                self._per_document(holds),
                self._counted_D,
                self._per_document(firings.place_E, firings.act_E),
                self._per_document(firings.place_E, firings.act_E**2),
                self._per_document(firings.place_E[hit_E], firings.act_E[hit_E]),
            ]
        )
        whole = _figures(table_KD.sum(axis=1))
        drawn = _figures(table_KD @ self.draws_BD.T)
        found = {name: _figure(float(whole[name]), drawn[name]) for name in whole}
        auroc_B = self._aurocs(firings, hit_E, table_KD[2], self.draws_BD)
        auroc = float(self._aurocs(firings, hit_E, table_KD[2], np.ones((1, table_KD.shape[1])))[0])
        return ExplanationScores(**found, auroc=_figure(auroc, auroc_B))

    def _aurocs(
        self, firings: Firings, hit_E: NDArray[np.bool_], holds_D: NDArray[np.float64], draws_BD: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the AUROC under each weighting of the documents; NaN where the rule holds on no token or on all."""
        row_E = self._row(firings.place_E)
        group_E = np.cumsum(np.append(False, firings.act_E[1:] != firings.act_E[:-1])[: len(row_E)])
        positive_B = draws_BD @ holds_D
        negative_B = draws_BD @ self._counted_D - positive_B
        found = np.empty(len(draws_BD))
        # Weights are whole numbers, so sums of them are exact in float32.
        weight_DB = np.ascontiguousarray(draws_BD.T, np.float32)
        step = max(1, MOST_CELLS // max(1, len(row_E)))
        for start in range(0, len(draws_BD), step):
            some_DB, rest_B = weight_DB[:, start : start + step], negative_B[start : start + step]
            hits_GB = _summed(some_DB, row_E[hit_E], group_E[hit_E], group_E)
            misses_GB = _summed(some_DB, row_E[~hit_E], group_E[~hit_E], group_E)
            above_GB = np.cumsum(misses_GB, axis=0)
            pairs_B = np.einsum("gb,gb->b", hits_GB, rest_B - above_GB + misses_GB / 2)
            silent_B = positive_B[start : start + step] - hits_GB.sum(axis=0)
            pairs_B += silent_B * (rest_B - misses_GB.sum(axis=0)) / 2
            with np.errstate(divide="ignore", invalid="ignore"):
                found[start : start + step] = pairs_B / (positive_B[start : start + step] * rest_B)
        return found


def _summed(
    weight_DB: NDArray[np.float32], row_E: NDArray[np.int64], group_E: NDArray[np.int64], all_E: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the total weight of some entries in each group of equal activations, for every draw: [G, B]."""
    total_GB = np.zeros((int(all_E[-1]) + 1 if len(all_E) else 0, weight_DB.shape[1]))
    if len(row_E):
        begins = np.flatnonzero(np.append(True, group_E[1:] != group_E[:-1]))
        total_GB[group_E[begins]] = np.add.reduceat(weight_DB[row_E], begins, axis=0)
    return total_GB


def _figures(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return precision, recall, F1 and r of sums: hits, fired, holding, counted, Σa, Σa², Σa where the rule holds."""
    hits, fired, holds, n, total, squares, within = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = (n * squares - total**2) * (n * holds - holds**2)
        return {
            "precision": np.where(fired > 0, hits / fired, 0.0),
            "recall": np.where(holds > 0, hits / holds, 0.0),
            "f1": np.where(fired + holds > 0, 2 * hits / (fired + holds), 0.0),
            "r": np.where(spread > 0, (n * within - total * holds) / np.sqrt(spread), np.nan),
        }


def _figure(value: float, drawn_B: NDArray[np.float64]) -> Figure | None:
    sound_B = drawn_B[np.isfinite(drawn_B)]
    if not np.isfinite(value) or not len(sound_B):
        return None
    low, high = np.percentile(sound_B, [2.5, 97.5]).tolist()
    return Figure(value, min(low, value), max(high, value))


def best_threshold(firings: Firings, hit_E: NDArray[np.bool_], holds: int) -> tuple[float, float]:
    """Return the activation from which on firing has the highest F1 for a rule, ties to the lowest, and that F1.

    Args:
        firings: the feature's entries.
        hit_E: whether the rule holds on each.
        holds: tokens of the same half that the rule holds on.
    """
    if not len(firings.act_E):
        return 0.0, 0.0
    f1_E = 2 * np.cumsum(hit_E) / (np.arange(1, len(hit_E) + 1) + holds)
    ends = np.flatnonzero(np.append(firings.act_E[1:] != firings.act_E[:-1], True))
    best = float(f1_E[ends].max())
    return float(firings.act_E[ends[np.flatnonzero(f1_E[ends] == best)[-1]]]), best
