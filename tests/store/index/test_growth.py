"""An index read while it is written: segment by segment, through the merge, and past the removal of its folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from store.files.errors import MonosemError
from store.index import growth
from store.index import open_index as opened
from store.index.growth import Watch
from store.index.reader import FeatureStore
from store.index.segment import common_path, complete_segments, segment_path
from store.run.folder import RunFolder
from tests.store.raw import Raw, build_store, random_raw

RAW = random_raw(23, n_contexts=40, longest=10)
PER_SEGMENT, SEGMENTS = 7, 6


class Writer:
    """Lets the files of a finished index appear one by one, as the engine does."""

    def __init__(self, source: RunFolder, run: RunFolder) -> None:
        self._source, self.run = source, run
        self.sealed = 0
        run.index.mkdir(parents=True)
        self._appear(common_path(source.index), common_path(run.index))

    def _appear(self, source: Path, target: Path) -> None:
        temporary = target.with_name(f".{target.name}.tmp-1")
        shutil.copyfile(source, temporary)
        temporary.rename(target)

    def segment(self) -> None:
        self._appear(segment_path(self._source.index, self.sealed), segment_path(self.run.index, self.sealed))
        self.sealed += 1

    def merge(self) -> None:
        while self.sealed < SEGMENTS:
            self.segment()
        self._appear(self._source.features, self.run.features)
        shutil.rmtree(self.run.index)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return build_store(tmp_path_factory.mktemp("finished"), RAW, PER_SEGMENT, merged=True)


@pytest.fixture
def writer(finished: RunFolder, tmp_path: Path) -> Writer:
    return Writer(finished, RunFolder(tmp_path / "run"))


def check(store: FeatureStore, segments: int) -> None:
    """A store says what the first contexts of RAW hold."""
    done = Raw(RAW.d_sae, RAW.contexts[: segments * PER_SEGMENT])
    assert store.n_contexts == len(done.contexts)
    assert store.n_tokens == len(done.tokens)
    assert store.tokens(0, store.n_tokens).tolist() == [token.id for token in done.tokens]
    for feature in range(RAW.d_sae):
        truth = done.falling(feature)
        found = store.postings(feature)
        assert found.token.tolist() == [e.place for e in truth]
        assert store.columns.count_F[feature] == len(truth)
        assert store.columns.max_F[feature] == max((e.act for e in truth), default=0)
        assert store.columns.mean_F[feature] == pytest.approx(sum(e.act for e in truth) / max(1, len(truth)), rel=1e-6)


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("columns_before", [False, True])
def test_a_store_that_grows_under_its_reader(step: int, columns_before: bool, writer: Writer) -> None:
    writer.segment()
    stores = [FeatureStore.open(writer.run.path)]
    at = [1]
    while writer.sealed < SEGMENTS:
        if columns_before:
            assert stores[-1].columns is not None
        assert stores[-1].grown() is None
        for _ in range(min(step, SEGMENTS - writer.sealed)):
            writer.segment()
        newer = stores[-1].grown()
        assert newer is not None
        stores.append(newer)
        at.append(writer.sealed)
    assert stores[-1].complete
    assert not stores[-1].merged
    writer.merge()
    last = stores[-1].grown()
    assert last is not None
    assert last.merged
    assert last.grown() is None
    # What was open when the folder was removed is still what it was.
    for store, segments in [*zip(stores, at, strict=True), (last, SEGMENTS)]:
        check(store, segments)


def test_columns_of_a_grown_store_are_those_of_a_fresh_one(writer: Writer) -> None:
    writer.segment()
    store = FeatureStore.open(writer.run.path)
    for _ in range(3):
        assert store.columns.count_F is not None
        writer.segment()
        newer = store.grown()
        assert newer is not None
        store = newer
    with FeatureStore.open(writer.run.path) as fresh:
        for name, values in vars(fresh.columns).items():
            np.testing.assert_array_equal(getattr(store.columns, name), values, err_msg=name)


def test_a_gap_and_half_written_files_are_not_there_yet(writer: Writer, finished: RunFolder) -> None:
    writer.segment()
    store = FeatureStore.open(writer.run.path)
    shutil.copyfile(segment_path(finished.index, 3), segment_path(writer.run.index, 3))
    (writer.run.index / ".seg-00001.h5.tmp-7").write_bytes(b"half")
    assert store.grown() is None


def _between(monkeypatch: pytest.MonkeyPatch, then: Callable[[], None]) -> None:
    """Do something once, between counting the segments and opening them."""
    waiting = [then]

    def counted(index: Path) -> int:
        found = complete_segments(index)
        if waiting:
            waiting.pop()()
        return found

    monkeypatch.setattr(opened, "complete_segments", counted)


def test_the_folder_is_removed_while_it_is_opened(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.segment()
    older = FeatureStore.open(writer.run.path)
    writer.segment()
    _between(monkeypatch, writer.merge)
    opened = FeatureStore.open(writer.run.path)
    assert opened.merged
    check(opened, SEGMENTS)
    grown = older.grown()
    assert grown is not None
    check(grown, SEGMENTS)


def test_the_folder_is_removed_while_a_store_grows(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.segment()
    older = FeatureStore.open(writer.run.path)
    writer.segment()
    _between(monkeypatch, writer.merge)
    grown = older.grown()
    assert grown is not None
    assert grown.merged
    check(grown, SEGMENTS)
    check(older, 1)


def test_an_index_that_is_begun_anew(writer: Writer, finished: RunFolder) -> None:
    for _ in range(3):
        writer.segment()
    older = FeatureStore.open(writer.run.path)
    shutil.rmtree(writer.run.index)
    assert older.grown() is None
    again = Writer(finished, writer.run)
    assert older.grown() is None
    again.segment()
    newer = older.grown()
    assert newer is not None
    check(newer, 1)
    check(older, 3)


def test_damage_is_still_an_error(writer: Writer) -> None:
    writer.segment()
    store = FeatureStore.open(writer.run.path)
    segment_path(writer.run.index, 1).write_bytes(b"not one")
    with pytest.raises(MonosemError, match=r"seg-00001.h5 is not a monosem file"):
        store.grown()
    with pytest.raises(MonosemError, match=r"seg-00001.h5 is not a monosem file"):
        FeatureStore.open(writer.run.path)


def test_a_file_by_itself_never_grows(finished: RunFolder) -> None:
    with FeatureStore.open(finished.features) as store:
        assert store.merged
        assert store.grown() is None


def _age(run: RunFolder, seconds: int) -> None:
    """Make the stamps of what there is old."""
    for path in (run.index, run.features):
        if path.exists():
            at = path.stat().st_mtime_ns - seconds * 10**9
            os.utime(path, ns=(at, at))


def test_nothing_is_listed_while_nothing_happens(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.segment()
    watch = Watch(writer.run.path)
    assert watch.changed()
    assert watch.changed()  # the folder has just been written: its stamp may hide another change
    _age(writer.run, 100)
    assert watch.changed()
    assert [watch.changed() for _ in range(5)] == [False] * 5
    writer.segment()
    assert watch.changed()
    _age(writer.run, 50)
    assert [watch.changed(), watch.changed()] == [True, False]
    writer.merge()
    _age(writer.run, 20)
    assert [watch.changed(), watch.changed()] == [True, False]
    calls = []
    monkeypatch.setattr(growth, "stamp", lambda path: calls.append(path) or ())
    watch.changed()
    assert calls == [writer.run.features, writer.run.index]
