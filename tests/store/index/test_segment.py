"""A segment holds both orders of the activations it was given, and nothing else."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.files.errors import MonosemError
from store.index.columns import QUANTILES, CorpusColumns
from store.index.feature_ids import FeatureIds, feature_dtype
from store.index.index_file import RULES, IndexFile
from store.index.merge import merge
from store.index.reader import FeatureStore
from store.index.segment import SegmentBuilder, complete_segments, read_plan, segment_path
from store.run.folder import RunFolder
from store.verify.run_check import verify_file
from tests.store.raw import ACTS, N_VOCAB, Raw, RawToken, as_rows, build_index, datasets, plan_of, random_raw, reseal

TOKENS = st.builds(
    RawToken,
    id=st.integers(0, N_VOCAB - 1),
    document=st.integers(0, 2),
    counted=st.booleans(),
    acts=st.dictionaries(st.integers(0, 4), st.sampled_from(ACTS) | st.floats(0, 70_000, width=32), max_size=5),
)
RAWS = st.builds(Raw, st.just(5), st.lists(st.lists(TOKENS, min_size=1, max_size=5), min_size=1, max_size=5))


def assert_both_orders(path: Path, raw: Raw) -> None:
    """Forward and inverted order of a file, and the columns, against the truth."""
    found = datasets(path)
    entries = raw.entries()
    per_token = [sum(e.place == place for e in entries) for place in range(len(raw.tokens))]
    assert found["forward/indptr"].tolist() == [0, *np.cumsum(per_token)]
    assert found["forward/feature"].tolist() == [e.feature for e in entries]
    assert found["forward/act"].tolist() == [e.act for e in entries]
    falling = [raw.falling(feature) for feature in range(raw.d_sae)]
    assert found["inverted/indptr"].tolist() == [0, *np.cumsum([len(f) for f in falling])]
    assert found["inverted/token"].tolist() == [e.place for f in falling for e in f]
    assert found["inverted/act"].tolist() == [e.act for f in falling for e in f]
    assert_columns(found, raw)


def assert_columns(found: dict[str, np.ndarray], raw: Raw) -> None:
    for feature in range(raw.d_sae):
        acts = [e.act for e in raw.falling(feature)]
        assert found["feature/count"][feature] == len(acts)
        assert found["feature/max"][feature] == max(acts, default=0.0)
        assert found["feature/sum"][feature] == pytest.approx(math.fsum(acts), rel=1e-12)
        assert found["feature/top_token"][feature] == raw.top_token(feature, CorpusColumns.pool)
        for q, value in zip(QUANTILES, found["feature/quantiles"][feature], strict=True):
            assert value == (acts[round((1 - q) * (len(acts) - 1))] if acts else 0.0)


def assert_corpus(path: Path, raw: Raw) -> None:
    found = datasets(path)
    documents = [token.document for token in raw.tokens]
    begins = [i for i, d in enumerate(documents) if i == 0 or documents[i - 1] != d]
    assert found["corpus/tokens"].tolist() == [token.id for token in raw.tokens]
    assert found["corpus/counted"].tolist() == [token.counted for token in raw.tokens]
    assert found["corpus/contexts/start"].tolist() == raw.context_starts()
    assert found["corpus/contexts/length"].tolist() == [len(context) for context in raw.contexts]
    assert found["corpus/contexts/document"].tolist() == [context[0].document for context in raw.contexts]
    assert found["corpus/documents/start"].tolist() == begins
    assert found["corpus/documents/id"].tolist() == [documents[i] for i in begins]


@settings(max_examples=25)
@given(raw=RAWS, per_add=st.integers(1, 3))
def test_any_rows(raw: Raw, per_add: int) -> None:
    with TemporaryDirectory() as folder:
        path = segment_path(build_index(Path(folder), raw, len(raw.contexts), per_add=per_add), 0)
        assert_both_orders(path, raw)
        assert_corpus(path, raw)


@pytest.mark.parametrize("seed", range(3))
def test_many_rows(seed: int, tmp_path: Path) -> None:
    raw = random_raw(seed, n_contexts=30)
    path = segment_path(build_index(tmp_path, raw, 30), 0)
    assert_both_orders(path, raw)
    assert_corpus(path, raw)


def test_activations_are_rounded_to_float16_and_what_vanishes_is_not_active(tmp_path: Path) -> None:
    acts = {0: 1.0004, 1: 2.9e-8, 2: 6e-8, 3: 65519.0, 4: 1e6}
    raw = Raw(5, [[RawToken(1, 0, True, acts), RawToken(1, 0, False, acts)]])
    path = segment_path(build_index(tmp_path, raw, 1), 0)
    found = datasets(path)
    assert found["forward/feature"].tolist() == [0, 2, 3, 4]
    assert found["forward/act"].tolist() == [1.0, 2.0**-24, 65504.0, 65504.0]
    with h5py.File(path, "r") as file:
        assert file.attrs["clipped"] == 2  # those of the token that is left out are not stored at all
        assert file.attrs["n_counted"] == 1


def test_no_activation_at_all(tmp_path: Path) -> None:
    raw = Raw(5, [[RawToken(1, 0, False, {0: 1.0})], [RawToken(2, 0, True, {})]])
    path = segment_path(build_index(tmp_path, raw, 2), 0)
    assert_both_orders(path, raw)
    assert datasets(path)["feature/top_token"].tolist() == [-1] * 5


def test_top_token_looks_at_the_strongest_entries_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CorpusColumns, "pool", 3)
    acts = [(5, 9.0), (6, 8.0), (6, 0.5), (7, 7.0), (6, 0.5), (7, 0.5), (7, 0.5)]
    raw = Raw(5, [[RawToken(token, 0, True, {0: act}) for token, act in acts]])
    found = datasets(segment_path(build_index(tmp_path, raw, 1), 0))
    assert found["feature/top_token"][0] == 5
    assert found["feature/top_sum"][0] == 9.0


def test_limits(tmp_path: Path) -> None:
    assert feature_dtype(1 << 16) is np.uint16
    assert feature_dtype((1 << 16) + 1) is np.uint32
    with pytest.raises(MonosemError, match="16777216 features"):
        SegmentBuilder(1 << 24)
    builder = SegmentBuilder(5)
    builder.most_tokens = 4
    builder.add(*as_rows([[RawToken(1, 0, True, {})] * 3]))
    with pytest.raises(ValueError, match="4 tokens, not 5"):
        builder.add(*as_rows([[RawToken(1, 0, True, {})] * 2]))
    assert list(tmp_path.iterdir()) == []


def test_more_features_than_16_bits_name(tmp_path: Path) -> None:
    d_sae = (1 << 16) + 9
    raw = Raw(d_sae, [[RawToken(1, 0, True, {65_535: 1.0, 65_544: 2.0, 0: 3.0}), RawToken(2, 0, True, {65_544: 5.0})]])
    found = datasets(segment_path(build_index(tmp_path, raw, 1), 0))
    assert found["forward/feature"].dtype == np.uint16
    assert found["forward/feature"].tolist() == [0, 65_535, 8, 8]
    assert found["forward/feature_high"].tolist() == [0, 0, 1, 1]
    index = RunFolder(tmp_path).index
    merge(index, tmp_path / "features.h5")
    assert verify_file(segment_path(index, 0)).ok
    with FeatureStore.open(tmp_path / "features.h5") as store:
        assert store.rows(0, 2).feature.tolist() == [0, 65_535, 65_544, 65_544]
        assert store.postings(65_544).token.tolist() == [1, 0]
    first, last = found["inverted/indptr"][65_544:65_546]
    assert found["inverted/token"][first:last].tolist() == [1, 0]


def test_four_byte_ids_of_schema_1_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file["forward/feature"] = np.array([0, 65_535, 65_544], np.uint32)
        old = IndexFile(file, RULES["segment"], {"forward/feature"}, {"E": 3, "F": 65_545})
        assert FeatureIds(old)[1:].tolist() == [65_535, 65_544]


def test_segments_of_different_versions_are_not_merged(tmp_path: Path) -> None:
    raw = random_raw(1)
    index = build_index(tmp_path, raw, 3)
    with h5py.File(segment_path(index, 1), "r+", locking=False) as file:
        ids = file["forward/feature"][()].astype(np.uint32)
        del file["forward/feature"]
        file["forward/feature"] = ids
    reseal(segment_path(index, 1))
    with pytest.raises(MonosemError, match="different versions"):
        merge(index, tmp_path / "features.h5")
    assert not (tmp_path / "features.h5").exists()


def test_segments_are_counted_up_to_the_first_gap(tmp_path: Path) -> None:
    index = build_index(tmp_path, random_raw(0, n_contexts=8), 2)
    assert complete_segments(index) == 4
    segment_path(index, 2).unlink()
    assert complete_segments(index) == 2
    assert complete_segments(tmp_path / "none") == 0


def test_the_plan_comes_back(tmp_path: Path) -> None:
    raw = random_raw(0, n_contexts=7)
    index = build_index(tmp_path, raw, 3)
    assert read_plan(index / "common.h5") == plan_of(raw)
