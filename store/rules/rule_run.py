"""`explain --by rules` on a run: explanations, kept as they are found."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from store.files.cores import usable_cores
from store.index.reader import FeatureStore
from store.notes.explanations import RULES, Explanation, Explanations, explanations_path
from store.rules.kind_file import need_merged
from store.rules.neuron_firings import open_firings
from store.rules.rule_author import rules_key
from store.rules.rule_process import explanations
from store.settings.explain import ExplainSettings

KEPT_EVERY = 2.0
"""Seconds between two writes of explanations."""


@dataclass(frozen=True)
class RulePlan:
    """The features to explain, and what is known of them."""

    path: Path
    """A run folder or a features.h5."""
    neurons: Path | None
    """The file of neurons that are meant instead of its features."""
    features: tuple[int, ...]
    waiting: tuple[int, ...]
    """Features that are not explained yet with these settings."""
    settings: ExplainSettings


def planned(path: Path, features: Sequence[int], settings: ExplainSettings, neurons: Path | None = None) -> RulePlan:
    """Return what is to be done for some features, or for neurons, which are numbered as store.query.detectors does.

    Raises:
        MonosemError: the index is not merged, or the explanations cannot be read.
    """
    with FeatureStore.open(path) as store:
        need_merged(store)
        key = rules_key(neurons or store.path, settings.seed)
        with open_firings(store, neurons) as firings:
            for feature in features:
                (firings or store).check_feature(feature)
    known = {} if settings.again else Explanations.load(neurons or path).by(RULES)
    waiting = tuple(one for one in dict.fromkeys(features) if one not in known or known[one].key != key)
    return RulePlan(path, neurons, tuple(dict.fromkeys(features)), waiting, settings)


def work(plan: RulePlan) -> Iterator[Explanation]:
    """Yield the explanations of all features of a plan: those that are known first; the others as they are found.

    New ones are kept every few seconds and at the end, also where the work is broken off.

    Raises:
        MonosemError: as `store.rules.rule_process.explanations` does, or they cannot be kept.
    """
    kept = Explanations(explanations_path(plan.neurons or plan.path))
    kept.follow()
    known, waiting = kept.by(RULES), set(plan.waiting)
    yield from (known[feature] for feature in plan.features if feature not in waiting)
    processes = plan.settings.processes or usable_cores()
    fresh: list[Explanation] = []
    written = time.monotonic()
    try:
        for one in explanations(plan.path, plan.waiting, plan.settings.seed, processes, plan.neurons):
            fresh.append(one)
            yield one
            if time.monotonic() - written >= KEPT_EVERY:
                kept.append(fresh)
                fresh, written = [], time.monotonic()
    finally:
        if fresh:
            kept.append(fresh)


def chosen_features(store: FeatureStore, ids: Sequence[int]) -> tuple[int, ...]:
    """Return those of some features that fire."""
    found = np.asarray(ids, np.int64)
    return tuple(found[store.columns.count_F[found] > 0].tolist())
