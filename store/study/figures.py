"""Figures of a study: of each run, and of each pair of runs."""

from __future__ import annotations

from dataclasses import dataclass

from store.comparison.figures import Summary


@dataclass(frozen=True)
class ProbeFigures:
    """Sparse probes of a run (store.query.probes), means over labels."""

    labels: tuple[str, ...]
    sizes: tuple[int, ...]
    """Numbers of features that a probe reads."""
    accuracy: tuple[float, ...]
    """Balanced accuracy for each of `sizes`; a half is chance."""


@dataclass(frozen=True)
class CompletenessFigures:
    """How completely a run covers a list of concepts (store.query.completeness)."""

    name: str
    """Name of the list."""
    judged: int
    """Concepts that occur often enough."""
    found: int
    """Concepts that one feature detects with a held-out F1 of at least 0.5."""
    found_by_several: int
    """Concepts that a set of up to five features detects so."""


@dataclass(frozen=True)
class RuleFigures:
    """How many features a short rule explains, on documents that the rule was not chosen on."""

    explained: int
    """Features that were explained."""
    share_f1_half: float
    """Share of them whose rule has an F1 of at least 0.5."""
    share_f1_high: float
    """Share of them whose rule has an F1 of at least 0.8."""


@dataclass(frozen=True)
class Universal:
    """Share of a run's judged features that another model has too."""

    model: str
    """The other model; the run's own name stands for its other seeds on the same place."""
    judged: int
    share: float
    """Share with a partner of r ≥ 0.7 in any run of the other model with the same dictionary settings."""
    median_r: float


@dataclass(frozen=True)
class StudyRun:
    """One run of a study; None where a figure is not there."""

    name: str
    path: str
    model: str
    """Name of the model in the study."""
    layer: int
    site: str
    arch: str
    d_sae: int
    sparsity: str
    """`k 16` or `l1 0.1`."""
    seed: int
    tokens: int | None
    indexed: int
    """Tokens that the features are indexed on."""
    explained_variance: float | None
    explained_variance_ordinary: float | None
    """Outlier tokens left out."""
    l0: float | None
    alive: int | None
    ce_recovered: float | None
    """By zero ablation."""
    kl: float | None
    density_edges: tuple[float, ...]
    """Edges of the histogram of log10 density."""
    density_counts: tuple[int, ...]
    kinds: dict[str, int]
    """Features of each kind; those too rare to judge are left out."""
    rules: RuleFigures | None
    probes: ProbeFigures | None
    completeness: tuple[CompletenessFigures, ...]
    universal: tuple[Universal, ...]


@dataclass(frozen=True)
class StudyPair:
    """Two runs compared."""

    first: str
    second: str
    summary: Summary
    r: tuple[float, ...]
    """r of the first run's judged features, falling."""


@dataclass(frozen=True)
class StudyFigures:
    """All figures of a study."""

    title: str
    runs: tuple[StudyRun, ...]
    pairs: tuple[StudyPair, ...]
