"""How well a feature tells some tokens from the rest: counts, intervals, and the best threshold of many features.

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
    """Both ends of a 95 % interval."""

    low: float
    high: float


def wilson(hits: int, trials: int) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927); 0 to 1 where nothing was tried."""
    if not trials:
        return Interval(0.0, 1.0)
    share, z2 = hits / trials, Z95 * Z95
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials)) / (1 + z2 / trials)
    # Rounding must not push an end past what was observed at either extreme.
    return Interval(0.0 if not hits else max(0.0, middle - half), 1.0 if hits == trials else min(1.0, middle + half))


class Tally(NamedTuple):
    """Tokens counted: `hits` are both matched and fired on."""

    hits: int
    fired: int
    matched: int

    @property
    def precision(self) -> float:
        """Share of the tokens it fires on that match; 0 where it never fires."""
        return self.hits / self.fired if self.fired else 0.0

    @property
    def recall(self) -> float:
        """Share of the matching tokens that it fires on; 0 where none matches."""
        return self.hits / self.matched if self.matched else 0.0

    @property
    def f1(self) -> float:
        """2·tp / (2·tp + fp + fn)."""
        return 2 * self.hits / (self.fired + self.matched) if self.fired + self.matched else 0.0

    @property
    def precision_ci(self) -> Interval:
        """Wilson's."""
        return wilson(self.hits, self.fired)

    @property
    def recall_ci(self) -> Interval:
        """Wilson's."""
        return wilson(self.hits, self.matched)

    @property
    def f1_ci(self) -> Interval:
        """Wilson's interval of J = tp / (tp + fp + fn), carried over by F1 = 2J / (1 + J).

        Of n tokens that are matched or fired on, tp is binomial with share J, so nothing is approximated beyond what
        Wilson's interval does. Like the others it takes tokens for independent, and the threshold for given.
        """
        low, high = wilson(self.hits, self.fired + self.matched - self.hits)
        return Interval(2 * low / (1 + low), 2 * high / (1 + high))


class TokenTotals(NamedTuple):
    """What a sweep counts against."""

    scored: int
    matched: int
    taken: int = 0
    """Tokens that a set of features fires on already; the entries swept are on the others."""
    taken_hits: int = 0
    """Those of them that match."""


class TieGroups(NamedTuple):
    """Entries of equal feature and activation, falling inside a feature."""

    feature: NDArray[np.int64]
    bits: NDArray[np.uint16]
    """Of the activation as float16; positive ones rise with it."""
    entries: NDArray[np.int64]
    hits: NDArray[np.int64]
    """Entries on matching tokens."""


def tie_groups(
    feature_E: NDArray[np.int64], bits_E: NDArray[np.uint16], hit_E: NDArray[np.bool_], *, ordered: bool
) -> TieGroups:
    """Group entries; `ordered` says that they lie by feature, falling, as one file of the index holds them."""
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
    """Of every feature, at its best threshold; zero where it fires on no matching token, or was not swept yet."""

    f1_F: NDArray[np.float64]
    hits_F: NDArray[np.int64]
    fired_F: NDArray[np.int64]
    threshold_F: NDArray[np.float32]
    """The least activation that counts as firing."""
    auroc_F: NDArray[np.float64]
    """nan where a feature was not swept, or every token or none matches."""

    @classmethod
    def empty(cls, d_sae: int) -> Scores:
        """Nothing swept yet."""
        whole = np.zeros((2, d_sae), np.int64)
        return cls(np.zeros(d_sae), whole[0], whole[1], np.zeros(d_sae, np.float32), np.full(d_sae, np.nan))

    def take(self, groups: TieGroups, totals: TokenTotals) -> None:
        """Score the features whose groups these are, all of each feature's.

        Best is the threshold of the highest F1 of the set with this feature added (for an empty set, of the feature);
        ties go to the lowest. AUROC is Mann and Whitney's, ties counting half, tokens without an entry being zeros.
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
        self.threshold_F[feature[some]] = groups.bits[at[some]].view(np.float16)
        self.auroc_F[feature] = _auroc(groups, fired, hits, begins, totals)


def _running(values: NDArray[np.int64], begins: NDArray[np.int64], of_group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums so far inside each feature."""
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
    """By feature. All sums are whole numbers, twice the count of pairs, so they are exact."""
    matched, others = totals.matched, totals.scored - totals.matched
    if not matched or not others:
        return np.full(len(begins), np.nan)
    misses, at_or_above = groups.entries - groups.hits, fired - hits
    pairs = np.add.reduceat(groups.hits * (2 * (others - at_or_above) + misses), begins)
    last = np.append(begins[1:], len(fired)) - 1
    pairs += (matched - hits[last]) * (others - at_or_above[last])
    result: NDArray[np.float64] = pairs / (2 * matched * others)
    return result
