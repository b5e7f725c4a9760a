"""`build_index` killed at every rename, fsync and removal: it goes on, and ends with the same bytes.

Model and text are looked at once, beforehand: a forked process must not start torch's threads again.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.data.activations import Captured, captured_batches
from engine.data.ordinary_tokens import OrdinaryTokens, places_of
from engine.indexing import index_run as module
from engine.indexing.index_run import build_index, encode_rows
from engine.jobs.subject import Subject
from engine.runtime.progress import Silent
from engine.sae.registry import from_weights
from store.files import sealed_hdf5 as hdf5
from store.files.errors import MonosemError
from store.index.merge_run import clear_merged
from store.index.reader import FeatureStore
from store.index.segment import SegmentBuilder, SparseRows, complete_segments, covered
from store.run.folder import RunFolder
from store.verify.run_check import verify_run
from tests.dying import DONE, deaths, forked
from tests.engine.trained import CONTEXT, llama_topk_packed, run_with, small_forwards

TOKENS = 11 * CONTEXT


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Subject:
    """A subject of 11 contexts, in three segments, of which the model is asked nothing any more."""
    small_forwards(monkeypatch)
    monkeypatch.setattr(SegmentBuilder, "most_tokens", 4 * CONTEXT)
    subject, weights = llama_topk_packed()
    sae = from_weights(weights, torch.device("cpu"))
    batches = list(captured_batches(subject.lm, [subject.site()], subject.stream("all"), 11))
    known = {id(one.acts_ND): encode_rows(sae, one.acts_ND, module.token_rows(one.batch).counted_N) for one in batches}
    columns = module._columns(subject.lm, subject.target(), sae, Silent())

    def replay(_lm: Any, _sites: Any, _stream: Any, contexts: int, **_whole: Any) -> Iterator[Captured]:
        first = 11 - contexts
        return iter(one for one in batches if one.batch.first >= first)

    def rows(_sae: Any, acts_ND: torch.Tensor, _counted_N: Any) -> SparseRows:
        return known[id(acts_ND)]

    monkeypatch.setattr(module, "captured_batches", replay)
    monkeypatch.setattr(module, "encode_rows", rows)
    monkeypatch.setattr(module, "_columns", lambda *_: columns)
    exponent_F = (np.arange(weights.spec.d_sae) % 5).astype(np.int8)
    monkeypatch.setattr(module, "value_exponents", lambda *_: exponent_F)
    width = subject.site().d_in
    ordinary = OrdinaryTokens.measured(torch.empty(0, width), places_of(width, None), 5.0)
    monkeypatch.setattr(module, "_ordinary_tokens", lambda *_: ordinary)
    return subject


def begin(folder: Path) -> RunFolder:
    return run_with(llama_topk_packed()[1], folder)


def again(run: RunFolder, subject: Subject) -> None:
    """Run the next `monosem index`."""
    if not (run.features.is_file() and clear_merged(run)):
        build_index(run, subject, TOKENS, Silent())


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_anywhere_it_ends_with_the_same_bytes(every: int, recorded: Subject, tmp_path: Path) -> None:
    subject, whole = recorded, begin(tmp_path / "whole")
    build_index(whole, subject, TOKENS, Silent())
    wanted, names = whole.features.read_bytes(), sorted(path.name for path in whole.path.iterdir())
    found: set[tuple[int, bool]] = set()
    folder = tmp_path / "run"
    begin(folder)
    pristine = shutil.copytree(folder, tmp_path / "pristine")
    run = RunFolder(folder)

    def after() -> None:
        found.add((complete_segments(run.index), run.features.is_file()))
        assert all(finding.ok for finding in verify_run(run))
        if run.features.is_file() or complete_segments(run.index):
            with FeatureStore.open(run.path) as store:
                assert store.n_contexts == (11 if run.features.is_file() else covered(run.index).contexts)
        assert forked(lambda: again(run, subject)) == DONE
        assert run.features.read_bytes() == wanted
        assert sorted(path.name for path in run.path.iterdir()) == names
        shutil.rmtree(folder)
        shutil.copytree(pristine, folder)

    # common, three segments and features.h5: each two fsyncs, a rename and a removal; then the index goes.
    assert deaths(lambda: build_index(run, subject, TOKENS, Silent()), after, every) >= (5 * 4 + 6) // every
    everywhere = {(0, False), (1, False), (2, False), (3, False), (3, True), (0, True)}
    assert found == everywhere if every == 1 else len(found & everywhere) > 4


class Full(FileIO):
    """A file on a disk with only so much room."""

    room = 1 << 30

    def write(self, data: Any, /) -> int:
        if len(data) > Full.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        Full.room -= len(data)
        return super().write(data)


def test_a_disk_that_fills_up(recorded: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is full, that is said; what was sealed can be read; with more space it goes on to the same end."""
    # What HDF5 writes through is left as it is; what it writes to is replaced below it.
    monkeypatch.setattr(hdf5, "_Disk", type("Disk", (hdf5._Disk, Full), {}))
    whole = begin(tmp_path / "whole")
    monkeypatch.setattr(Full, "room", 1 << 30)
    build_index(whole, recorded, TOKENS, Silent())
    used, full_at = (1 << 30) - Full.room, set()
    for share in (0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        run = begin(tmp_path / f"run-{share}")
        Full.room = int(share * used)
        with pytest.raises(MonosemError, match="no space left while writing") as caught:
            build_index(run, recorded, TOKENS, Silent())
        assert "`resume=True`" in caught.value.hint
        sealed = complete_segments(run.index)
        full_at.add(sealed)
        if sealed:
            with FeatureStore.open(run.path) as store:
                assert store.n_contexts == 4 * sealed if sealed < 3 else 11
        Full.room = 1 << 30
        build_index(run, recorded, TOKENS, Silent())
        assert run.features.read_bytes() == whole.features.read_bytes()
    assert full_at >= {0, 3}
    assert len(full_at) > 2
