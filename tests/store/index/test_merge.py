"""features.h5 is the same whatever the segments were and however little memory there was."""

from __future__ import annotations

import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.files.errors import MonosemError
from store.index import segment_columns
from store.index.columns import CorpusColumns
from store.index.feature_groups import feature_groups
from store.index.merge import BYTES_PER_ENTRY, merge
from store.index.reader import FeatureStore
from store.index.segment import SegmentBuilder, SparseRows, TokenRows, segment_path
from tests.patience import PATIENCE
from tests.store.index.test_segment import RAWS, assert_both_orders, assert_corpus
from tests.store.raw import Raw, RawToken, build_index, datasets, random_raw

BUDGETS = (1, BYTES_PER_ENTRY * 3, BYTES_PER_ENTRY * 20, 1 << 30)


@settings(max_examples=20)
@given(raw=RAWS, per_segment=st.integers(1, 5), budget=st.integers(1, 12))
def test_any_rows_any_split_any_memory(raw: Raw, per_segment: int, budget: int) -> None:
    with TemporaryDirectory() as folder:
        target = Path(folder) / "features.h5"
        merge(build_index(Path(folder), raw, per_segment), target, budget * BYTES_PER_ENTRY)
        assert_both_orders(target, raw)
        assert_corpus(target, raw)


def test_bit_identical_for_any_memory(tmp_path: Path) -> None:
    index = build_index(tmp_path, random_raw(1, n_contexts=25), 4)
    contents = set()
    for memory in BUDGETS:
        merge(index, tmp_path / "features.h5", memory)
        contents.add((tmp_path / "features.h5").read_bytes())
    assert len(contents) == 1


def test_the_same_for_any_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CorpusColumns, "pool", 6)  # as with features of more than 1 024 entries
    monkeypatch.setattr(segment_columns, "ROWS", 7)
    raw = random_raw(2, n_contexts=12)
    merge(build_index(tmp_path / "whole", raw, 12), tmp_path / "whole.h5")
    whole = datasets(tmp_path / "whole.h5")
    assert_both_orders(tmp_path / "whole.h5", raw)
    for per_segment in (1, 5, 11):
        index = build_index(tmp_path / str(per_segment), raw, per_segment)
        for memory in BUDGETS[:2]:
            merge(index, tmp_path / "cut.h5", memory)
            cut = datasets(tmp_path / "cut.h5")
            assert cut.keys() == whole.keys()
            for name, values in whole.items():
                assert cut[name].dtype == values.dtype
                assert cut[name].tobytes() == values.tobytes(), name


def test_memory_stays_bounded(tmp_path: Path) -> None:
    """One feature that fires on every token, 600 000 entries in three segments."""
    index, n = build_index(tmp_path, Raw(4, [[RawToken(0, 0, True, {})]] * 3), 1), 200_000
    acts = np.random.default_rng(0).exponential(1.0, n).astype(np.float32)
    for number in range(3):
        builder = SegmentBuilder(4)
        rows = TokenRows(np.zeros(n, np.int32), np.ones(n, bool), np.zeros(n, np.int64), np.array([n], np.int32))
        builder.add(rows, SparseRows(np.arange(n + 1), np.ones(n, np.int64), acts))
        builder.seal(segment_path(index, number), number * n, number)
    peaks, contents = [], set()
    for memory in (1 << 20, 1 << 30):
        tracemalloc.start()
        merge(index, tmp_path / "features.h5", memory)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        contents.add((tmp_path / "features.h5").read_bytes())
    assert len(contents) == 1
    assert peaks[0] < 10_000_000  # 8 of them for digests, which are read 4 MiB at a time
    assert peaks[1] > peaks[0]


def test_what_does_not_depend_on_text_is_copied(tmp_path: Path) -> None:
    index = build_index(tmp_path, random_raw(3), 5)
    merge(index, tmp_path / "features.h5")
    merged, common = datasets(tmp_path / "features.h5"), datasets(index / "common.h5")
    assert {"vocab/strings", "sae/W_dec", "feature/logit_top_id", "feature/neighbour_cosine"} <= common.keys()
    for name, values in common.items():
        np.testing.assert_array_equal(merged[name], values)


def test_counts_of_all_segments(tmp_path: Path) -> None:
    raw = random_raw(4)
    merge(build_index(tmp_path, raw, 3), tmp_path / "features.h5")
    huge = [t for t in raw.tokens if t.counted for act in t.acts.values() if act > 65504]
    assert huge
    with h5py.File(tmp_path / "features.h5", "r") as file:
        assert file.attrs["n_tokens"] == len(raw.tokens)
        assert file.attrs["n_counted"] == sum(token.counted for token in raw.tokens)
        assert file.attrs["clipped"] == len(huge)


def test_a_document_that_goes_on_in_the_next_segment_begins_once(tmp_path: Path) -> None:
    raw = Raw(3, [[RawToken(1, document, True, {0: 1.0})] for document in (4, 4, 4, 9, 9)])
    merge(build_index(tmp_path, raw, 2), tmp_path / "features.h5")
    found = datasets(tmp_path / "features.h5")
    assert found["corpus/documents/start"].tolist() == [0, 3]
    assert found["corpus/documents/id"].tolist() == [4, 9]


def test_segments_without_activations(tmp_path: Path) -> None:
    silent = [RawToken(2, 0, True, {})]
    raw = Raw(4, [silent, silent, [RawToken(3, 1, True, {2: 1.0})], silent])
    merge(build_index(tmp_path, raw, 1), tmp_path / "features.h5")
    assert_both_orders(tmp_path / "features.h5", raw)


def test_an_unfinished_index_is_refused(tmp_path: Path) -> None:
    index = build_index(tmp_path, random_raw(5), 3)
    segment_path(index, 3).unlink()
    with pytest.raises(MonosemError, match=r"holds \d+ of 14 contexts"):
        merge(index, tmp_path / "features.h5")
    assert not (tmp_path / "features.h5").exists()


def test_more_tokens_than_32_bits_name(tmp_path: Path) -> None:
    index = build_index(tmp_path, random_raw(5), 3)
    with pytest.raises(MonosemError, match="up to 10 tokens"):
        merge(index, tmp_path / "features.h5", most=10)


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = build_index(tmp_path, random_raw(6), 3)
    before = sorted(tmp_path.rglob("*"))

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(CorpusColumns, "write", fail)
    with pytest.raises(KeyboardInterrupt):
        merge(index, tmp_path / "features.h5")
    assert sorted(tmp_path.rglob("*")) == before


KILLED = """
import os, signal, sys
from pathlib import Path
from store.index.columns import CorpusColumns
from store.index.merge import merge
calls = []
def take(self, *_):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
CorpusColumns.take = take
merge(Path(sys.argv[1]), Path(sys.argv[2]), 64)
"""


def test_killed_midway_then_run_again(tmp_path: Path) -> None:
    raw = random_raw(7)
    run = tmp_path / "run"
    index = build_index(run, raw, 3)
    merge(index, tmp_path / "expected.h5")
    child = subprocess.run([sys.executable, "-c", KILLED, str(index), str(run / "features.h5")], timeout=PATIENCE)
    assert child.returncode == -signal.SIGKILL
    assert not (run / "features.h5").exists()
    with FeatureStore.open(run) as store:  # the segments can still be browsed
        assert store.columns.count_F.sum() == len(raw.entries())
    merge(index, run / "features.h5")
    assert (run / "features.h5").read_bytes() == (tmp_path / "expected.h5").read_bytes()
    assert sorted(path.name for path in run.iterdir()) == ["features.h5", "index"]


@given(count=st.lists(st.integers(0, 9), max_size=30), budget=st.integers(1, 12))
def test_feature_groups_cover_all_within_the_budget(count: list[int], budget: int) -> None:
    groups = list(feature_groups(np.array(count, np.int64), budget))
    assert [first for first, _ in groups] == [0, *(last for _, last in groups[:-1])][: len(groups)]
    assert [f for first, last in groups for f in range(first, last)] == list(range(len(count)))
    for first, last in groups:
        assert last - first == 1 or sum(count[first:last]) <= budget
