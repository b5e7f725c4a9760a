"""A study: several models, layers, sizes and seeds on one text, as FILE.toml of `monosem study` describes it."""

from __future__ import annotations

from dataclasses import dataclass, field

from store.settings.compare import CompareSettings
from store.settings.explain import ExplainSettings
from store.settings.lm import LmSettings
from store.settings.setting import LARGEST_SEED, Settings, setting
from store.settings.train import TrainGrid


@dataclass(frozen=True, kw_only=True)
class StudySettings(Settings):
    """Settings of a study that are of none of its parts."""

    title: str = setting("", "Heading of the report", "TEXT", unset="name of the file")
    labels: str = setting("", "Labelled text for sparse probes, as `find --labels` takes it", "FILE")
    concepts: tuple[str, ...] = setting((), "Lists of concepts, as `find --concepts` takes them", "LIST")
    baselines: tuple[str, ...] = setting((), "Baselines made of each run: neurons, random, seed", "NAME")
    explained: int | None = setting(
        None, "Features explained per run, drawn at random", "N", unset="all that fire", least=1
    )
    seed: int = setting(
        0, "Seed of the draw of features, and of the halves of documents for probes", "N", most=LARGEST_SEED
    )


@dataclass(frozen=True)
class StudyModel:
    """One model of a study, and the dictionaries to train on it."""

    name: str
    """Name in the report, and of its runs."""
    grid: TrainGrid
    """Every combination is a run; `model` is replaced where `lm` is given."""
    lm: LmSettings | None = None
    """The language model to train first; None where there is one already."""


@dataclass(frozen=True)
class Study:
    """All of a study."""

    models: tuple[StudyModel, ...]
    settings: StudySettings = field(default_factory=StudySettings)
    compare: CompareSettings = field(default_factory=CompareSettings)
    explain: ExplainSettings = field(default_factory=ExplainSettings)
