"""Everything that computes: text to activations to sparse autoencoders to the feature index."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.api.live_model import Continuation as Continuation
    from engine.api.live_model import InspectedToken as InspectedToken
    from engine.api.live_model import generate as generate
    from engine.api.live_model import inspect as inspect
    from engine.api.questions import compare as compare
    from engine.api.questions import explain as explain
    from engine.api.questions import find as find
    from engine.api.questions import make_baseline as make_baseline
    from engine.api.questions import map_features as map_features
    from engine.api.runs import TrainedRun as TrainedRun
    from engine.api.runs import load as load
    from engine.api.runs import open_run as open_run
    from engine.api.studies import study as study
    from engine.api.training import TrainedLm as TrainedLm
    from engine.api.training import evaluate as evaluate
    from engine.api.training import export as export
    from engine.api.training import extract as extract
    from engine.api.training import import_sae as import_sae
    from engine.api.training import index as index
    from engine.api.training import train as train
    from engine.api.training import train_lm as train_lm
    from store.settings.compare import CompareSettings as CompareSettings
    from store.settings.explain import ExplainSettings as ExplainSettings
    from store.settings.extract import ExtractSettings as ExtractSettings
    from store.settings.import_sae import ImportSettings as ImportSettings
    from store.settings.lm import LmSettings as LmSettings
    from store.settings.map import MapSettings as MapSettings
    from store.settings.model_author import AuthorSettings as AuthorSettings
    from store.settings.study import Study as Study
    from store.settings.study import StudyModel as StudyModel
    from store.settings.study import StudySettings as StudySettings
    from store.settings.subject import ReopenSettings as ReopenSettings
    from store.settings.train import TrainGrid as TrainGrid
    from store.settings.train import TrainSettings as TrainSettings
    from store.settings.trained_run import EvaluateSettings as EvaluateSettings
    from store.settings.trained_run import IndexSettings as IndexSettings

SET_FOR_TORCH = ("THP_MEM_ALLOC_ENABLE", "GOMP_SPINCOUNT")
"""Environment variables that are set below, where the user has not; child processes inherit them."""

# Large tensors in huge pages: else a training step spends some of its time on page faults (docs/benchmarks.md). torch
# reads this when it first allocates.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

# OpenMP's threads wait for each other by spinning, for so long that on a machine where anything else runs most of the
# time is lost: steps of 64 to 1 024 features fell to a fiftieth (docs/log.md). Short spins cost a tenth of such steps
# where nothing else runs, and nothing of larger ones.
if not os.environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}:
    os.environ["GOMP_SPINCOUNT"] = "1000"

_HOMES = {
    "engine.api.live_model": "Continuation InspectedToken generate inspect",
    "engine.api.questions": "compare explain find make_baseline map_features",
    "engine.api.runs": "TrainedRun load open_run",
    "engine.api.studies": "study",
    "engine.api.training": "TrainedLm evaluate export extract import_sae index train train_lm",
    "store.settings.compare": "CompareSettings",
    "store.settings.explain": "ExplainSettings",
    "store.settings.extract": "ExtractSettings",
    "store.settings.import_sae": "ImportSettings",
    "store.settings.lm": "LmSettings",
    "store.settings.map": "MapSettings",
    "store.settings.model_author": "AuthorSettings",
    "store.settings.study": "Study StudyModel StudySettings",
    "store.settings.subject": "ReopenSettings",
    "store.settings.train": "TrainGrid TrainSettings",
    "store.settings.trained_run": "EvaluateSettings IndexSettings",
}
"""Public names by module, imported at first use: torch takes a second, and engine.runtime.progress must not wait."""


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names.split():
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *" ".join(_HOMES.values()).split()])
