"""Kinds of features: how much of a feature's activation its token, the token before it, and its position explain.

Three shares of variance, each 1 − SS_res / SS_tot over the counted tokens of the measuring half, zeros included: the
prediction for a token is the mean over the choosing half of the tokens in its group. Groups are tokens; pairs of the
token before and the token; and positions in the context. A pair not seen there is predicted by its token, a token or
position not seen by the mean of all. The work grows with the entries of the index, and with the tokens once.

Shapes: N tokens, F features, E entries, G groups, U pairs of a feature and a group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.index.reader import FeatureStore
from store.rules.feature_blocks import FeatureBlock, feature_blocks
from store.rules.halves import Halves
from store.rules.neuron_firings import NeuronFirings
from store.settings.feature_kinds import KINDS, Kind, ShareName

ENOUGH = 0.5
"""Share of the variance from which on a group decides the kind."""
DENSE = 0.1
"""Density from which on a feature is dense."""
FEWEST = 20
"""Firing tokens in each half below which a feature is too rare to judge."""

MOST_CELLS = 1 << 24
"""Pairs of a feature and a group up to which their means are kept in a table."""


@dataclass(frozen=True)
class Kinds:
    """Shares and kinds of all features, [F] each; NaN and -1 for those too rare to judge."""

    token_F: NDArray[np.float32]
    """Share of the variance that the token explains; below 0 where the mean of all would be nearer."""
    pair_F: NDArray[np.float32]
    """Share that the token and the one before it explain."""
    position_F: NDArray[np.float32]
    kind_F: NDArray[np.int8]
    """Place in `store.settings.feature_kinds.KINDS`."""

    @cached_property
    def context_F(self) -> NDArray[np.float32]:
        """Share that neither the token with the one before it nor the position explains, from 0 to 1."""
        explained_F = np.maximum(self.pair_F, self.position_F)
        context_F: NDArray[np.float32] = np.clip(1 - explained_F, 0, 1).astype(np.float32)
        return context_F

    def share(self, name: ShareName) -> NDArray[np.float32]:
        """Return a share of all features: [F], NaN for those too rare to judge."""
        return {
            "token": self.token_F,
            "ngram": self.pair_F,
            "position": self.position_F,
            "context": self.context_F,
        }[name]

    def of(self, feature: int) -> Kind | None:
        """Return the kind of a feature; None if it is too rare to judge."""
        kind = int(self.kind_F[feature])
        return KINDS[kind] if kind >= 0 else None


class _Level(NamedTuple):
    """One way to group tokens."""

    group_N: NDArray[np.int64]
    """Group of each token, from 0."""
    seen_G: NDArray[np.int64]
    """Tokens of each group in the choosing half."""

    @classmethod
    def of(cls, key_N: NDArray[np.int64], halves: Halves) -> _Level:
        group_N = np.unique(key_N, return_inverse=True)[1].reshape(-1)
        return cls(group_N, np.bincount(group_N[halves.choosing_N], minlength=int(group_N.max(initial=-1)) + 1))


class _Means(NamedTuple):
    """Mean activations of pairs of a feature and a group; those of all other pairs are 0."""

    key_U: NDArray[np.int64]
    """Feature times the number of groups, plus group; ascending."""
    mean_U: NDArray[np.float64]
    table: NDArray[np.float64] | None
    """The means of all pairs, where they are few enough to be looked up."""

    @classmethod
    def of(cls, key_E: NDArray[np.int64], act_E: NDArray[np.float64], level: _Level, n_features: int) -> _Means:
        size = len(level.seen_G)
        if n_features * size <= MOST_CELLS:
            table = np.bincount(key_E, weights=act_E, minlength=n_features * size).astype(np.float64)
            key_U = np.flatnonzero(table)
            table[key_U] /= level.seen_G[key_U % size]
            return cls(key_U, table[key_U], table)
        key_U, inverse = np.unique(key_E, return_inverse=True)
        mean_U = np.bincount(inverse, weights=act_E, minlength=len(key_U)) / level.seen_G[key_U % size]
        return cls(key_U, mean_U, None)

    def at(self, key_E: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the means of some pairs."""
        if self.table is not None:
            return self.table[key_E]
        if not len(self.key_U):
            return np.zeros(len(key_E))
        at = np.minimum(np.searchsorted(self.key_U, key_E), len(self.key_U) - 1)
        return np.where(self.key_U[at] == key_E, self.mean_U[at], 0.0)


def feature_kinds(
    store: FeatureStore,
    halves: Halves,
    advance: Callable[[int], object] = lambda _: None,
    neurons: NeuronFirings | None = None,
) -> Kinds:
    """Return the kinds of all features of a store, or of neurons on its tokens.

    `advance` is told how many more have been read.
    """
    tokens_N = store.tokens(0, store.n_tokens).astype(np.int64)
    start_C = store.layout.contexts.start
    position_N = np.arange(store.n_tokens) - np.repeat(start_C, np.diff(start_C, append=store.n_tokens))
    before_N = np.roll(tokens_N, 1)
    before_N[start_C] = tokens_N.max(initial=-1) + 1
    token = _Level.of(tokens_N, halves)
    pair = _Level.of(before_N * (int(tokens_N.max(initial=-1)) + 2) + tokens_N, halves)
    chains = ((token,), (pair, token), (_Level.of(position_N, halves),))
    shares, fired = [], []
    for block in neurons.blocks() if neurons else feature_blocks(store):
        chosen_E = halves.choosing_N[block.place_E]
        count = [
            np.bincount(block.feature_E[half], minlength=block.stop - block.first) for half in (chosen_E, ~chosen_E)
        ]
        fired.append(np.minimum(*count))
        shares.append([_share(block, chosen_E, chain, halves) for chain in chains])
        advance(block.stop - block.first)
    token_F, pair_F, position_F = (np.concatenate(column) for column in zip(*shares, strict=True))
    return _kinds(token_F, pair_F, position_F, np.concatenate(fired), (neurons or store.columns).density_F)


def _share(
    block: FeatureBlock, chosen_E: NDArray[np.bool_], chain: tuple[_Level, ...], halves: Halves
) -> NDArray[np.float64]:
    """Return the share of each feature's variance that the first level of `chain` which has seen a token explains."""
    n_features = block.stop - block.first

    def summed(values: NDArray[np.float64], feature: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.bincount(feature, weights=values, minlength=n_features).astype(np.float64)

    feature, act = block.feature_E[~chosen_E], block.act_E[~chosen_E]
    place, known = block.place_E[~chosen_E], block.feature_E[chosen_E]
    left_N = halves.measuring_N.copy()
    left_E = np.ones(len(feature), bool)
    product_F, square_F = np.zeros(n_features), np.zeros(n_features)
    for level in chain:
        size = len(level.seen_G)
        means = _Means.of(
            known * size + level.group_N[block.place_E[chosen_E]], block.act_E[chosen_E], level, n_features
        )
        seen_N = left_N & (level.seen_G[level.group_N] > 0)
        used_G = np.bincount(level.group_N[seen_N], minlength=size)
        square_F += summed(used_G[means.key_U % size] * means.mean_U**2, means.key_U // size)
        here_E = left_E & seen_N[place]
        mean_E = means.at(feature[here_E] * size + level.group_N[place[here_E]])
        product_F += summed(act[here_E] * mean_E, feature[here_E])
        left_N &= ~seen_N
        left_E &= ~here_E
    mean_F = summed(block.act_E[chosen_E], known) / halves.choosing_N.sum()
    product_F += summed(act[left_E], feature[left_E]) * mean_F
    square_F += left_N.sum() * mean_F**2
    whole_F = summed(act**2, feature)
    total_F = whole_F - summed(act, feature) ** 2 / halves.measuring_N.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total_F > 0, 1 - (whole_F - 2 * product_F + square_F) / total_F, np.nan)


def _kinds(
    token_F: NDArray[np.float64],
    pair_F: NDArray[np.float64],
    position_F: NDArray[np.float64],
    fired_F: NDArray[np.int64],
    density_F: NDArray[np.float64],
) -> Kinds:
    rare_F = (fired_F < FEWEST) | np.isnan(token_F)
    names = [
        (rare_F, -1),
        (density_F >= DENSE, KINDS.index("dense")),
        ((position_F >= ENOUGH) & (position_F >= token_F), KINDS.index("position")),
        (token_F >= ENOUGH, KINDS.index("token")),
        (pair_F >= ENOUGH, KINDS.index("n-gram")),
    ]
    kind_F = np.select([where for where, _ in names], [kind for _, kind in names], KINDS.index("context"))
    token, pair, position = (
        np.where(rare_F, np.nan, share_F).astype(np.float32) for share_F in (token_F, pair_F, position_F)
    )
    return Kinds(token, pair, position, kind_F.astype(np.int8))
