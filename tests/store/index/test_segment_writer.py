"""Filling an index: segments as memory and time allow, after the existing ones, and no trace of them in the result."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from store.files.errors import MonosemError
from store.index import segment_writer as filling
from store.index.merge import merge
from store.index.reader import FeatureStore
from store.index.segment import SegmentBuilder, SegmentCoverage, SparseRows, TokenRows, covered, write_common
from store.index.segment_writer import ENTRY_BYTES, TOKEN_BYTES, SegmentWriter
from store.run.folder import RunFolder
from tests.patience import PATIENCE
from tests.store.raw import Raw, as_rows, plan_of, random_raw, static_columns, vocabulary, weights

ROOMY = 1 << 30
RAW = random_raw(11, n_contexts=24)


def begun(folder: Path, raw: Raw = RAW) -> RunFolder:
    run = RunFolder(folder)
    write_common(run.index, plan_of(raw), vocabulary(), weights(raw.d_sae), static_columns(raw.d_sae))
    return run


def batches(raw: Raw = RAW, first: int = 0) -> list[tuple[TokenRows, SparseRows]]:
    """Batches of two contexts."""
    return [as_rows(raw.contexts[at : at + 2]) for at in range(first, len(raw.contexts), 2)]


def fill(run: RunFolder, memory: int = ROOMY, **others: Any) -> SegmentCoverage:
    with SegmentWriter(run.index, RAW.d_sae, memory, **others) as filled:
        for rows, active in batches(first=filled.n_contexts):
            filled.add(rows, active)
    merge(run.index, run.features)
    return covered(run.index)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """features.h5 from one segment."""
    run = begun(tmp_path_factory.mktemp("wanted"))
    assert fill(run) == SegmentCoverage(1, 24, len(RAW.tokens))
    return run.features.read_bytes()


def test_less_memory_more_segments_the_same_file(tmp_path: Path, wanted: bytes) -> None:
    counts = []
    for memory in (1, 20_000, 100_000):
        run = begun(tmp_path / str(memory))
        found = fill(run, memory)
        counts.append(found.segments)
        assert found[1:] == (24, len(RAW.tokens))
        assert run.features.read_bytes() == wanted
    assert counts[0] == 12 > counts[1] > counts[2] >= 1


def test_a_segment_stays_within_its_share(tmp_path: Path) -> None:
    run, memory = begun(tmp_path), 8_000
    room = memory - filling.FEATURE_BYTES * RAW.d_sae
    fill(run, memory)
    with FeatureStore.open(run.index.parent) as whole:
        tokens = whole.n_tokens
    sizes = []
    for number in range(covered(run.index).segments):
        with h5py.File(run.index / f"seg-{number:05d}.h5") as file:
            sizes.append(ENTRY_BYTES * len(file["forward/act"]) + TOKEN_BYTES * int(file.attrs["n_tokens"]))
    largest = max(ENTRY_BYTES * len(active.feature) + TOKEN_BYTES * len(rows.token_N) for rows, active in batches())
    assert tokens == len(RAW.tokens)
    assert max(sizes) <= max(room, largest)
    assert len(sizes) > 2


def test_a_segment_that_takes_long_is_sealed_however_small(tmp_path: Path, wanted: bytes) -> None:
    """First after half a minute, later on after five."""
    now = 0.0
    sealed: list[float] = []

    def clock() -> float:
        nonlocal now
        now += 4.0
        return now

    run, seal = begun(tmp_path), SegmentBuilder.seal

    def watched(self: SegmentBuilder, *args: Any) -> None:
        sealed.append(now)
        seal(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentBuilder, "seal", watched)
        found = fill(run, clock=clock)
    assert found.segments == len(sealed) > 1
    assert sealed[0] >= filling.SOONEST
    assert run.features.read_bytes() == wanted


def test_the_next_segment_is_collected_while_one_is_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, seal, begin = begun(tmp_path), SegmentBuilder.seal, threading.Event()

    def waiting(self: SegmentBuilder, *args: Any) -> None:
        assert begin.wait(PATIENCE)
        seal(self, *args)

    monkeypatch.setattr(SegmentBuilder, "seal", waiting)
    monkeypatch.setattr(SegmentBuilder, "most_tokens", 40)
    with SegmentWriter(run.index, RAW.d_sae, ROOMY) as filled:
        for rows, active in batches():
            filled.add(rows, active)
            if filled._number == 1 and filled._tokens and not begin.is_set():
                assert covered(run.index).segments == 0
                begin.set()
    assert covered(run.index).contexts == 24


def test_it_goes_on_with_other_memory(tmp_path: Path, wanted: bytes) -> None:
    run = begun(tmp_path)
    for until in (6, 14, 24):
        with SegmentWriter(run.index, RAW.d_sae, 1000 * until) as filled:
            for rows, active in batches(first=filled.n_contexts)[: (until - filled.n_contexts) // 2]:
                filled.add(rows, active)
        assert covered(run.index).contexts == until
    merge(run.index, run.features)
    assert run.features.read_bytes() == wanted


@pytest.mark.parametrize(("error", "kept"), [(KeyboardInterrupt, 10), (RuntimeError, 0)])
def test_an_interrupt_leaves_time_to_seal(error: type[BaseException], kept: int, tmp_path: Path) -> None:
    run = begun(tmp_path)
    with pytest.raises(error), SegmentWriter(run.index, RAW.d_sae, ROOMY) as filled:
        for rows, active in batches()[:5]:
            filled.add(rows, active)
        raise error
    assert covered(run.index).contexts == kept


@pytest.mark.parametrize("where", ["add", "seal"])
def test_what_goes_wrong_in_a_thread_is_raised(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun(tmp_path)

    def fail(*_: object) -> None:
        raise MonosemError("no space left")

    monkeypatch.setattr(SegmentBuilder, where, fail)
    with pytest.raises(MonosemError, match="no space left"):
        fill(run)
    assert covered(run.index) == SegmentCoverage(0, 0, 0)


def test_clipped_activations_are_counted(tmp_path: Path) -> None:
    run = begun(tmp_path)
    rows = TokenRows(np.ones(2, np.int32), np.array([True, False]), np.zeros(2, np.int64), np.array([2], np.int32))
    above = SparseRows(np.array([0, 2, 3]), np.array([0, 1, 1]), np.array([1e6, 1.0, 1e6], np.float32))
    with SegmentWriter(run.index, RAW.d_sae, ROOMY) as filled:
        filled.add(rows, above)
    assert filled.clipped == 1
