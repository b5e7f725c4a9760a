"""`monosem compare`: the dictionaries of several runs on the text that they share, pair by pair."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from engine.comparison.compare import IndexedRun, compare
from engine.comparison.neuron_compare import compare_neurons
from engine.jobs.refusals import check_again
from engine.runtime.progress import Progress
from store.comparison.figures import SHARED, BesideBaseline, Comparison
from store.comparison.file import comparison_path, save_comparison
from store.files.errors import MonosemError
from store.files.sealed_hdf5 import read_seal
from store.index.baselines import baseline_state
from store.index.neuron_file import NeuronActs, neuron_path
from store.index.reader import FeatureStore
from store.run.feature_source import Baseline, baseline_folder
from store.run.folder import RunFolder
from store.settings.compare import CompareSettings
from store.settings.subject import ReopenSettings


@dataclass(frozen=True)
class ComparedSource:
    """A side of comparisons."""

    path: Path
    """A run folder, or an index."""
    name: str
    neurons: Path | None = None
    """The file of neurons on the tokens of that index, if they are meant instead of its features."""
    run: RunFolder | None = None
    """The run whose baselines are compared with too, as far as they are made; None for none."""
    text: Path | None = None
    """Another index of the same features, of the text asked for; None for that of `path`."""

    @property
    def index(self) -> Path:
        """The index that is compared."""
        return self.text or self.path


@dataclass(frozen=True)
class Compared:
    """A pair of runs compared."""

    sources: tuple[ComparedSource, ComparedSource]
    kept: Path
    """The file that keeps the comparison, beside the first."""
    comparison: Comparison
    seconds: float


def compare_runs(
    sources: Sequence[ComparedSource], settings: CompareSettings, progress: Progress
) -> Iterator[Compared]:
    """Compare every pair of sources, keep each comparison beside its first run, and yield it.

    Args:
        sources: at least two.
        settings: units, what is judged, nulls.
        progress: receives reports.

    Raises:
        MonosemError: an index is missing or unfinished, two of them share no text, a run cannot be indexed on the text
            asked for, or the disk is full.
    """
    if len(sources) < 2:
        raise MonosemError("a comparison needs two runs", "Name another: `monosem compare A B`.")
    sources, text = _on_one_text(sources, settings, progress)
    for pair in combinations(sources, 2):
        kept = comparison_path(_beside(pair[0]), f"{pair[1].name}-{text}" if text else pair[1].name)
        began = time.perf_counter()
        if len(sources) > 2:
            progress.say(f"{pair[0].name} and {pair[1].name}")
        found = _pair(*pair, settings, progress)
        if settings.baselines and not text and all(one.run is not None for one in pair):
            found = _with_baselines(found, pair, settings, progress)
        if settings.model_pass:
            found = _with_model_pass(found, pair, settings, progress)
        found = replace(found, summary=replace(found.summary, text=text))
        save_comparison(kept, found)
        yield Compared(pair, kept, found, time.perf_counter() - began)


def _beside(source: ComparedSource) -> Path:
    """Return the folder or index that a source's comparisons lie beside."""
    return source.path if source.neurons is None else source.neurons.parent


def _on_one_text(
    sources: Sequence[ComparedSource], settings: CompareSettings, progress: Progress
) -> tuple[Sequence[ComparedSource], str]:
    """Return the sources with the indexes to compare, and the name of their text; "" for the runs' own."""
    if settings.data is None:
        if "tokens" in settings.given or ("device" in settings.given and not settings.model_pass):
            raise MonosemError("`tokens` and `device` are for indexing a text", "Give `data` too.")
        return sources, ""
    runs = [RunFolder(one.path) for one in sources]
    asked = ReopenSettings(data=settings.data, device=settings.device)
    for run, one in zip(runs, sources, strict=True):
        if one.neurons is not None:
            raise MonosemError(f"{one.name} are read on the run's own text, not on `data`", "Leave one of them out.")
        if not run.exists():
            raise MonosemError(f"{run.path} is not a run, so no text can be read through it", "Name its run's folder.")
        check_again(run, asked)
    from engine.commands.text_index import index_on_text  # PyTorch, which stored activations do not need

    places = [index_on_text(run, asked, settings.tokens, progress) for run in runs]
    return [replace(one, text=place.path) for one, place in zip(sources, places, strict=True)], places[0].name


def _pair(first: ComparedSource, second: ComparedSource, settings: CompareSettings, progress: Progress) -> Comparison:
    with ExitStack() as stack:
        both = [_side(one, stack) for one in (first, second)]
        if any(one.neurons for one in both):
            return compare_neurons(both[0], both[1], settings, progress)
        return compare(both[0], both[1], settings, progress)


def _side(source: ComparedSource, stack: ExitStack) -> IndexedRun:
    store = stack.enter_context(FeatureStore.open(source.index))
    if not store.complete:
        raise MonosemError(
            f"the index of {source.name} is not finished", "Finish it with `monosem index RUN --resume`."
        )
    if source.neurons is not None:
        neurons = stack.enter_context(NeuronActs.open(source.neurons))
        return IndexedRun(source.name, store, read_seal(source.neurons).sha256, neurons)
    path = store.path
    return IndexedRun(source.name, store, read_seal(path).sha256 if path.is_file() else "")


def _with_baselines(
    found: Comparison, pair: tuple[ComparedSource, ComparedSource], settings: CompareSettings, progress: Progress
) -> Comparison:
    """Add to both sides how well features are matched in comparisons with the baselines that are made."""
    quick = settings.changed(shifts=0, resamplings=10)
    sides: tuple[list[BesideBaseline], list[BesideBaseline]] = ([], [])

    def add(name: str, of: Sequence[int], first: ComparedSource | None, second: ComparedSource | None) -> None:
        if first is None or second is None:
            return
        progress.say(f"{first.name} and {second.name}")
        told = _pair(first, second, quick, progress).summary.sides
        for side, one in zip(of, told, strict=False):
            sides[side].append(BesideBaseline(name, one.found))

    for side in (0, 1):
        other = pair[1 - side]
        add("random", [side], pair[side], _baseline(other, "random"))
        add("seed", [side], pair[side], _baseline(pair[side], "seed"))
        add("features_neurons", [side], pair[side], _baseline(other, "neurons"))
    if _have_other_neurons(pair):
        add("neurons", (0, 1), *(_baseline(one, "neurons") for one in pair))
    summaries = [replace(one, baselines=tuple(mine)) for one, mine in zip(found.summary.sides, sides, strict=True)]
    return replace(found, summary=replace(found.summary, sides=tuple(summaries)))


def _with_model_pass(
    found: Comparison, pair: tuple[ComparedSource, ComparedSource], settings: CompareSettings, progress: Progress
) -> Comparison:
    """Add what the shared features of each side reconstruct alone, where a side's model and text are known."""
    from engine.commands.shared_variance import shared_variance  # PyTorch, which stored activations do not need

    summaries = []
    for source, side, told in zip(pair, found.sides, found.summary.sides, strict=True):
        run = RunFolder(source.path)
        if source.neurons is not None or not run.exists():
            progress.say(f"{source.name} is not the features of a run, so no model is run for it")
            summaries.append(told)
            continue
        with FeatureStore.open(source.index) as store:
            asked = ReopenSettings(data=store.plan.data, device=settings.device)
        shared_F = side.judged_F & (side.r_F >= SHARED)
        summaries.append(replace(told, shared_variance=shared_variance(run, asked, shared_F, progress)))
    return replace(found, summary=replace(found.summary, sides=tuple(summaries)))


def _baseline(source: ComparedSource, baseline: Baseline) -> ComparedSource | None:
    """Return a baseline of a run; None where it is not made, or the source is none of a run's own features."""
    if source.run is None or baseline_state(source.run, baseline) != "made":
        return None
    return baseline_source(source.run, baseline, source.name)


def baseline_source(run: RunFolder, baseline: Baseline, name: str) -> ComparedSource:
    """Return a baseline of the run called `name` as a side of a comparison."""
    if baseline == "neurons":
        return ComparedSource(run.path, f"{name}:{baseline}", neuron_path(run))
    return ComparedSource(baseline_folder(run, baseline), f"{name}:{baseline}")


def _have_other_neurons(pair: tuple[ComparedSource, ComparedSource]) -> bool:
    """Return whether the two sides' neurons are of different models or layers; the same ones have r = 1."""
    made = [one.run for one in pair if one.run is not None and baseline_state(one.run, "neurons") == "made"]
    if len(made) < 2:
        return False
    records = [run.record() for run in made]
    return len({(one.provenance.model_digest, one.spec.layer) for one in records}) > 1
