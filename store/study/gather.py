"""Figures of a study's runs, from the files that lie in their folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from store.comparison.figures import SHARED, Comparison
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.notes.explanations import RULES, Explanations
from store.query.completeness import Completeness, completeness
from store.query.completeness_file import kept_completeness, save_completeness
from store.query.concept_lists import ConceptList
from store.query.histogram import density_histogram
from store.query.labels import apply_labels, read_labels
from store.query.probes import SIZES, sparse_probes
from store.rules.kind_file import KeptKinds
from store.rules.rule_run import chosen_features
from store.run.folder import RunFolder, RunRecord
from store.run.spec import SaeSpec
from store.settings.feature_kinds import KINDS
from store.settings.study import StudySettings
from store.settings.train import TrainSettings
from store.study.figures import CompletenessFigures, ProbeFigures, RuleFigures, StudyPair, StudyRun, Universal

HALF, HIGH = 0.5, 0.8
"""Values of F1 from which a rule counts as explaining a feature half way, and well."""


@dataclass(frozen=True)
class Place:
    """The place of a run in a study: two runs are compared where they differ in one thing."""

    model: str
    """Name of the model in the study."""
    where: tuple[object, ...]
    """Layers and sites."""
    seed: int
    dictionary: tuple[object, ...]
    """Architecture, size and sparsity."""

    @classmethod
    def of(cls, model: str, settings: TrainSettings) -> Place:
        """Return the place of a run of the model `model` of a study."""
        one = settings
        return cls(
            model,
            (one.layer, one.site, one.layer_out, one.site_out),
            one.seed,
            (one.arch, one.d_sae, one.expansion, one.k, one.l1),
        )

    def differences(self, other: Place) -> int:
        """Count the things that two runs differ in: where in which model, seed, dictionary."""
        return (
            ((self.model, self.where) != (other.model, other.where))
            + (self.seed != other.seed)
            + (self.dictionary != other.dictionary)
        )

    def is_alike(self, other: Place) -> bool:
        """Return whether both have the same dictionary settings: in two models, or from two seeds at one place."""
        return self.differences(other) == 1 and (self.model != other.model or self.seed != other.seed)


@dataclass(frozen=True)
class StudiedRun:
    """A run of a study."""

    path: Path
    name: str
    place: Place


@dataclass(frozen=True)
class ComparedRuns:
    """Two runs of a study, and their comparison."""

    first: StudiedRun
    second: StudiedRun
    comparison: Comparison


def run_figures(
    run: StudiedRun, explained: Sequence[int], concepts: Sequence[ConceptList], settings: StudySettings
) -> StudyRun:
    """Return the figures of one run, those that need other runs left out.

    Args:
        run: it is indexed.
        explained: features whose explanations count.
        concepts: lists that completeness is measured for.
        settings: of the study.

    Raises:
        MonosemError: the index or the labels cannot be read.
    """
    record = RunFolder(run.path).record()
    found, spec = record.results, record.spec
    with FeatureStore.open(run.path) as store:
        histogram = density_histogram(store.columns.density_F)
        return StudyRun(
            name=run.name,
            path=str(run.path),
            model=run.place.model,
            layer=-1 if spec.layer is None else spec.layer,
            site=f"{spec.site}→{spec.site_out}" if spec.site_out else spec.site,
            arch=spec.arch,
            d_sae=spec.d_sae,
            sparsity=_sparsity(spec),
            seed=run.place.seed,
            tokens=found.tokens,
            indexed=store.n_counted,
            explained_variance=found.explained_variance,
            explained_variance_ordinary=_ordinary(record),
            l0=found.l0,
            alive=found.alive,
            ce_recovered=found.ce_recovered_zero,
            kl=found.kl,
            density_edges=tuple(histogram.edges.tolist()),
            density_counts=tuple(histogram.counts.tolist()),
            kinds=_kinds(store),
            rules=_rules(run.path, explained),
            probes=_probes(store, settings.labels, settings.seed) if settings.labels else None,
            completeness=tuple(_completeness(store, one) for one in concepts),
            universal=(),
        )


def _ordinary(record: RunRecord) -> float | None:
    """Return the explained variance of ordinary tokens; None where the evaluation has none."""
    value = record.evaluation.get("explained_variance_ordinary")
    return value if isinstance(value, float) and isfinite(value) else None


def _sparsity(spec: SaeSpec) -> str:
    return f"k {spec.k}" if spec.k is not None else f"l1 {spec.l1:g}" if spec.l1 is not None else ""


def _kinds(store: FeatureStore) -> dict[str, int]:
    kinds = KeptKinds(store).present()
    if kinds is None:
        return {}
    return {kind: int((kinds.kind_F == number).sum()) for number, kind in enumerate(KINDS)}


def _rules(path: Path, explained: Sequence[int]) -> RuleFigures | None:
    known = Explanations.load(path).by(RULES)
    f1 = [known[one].scores.f1 for one in explained if one in known]
    if not f1:
        return None
    value_J = np.array([0.0 if one is None else one.value for one in f1])
    return RuleFigures(len(f1), float((value_J >= HALF).mean()), float((value_J >= HIGH).mean()))


def _probes(store: FeatureStore, labels: str, seed: int) -> ProbeFigures:
    found = sparse_probes(store, apply_labels(store, read_labels(labels)), seed)
    return ProbeFigures(tuple(probe.label for probe in found.probes), SIZES, found.mean_accuracy())


def _completeness(store: FeatureStore, concepts: ConceptList) -> CompletenessFigures:
    """Return the completeness for a list: what is kept of this index and list, else measured and kept."""
    found = next((one for one in kept_completeness(store) if one.name == concepts.name), None)
    if found is None or tuple(one.concept for one in found.concepts) != concepts.concepts:
        *_, found = (step for step in completeness(store, concepts) if isinstance(step, Completeness))
        save_completeness(store, found)
    return CompletenessFigures(found.name, len(found.judged), found.found, found.found_by_several)


def pair_figures(pair: ComparedRuns) -> StudyPair:
    """Return the figures of a pair of runs."""
    side = pair.comparison.sides[0]
    r_J = side.r_F[side.judged_F]
    return StudyPair(pair.first.name, pair.second.name, pair.comparison.summary, tuple(np.sort(r_J)[::-1].tolist()))


def with_universal(runs: Sequence[StudyRun], pairs: Sequence[ComparedRuns]) -> list[StudyRun]:
    """Return the runs with the shares of their features that each other model has too, and their own other seeds."""
    best: dict[tuple[str, str], NDArray[np.float64]] = {}
    for pair in pairs:
        ends = (pair.first, pair.second)
        for own, other, side in zip(ends, ends[::-1], pair.comparison.sides, strict=True):
            if own.place.is_alike(other.place):
                r_F = np.where(side.judged_F, side.r_F, np.nan)
                key = own.name, other.place.model
                best[key] = np.fmax(best[key], r_F) if key in best else r_F
    return [
        replace(run, universal=tuple(_universal(model, r_F) for (name, model), r_F in best.items() if name == run.name))
        for run in runs
    ]


def _universal(model: str, r_F: NDArray[np.float64]) -> Universal:
    r_J = r_F[~np.isnan(r_F)]
    if not len(r_J):
        return Universal(model, 0, 0.0, 0.0)
    return Universal(model, len(r_J), float((r_J >= SHARED).mean()), float(np.median(r_J)))


def drawn_features(path: Path, most: int | None, seed: int) -> tuple[int, ...]:
    """Return the features of a run that a study explains: all that fire, or `most` of them, drawn at random.

    Raises:
        MonosemError: no feature fires.
    """
    with FeatureStore.open(path) as store:
        firing = chosen_features(store, range(store.d_sae))
    if not firing:
        raise MonosemError(f"no feature of {path} fires on the indexed text", "Train on more tokens.")
    if most is not None and most < len(firing):
        return tuple(np.sort(np.random.default_rng(seed).choice(firing, most, replace=False)).tolist())
    return firing
