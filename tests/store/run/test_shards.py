"""Activation shards: every dtype to the bit, each shard complete or absent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from store.files.errors import MonosemError
from store.run.shards import DTYPES, ShardInfo, ShardReader, ShardRows, complete_shards, shard_path, write_shard

INFO = ShardInfo(
    model="m",
    model_digest="d",
    layer=1,
    site="resid_post",
    d_in=5,
    dtype="float32",
    data="text",
    corpus_digest="c",
    context=4,
    packing="packed",
    seed=0,
    excluded="bos",
    contexts_per_shard=3,
    n_contexts=8,
)


def rows(contexts: range, dtype: str, seed: int = 0) -> ShardRows:
    """Activations of any bits, NaN and infinities among them; context c has c % 3 rows, so some have none."""
    context = np.repeat(np.array(contexts), [c % 3 for c in contexts])
    bits = np.random.default_rng([seed, contexts.start]).bytes(len(context) * 5 * np.dtype(DTYPES[dtype]).itemsize)
    acts = np.frombuffer(bits, DTYPES[dtype]).reshape(-1, 5)
    position = np.array([p for c in contexts for p in range(c % 3)], np.int32)
    return ShardRows(acts, (context * 10 + position).astype(np.int32), context.astype(np.int64), position)


def write_all(folder: Path, dtype: str) -> ShardRows:
    """Three shards of 3, 3 and 2 contexts; what they hold together."""
    made = [rows(range(first, min(first + 3, 8)), dtype) for first in (0, 3, 6)]
    for number, each in enumerate(made):
        write_shard(folder, number, replace(INFO, dtype=dtype), each)
    columns = ("acts_ND", "token_N", "context_N", "position_N")
    return ShardRows(*(np.concatenate([getattr(each, name) for each in made]) for name in columns))


def assert_equal(found: ShardRows, expected: ShardRows) -> None:
    for name in ("acts_ND", "token_N", "context_N", "position_N"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), name
        assert ours.tobytes() == theirs.tobytes(), name


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_contexts_across_shards(dtype: str, tmp_path: Path) -> None:
    everything = write_all(tmp_path, dtype)
    reader = ShardReader(tmp_path)
    assert reader.info == replace(INFO, dtype=dtype)
    assert reader.n_contexts == 8
    for start in range(10):
        for stop in range(start, 11):
            keep = (everything.context_N >= start) & (everything.context_N < stop)
            expected = ShardRows(
                *(getattr(everything, f)[keep] for f in ("acts_ND", "token_N", "context_N", "position_N"))
            )
            assert_equal(reader.contexts(start, stop), expected)


def test_the_documented_file(tmp_path: Path) -> None:
    made = rows(range(3), "bfloat16")
    with h5py.File(write_shard(tmp_path, 0, replace(INFO, dtype="bfloat16"), made), "r") as file:
        assert file.attrs["dtype"] == "bfloat16"
        assert {name: file[name].dtype.str for name in file} == {
            "acts": "<u2",
            "token": "<i4",
            "context": "<i8",
            "position": "<i4",
        }
        assert all(file[name].chunks is None for name in file)  # contiguous: it can be memory-mapped
        assert file["acts"][()].tobytes() == made.acts_ND.tobytes()


def test_what_is_read_does_not_hang_on_the_file(tmp_path: Path) -> None:
    everything = write_all(tmp_path, "float16")
    found = ShardReader(tmp_path).contexts(0, 8)
    found.acts_ND[:] = 0  # a copy may be written to
    assert_equal(ShardReader(tmp_path).contexts(0, 8), everything)


def test_a_shard_without_rows(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, replace(INFO, n_contexts=1), rows(range(0, 1), "float32"))
    assert ShardReader(tmp_path).contexts(0, 1).acts_ND.shape == (0, 5)


def test_resuming_goes_on_at_the_first_shard_that_is_missing(tmp_path: Path) -> None:
    assert complete_shards(tmp_path) == 0
    with pytest.raises(MonosemError, match="no activation shards"):
        ShardReader(tmp_path)
    everything = write_all(tmp_path, "float32")
    shard_path(tmp_path, 1).rename(tmp_path / ".shard-00001.h5.tmp-99")  # killed while it was written
    assert complete_shards(tmp_path) == 1
    assert ShardReader(tmp_path).n_contexts == 3
    write_shard(tmp_path, 1, INFO, rows(range(3, 6), "float32"))
    assert complete_shards(tmp_path) == 3
    assert_equal(ShardReader(tmp_path).contexts(0, 8), everything)
    assert not list(tmp_path.glob(".*"))


def test_a_failure_leaves_no_shard(tmp_path: Path) -> None:
    made = rows(range(3), "float32")
    with pytest.raises((ValueError, TypeError)):
        write_shard(tmp_path, 0, INFO, replace(made, token_N=np.array(["x"])))
    assert list(tmp_path.iterdir()) == []


def test_a_torn_shard_is_named(tmp_path: Path) -> None:
    write_all(tmp_path, "float32")
    path = shard_path(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:-1])
    reader = ShardReader(tmp_path)
    assert len(reader.contexts(0, 3).token_N) == 3
    with pytest.raises(MonosemError, match=r"shard-00001\.h5 is truncated"):
        reader.contexts(0, 8)


def test_shards_of_two_extractions_are_not_mixed(tmp_path: Path) -> None:
    write_all(tmp_path, "float32")
    write_shard(tmp_path, 1, replace(INFO, model_digest="other"), rows(range(3, 6), "float32"))
    with pytest.raises(MonosemError, match=r"shard-00001\.h5 is from another extraction"):
        ShardReader(tmp_path).contexts(2, 5)
