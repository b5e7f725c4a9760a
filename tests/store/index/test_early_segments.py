"""Segments that were sealed before those in front of them: what is missing, and when they get their number."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.files.errors import MonosemError
from store.index.early_segments import early_path, early_segments, missing, number_early
from store.index.merge import merge
from store.index.segment import complete_segments, covered, segment_path
from tests.store.raw import build_index, random_raw

RAW = random_raw(3, n_contexts=12)


def scattered(folder: Path, early: list[int]) -> Path:
    """An index of six segments of two contexts each, those with the numbers `early` not numbered yet."""
    index = build_index(folder, RAW, 2)
    for number in early:
        segment_path(index, number).rename(early_path(index, 2 * number))
    return index


def test_what_is_missing_and_what_is_numbered(tmp_path: Path) -> None:
    index = scattered(tmp_path, [2, 3, 5])
    segment_path(index, 4).unlink()
    segment_path(index, 1).rename(tmp_path / "kept")
    assert missing(index, 12) == [(2, 4), (8, 10)]
    assert missing(index, 14) == [(2, 4), (8, 10), (12, 14)]
    number_early(index)
    assert [first for first, _ in early_segments(index)] == [4, 6, 10]
    (tmp_path / "kept").rename(segment_path(index, 1))
    number_early(index)
    assert (complete_segments(index), covered(index).contexts) == (4, 8)
    assert [first for first, _ in early_segments(index)] == [10]
    assert missing(index, 12) == [(8, 10)]


def test_numbered_they_merge_to_the_same_bytes(tmp_path: Path) -> None:
    merge(build_index(tmp_path / "whole", RAW, 2), tmp_path / "whole.h5")
    index = scattered(tmp_path / "early", [0, 1, 2, 3, 4, 5])
    assert complete_segments(index) == 0
    number_early(index)
    assert missing(index, 12) == early_segments(index) == []
    merge(index, tmp_path / "early.h5")
    assert (tmp_path / "early.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_one_that_is_covered_already_goes(tmp_path: Path) -> None:
    index = build_index(tmp_path, RAW, 2)
    early_path(index, 4).write_bytes(segment_path(index, 2).read_bytes())
    number_early(index)
    assert (early_segments(index), complete_segments(index)) == ([], 6)


def test_a_damaged_one_is_named(tmp_path: Path) -> None:
    index = scattered(tmp_path, [5])
    early_path(index, 10).write_bytes(b"nothing")
    with pytest.raises(MonosemError, match=r"early-000000000010\.h5"):
        missing(index, 12)
