"""An index whose activations have exponents says what the same index without them says, times powers of two."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from store.files.errors import MonosemError
from store.files.schema import EXPONENTS_VERSION, SCHEMA_VERSION
from store.files.sealed_hdf5 import read_seal
from store.index.exponents import MOST, units
from store.index.reader import FeatureStore
from store.index.segment import SegmentBuilder, common_path, segment_path
from store.query.examples import sections
from store.query.find import FindOptions, Question, find
from store.query.histogram import activation_histogram, log_histogram
from store.query.token_use import token_use
from store.run.folder import RunFolder
from store.verify.run_check import verify_file
from tests.store.raw import Raw, as_rows, build_index, build_store, random_raw, reseal, true_columns

EXPONENTS = (3, -20, 20, 0, -MOST, MOST - 14, 7, -1, 5)
RAW = random_raw(5, n_contexts=30)
UNIT_F = units(np.array(EXPONENTS, np.int8))


def times(feature: int) -> np.float32:
    """The power of two of a feature."""
    return UNIT_F[feature]


@pytest.fixture(scope="module", params=[(4, True), (4, False)], ids=["merged", "segments"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[FeatureStore, FeatureStore]:
    """A store without exponents, and one with them."""
    folder, (per_segment, merged) = tmp_path_factory.mktemp("exponents"), request.param
    plain = build_store(folder / "plain", RAW, per_segment, merged=merged)
    scaled = build_store(folder / "scaled", RAW.scaled(EXPONENTS), per_segment, merged=merged)
    return FeatureStore.open(plain.path), FeatureStore.open(scaled.path)


def of_feature(ask: Callable[[FeatureStore, int], Any]) -> Callable[[FeatureStore], list[Any]]:
    """Ask for every feature."""
    return lambda store: [np.asarray(ask(store, feature)) for feature in range(store.d_sae)]


ANSWERS: dict[str, Callable[[FeatureStore], list[Any]]] = {
    "postings": of_feature(lambda store, f: store.postings(f).act),
    "part of them": of_feature(lambda store, f: store.postings(f, 1, 4).act),
    "at ranks": of_feature(
        lambda store, f: store.at_ranks(f, np.arange(int(store.columns.count_F[f]), dtype=np.int64)[::2]).act
    ),
    "activations": of_feature(lambda store, f: store.activations(f, 3, 40)),
    "shown": of_feature(lambda store, f: store.shown(f, np.array([0, 9]), np.array([9, 30]))[1].act_T),
    "quantiles": of_feature(lambda store, f: store.quantiles(f).value),
    "maximum": of_feature(lambda store, f: store.columns.max_F[f]),
    "mean": of_feature(lambda store, f: store.columns.mean_F[f]),
    "sum": of_feature(lambda store, f: store.totals.sum_F[f]),
    "edges": of_feature(lambda store, f: activation_histogram(store, f).edges * bool(store.columns.count_F[f])),
    "edges of ratios": of_feature(lambda store, f: log_histogram(store, f).edges * bool(store.columns.count_F[f])),
    "examples": of_feature(lambda store, f: [e.act for s in sections(store, f) for e in s.examples]),
    "sum on tokens": of_feature(lambda store, f: token_use(store, np.array([3, 5])).sum_F[f]),
}


@pytest.mark.parametrize("few", [FeatureStore.few, 0], ids=["held", "read by parts"])
@pytest.mark.parametrize("name", ANSWERS)
def test_activations_are_multiplied(
    pair: tuple[FeatureStore, FeatureStore], monkeypatch: pytest.MonkeyPatch, name: str, few: int
) -> None:
    monkeypatch.setattr(FeatureStore, "few", few)
    monkeypatch.setattr(FeatureStore, "_entries", None)
    plain, scaled = (ANSWERS[name](store) for store in pair)
    assert sum(values.size for values in plain)
    for feature, (before, after) in enumerate(zip(plain, scaled, strict=True)):
        assert_array_equal(after, before * times(feature), err_msg=f"feature {feature}")


def test_the_rest_is_the_same(pair: tuple[FeatureStore, FeatureStore]) -> None:
    """Places, counts, order, histograms, top tokens, and what `find` says but for thresholds."""
    plain, scaled = pair
    for column in ("count_F", "density_F", "top_token_F"):
        assert_array_equal(getattr(scaled.columns, column), getattr(plain.columns, column))
    assert_array_equal(scaled.rows(0, plain.n_tokens).act, plain.rows(0, plain.n_tokens).act * UNIT_F[_features(plain)])
    question = Question("3", plain.layout.counted_tokens(), plain.tokens(0, plain.n_tokens) == 3)
    for options in (FindOptions(), FindOptions(held_out=True, by="auroc")):
        one, other = (find(store, question, options) for store in pair)
        assert len(one.results) > 3
        for before, after in zip(one.results, other.results, strict=True):
            assert (after.choice.feature, after.tally, after.auroc) == (
                before.choice.feature,
                before.tally,
                before.auroc,
            )
            assert after.choice.threshold == before.choice.threshold * times(before.choice.feature)
        assert one.union is not None
        assert other.union is not None
        assert one.union.tally == other.union.tally
    for feature in range(plain.d_sae):
        assert_array_equal(scaled.postings(feature).token, plain.postings(feature).token)
        for histogram in (activation_histogram, log_histogram):
            assert_array_equal(histogram(scaled, feature).counts, histogram(plain, feature).counts)


def _features(store: FeatureStore) -> np.ndarray[Any, np.dtype[np.int64]]:
    return store.rows(0, store.n_tokens).feature


def test_an_older_monosem_refuses_every_file_by_its_version(tmp_path: Path) -> None:
    """And files without exponents keep the version and the bytes that they had."""
    for name, raw, version in (("a", RAW, SCHEMA_VERSION), ("b", RAW.scaled(EXPONENTS), EXPONENTS_VERSION)):
        run = build_store(tmp_path / name, raw, 9, merged=True)
        for path in (run.features, common_path(run.index), segment_path(run.index, 0)):
            assert read_seal(path).schema_version == version
            with h5py.File(path) as file:
                assert file.attrs["schema_version"] == version
                assert ("feature/exponent" in file) == (version == EXPONENTS_VERSION)


def test_the_bytes_do_not_depend_on_the_segments(tmp_path: Path) -> None:
    found = [
        build_store(tmp_path / str(n), RAW.scaled(EXPONENTS), n, merged=True).features.read_bytes() for n in (1, 30)
    ]
    assert found[0] == found[1]


def test_verify_multiplies_too(tmp_path: Path) -> None:
    run = build_store(tmp_path, RAW.scaled(EXPONENTS), 9, merged=True, columns=true_columns(RAW.d_sae))
    for path in (run.features, segment_path(run.index, 0)):
        assert verify_file(path).ok, verify_file(path)
    _change(run.features, 4)
    assert verify_file(run.features).detail == "feature/max does not follow from the activations"
    _change(run.features, 120)
    assert "feature/exponent holds 120, where the highest can be 100" in verify_file(run.features).detail


def test_segments_of_other_exponents_are_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    build_index(tmp_path, RAW.scaled(EXPONENTS), 30)
    _change(segment_path(run.index, 0), 4)
    with pytest.raises(MonosemError, match=r"seg-00000.h5 is damaged: feature/exponent differs from the index's"):
        FeatureStore.open(tmp_path)


def _change(path: Path, exponent: int) -> None:
    """Give feature 0 another exponent, as a writer with a fault would have it."""
    with h5py.File(path, "r+") as file:
        file["feature/exponent"][0] = exponent
        data = file["feature/exponent"]
        from store.files.sealed_hdf5 import _digest_dataset

        data.attrs["sha256"] = _digest_dataset(data)
    reseal(path, EXPONENTS_VERSION)


def test_values_too_large_or_too_small_are_counted() -> None:
    """Wherever they are in the file's range without exponents, with exponents they are where those put them."""
    raw = Raw(1, [[RAW.tokens[0]._replace(counted=True, acts={0: act}) for act in (65520.0, 65504.0, 2.9e-8, 3.1e-8)]])
    for exponents, clipped, lost in ((None, 1, 1), ((0,), 1, 1), ((1,), 0, 2), ((-1,), 2, 0)):
        builder = SegmentBuilder(1, None if exponents is None else np.array(exponents, np.int8))
        builder.add(*as_rows(raw.contexts))
        assert (builder.clipped, builder.lost) == (clipped, lost)


def test_units_are_exact() -> None:
    unit_F = units(np.arange(-MOST, MOST + 1).astype(np.int8))
    assert unit_F.dtype == np.float32
    assert all(b == 2 * a for a, b in pairwise(unit_F.astype(np.float64).tolist()))
