"""A run's baselines, made on request and kept in its folder: neurons, random weights, and another seed.

`random` and `seed` are ordinary runs, trained and indexed with the run's own settings on the text of its own index; a
stopped one is gone on with as any other. `neurons` is one pass of the model over the index's tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.commands.compare import ComparedSource, baseline_source
from engine.commands.dry_run import Forecast, forecast_training
from engine.commands.rerun import index_run
from engine.commands.train import Job, train_all
from engine.indexing.neuron_pass import neuron_site, read_neurons
from engine.jobs.subject import open_model
from engine.jobs.trained_run import is_of_array, settings_again, trained_settings
from engine.model.drawn_weights import save_reinitialised
from engine.model.model_files import local_model
from engine.runtime.progress import Progress, Silent
from store.files.atomic import new_folder
from store.files.errors import MonosemError
from store.index.baselines import baseline_state
from store.index.merge_run import features_coverage
from store.run.events import EndEvent, read_events
from store.run.feature_source import Baseline, baseline_folder
from store.run.folder import RunFolder, RunRecord
from store.settings.subject import ReopenSettings
from store.settings.train import TrainSettings
from store.settings.trained_run import IndexSettings

WEIGHTS_SEED = 0
"""Seed of the weights of `random`: those of all runs of one model are the same model."""


@dataclass(frozen=True)
class Cost:
    """The price of a baseline, known without trying."""

    seconds: float | None
    """Seconds of its training, as the run's own took; of a pass, at most. None where that is not known."""
    n_bytes: int
    """On disk."""


def make_baseline(run: RunFolder, baseline: Baseline, progress: Progress) -> None:
    """Make a baseline, or what it lacks; one that is made stays.

    Raises:
        MonosemError: the run has none, or the disk is too small for it.
    """
    if baseline_state(run, baseline) == "made":
        return
    if baseline == "neurons":
        read_neurons(run, progress)
        return
    made = RunFolder(baseline_folder(run, baseline))
    settings = baseline_settings(run, baseline)
    if baseline == "random":
        _draw_model(run, made, progress)
    text = _indexed_text(run)
    same = text.data in (None, settings.data)
    train_all([Job(made, settings.changed(index=same))], progress, resume=True)
    if baseline_state(run, baseline) != "made":
        index_run(made, text, progress, resume=True, overwrite=True)


def made_source(run: RunFolder, baseline: Baseline) -> ComparedSource:
    """Return a baseline as a side of a comparison.

    Raises:
        MonosemError: it is not made.
    """
    if baseline_state(run, baseline) != "made":
        raise MonosemError(
            f"{run.name}:{baseline} is not made, or not for the text of the index of now",
            f"engine.make_baseline(run, {baseline!r}) makes it.",
        )
    return baseline_source(run, baseline, run.name)


def forecast_baseline(run: RunFolder, baseline: Baseline, progress: Progress) -> Forecast | None:
    """Return what a baseline would take, by arithmetic and a few steps; None for neurons (see `baseline_cost`)."""
    if baseline == "neurons":
        return None
    made = RunFolder(baseline_folder(run, baseline))
    settings = baseline_settings(run, baseline)
    if baseline == "random" and not made.model.is_dir():  # a plan needs the shapes alone, which are the run's own
        settings = settings.changed(model=settings_again(run, ReopenSettings()).model)
    return forecast_training([Job(made, settings)], progress, resume=True)


def baseline_cost(run: RunFolder, baseline: Baseline) -> Cost:
    """Return what a baseline takes by what its run took, reading nothing large.

    Raises:
        MonosemError: the run has no such baseline.
    """
    coverage, end = features_coverage(run.features), _end(run)
    if baseline == "neurons":
        n_tokens = 0 if coverage is None else coverage.tokens
        seconds = n_tokens / end.tok_s if end is not None and end.tok_s > 0 else None
        return Cost(seconds, 2 * n_tokens * neuron_site(run, Silent())[1].d_in)
    baseline_settings(run, baseline)  # refuses a run that has none
    n_bytes = sum(path.stat().st_size for path in (run.features, run.sae) if path.is_file())
    if baseline == "random":
        files = local_model(settings_again(run, ReopenSettings()).model, needs_weights=False)
        n_bytes += 0 if files is None else files.n_bytes
    return Cost(None if end is None else end.seconds, n_bytes)


def baseline_settings(run: RunFolder, baseline: Baseline) -> TrainSettings:
    """Return the settings of the training of `random` or `seed`.

    Raises:
        MonosemError: the run was imported, or has no language model.
    """
    if "import" in run.record().config:
        raise MonosemError(
            f"{run.name} was imported: how it was trained is not known, so it has no `{baseline}`",
            "Train a dictionary of the same model here, or compare with its neurons.",
        )
    settings = trained_settings(run)
    made = RunFolder(baseline_folder(run, baseline))
    if made.exists() and "train" in made.record().config:
        return trained_settings(made).changed(index_tokens=_indexed_text(run).tokens)
    wanted = settings.changed(index_tokens=_indexed_text(run).tokens, log_to=None)
    if baseline == "seed":
        model = {} if is_of_array(settings) else {"model": settings_again(run, ReopenSettings()).model}
        return wanted.changed(seed=settings.seed + 1, data_seed=settings.order_seed, **model)
    if is_of_array(settings):
        raise MonosemError(f"{run.name} is of an array: it has no language model", "Compare with another seed.")
    return wanted.changed(model=str(made.path.absolute()), activations=None)


def _indexed_text(run: RunFolder) -> IndexSettings:
    """Return text and tokens of the run's index; without `data` the training's own."""
    settings, used = trained_settings(run), run.record().config.get("index", {})
    data, tokens = used.get("data", settings.data), used.get("tokens", settings.index_tokens)
    return IndexSettings(data=str(data), tokens=int(tokens))


def _draw_model(run: RunFolder, made: RunFolder, progress: Progress) -> None:
    """Write the model with random weights, once."""
    with made.locked():
        if made.model.is_dir():
            return
        lm = open_model(settings_again(run, ReopenSettings()), progress)
        if not made.exists():
            made.create(RunRecord())
        progress.say(f"drawing the weights of {lm.name} anew")
        with new_folder(made.model) as temporary:
            save_reinitialised(lm, WEIGHTS_SEED, temporary)


def _end(run: RunFolder) -> EndEvent | None:
    ends = [event for event in read_events(run.events) if isinstance(event, EndEvent)]
    return ends[-1] if ends else None
