"""Filters by place on a map."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.map.map_file import map_path, save_map
from store.query.filter_parser import parse_filter
from store.query.filters import FilterSource
from store.rules.kind_file import index_digest
from tests.sample_run import build_sample
from tests.store.map.maps import small_map


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = build_sample(tmp_path_factory.mktemp("runs") / "sample").run.path
    digest = index_digest(path / "features.h5")
    save_map(map_path(path, "plane"), small_map(digest, features=48))
    save_map(map_path(path, "old"), small_map("of another index", features=48))
    map_path(path, "broken").write_bytes(b"monosem")
    return path


@pytest.fixture
def source(run: Path) -> Iterator[FilterSource]:
    with FeatureStore.open(run) as store:
        yield FilterSource(store, {})


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("in:plane(2,0,4,1)", [3, 4]),
        ("in:plane(2,0,4,1) !id=3", [4]),
        ("in:plane(-1e2,0.5,4.5,9)", [1, 2, 4]),
        ("id<5 !in:plane(1,0,9,2)", [0]),
        ("in:plane#0.1 id<26", [24, 25]),
    ],
)
def test_features_are_kept_by_their_place(text: str, kept: list[int], source: FilterSource) -> None:
    ids = np.arange(48)
    assert parse_filter(text).keep(source, ids).tolist() == kept


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("in:", "a map and a part of it"),
        ("in:plane", "a map and a part of it"),
        ("in:plane(1,2,3)", "four numbers"),
        ("in:plane(1,2,3,x)", "four numbers"),
        ("in:plane(1,2,3,4%)", "four numbers"),
        ("in:plane(3,0,2,9)", "must not exceed"),
        ("in:plane(1,1,2,2)x", "a space is missing"),
        ("in:plane#1", "a map and a part of it"),
        ("in:../etc(1,1,2,2)", "a map and a part of it"),
        ("in:...(1,1,2,2)", "there is no map ..."),
        ("in:nowhere(0,0,1,1)", "there is no map nowhere"),
        ("in:old(0,0,1,1)", "of another index"),
        ("in:broken(0,0,1,1)", "not a monosem file"),
        ("in:plane#5.0", "no level 5"),
        ("in:plane#0.7", "no cluster 7"),
    ],
)
def test_what_cannot_be_asked_is_said(text: str, why: str, source: FilterSource) -> None:
    with pytest.raises(MonosemError) as refused:
        parse_filter(text).keep(source, np.arange(48))
    assert why in str(refused.value)
