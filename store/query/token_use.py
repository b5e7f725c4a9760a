"""How much each feature fires on some of the corpus's tokens.

Shapes: F features.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.index.reader import FeatureStore
from store.settings.roles import Role


@dataclass(frozen=True)
class TokenUse:
    """Total activation of each feature on some tokens."""

    count_F: NDArray[np.int64]
    """Places with one of the tokens on which it fires."""
    sum_F: NDArray[np.float64]
    """Total activation there."""
    share_F: NDArray[np.float64]
    """Share of its total activation over the corpus; 0 if it never fires."""


def token_use(store: FeatureStore, vocab: NDArray[np.int64]) -> TokenUse:
    """Return how much each feature fires on any of some vocabulary ids, over the whole corpus."""
    return _use(store, store.entries_on(vocab))


def rule_use(store: FeatureStore, rule: str) -> TokenUse:
    """Return how much each feature fires on tokens that a rule holds on, over the whole corpus.

    Raises:
        MonosemError: the rule cannot be read.
    """
    from store.rules.grammar import parse_rule
    from store.rules.places import RuleCorpus

    return _use(store, store.entries_where(RuleCorpus(store).rule(parse_rule(rule))))


def role_use(store: FeatureStore, role: Role) -> TokenUse:
    """Return how much each feature fires on tokens of turns of a role, over the whole corpus.

    Raises:
        MonosemError: the corpus has no conversations.
    """
    return _use(store, store.entries_where(store.layout.tokens_of(role)))


def _use(store: FeatureStore, entries: Iterable[tuple[NDArray[np.int64], NDArray[np.float64]]]) -> TokenUse:
    count_F, sum_F = np.zeros(store.d_sae, np.int64), np.zeros(store.d_sae)
    for feature, act in entries:
        count_F += np.bincount(feature, minlength=store.d_sae)
        sum_F += np.bincount(feature, weights=act, minlength=store.d_sae)
    total_F = store.totals.sum_F
    return TokenUse(count_F, sum_F, np.divide(sum_F, total_F, out=np.zeros_like(sum_F), where=total_F > 0))


def outlier_shares(store: FeatureStore) -> NDArray[np.float64]:
    """Return the share of outliers among the tokens on which each feature fires; 0 if it never fires: [F]."""
    return store.firing_on(store.layout.outliers) / np.maximum(store.columns.count_F, 1)


def outlier_led(store: FeatureStore, share_F: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which features have their maximum on an outlier: [F].

    Their maxima are of another size than all others and say little about them: the norm of an outlier is some ten times
    that of other tokens, and whatever fires on it fires strongly.

    Args:
        store: the index.
        share_F: `outlier_shares`, so that only the features that fire on outliers are looked at.
    """
    led_F = np.zeros(store.d_sae, np.bool_)
    for feature in np.flatnonzero(share_F).tolist():
        led_F[feature] = store.layout.is_outlier(int(store.postings(feature, 0, 1).token[0]))
    return led_F
