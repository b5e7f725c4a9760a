"""Training from Python: a function for each command that makes or measures a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import overload

from engine.api.runs import RunLike, TrainedRun, open_run
from engine.commands import export_sae, rerun
from engine.commands import extract as extraction
from engine.commands import import_sae as importing
from engine.commands import train as training
from engine.commands import train_lm as lm_training
from engine.commands.train_lm import LmReport
from engine.evaluation.figures import Evaluation
from engine.formats.hub_files import located
from engine.runtime.notebook_progress import NotebookProgress
from engine.runtime.progress import Progress
from store.run.folder import runs_root
from store.run.new_folders import filename, run_name, run_to_write
from store.settings.extract import ExtractSettings
from store.settings.import_sae import ImportSettings
from store.settings.lm import LmSettings
from store.settings.train import TrainGrid, TrainSettings
from store.settings.trained_run import EvaluateSettings, IndexSettings


@dataclass(frozen=True)
class TrainedLm:
    """A language model trained here; `path` is a `model` for all other work."""

    path: Path
    report: LmReport | None
    """None where an earlier call had trained it already."""


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
