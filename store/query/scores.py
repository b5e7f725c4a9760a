"""Scores of features as detectors of tokens: counts, intervals, and the best threshold of many features at once.

Precision is the *specificity* and recall the *sensitivity* of a feature for a concept (Towards Monosemanticity, 2023).
Shapes: F features, E entries of the inverted order, G groups of entries that tie.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""
ACT_BITS = 16


class Interval(NamedTuple):
    """The ends of a 95 % interval."""

    low: float
    high: float


def wilson(hits: int, trials: int) -> Interval:
    """Return Wilson's score interval of a proportion (Wilson 1927); 0 to 1 without trials."""
    if not trials:
        return Interval(0.0, 1.0)
    share, z2 = hits / trials, Z95 * Z95
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials)) / (1 + z2 / trials)
    # Rounding must not push an end past 0 or 1 where that was observed.
    return Interval(0.0 if not hits else max(0.0, middle - half), 1.0 if hits == trials else min(1.0, middle + half))


class Tally(NamedTuple):
    """Counts of tokens: `hits` both match and are fired on."""

    hits: int
    fired: int
    matched: int

    @property
    def precision(self) -> float:
        """Share of the tokens it fires on that match; 0 if it never fires."""
        return self.hits / self.fired if self.fired else 0.0

    @property
    def recall(self) -> float:
        """Share of the matching tokens that it fires on; 0 if none matches."""
        return self.hits / self.matched if self.matched else 0.0

    @property
    def f1(self) -> float:
        """2·tp / (2·tp + fp + fn)."""
        return 2 * self.hits / (self.fired + self.matched) if self.fired + self.matched else 0.0

    @property
    def precision_ci(self) -> Interval:
        """Wilson's interval of the precision."""
        return wilson(self.hits, self.fired)

    @property
    def recall_ci(self) -> Interval:
        """Wilson's interval of the recall."""
        return wilson(self.hits, self.matched)

    @property
    def f1_ci(self) -> Interval:
        """Wilson's interval of J = tp / (tp + fp + fn), mapped by F1 = 2J / (1 + J).

        Of n tokens that match or are fired on, tp is binomial with share J, so Wilson's is the only approximation. Like
        the others it assumes independent tokens and a threshold that was fixed beforehand.
        """
        low, high = wilson(self.hits, self.fired + self.matched - self.hits)
        return Interval(2 * low / (1 + low), 2 * high / (1 + high))


class TokenTotals(NamedTuple):
    """Totals that a scan counts against."""

    scored: int
    matched: int
    taken: int = 0
    """Tokens that a set of features fires on already; the entries scanned are on the others."""
    taken_hits: int = 0
    """Taken tokens that match."""


class TieGroups(NamedTuple):
    """Groups of entries with equal feature and activation, in falling order within a feature."""

    feature: NDArray[np.int64]
    bits: NDArray[np.uint16]
    """Bits of the activation as stored, a float16; those of positive numbers rise with the number."""
    entries: NDArray[np.int64]
    hits: NDArray[np.int64]
    """Entries on matching tokens."""


def tie_groups(
    feature_E: NDArray[np.int64], bits_E: NDArray[np.uint16], hit_E: NDArray[np.bool_], *, ordered: bool
) -> TieGroups:
    """Group entries; `ordered` if they come by feature and falling activation, as in one file of the index."""
    shift = np.uint64(ACT_BITS + 1)
    falling_E = (0xFFFF - bits_E).astype(np.uint64)
    key_E = (feature_E.astype(np.uint64) << shift) | (falling_E << np.uint64(1)) | hit_E.astype(np.uint64)
    if not ordered:
        key_E.sort()
        hit_E = (key_E & np.uint64(1)).astype(bool)
    key_E = np.right_shift(key_E, np.uint64(1))
    last_G = np.flatnonzero(np.append(key_E[1:] != key_E[:-1], [True] * (len(key_E) > 0)))
    key_G = key_E[last_G]
    return TieGroups(
        feature=(key_G >> np.uint64(ACT_BITS)).astype(np.int64),
        bits=(0xFFFF - (key_G & np.uint64(0xFFFF))).astype(np.uint16),
        entries=np.diff(last_G, prepend=-1),
        hits=np.diff(np.cumsum(hit_E)[last_G], prepend=0),
    )


@dataclass(frozen=True)
class Scores:
    """Scores of every feature at its best threshold; zero if it fires on no matching token or was not scanned yet."""

    f1_F: NDArray[np.float64]
    hits_F: NDArray[np.int64]
    fired_F: NDArray[np.int64]
    threshold_F: NDArray[np.float32]
    """The least activation that counts as firing."""
    unit_F: NDArray[np.float32]
    """Powers of two by which stored activations are multiplied."""
    auroc_F: NDArray[np.float64]
    """NaN if a feature was not scanned, or every token or none matches."""

    @classmethod
    def empty(cls, unit_F: NDArray[np.float32]) -> Scores:
        """Return scores before the scan of a store with these units."""
        f1_F, (hits_F, fired_F) = np.zeros(len(unit_F)), np.zeros((2, len(unit_F)), np.int64)
        return cls(f1_F, hits_F, fired_F, np.zeros_like(unit_F), unit_F, np.full(len(unit_F), np.nan))

    def take(self, groups: TieGroups, totals: TokenTotals) -> None:
        """Score the features of these groups, which are all groups of each feature.

        The best threshold has the highest F1 of the set with this feature added (for an empty set, of the feature);
        ties go to the lowest. AUROC is Mann and Whitney's: ties count half, tokens without an entry are zeros.
        """
        if not len(groups.feature):
            return
        begins = np.flatnonzero(np.diff(groups.feature, prepend=-1))
        feature = groups.feature[begins]
        of_group = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(groups.feature)))
        fired = _running(groups.entries, begins, of_group)
        hits = _running(groups.hits, begins, of_group)
        f1 = 2 * (totals.taken_hits + hits) / (totals.matched + totals.taken + fired)
        best = np.maximum.reduceat(f1, begins)
        at = np.maximum.reduceat(np.where(f1 == best[of_group], np.arange(len(f1)), -1), begins)
        some = hits[np.append(begins[1:], len(f1)) - 1] > 0
        self.f1_F[feature[some]] = best[some]
        self.hits_F[feature[some]] = hits[at[some]]
        self.fired_F[feature[some]] = fired[at[some]]
        self.threshold_F[feature[some]] = groups.bits[at[some]].view(np.float16) * self.unit_F[feature[some]]
        self.auroc_F[feature] = _auroc(groups, fired, hits, begins, totals)


def _running(values: NDArray[np.int64], begins: NDArray[np.int64], of_group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return running sums within each feature."""
    total = np.cumsum(values)
    before: NDArray[np.int64] = (total[begins] - values[begins])[of_group]
    return total - before


def _auroc(
    groups: TieGroups,
    fired: NDArray[np.int64],
    hits: NDArray[np.int64],
    begins: NDArray[np.int64],
    totals: TokenTotals,
) -> NDArray[np.float64]:
    """Return the AUROC of each feature. All sums are integers, twice the number of pairs, so they are exact."""
    matched, others = totals.matched, totals.scored - totals.matched
    if not matched or not others:
        return np.full(len(begins), np.nan)
    misses, at_or_above = groups.entries - groups.hits, fired - hits
    pairs = np.add.reduceat(groups.hits * (2 * (others - at_or_above) + misses), begins)
    last = np.append(begins[1:], len(fired)) - 1
    pairs += (matched - hits[last]) * (others - at_or_above[last])
    result: NDArray[np.float64] = pairs / (2 * matched * others)
    return result
