"""The work of a rank: indexes and extractions in the folder that `prepared` makes, some of them broken off."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.commands import extract as extraction
from engine.commands.extract import extract
from engine.commands.rerun import index_run
from engine.commands.train import Job, planned, train, train_all
from engine.data.arrays import open_array
from engine.indexing import array_index
from engine.indexing.array_index import ArrayRows, build_array_index
from engine.jobs import deal
from engine.ranks.group import ALONE, Ranks, joined
from engine.runtime.progress import Silent
from engine.training.trainer import SaeTrainer
from store.index.early_segments import early_segments
from store.index.segment import SegmentBuilder
from store.run.folder import RunFolder
from store.run.shards import present_shards, write_shard
from store.settings.architectures import TABLE
from store.settings.extract import ExtractSettings
from store.settings.train import TrainGrid, TrainSettings
from store.settings.trained_run import IndexSettings
from tests.engine.small import random_texts
from tests.engine.tiny_models import D_MODEL
from tests.engine.trained import CONTEXT, llama_topk_packed, model_folder, run_with, small_forwards, text_file

TRAINED: dict[str, Any] = {
    **{"layer": 0, "context": CONTEXT, "device": "cpu", "tokens": 600, "batch": 100, "d_sae": 40, "k": 5},
    **{"index": False, "index_tokens": 10**9},
}
WIDE: dict[str, Any] = {
    **{"device": "cpu", "tokens": 64 * 32, "batch": 64, "d_sae": 42, "dead_after": 30, "index": False},
}
STEERED: dict[str, dict[str, Any]] = {"gated": {"l1": 4.0}, "l1-norm": {"l1": 2.0}, "relu": {"l1": 4.0}}
"""Sparsity at which features die, so that AuxK and resampling have something to do; for the others k is 3."""
OFTEN = ("topk", "jumprelu", "matryoshka", "relu")
"""Architectures that two ranks train; four train them all."""
RESUMED = ("matryoshka", "relu")
"""Architectures that are broken off and resumed: one that chooses among all features, one that resamples."""
BROKEN_AT = 13
"""Step after which a training of `killed` is broken off."""
SWEEP = TRAINED | {"index": True, "index_tokens": 800, "eval_tokens": 300, "buffer": 250, "checkpoint_every": 2}


class Killed(BaseException):
    """An interruption at a bad moment."""


@contextmanager
def small_pieces() -> Iterator[pytest.MonkeyPatch]:
    """Forwards of 4 contexts, segments and shards of 8, and arrays read 2 contexts at a time."""
    with pytest.MonkeyPatch.context() as patch:
        small_forwards(patch)
        patch.setattr(SegmentBuilder, "most_tokens", 8 * CONTEXT)
        patch.setattr(extraction, "SHARD_BYTES", 2 * D_MODEL * CONTEXT * 9)
        patch.setattr(array_index, "TOGETHER", 2)
        patch.setattr(deal, "WIDE", 42)
        yield patch


@dataclass
class Folder:
    """Runs of one text and one dictionary."""

    path: Path

    def prepare(self) -> None:
        """Make a model, a text, an array, and a run that is trained and not indexed."""
        model_folder(self.path / "model")
        text_file(self.path / "text.txt", random_texts(150, longest=30))
        np.save(self.path / "x.npy", np.random.default_rng(0).standard_normal((800, D_MODEL)).astype(np.float32))
        train(RunFolder(self.path / "plain"), TrainSettings(**self.asked, **TRAINED), Silent(), resume=False)
        run_with(llama_topk_packed()[1], self.path / "plain-array")

    @property
    def asked(self) -> dict[str, Any]:
        """Model and text."""
        return {"model": str(self.path / "model"), "data": str(self.path / "text.txt")}

    def copy(self, name: str, of: str = "plain") -> RunFolder:
        """A copy of a run."""
        shutil.copytree(self.path / of, self.path / name)
        return RunFolder(self.path / name)

    def index(self, name: str, ranks: Ranks = ALONE, *, resume: bool = False) -> RunFolder:
        """Index a run's own text."""
        run = RunFolder(self.path / name)
        index_run(run, IndexSettings(), Silent(), resume=resume, overwrite=False, ranks=ranks)
        return run

    def index_array(self, name: str, ranks: Ranks = ALONE) -> RunFolder:
        """Index rows of the array."""
        run, array = RunFolder(self.path / name), open_array(str(self.path / "x.npy"))
        rows = ArrayRows.of(array, "digest" if ranks.first else "", 700, seed=0)
        build_array_index(run, rows, torch.device("cpu"), Silent(), ranks=ranks)
        return run

    def extract(self, name: str, ranks: Ranks = ALONE, *, resume: bool = False) -> RunFolder:
        """Keep activations of more than an epoch."""
        run = RunFolder(self.path / name)
        asked = ExtractSettings(**self.asked, layer=0, context=CONTEXT, device="cpu", tokens=3000)
        extract(run, asked, Silent(), resume=resume, ranks=ranks)
        return run

    def sweep(self, name: str, ranks: Ranks = ALONE, *, resume: bool = False) -> None:
        """Train two autoencoders, each on a site of its own; index and evaluate those that are not broken off."""
        settings = SWEEP | {"index": "begun" not in name}
        grid = TrainGrid(TrainSettings(**self.asked, **settings), layer=(0, 1))
        train_all(planned(grid, self.path / name, self.path, resume=resume), Silent(), resume=resume, ranks=ranks)

    def train_one(self, name: str, ranks: Ranks = ALONE) -> RunFolder:
        """Train a single narrow autoencoder, index and evaluate it."""
        run = RunFolder(self.path / name)
        train_all([Job(run, TrainSettings(**self.asked, **SWEEP))], Silent(), resume=False, ranks=ranks)
        return run

    def train_wide(self, name: str, arch: str, ranks: Ranks = ALONE, *, resume: bool = False) -> RunFolder:
        """Train a single autoencoder on the array; ranks have some of its features each."""
        run = RunFolder(self.path / f"{name}-{arch}")
        settings = TrainSettings(activations=str(self.path / "x.npy"), **WIDE, **STEERED.get(arch, {"k": 3}), arch=arch)
        if "broken" in name or resume:
            settings = settings.changed(checkpoint_every=5)
        train_all([Job(run, settings)], Silent(), resume=resume, ranks=ranks)
        return run


def dying_after(count: int, work: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that does its work `count` times, and is killed after the last."""
    done = 0

    def once_more(*arguments: Any) -> Any:
        nonlocal done
        found = work(*arguments)
        done += 1
        if done == count:
            raise Killed
        return found

    return once_more


@contextmanager
def killed(patch: pytest.MonkeyPatch, ranks: Ranks = ALONE, steps: int = BROKEN_AT) -> Iterator[None]:
    """Within the block this rank dies once it has sealed a segment or shard, one more for each rank before it.

    In a training it dies after `steps` steps of the autoencoders that it trains.
    """
    with patch.context() as inside, pytest.raises(Killed):
        inside.setattr(SegmentBuilder, "seal", dying_after(1 + ranks.rank, SegmentBuilder.seal))
        inside.setattr(extraction, "write_shard", dying_after(1 + ranks.rank, write_shard))
        inside.setattr(SaeTrainer, "step", dying_after(steps, SaeTrainer.step))
        yield
    ranks.gathered(None)


def train_architectures(
    folder: Folder, patch: pytest.MonkeyPatch, ranks: Ranks, architectures: Iterable[str] = OFTEN
) -> None:
    """Train architectures, their features dealt to ranks; go on with what another number of ranks has begun."""
    for arch in architectures:
        folder.train_wide(f"wide-{ranks.number}", arch, ranks)
    for arch in RESUMED:
        with killed(patch, ranks):
            folder.train_wide(f"wide-broken-{ranks.number}", arch, ranks)
        if ranks.alone:
            continue
        if ranks.first:
            folder.copy(f"wide-again-{ranks.number}-{arch}", of=f"wide-broken-{ranks.number}-{arch}")
        ranks.gathered(None)
        folder.train_wide(f"wide-again-{ranks.number}", arch, ranks, resume=True)
        folder.train_wide("wide-broken-1", arch, ranks, resume=True)


def main(folder: Folder) -> None:
    """Work in the folder as one rank."""
    with small_pieces() as patch, joined() as ranks:
        folder.index("together", ranks)
        folder.index_array("together-array", ranks)
        folder.extract("together-shards", ranks)
        folder.index("begun-alone", ranks, resume=True)
        folder.extract("begun-alone-shards", ranks, resume=True)
        folder.train_one("together-one", ranks)
        folder.sweep("together-sweep", ranks)
        folder.sweep("begun-alone-sweep", ranks, resume=True)
        train_architectures(folder, patch, ranks)
        with killed(patch, ranks, steps=4):
            folder.sweep("begun-together-sweep", ranks)
        with killed(patch, ranks):
            folder.index("begun-together", ranks)
        with killed(patch, ranks):
            folder.extract("begun-together-shards", ranks)
        if ranks.first:
            assert early_segments(folder.path / "begun-together" / "index")
            assert present_shards(folder.path / "begun-together-shards" / "activations") == [0, 1, 3]
            folder.copy("twice", of="begun-together")
        ranks.gathered(None)
        folder.index("twice", ranks, resume=True)


def train_with_four(folder: Folder) -> None:
    """As one of four ranks, train every architecture with features dealt, and finish what one process has begun."""
    with small_pieces() as patch, joined() as ranks:
        train_architectures(folder, patch, ranks, TABLE)


if __name__ == "__main__":
    (train_with_four if os.environ["WORLD_SIZE"] == "4" else main)(Folder(Path(sys.argv[1])))
