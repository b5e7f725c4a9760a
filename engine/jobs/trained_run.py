"""A trained run opened again: its settings, some of them changed, and the model, site and text it was trained on."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from engine.data.arrays import names_array
from engine.jobs.subject import Subject, open_subject, pinned
from engine.model.language_model import LanguageModel
from engine.model.sites import Site
from engine.runtime.progress import Progress
from store.files.errors import MonosemError
from store.run.folder import RunFolder
from store.run.weights import SaeWeights
from store.settings.subject import OLD_AUTO, ReopenSettings, SubjectSettings
from store.settings.train import TrainSettings

S = TypeVar("S", bound=SubjectSettings)
CHANGEABLE = ("model", "data", "device", "dtype", "weights")
"""Settings that may change when a trained run is opened again."""


def trained_settings(run: RunFolder) -> TrainSettings:
    """Return the resolved settings that a run was trained with.

    Raises:
        MonosemError: the run holds no training.
    """
    settings = run.settings("train", TrainSettings)
    if settings is None:
        raise MonosemError(f"{run.path} holds no training", "Train it with monosem train.")
    return as_begun(run, settings)


def as_begun(run: RunFolder, settings: S) -> S:
    """Return settings that a run was begun with; `auto` stays what it meant when it was begun."""
    old = settings.dtype == "auto" and not run.record().provenance.dtype
    return replace(settings, dtype=OLD_AUTO) if old else settings


def reopen(run: RunFolder, asked: ReopenSettings, progress: Progress, *, for_plan: bool = False) -> Subject:
    """Open the model, site and corpus that a run was trained on, with some settings changed.

    A model trained in the run's own folder is found there, wherever the folder has been moved to.
    """
    return open_subject(settings_again(run, asked), progress, for_plan=for_plan)


def settings_again(run: RunFolder, asked: ReopenSettings) -> TrainSettings:
    """Return the settings a run was trained with, some changed; its own model is found where the run lies now."""
    settings = trained_settings(run)
    if run.model.is_dir():
        settings = replace(settings, model=str(run.path))
    wanted = pinned(asked)
    return replace(settings, **{name: getattr(wanted, name) for name in CHANGEABLE if name in wanted.given})


def is_of_array(settings: TrainSettings) -> bool:
    """Return whether a training reads an array, not a model's activations."""
    return settings.activations is not None and names_array(settings.activations)


def need_sae(run: RunFolder) -> None:
    """Refuse a run whose training is unfinished."""
    if not run.sae.is_file():
        raise MonosemError(f"{run.path} has no trained autoencoder", "Finish its training with monosem train --resume.")


def check_width(weights: SaeWeights, site: Site, target: Site, lm: LanguageModel) -> None:
    """Refuse an autoencoder that was made for activations of another width."""
    spec = weights.spec
    widths = [("reads", spec.d_in, site), ("explains", spec.d_out or spec.d_in, target)]
    for does, width, place in widths:
        if width != place.d_in:
            raise MonosemError(
                f"the autoencoder {does} {width} values, but {place.name} of {lm.name} has {place.d_in}",
                "Use the model, layer and site it was trained on.",
            )
