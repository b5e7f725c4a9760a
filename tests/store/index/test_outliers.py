"""Outlier tokens in an index: their places, and what filters, patterns, labels and pages make of them."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from store.index.reader import FeatureStore
from store.query.filter_parser import parse_filter
from store.query.filters import FilterSource
from store.query.labels import Labels, label_questions
from store.query.pattern_tokens import token_matches, whole
from tests.store.raw import Raw, RawToken, build_store, random_raw

PLACES = [4, 5, 40, 41]


def marked(raw: Raw, places: list[int]) -> Raw:
    """The same with outliers at some places."""
    numbers = iter(range(len(raw.tokens)))
    return Raw(raw.d_sae, [[t._replace(outlier=next(numbers) in places) for t in one] for one in raw.contexts])


@pytest.fixture(scope="module")
def raw() -> Raw:
    return marked(random_raw(3, n_contexts=16), PLACES)


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("per_segment", [1, 3, 16])
def test_the_places_whatever_the_segments(tmp_path: Path, raw: Raw, per_segment: int, merged: bool) -> None:
    run = build_store(tmp_path, raw, per_segment, merged=merged)
    with FeatureStore.open(run.path) as store:
        assert store.layout.outliers.tolist() == PLACES
        assert [place for place in range(store.n_tokens) if store.layout.is_outlier(place)] == PLACES


def test_the_file_is_the_same_whatever_the_segments(tmp_path: Path, raw: Raw) -> None:
    files = [build_store(tmp_path / str(n), raw, n, merged=True).features.read_bytes() for n in (2, 5, 16)]
    assert files[0] == files[1] == files[2]


def test_without_outliers_there_is_no_column(tmp_path: Path) -> None:
    run = build_store(tmp_path, random_raw(3), 5, merged=True)
    with h5py.File(run.features) as file:
        assert "corpus/outliers" not in file
    with FeatureStore.open(run.path) as store:
        assert not len(store.layout.outliers) and not store.layout.is_outlier(0)


def test_patterns_and_labels_leave_them_out_when_asked(tmp_path: Path, raw: Raw) -> None:
    run = build_store(tmp_path, raw, 5, merged=True)
    with FeatureStore.open(run.path) as store:
        counted_N = store.layout.counted_tokens()
        ordinary_N = counted_N.copy()
        ordinary_N[PLACES] = False
        assert 0 < ordinary_N.sum() < counted_N.sum()
        matches = whole(token_matches(store, re.compile("")))
        labels = Labels(("one",), np.zeros(store.n_tokens, np.int32), 1, 0, 0)
        for ordinary, expected_N in ((False, counted_N), (True, ordinary_N)):
            assert (matches.question(store, "", ordinary=ordinary).scored_N == expected_N).all()
            (question,) = label_questions(store, labels, ordinary=ordinary)
            assert (question.scored_N == expected_N).all()


def test_a_filter_by_the_share_of_outliers(tmp_path: Path) -> None:
    far, near = RawToken(1, 0, True, {0: 2.0, 1: 1.0}, outlier=True), RawToken(2, 0, True, {1: 1.0, 2: 1.0})
    run = build_store(tmp_path, Raw(4, [[far, near], [near, near]]), 1, merged=True)
    with FeatureStore.open(run.path) as store:
        source, ids = FilterSource(store, {}), np.arange(4)
        assert source.outlier_shares().tolist() == [1.0, 0.25, 0.0, 0.0]
        for text, kept in (("outliers<50%", [1, 2, 3]), ("outliers>0", [0, 1]), ("!outliers>0 alive", [2])):
            assert parse_filter(text).keep(source, ids).tolist() == kept


def test_features_led_by_an_outlier(tmp_path: Path) -> None:
    far = RawToken(1, 0, True, {0: 9.0, 1: 9.0, 2: 1.0}, outlier=True)
    near = RawToken(2, 0, True, {1: 10.0, 2: 1.0, 3: 1.0})
    run = build_store(tmp_path / "some", Raw(5, [[far, near], [near, far]]), 1, merged=True)
    with FeatureStore.open(run.path) as store:
        # Feature 2 fires equally on both: its first place, which examples show, is the outlier.
        assert FilterSource(store, {}).outlier_led().tolist() == [True, False, True, False, False]
    run = build_store(tmp_path / "none", random_raw(3), 5, merged=True)
    with FeatureStore.open(run.path) as store:
        assert not FilterSource(store, {}).outlier_led().any()
