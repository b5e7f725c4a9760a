"""Segments merged by hand: when, into what, and what is left of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.files.errors import MonosemError
from store.index.merge import merge
from store.index.merge_run import IndexCoverage, clear_merged, features_coverage, merge_run, segments_coverage
from store.index.reader import FeatureStore
from store.index.segment import discard, segment_path
from store.run.folder import RunFolder
from tests.store.raw import Raw, build_index, plan_of, random_raw

RAW = random_raw(21, n_contexts=10)
MEMORY = 1 << 26


def begun(folder: Path, segments: int, raw: Raw = RAW) -> RunFolder:
    """An index of which so many of five segments are there."""
    run = RunFolder(folder)
    build_index(folder, raw, 2)
    for number in range(segments, 5):
        segment_path(run.index, number).unlink()
    return run


def whole(folder: Path, raw: Raw = RAW) -> bytes:
    run = begun(folder, 5, raw)
    merge(run.index, run.features)
    return run.features.read_bytes()


def by_hand(run: RunFolder, *, partial: bool = False, overwrite: bool = False) -> IndexCoverage:
    return merge_run(run, MEMORY, partial=partial, overwrite=overwrite)


def test_a_swept_index_is_merged_and_its_segments_go(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", 5)
    held = by_hand(run)
    assert held == IndexCoverage(plan_of(RAW), 10, len(RAW.tokens))
    assert held.complete
    assert [path.name for path in run.path.iterdir()] == ["features.h5"]
    assert run.features.read_bytes() == whole(tmp_path / "whole")


def test_an_unfinished_index_is_merged_only_if_asked_and_stays(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", 3)
    with pytest.raises(MonosemError, match="unfinished: 6 of 10 contexts") as caught:
        by_hand(run)
    assert "`partial=True`" in caught.value.hint
    assert not run.features.exists()
    held = by_hand(run, partial=True)
    assert not held.complete
    assert held.contexts == 6
    assert segments_coverage(run.index) == features_coverage(run.features) == held
    with FeatureStore.open(run.path) as store:
        assert store.path == run.features
        assert (store.n_contexts, store.plan.n_contexts, store.complete) == (6, 10, False)
        first = [token for context in RAW.contexts[:6] for token in context]
        assert store.n_tokens == len(first)


def test_what_was_partial_grows(tmp_path: Path) -> None:
    """No leave is needed to replace an index by more of the same; it ends like one that was never touched."""
    run = begun(tmp_path / "run", 2)
    by_hand(run, partial=True)
    before = run.features.stat().st_mtime_ns
    assert by_hand(run, partial=True).contexts == 4  # there is nothing to do
    assert run.features.stat().st_mtime_ns == before
    for segments in (4, 5):
        discard(run.index)
        begun(run.path, segments)
        assert by_hand(run, partial=True).contexts == 2 * segments
    assert not run.index.exists()
    assert run.features.read_bytes() == whole(tmp_path / "whole")


def test_another_index_is_not_replaced_unasked(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    before = whole(run.path, random_raw(22, n_contexts=12))
    discard(run.index)
    begun(run.path, 5)
    with pytest.raises(MonosemError, match="has another index already, of 12 contexts") as caught:
        by_hand(run)
    assert "`overwrite=True`" in caught.value.hint
    assert run.features.read_bytes() == before
    by_hand(run, overwrite=True)
    assert run.features.read_bytes() == whole(tmp_path / "whole")


def test_less_of_the_same_does_not_replace_more(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    before = whole(run.path)
    discard(run.index)
    begun(run.path, 3)
    with pytest.raises(MonosemError, match="has another index already"):
        by_hand(run, partial=True)
    assert run.features.read_bytes() == before


def test_what_a_kill_right_behind_the_merge_leaves_is_cleared(tmp_path: Path) -> None:
    run = begun(tmp_path, 5)
    merge(run.index, run.features)
    before = run.features.stat().st_mtime_ns
    assert by_hand(run).complete
    assert run.features.stat().st_mtime_ns == before
    assert [path.name for path in run.path.iterdir()] == ["features.h5"]


def test_segments_that_are_still_needed_are_not_cleared(tmp_path: Path) -> None:
    run = begun(tmp_path, 3)
    assert not clear_merged(run)
    whole(tmp_path / "other")
    run.features.write_bytes((tmp_path / "other" / "features.h5").read_bytes())
    assert not clear_merged(run)
    by_hand(other := begun(tmp_path / "partial", 2), partial=True)
    (other.index / "common.h5").unlink()
    assert not clear_merged(other)
    assert run.index.is_dir() and other.index.is_dir()


@pytest.mark.parametrize("name", ["common.h5", "seg-00002.h5"])
def test_segments_that_nothing_can_continue_are_cleared_beside_a_complete_index(name: str, tmp_path: Path) -> None:
    run = begun(tmp_path / "run", 3)
    whole(tmp_path / "other")
    run.features.write_bytes((tmp_path / "other" / "features.h5").read_bytes())
    (run.index / name).write_bytes(b"")
    assert clear_merged(run)
    assert not run.index.exists()
    assert not clear_merged(run)


def test_nothing_to_merge(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with pytest.raises(MonosemError, match="has no index to merge") as caught:
        by_hand(run)
    assert "monosem index" in caught.value.hint
    merged = whole(run.path)
    discard(run.index)
    assert by_hand(run).complete  # finished before: nothing is done
    assert run.features.read_bytes() == merged
    run = begun(tmp_path / "part", 3)
    by_hand(run, partial=True)
    discard(run.index)
    with pytest.raises(MonosemError, match=r"only its features\.h5"):
        by_hand(run)


def test_an_index_that_is_discarded_loses_its_name_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun(tmp_path, 5)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", lambda *_, **__: None)  # as if killed there
        discard(run.index)
    assert segments_coverage(run.index) is None
    begun(tmp_path, 2)
    discard(run.index)
    assert list(tmp_path.iterdir()) == []


def test_of_an_index_that_is_a_link_only_the_link_is_discarded(tmp_path: Path) -> None:
    run, elsewhere = RunFolder(tmp_path / "run"), begun(tmp_path / "elsewhere", 2)
    run.path.mkdir()
    for name in (".index.old", "index"):
        (run.path / name).symlink_to(elsewhere.index)
    discard(run.index)
    assert list(run.path.iterdir()) == []
    assert segments_coverage(elsewhere.index) is not None
