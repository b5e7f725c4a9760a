"""A run from Python: its folder, settings, autoencoder, index, figures and live model."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch

from engine.commands.baselines import made_source
from engine.evaluation.figures import Evaluation
from engine.jobs.trained_run import trained_settings
from engine.live.live_model import LiveModel, open_live
from engine.runtime.notebook_progress import NotebookProgress
from engine.runtime.out_of_memory import explained
from engine.runtime.progress import Progress
from engine.sae.base import Sae
from engine.sae.registry import from_weights
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.run.feature_source import FeatureSource
from store.run.folder import RunFolder
from store.run.weights import load_sae
from store.settings.subject import ReopenSettings
from store.settings.train import TrainSettings


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
        raise MonosemError(f"{run} are no run", "`find`, `explain` and `compare` take neurons.")
    else:
        found = TrainedRun(made_source(TrainedRun(Path(source.run)).folder, source.baseline).path)
    found.folder.record()
    return found


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
