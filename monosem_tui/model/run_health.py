"""A run as a whole: densities of its features, quality, training and provenance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from monosem_tui.draw.numbers import count, share, with_error
from monosem_tui.draw.safe_text import printable
from monosem_tui.model.open_run import OpenRun
from store.files.typed_json import decode
from store.index.reader import FeatureStore
from store.notes.note_file import beside
from store.query.feature_order import Ids
from store.query.histogram import Histogram, density_histogram
from store.run.counted_noun import TOKEN, CountedNoun
from store.run.variance_shares import VarianceShares
from store.settings.feature_kinds import KINDS

ULTRA_LOW, ENOUGH = 1e-6, 10**7
"""Density below which a feature is ultra-low, and the least indexed tokens to state it."""


@dataclass(frozen=True, eq=False)
class Group:
    """Features of similar density."""

    title: str
    ids: Ids
    note: str = ""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class Densities:
    """Densities of all features on the indexed corpus."""

    histogram: Histogram
    groups: tuple[Group, ...]
    n_features: int
    n_counted: int
    """Counted tokens, the denominator of densities."""
    noun: CountedNoun = TOKEN


@dataclass(frozen=True)
class Fact:
    """A name and value of the record."""

    name: str
    value: str


@dataclass(frozen=True)
class Chapter:
    """Facts under one heading."""

    title: str
    facts: tuple[Fact, ...]


def densities(store: FeatureStore) -> Densities:
    """Group features by density: dead, ultra-low where the index is large enough, then decades; and by kind.

    Raises:
        MonosemError: the store is damaged.
    """
    density_F = store.columns.density_F
    histogram = density_histogram(density_F)
    groups = [
        Group("dead", np.flatnonzero(density_F == 0), "never in the index"),
        _ultra_low(density_F, store.n_counted, store.plan.noun),
    ]
    for power in range(round(float(histogram.edges[0])), 0):
        low, high = 10.0**power, 10.0 ** (power + 1)
        top = density_F <= 1 if power == -1 else density_F < high
        groups.append(Group(_decade(power), np.flatnonzero((density_F >= low) & top)))
    return Densities(histogram, (*groups, *_kinds(store)), store.d_sae, store.n_counted, store.plan.noun)


def _kinds(store: FeatureStore) -> list[Group]:
    """Return a group for each kind, where kinds were measured."""
    from store.rules.kind_file import KeptKinds

    kinds = KeptKinds(store).present()
    if kinds is None:
        return []
    groups = [Group(kind, np.flatnonzero(kinds.kind_F == number), "kind") for number, kind in enumerate(KINDS)]
    return [*groups, Group("no kind", np.flatnonzero(kinds.kind_F < 0), "too rare")]


def _ultra_low(density_F: np.ndarray[Any, np.dtype[np.float64]], n_counted: int, noun: CountedNoun) -> Group:
    if n_counted < ENOUGH:
        return Group("ultra-low", np.zeros(0, np.int64), f"needs 10M {noun.many}")
    return Group("ultra-low", np.flatnonzero((density_F > 0) & (density_F < ULTRA_LOW)), "below 1e-6")


def _decade(power: int) -> str:
    """Format a power of ten as the list does: percent, and powers of ten below 0.01 %."""
    return f"{10.0 ** (power + 2):g} to {10.0 ** (power + 3):g} %" if power >= -4 else f"1e{power} to 1e{power + 1}"


@dataclass(frozen=True, kw_only=True)
class _ClassFigures:
    f1: float
    miss_rate: float
    absorbed: float | None = None


@dataclass(frozen=True, kw_only=True)
class _Class:
    """Splitting and absorption of a class of the planted corpus."""

    name: str
    found: _ClassFigures
    shuffled: _ClassFigures


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """The figures of an evaluation that are shown; None where not measured."""

    alive: int | None = None
    d_sae: int | None = None
    explained_variance: float | None = None
    l0: float | None = None
    fvu: float | None = None
    cosine: float | None = None
    norm_ratio: float | None = None
    mse: float | None = None
    delta_ce: float | None = None
    delta_ce_se: float | None = None
    kl: float | None = None
    kl_se: float | None = None
    ce_recovered_saelens: float | None = None
    ce_recovered_zero: float | None = None
    ce_recovered_mean: float | None = None
    ce_clean: float | None = None
    ce_sae: float | None = None
    ce_zero: float | None = None
    ce_mean: float | None = None
    tokens: int | None = None
    split: str = ""
    documents: str = ""
    explained_variance_ordinary: float | None = None
    explained_variance_standardised: float | None = None
    outlier_tokens: int | None = None
    variance_shares: VarianceShares | None = None
    absorption: list[_Class] | None = None


def figures(run: OpenRun) -> list[str]:
    """Return the measured quality in short phrases."""
    record = run.record
    if record is None:
        alone = "a features.h5 by itself: what was measured is in the run it comes from"
        return [alone, *completeness_lines(run.store)]
    found, noun = decode(_Measured, record.evaluation, lenient=True), record.noun
    said = []
    if found.alive is not None and found.d_sae is not None:
        where = f" on {_evaluated_on(found, noun)}" if found.tokens is not None else ""
        said.append(f"{count(found.alive)} of {count(found.d_sae)} features alive{where}")
    for key, name, digits in (
        ("explained_variance", "EV", 3),
        ("l0", "L0", 1),
        ("fvu", "FVU", 3),
        ("cosine", "cosine", 3),
        ("norm_ratio", "norm ratio", 3),
        ("mse", "MSE", 4),
    ):
        value = getattr(found, key)
        if value is None:
            value = getattr(record.results, key, None)
        if value is not None:
            said.append(f"{name} {value:.{digits}f}")
    if found.outlier_tokens and found.explained_variance_ordinary is not None:
        said.append(
            f"EV {found.explained_variance_ordinary:.3f} without {count(found.outlier_tokens)} outlier {noun.many}"
        )
    if found.explained_variance_standardised is not None:
        said.append(f"EV {found.explained_variance_standardised:.3f} (mean over dimensions)")
    zero, mean = found.ce_recovered_zero, found.ce_recovered_mean
    if zero is not None:
        said.append(f"CE recovered {zero:.3f} (zero)" + (f" {mean:.3f} (mean)" if mean is not None else ""))
    if found.ce_recovered_saelens is not None:
        said.append(f"{found.ce_recovered_saelens:.3f} (SAELens)")
    if found.delta_ce is not None:
        said.append(f"ΔCE {with_error(found.delta_ce, found.delta_ce_se)}")
    if found.kl is not None:
        said.append(f"KL {with_error(found.kl, found.kl_se)}")
    losses = {key: getattr(found, f"ce_{key}") for key in ("clean", "sae", "zero", "mean")}
    said += [f"CE {key} {value:.3f}" for key, value in losses.items() if value is not None]
    if found.tokens is not None and found.alive is None:
        said.append(f"on {_evaluated_on(found, noun)}")
    said += _absorption(found.absorption or [])
    said += completeness_lines(run.store)
    said += found.variance_shares.lines(noun) if found.variance_shares else []
    if found.documents:
        said.append(printable(found.documents))
    return said or ["not evaluated yet: monosem eval does it"]


def _evaluated_on(found: _Measured, noun: CountedNoun) -> str:
    """Return `140 107 held-out tokens`."""
    split = {"heldout": "held-out", "all": ""}.get(found.split, printable(found.split))
    return " ".join(filter(None, (count(found.tokens or 0), split, noun.many)))


def _absorption(classes: list[_Class]) -> list[str]:
    """Return misses and absorption of the planted classes, beside the same with shuffled words."""
    if not classes:
        return []
    sides = [[one.found for one in classes], [one.shuffled for one in classes]]
    missed, shuffled = (share(sum(one.miss_rate for one in side) / len(side)) for side in sides)
    said = [f"{len(classes)} classes missed on {missed} of their words ({shuffled} shuffled)"]
    absorbed = [[one.absorbed for one in side if one.absorbed is not None] for side in sides]
    if all(absorbed):
        part, other = (share(sum(side) / len(side)) for side in absorbed)
        worst = max(classes, key=lambda one: one.found.absorbed or 0.0)
        most = f", most in {printable(worst.name)}, {share(worst.found.absorbed)}" if worst.found.absorbed else ""
        said.append(f"absorbed on {part} ({other} shuffled){most}")
    return said


def completeness_lines(store: FeatureStore) -> list[str]:
    """Return the completeness of an index for each list of concepts that it was asked for."""
    folder = beside(store.path, "completeness")
    if not folder.is_dir():
        return []
    from store.query.completeness_file import kept_completeness

    return [
        f"finds {one.found} of {len(one.judged)} concepts of {printable(one.name)} by a feature, "
        f"{one.found_by_several} by up to {one.most}"
        for one in kept_completeness(store)
        if one.judged
    ]


def chapters(run: OpenRun) -> tuple[Chapter, ...]:
    """Return the run's description, provenance and settings, printable."""
    spec = run.store.spec
    what = {
        "model": spec.model,
        "site": spec.place(),
        "architecture": spec.arch,
        "d_in": spec.d_in,
        "d_sae": spec.d_sae,
    }
    what |= {"k": spec.k, "l1": spec.l1, "left out": spec.excluded}
    found = [_chapter("DICTIONARY", what)]
    if run.record is None:
        return tuple(found)
    record = run.record
    about = {"status": record.current_status(), "message": record.message, "host": record.host}
    found.append(_chapter("RUN", about))
    source = record.provenance
    from_where = {name: getattr(source, name) for name in source.__dataclass_fields__ if name != "versions"}
    from_where["versions"] = ", ".join(f"{name} {version}" for name, version in source.versions.items())
    found.append(_chapter("PROVENANCE", from_where))
    found += [_chapter(f"SETTINGS OF {printable(command)}", settings) for command, settings in record.config.items()]
    return tuple(found)


def _chapter(title: str, facts: dict[str, Any]) -> Chapter:
    """Return a chapter without the facts that are not set."""
    kept = {name: value for name, value in facts.items() if value is not None and value != "" and value != []}
    return Chapter(title, tuple(Fact(printable(str(name)), printable(str(value))) for name, value in kept.items()))
