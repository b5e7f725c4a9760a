"""A run on disk whose model is small enough to be run in a test."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from engine.commands.rerun import index_run
from engine.jobs.trained_run import reopen
from engine.runtime.progress import Silent
from store.run.folder import RunFolder, RunRecord
from store.run.weights import save_sae
from store.settings.subject import ReopenSettings
from store.settings.train import TrainSettings
from store.settings.trained_run import IndexSettings
from tests.engine.small import random_texts
from tests.engine.trained import model_folder, random_weights, text_file


def live_run(path: Path, *, indexed: bool = True) -> RunFolder:
    """A random dictionary of a random model, as if it had been trained, and its index."""
    data = text_file(path.parent / "texts.txt", random_texts(60, longest=30))
    model = model_folder(path.parent / "model")
    settings = TrainSettings(
        model=str(model), layer=0, data=str(data), context=16, device="cpu", arch="topk", k=5, d_sae=40
    )
    run = RunFolder(path)
    run.create(RunRecord(status="done", config={"train": asdict(settings)}))
    weights = random_weights(reopen(run, ReopenSettings(), Silent()))
    run.update(spec=weights.spec)
    save_sae(run.sae, weights)
    if indexed:
        index_run(run, IndexSettings(tokens=10**6), Silent(), resume=False, overwrite=False)
    return run
