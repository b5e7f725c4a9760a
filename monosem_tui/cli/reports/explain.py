"""`monosem explain`: explanations as they are found, and a summary of how many features they explain."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from statistics import median

import numpy as np

from monosem_tui.cli import output
from monosem_tui.cli.progress import ConsoleProgress
from monosem_tui.cli.reports.feature import narrate_unfinished, read_notes
from monosem_tui.cli.run_lookup import Place
from monosem_tui.cli.sources import FoundSource
from monosem_tui.draw.numbers import activation, count, duration
from monosem_tui.draw.safe_text import printable
from monosem_tui.export.explanation_json import explained_json, scores_json
from store.files.errors import MonosemError
from store.index.neuron_file import NeuronActs
from store.index.reader import FeatureStore
from store.notes.explanations import Explanation, Explanations, ExplanationScores, Figure
from store.query.detectors import neuron_of
from store.query.filter_parser import parse_filter
from store.query.filters import FilterSource
from store.rules.grammar import parse_rule
from store.rules.kind_file import KeptKinds, measured_kinds
from store.rules.kinds import Kinds
from store.rules.rule_author import RuleAuthor
from store.rules.rule_run import RulePlan, chosen_features, planned, work
from store.settings.explain import ExplainSettings
from store.settings.feature_kinds import KINDS

GOOD, FAIR = 0.8, 0.5
"""Held-out F1 of features that a summary counts as well and as partly explained."""


def report(
    place: Place, features: Sequence[int], filter: str | None, every: bool, asked: ExplainSettings, *, json: bool
) -> None:
    """Explain features and print the explanations, the kinds of all and a summary.

    Raises:
        MonosemError: there is no whole index, no such feature, or the filter cannot be read.
    """
    began = time.monotonic()
    wanted = wanted_features(place, features, filter, every)
    kinds = _measured_kinds(place, asked.seed)
    plan = planned(place.path, wanted, asked)
    found = _explained(plan, None if json or len(wanted) > 20 else lambda one: _emit(one, kinds, str(one.feature)))
    others = Explanations.load(place.path)
    if json:
        output.emit_json([{"feature": one} | explained_json(one, kinds, others) for one in wanted])
        return
    _emit_kinds(kinds)
    if found:
        _emit_summary(found, time.monotonic() - began if len(plan.waiting) == len(found) else None)


def report_neurons(
    source: FoundSource, numbers: Sequence[int], every: bool, asked: ExplainSettings, *, json: bool
) -> None:
    """Explain both directions of neurons by rules, as `report` does features.

    Raises:
        MonosemError: there is no such neuron, or the author is not `rules`.
    """
    if asked.by_model:
        raise MonosemError("neurons are explained by rules only", "Leave `by` out.")
    began, path = time.monotonic(), source.neurons
    assert path is not None
    with NeuronActs.open(path) as acts:
        n = acts.n_neurons
    if any(number >= n for number in numbers):
        raise MonosemError(f"there is no neuron {max(numbers)}", f"They are numbered from 0 to {n - 1}.")
    wanted = [number + low for number in (range(n) if every else numbers) for low in (0, n)]
    kinds = measured_kinds(source.place.path, asked.seed, neurons=path)

    def name(detector: int) -> str:
        neuron, is_low = neuron_of(detector, n)
        return f"{'−' if is_low else ''}{neuron}"

    plan = planned(source.place.path, wanted, asked, path)
    found = _explained(plan, None if json or len(wanted) > 20 else lambda one: _emit(one, kinds, name(one.feature)))
    if json:
        known = Explanations.load(path)
        each = [(neuron_of(one, n), explained_json(one, kinds, known)) for one in wanted]
        output.emit_json([{"feature": neuron, "sign": -1 if low else 1} | values for (neuron, low), values in each])
        return
    _emit_kinds(kinds, "directions of neurons")
    if found:
        seconds = time.monotonic() - began if len(plan.waiting) == len(found) else None
        _emit_summary(found, seconds, "directions of neurons")


def _explained(plan: RulePlan, emit: Callable[[Explanation], None] | None) -> list[Explanation]:
    """Return the explanations of a plan, each emitted as it is found; a bar moves meanwhile."""
    if plan.waiting and len(plan.waiting) < len(plan.features):
        output.narrate(f"{count(len(plan.features) - len(plan.waiting))} are explained already")
    found, waiting = [], set(plan.waiting)
    with ExitStack() as stack:
        bar = None
        if plan.waiting:
            bar = stack.enter_context(
                ConsoleProgress().task("explaining", len(plan.waiting), "directions" if plan.neurons else "features")
            )
        for one in work(plan):
            found.append(one)
            if bar is not None and one.feature in waiting:
                bar.advance(1)
            if emit is not None:
                emit(one)
    return found


def _measured_kinds(place: Place, seed: int) -> Kinds:
    """Return the kinds of all features; a bar moves while they are measured."""
    with FeatureStore.open(place.path) as store:
        d_sae, known = store.d_sae, KeptKinds(store).present()
    if known is not None:
        return known
    with ConsoleProgress().task("measuring kinds", d_sae, "features") as bar:
        return measured_kinds(place.path, seed, bar.advance)


def wanted_features(place: Place, features: Sequence[int], filter: str | None, every: bool) -> tuple[int, ...]:
    """Return the features that are to be explained.

    Raises:
        MonosemError: there is no index or no such feature, or the filter cannot be read.
    """
    with FeatureStore.open(place.path) as store:
        narrate_unfinished(store)
        for feature in features:
            store.check_feature(feature)
        if filter is None and not every:
            return tuple(dict.fromkeys(features))
        ids = np.arange(store.d_sae, dtype=np.int64)
        if filter is not None:
            ids = parse_filter(filter).keep(FilterSource(store, read_notes(place)), ids)
        return chosen_features(store, ids.tolist())


def measure(
    place: Place, feature: int, text: str, threshold: float | None, asked: ExplainSettings, *, json: bool
) -> None:
    """Print the figures of a given rule for a feature, on the documents that explanations are measured on.

    Raises:
        MonosemError: the rule cannot be read, or there is no such feature or index.
    """
    rule = parse_rule(text)
    with FeatureStore.open(place.path) as store:
        store.check_feature(feature)
        author = RuleAuthor(store, asked.seed)
        least = author.threshold(feature, rule) if threshold is None else threshold
        scores = author.scores(feature, rule, least)
        documents = len(author.halves.measured_D)
    if json:
        values = {"feature": feature, "rule": str(rule), "threshold": least, "documents": documents}
        output.emit_json(values | scores_json(scores))
        return
    output.emit_text(f"{rule}\n  {figures_line(scores, least)}\n  on {count(documents)} documents")


def _emit(one: Explanation, kinds: Kinds, name: str) -> None:
    kind = kinds.of(one.feature)
    output.emit_text(f"{name}  {printable(one.text)}" + (f"  [{kind}]" if kind else ""))
    if one.rule is not None:
        output.emit_text(f"    {figures_line(one.scores, one.threshold)}\n    {printable(one.rule)}")


def figures_line(scores: ExplanationScores, threshold: float | None) -> str:
    """Return `F1 0.93 .91–.95  precision 0.90  recall 0.96  AUROC 0.991  r 0.80  from 0.31`."""
    parts = [f"F1 {with_interval(scores.f1)}"]
    parts += [f"{name} {one.value:.2f}" for name in ("precision", "recall") if (one := getattr(scores, name))]
    parts += [f"AUROC {scores.auroc.value:.3f}"] if scores.auroc else []
    parts += [f"r {scores.r.value:.2f}"] if scores.r else []
    parts += [f"from {activation(threshold)}"] if threshold is not None else []
    return "  ".join(parts)


def with_interval(figure: Figure | None) -> str:
    """Return `0.93 .91–.95`, a figure and its interval."""
    if figure is None:
        return "–"
    low, high = (f"{end:.2f}".removeprefix("0") for end in (figure.low, figure.high))
    return f"{figure.value:.2f} {low}–{high}"


def _emit_kinds(kinds: Kinds, what: str = "features") -> None:
    counts = Counter(kinds.kind_F.tolist())
    known = sum(number for kind, number in counts.items() if kind >= 0)
    shares = [f"{kind} {counts[i] / max(1, known):.0%}" for i, kind in enumerate(KINDS)]
    rare = f"; {count(counts[-1])} fire too rarely to judge" if counts[-1] else ""
    output.emit_text(f"kinds of {count(known)} {what}: {', '.join(shares)}{rare}")


def _emit_summary(found: Sequence[Explanation], seconds: float | None, what: str = "features") -> None:
    f1s = [one.scores.f1.value for one in found if one.scores.f1 is not None]
    ruled = [parse_rule(one.rule) for one in found if one.rule is not None]
    if not f1s:
        output.emit_text("no feature fires often enough to be explained")
        return
    shares = [f"{sum(f1 >= least for f1 in f1s) / len(found):.0%} with F1 ≥ {least}" for least in (GOOD, FAIR)]
    took = f", {duration(seconds)}" if seconds is not None else ""
    output.emit_text(
        f"{count(len(found))} {what}: {', '.join(shares)} on held-out documents; "
        f"median {median(rule.n_terms for rule in ruled):g} predicates{took}"
    )
