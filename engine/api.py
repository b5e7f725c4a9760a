"""monosem from Python: a function per command. Settings go in, runs, figures and texts come out; see docs/python.md.

Functions show progress as text (`NotebookProgress`) unless another `progress` is given; `Silent()` shows none.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import overload

import torch

from engine.commands import baselines, export_sae, rerun
from engine.commands import extract as extraction
from engine.commands import import_sae as importing
from engine.commands import train as training
from engine.commands import train_lm as lm_training
from engine.commands.compare import ComparedSource, compare_runs
from engine.commands.train_lm import LmReport
from engine.evaluation.figures import Evaluation
from engine.formats.hub_files import located
from engine.jobs.trained_run import trained_settings
from engine.live.from_recipe import generations
from engine.live.generation import shown_text
from engine.live.inspection import contexts_of, inspect_contexts, typed_document
from engine.live.live_model import LiveModel, open_live
from engine.runtime.notebook_progress import NotebookProgress
from engine.runtime.out_of_memory import explained
from engine.runtime.progress import Progress
from engine.sae.base import Sae
from engine.sae.registry import from_weights
from store.comparison.figures import Comparison
from store.files.errors import MonosemError
from store.index.neuron_file import NeuronActs
from store.index.reader import FeatureStore
from store.live.model_outputs import Firing
from store.live.recipe import Recipe
from store.notes.explanations import Explanation
from store.query.detectors import NeuronDetectors
from store.query.find import Found
from store.query.pattern_search import Inquiry, search_pattern
from store.rules.rule_run import chosen_features, planned, work
from store.run.feature_source import Baseline, FeatureSource
from store.run.folder import RunFolder, runs_root
from store.run.new_folders import filename, run_name, run_to_write
from store.run.weights import load_sae
from store.settings.compare import CompareSettings
from store.settings.explain import ExplainSettings
from store.settings.extract import ExtractSettings
from store.settings.import_sae import ImportSettings
from store.settings.lm import LmSettings
from store.settings.subject import ReopenSettings
from store.settings.train import TrainGrid, TrainSettings
from store.settings.trained_run import EvaluateSettings, IndexSettings


@dataclass(frozen=True, eq=False, repr=False)
class TrainedRun:
    """A run with a trained autoencoder. Nothing is read or computed before it is asked for."""

    path: Path
    _opened: dict[ReopenSettings, LiveModel] = field(default_factory=dict)

    @property
    def folder(self) -> RunFolder:
        """Names of the run's files, and run.json."""
        return RunFolder(self.path)

    @property
    def settings(self) -> TrainSettings:
        """Settings of the training, every default filled in."""
        return trained_settings(self.folder)

    @cached_property
    def sae(self) -> Sae:
        """The autoencoder as a torch module on the CPU; see `load`."""
        return load(self.path)

    @cached_property
    def store(self) -> FeatureStore:
        """Its feature index.

        Raises:
            MonosemError: it has none.
        """
        return FeatureStore.open(self.path)

    @property
    def figures(self) -> Evaluation | None:
        """The evaluation on held-out text that run.json keeps; None where there is none."""
        values = self.folder.record().evaluation
        return Evaluation.from_json(values) if values else None

    def live(self, settings: ReopenSettings | None = None, progress: Progress | None = None) -> LiveModel:
        """Return its language model with the autoencoder in place; loaded once for the same settings."""
        wanted = settings or ReopenSettings()
        if wanted not in self._opened:
            with explained():
                self._opened[wanted] = open_live(self.folder, wanted, progress or NotebookProgress())
        return self._opened[wanted]

    def __repr__(self) -> str:
        record = self.folder.record()
        found = record.results
        known = [record.spec.title()]
        if found.explained_variance is not None and found.l0 is not None:
            known.append(f"explained variance {found.explained_variance:.3f}, L0 {found.l0:.1f}")
        known.append("indexed" if self.folder.features.is_file() else "no index")
        return f"TrainedRun({str(self.path)!r}: {'; '.join(known)})"


RunLike = TrainedRun | str | Path
"""A run, or its folder."""


@dataclass(frozen=True)
class TrainedLm:
    """A language model trained here; `path` is a `model` for all other work."""

    path: Path
    report: LmReport | None
    """None where an earlier call had trained it already."""


@dataclass(frozen=True)
class InspectedToken:
    """One token of a text, and the features that fire on it."""

    text: str
    features: tuple[Firing, ...]
    """The strongest first; empty where features are not read, such as on BOS."""
    active: int
    """Number of features that fire."""
    next_loss: float | None
    """-log p of the next token in nats; None unless ablation was asked for."""


@dataclass(frozen=True)
class Continuation:
    """A prompt continued by the model alone and under clamps."""

    base: str
    clamped: str
    """The same as `base` without clamps."""
    base_logprobs: Sequence[float]
    """Per token, of the distribution that it was drawn from."""
    clamped_logprobs: Sequence[float]
    kl: Sequence[float]
    """KL(clamped ‖ own) in nats per clamped token; empty without clamps."""


def open_run(run: RunLike) -> TrainedRun:
    """Open the run in a folder, or a baseline of it that is one: `"runs/demo:random"`, `"runs/demo:seed"`.

    Raises:
        MonosemError: there is none, or the baseline is not made.
    """
    if isinstance(run, TrainedRun):
        found = run
    elif (source := FeatureSource.parse(str(run))).baseline is None:
        found = TrainedRun(Path(run))
    elif source.baseline == "neurons":
        raise MonosemError(f"{run} are no run", "`find` and `compare` take neurons.")
    else:
        found = TrainedRun(baselines.made_source(TrainedRun(Path(source.run)).folder, source.baseline).path)
    found.folder.record()
    return found


@overload
def train(
    settings: TrainSettings,
    out: str | Path | None = None,
    *,
    runs_dir: str | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> TrainedRun: ...
@overload
def train(
    settings: TrainGrid,
    out: str | Path | None = None,
    *,
    runs_dir: str | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> list[TrainedRun]: ...
def train(
    settings: TrainSettings | TrainGrid,
    out: str | Path | None = None,
    *,
    runs_dir: str | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> TrainedRun | list[TrainedRun]:
    """Train an autoencoder, evaluate and index it; of a grid, every combination on one pass of the model.

    Args:
        settings: what to train; what is not given has a default.
        out: the run's folder; a bare name lies under `runs_dir`. None for a new one with a name of its own.
        runs_dir: where runs live; None for $MONOSEM_RUNS, else ./runs.
        resume: go on where an interrupted training stopped. Settings that are given must agree with it.
        progress: where to report to.

    Raises:
        MonosemError: a setting is impossible, or the folder already holds a training.
        WorkFailed: a training failed; the others of a grid are finished first.
    """
    grid = settings if isinstance(settings, TrainGrid) else TrainGrid(settings)
    jobs = training.planned(grid, out, runs_root(runs_dir), resume=resume)
    training.train_all(jobs, progress or NotebookProgress(), resume=resume)
    runs = [TrainedRun(job.run.path) for job in jobs]
    return runs if isinstance(settings, TrainGrid) else runs[0]


def train_lm(
    settings: LmSettings,
    out: str | Path | None = None,
    *,
    runs_dir: str | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> TrainedLm:
    """Train a small language model from scratch; arguments as of `train`."""
    run = run_to_write(out, runs_root(runs_dir), "lm", resume=resume)
    return TrainedLm(run.path, lm_training.train_lm(run, settings, progress or NotebookProgress(), resume=resume))


def extract(
    settings: ExtractSettings,
    out: str | Path | None = None,
    *,
    runs_dir: str | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write activations to disk; return the folder, the `activations` of a training. Arguments as of `train`."""
    run = run_to_write(out, runs_root(runs_dir), run_name(settings), resume=resume)
    extraction.extract(run, settings, progress or NotebookProgress(), resume=resume)
    return run.path


def index(
    run: RunLike,
    settings: IndexSettings | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> TrainedRun:
    """Record every activation of every feature on a corpus, in features.h5.

    Raises:
        MonosemError: there is an index and neither `resume` nor `overwrite` was asked for, or it cannot be made.
    """
    found = open_run(run)
    wanted = settings or IndexSettings()
    rerun.index_run(found.folder, wanted, progress or NotebookProgress(), resume=resume, overwrite=overwrite)
    return TrainedRun(found.path)


def evaluate(run: RunLike, settings: EvaluateSettings | None = None, *, progress: Progress | None = None) -> Evaluation:
    """Measure a run on what was held out from its training, or on other text or activations.

    Raises:
        MonosemError: there is no autoencoder, or what it is to be measured on cannot be read.
    """
    return rerun.evaluate_again(open_run(run).folder, settings or EvaluateSettings(), progress or NotebookProgress())


def find(run: RunLike, pattern: str | Inquiry) -> Found:
    """Find the features that track a regular expression over the indexed text.

    Of `"RUN:neurons"`, neurons: of D, number d stands for high values of neuron d, number D + d for low ones.

    Raises:
        MonosemError: it is not a regular expression, nothing matches, there is no index, or a baseline is not made.
    """
    inquiry = pattern if isinstance(pattern, Inquiry) else Inquiry(pattern)
    source = _source(run)
    with ExitStack() as stack:
        store, neurons = stack.enter_context(FeatureStore.open(source.path)), None
        if source.neurons is not None:
            acts = stack.enter_context(NeuronActs.open(source.neurons))
            neurons = NeuronDetectors(acts, store.layout.counted_tokens())
        *_, last = search_pattern(store, inquiry, detectors=neurons)
    assert last.found is not None
    return last.found


def explain(
    run: RunLike,
    features: Sequence[int] | None = None,
    settings: ExplainSettings | None = None,
    *,
    progress: Progress | None = None,
) -> dict[int, Explanation]:
    """Explain features by rules, measured on documents that the rules were not chosen on; return them by feature.

    They are kept in explanations.jsonl; known ones are not looked for again. Without `features`, all that fire.

    Raises:
        MonosemError: the run has no whole index, there is no such feature, or the author is not `rules`.
    """
    asked = settings or ExplainSettings()
    if asked.by != "rules":
        raise MonosemError(f"`by={asked.by}` is for the command line", "`by=rules` explains from Python.")
    found = open_run(run)
    every = range(found.store.d_sae) if features is None else features
    plan = planned(found.path, chosen_features(found.store, list(every)) if features is None else list(every), asked)
    explanations = {}
    with (progress or NotebookProgress()).task("explaining", len(plan.features), "features") as bar:
        for one in work(plan):
            explanations[one.feature] = one
            bar.advance(1)
    return explanations


def compare(
    first: RunLike,
    second: RunLike,
    settings: CompareSettings | None = None,
    *,
    progress: Progress | None = None,
) -> Comparison:
    """Compare the features of two runs on the text that their indexes share, keep the comparison, and return it.

    Either may be a baseline that is made: `"runs/demo:neurons"`.

    Raises:
        MonosemError: an index is missing or unfinished, they share no text, or a baseline is not made.
    """
    sources = [_source(run) for run in (first, second)]
    (found,) = compare_runs(sources, settings or CompareSettings(), progress or NotebookProgress())
    return found.comparison


def make_baseline(run: RunLike, baseline: Baseline, *, progress: Progress | None = None) -> None:
    """Make a baseline of a run, which `find`, `explain` and `compare` then take as `"RUN:BASELINE"`.

    Args:
        run: a run with a whole index.
        baseline: `neurons`, `random` or `seed`.
        progress: where to report to.

    Raises:
        MonosemError: the run has none, or the disk is too small for it.
    """
    baselines.make_baseline(open_run(run).folder, baseline, progress or NotebookProgress())


def _source(run: RunLike) -> ComparedSource:
    """Return a side of a comparison: a run, or a baseline of it."""
    if isinstance(run, TrainedRun) or (source := FeatureSource.parse(str(run))).baseline is None:
        path = open_run(run).path
        return ComparedSource(path, path.name, None, RunFolder(path))
    return baselines.made_source(open_run(source.run).folder, source.baseline)


def inspect(
    run: RunLike,
    text: str,
    settings: ReopenSettings | None = None,
    *,
    top: int = 5,
    ablate: bool = False,
    chat: bool = False,
    progress: Progress | None = None,
) -> list[InspectedToken]:
    """Return the `top` strongest features on each token of a text; with `ablate`, what each does to the next loss.

    With `chat` the text is a user's turn in the model's chat template, or a JSON list of messages.

    Raises:
        MonosemError: the text is empty, or the run has no language model.
    """
    live = open_run(run).live(settings, progress)
    with explained():
        contexts = contexts_of(live, typed_document(text, chat=chat))
        found = inspect_contexts(live, contexts, top, progress or NotebookProgress(), ablate=ablate)
    tokens = [token for context in found for token in context]
    strings = live.vocabulary.strings([token.token for token in tokens])
    return [
        InspectedToken(string, token.firings, token.active, token.next_loss)
        for string, token in zip(strings, tokens, strict=True)
    ]


def generate(
    run: RunLike, recipe: Recipe, settings: ReopenSettings | None = None, *, progress: Progress | None = None
) -> list[Continuation]:
    """Continue a prompt with features clamped, beside what the model says itself: one entry per sample.

    Raises:
        MonosemError: a clamp or the prompt does not fit the run, or the recipe has a sweep.
    """
    if recipe.sweep:
        raise MonosemError("`sweep` is for the command line", "Call generate with each strength as one of `clamps`.")
    live = open_run(run).live(settings, progress)
    found = []
    with explained():
        for generation in generations(live, recipe):
            while generation.step() is not None:
                pass
            base, clamped = generation.base.complete(), generation.clamped.complete()
            texts = shown_text(live, base), shown_text(live, clamped)
            found.append(Continuation(*texts, base.logprobs, clamped.logprobs, tuple(generation.kl)))
    return found


def import_sae(
    source: str | Path,
    settings: ImportSettings | None = None,
    out: str | Path | None = None,
    *,
    part: str | None = None,
    runs_dir: str | None = None,
    progress: Progress | None = None,
) -> TrainedRun:
    """Make a run of an autoencoder of another library, and measure it.

    Args:
        source: a file or folder, or hf:OWNER/NAME/PATH on the hub.
        settings: what the files do not say, or say wrongly.
        out: the run's folder, as of `train`.
        part: which one, where the folder holds several.
        runs_dir: where runs live.
        progress: where to report to.

    Raises:
        MonosemError: it cannot be read or computed, or does not fit the model.
    """
    shown = progress or NotebookProgress()
    path = located(str(source), shown)
    (one,) = importing.choose(path, part, everything=False)
    run = run_to_write(out, runs_root(runs_dir), filename(importing.name_of(one, path)), resume=False)
    importing.import_sae(run, one, settings or ImportSettings(), shown)
    return TrainedRun(run.path)


def export(run: RunLike, to: str, out: str | Path) -> list[Path]:
    """Write a run's autoencoder for `to`: saelens, sparsify or dictionary-learning; return the files.

    Raises:
        MonosemError: the library cannot compute it, or `out` is not empty.
    """
    return export_sae.export(open_run(run).folder, to, Path(out))


def load(run: str | Path, device: str = "cpu") -> Sae:
    """Return a run's autoencoder as a torch module: `encode`, `decode`, `forward` on raw activations [B, d_in].

    Values are float32. `encode` returns `SparseActs` (engine.sae.base); nothing requires a gradient.

    Args:
        run: the folder of a run, or a sae.h5.
        device: where its weights go.

    Raises:
        MonosemError: there is none.
    """
    path = Path(run) / "sae.h5" if Path(run).is_dir() else Path(run)
    if not path.is_file():
        raise MonosemError(f"{run} has no trained autoencoder", "Give a run's folder, or a sae.h5.")
    return from_weights(load_sae(path), torch.device(device))
