"""FeatureStore against the rows it was made from, merged and while it is still segments."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.index.segment import segment_path
from store.query.examples import sections
from store.query.histogram import activation_histogram
from tests.store.raw import Raw, build_store, random_raw, static_columns, vocabulary, weights

RAW = random_raw(11, n_contexts=40, longest=12)
ALIVE = [feature for feature in range(RAW.d_sae) if RAW.falling(feature)]


@pytest.fixture(scope="module", params=["merged", "segments", "one segment"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with the index of RAW."""
    per_segment = 40 if request.param == "one segment" else 7
    made = tmp_path_factory.mktemp("run")
    return build_store(made, RAW, per_segment, merged=request.param == "merged").path


@pytest.fixture
def store(folder: Path) -> Iterator[FeatureStore]:
    """The index of RAW, open."""
    with FeatureStore.open(folder) as opened:
        yield opened


def test_sizes(store: FeatureStore) -> None:
    assert store.d_sae == RAW.d_sae
    assert store.n_tokens == len(RAW.tokens)
    assert store.n_counted == sum(token.counted for token in RAW.tokens)
    assert store.n_contexts == 40
    assert store.complete


def test_columns(store: FeatureStore) -> None:
    counted = sum(token.counted for token in RAW.tokens)
    for feature in range(RAW.d_sae):
        acts = [e.act for e in RAW.falling(feature)]
        assert store.columns.count_F[feature] == len(acts)
        assert store.columns.density_F[feature] == pytest.approx(len(acts) / counted, rel=1e-15)
        assert store.columns.max_F[feature] == max(acts, default=0)
        assert store.columns.mean_F[feature] == pytest.approx(sum(acts) / max(1, len(acts)), rel=1e-6)
        assert store.columns.decoder_norm_F[feature] == feature + 0.5


def test_top_tokens(folder: Path) -> None:
    with FeatureStore.open(folder) as store:
        found = store.columns.top_token_F.tolist()
    expected = [RAW.top_token(feature, 1024) for feature in range(RAW.d_sae)]
    if store.path.is_file() or len(list(store.path.glob("seg-*"))) == 1:
        assert found == expected
    else:  # from segments it is the leading token of one of them
        assert [token >= 0 for token in found] == [token >= 0 for token in expected]


@pytest.mark.parametrize("feature", range(RAW.d_sae))
def test_postings(store: FeatureStore, feature: int) -> None:
    truth = RAW.falling(feature)
    for start, stop in ((0, None), (0, 3), (2, 9), (5, 5), (0, 10**6), (10**6, None), (3, 1), (-4, 2)):
        found = store.postings(feature, start, stop)
        expected = truth[max(start, 0) : stop]
        assert found.token.tolist() == [e.place for e in expected]
        assert found.act.tolist() == [e.act for e in expected]
        assert (found.token.dtype, found.act.dtype) == (np.int64, np.float32)
    assert store.falling_acts(feature).tolist() == [e.act for e in truth]


@pytest.mark.parametrize("at_once", [0, 2, 1 << 16])
def test_entries_at_ranks(store: FeatureStore, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "at_once", at_once)
    monkeypatch.setattr(store, "few", at_once)
    for feature in ALIVE:
        truth = RAW.falling(feature)
        ranks = np.random.default_rng(feature).integers(0, len(truth), 6)
        found = store.at_ranks(feature, ranks)
        assert found.token.tolist() == [truth[rank].place for rank in ranks]
        assert found.act.tolist() == [truth[rank].act for rank in ranks]
        for beyond in (-1, len(truth)):
            with pytest.raises(ValueError, match="no ranks"):
                store.at_ranks(feature, np.array([0, beyond]))
    assert len(store.at_ranks(0, np.zeros(0, np.int64)).token) == 0


@settings(max_examples=40)
@given(start=st.integers(-3, len(RAW.tokens) + 3), length=st.integers(0, 60))
def test_any_stretch_of_the_corpus(store: FeatureStore, start: int, length: int) -> None:
    inside = range(max(start, 0), max(min(start + length, len(RAW.tokens)), max(start, 0)))
    entries = [e for e in RAW.entries() if e.place in inside]
    assert store.tokens(start, start + length).tolist() == [RAW.tokens[i].id for i in inside]
    rows = store.rows(start, start + length)
    assert np.diff(rows.indptr).tolist() == [sum(e.place == place for e in entries) for place in inside]
    assert rows.feature.tolist() == [e.feature for e in entries]
    assert rows.act.tolist() == [e.act for e in entries]
    for feature in (0, 3, RAW.d_sae - 1):
        by_place = {e.place: e.act for e in entries if e.feature == feature}
        assert store.activations(feature, start, start + length).tolist() == [by_place.get(i, 0.0) for i in inside]


def test_contexts_and_documents(store: FeatureStore) -> None:
    documents = [token.document for token in RAW.tokens]
    starts = RAW.context_starts()
    places = np.arange(len(documents))
    of = [number for number, context in enumerate(RAW.contexts) for _ in context]
    assert store.contexts_of(places).tolist() == of
    for place, number in enumerate(of):
        length = len(RAW.contexts[number])
        assert store.context_of(place) == (number, starts[number], length, documents[starts[number]])
        same = [i for i, document in enumerate(documents) if document == documents[place]]
        assert store.document_span(place) == (same[0], same[-1] + 1)


@pytest.mark.parametrize("place", [-1, len(RAW.tokens)])
def test_no_such_place(store: FeatureStore, place: int) -> None:
    for ask in (store.context_of, store.document_span):
        with pytest.raises(MonosemError, match=f"no token {place} .*\n  Its tokens are 0 to {len(RAW.tokens) - 1}"):
            ask(place)


def test_what_the_weights_say(store: FeatureStore) -> None:
    columns = static_columns(RAW.d_sae)
    for feature in range(RAW.d_sae):
        logits, near = store.logits(feature), store.neighbours(feature)
        for found, ids, values in (
            (logits.top, columns.logit_top_id_FT, columns.logit_top_value_FT),
            (logits.bottom, columns.logit_bottom_id_FT, columns.logit_bottom_value_FT),
            (near, columns.neighbour_id_FT, columns.neighbour_cosine_FT),
        ):
            assert found.id.tolist() == ids[feature].tolist()
            assert found.value.tolist() == values[feature].tolist()
    found_sae, expected = store.sae(), weights(RAW.d_sae)
    assert found_sae.spec == expected.spec
    assert {n: t.tobytes() for n, t in found_sae.tensors.items()} == {
        n: t.tobytes() for n, t in expected.tensors.items()
    }
    assert store.vocabulary.text([3, 4]) == vocabulary().text([3, 4]) == " w3 w4"


ASKED: list[Callable[[FeatureStore, int], object]] = [
    lambda store, feature: store.postings(feature),
    lambda store, feature: store.at_ranks(feature, np.zeros(1, np.int64)),
    lambda store, feature: store.falling_acts(feature),
    lambda store, feature: store.activations(feature, 0, 3),
    lambda store, feature: store.logits(feature),
    lambda store, feature: store.neighbours(feature),
    lambda store, feature: store.check_feature(feature),
    sections,
    activation_histogram,
]


@pytest.mark.parametrize("ask", ASKED)
@pytest.mark.parametrize("feature", [-1, RAW.d_sae, 10**9])
def test_no_such_feature(store: FeatureStore, feature: int, ask: Callable[[FeatureStore, int], object]) -> None:
    with pytest.raises(MonosemError, match=f"there is no feature {feature}\n  Features of this run are 0 to 8."):
        ask(store, feature)


def test_a_run_is_browsed_while_it_fills(tmp_path: Path) -> None:
    run = build_store(tmp_path, RAW, 7, merged=False)
    segment_path(run.index, 4).unlink()  # what lies behind a gap is not counted
    done = Raw(RAW.d_sae, RAW.contexts[:28])
    with FeatureStore.open(run.path) as store:
        assert not store.complete
        assert store.n_contexts == 28
        assert store.n_tokens == len(done.tokens)
        assert store.columns.count_F.tolist() == [len(done.falling(feature)) for feature in range(RAW.d_sae)]
        assert store.postings(2).token.tolist() == [e.place for e in done.falling(2)]


def test_nothing_to_browse(tmp_path: Path) -> None:
    with pytest.raises(MonosemError, match=r"no feature index yet\n.*monosem index"):
        FeatureStore.open(tmp_path)
    run = build_store(tmp_path, RAW, 40, merged=False)
    with pytest.raises(MonosemError, match="is a monosem segment file, not a features file"):
        FeatureStore.open(segment_path(run.index, 0))


def test_a_store_copied_home_opens_alone(tmp_path: Path) -> None:
    run = build_store(tmp_path / "run", RAW, 40, merged=True)
    home = Path(shutil.copy(run.features, tmp_path / "any name"))
    with FeatureStore.open(home) as store:
        assert store.n_tokens == len(RAW.tokens)


@pytest.mark.parametrize("merged", [True, False])
def test_a_file_that_changes_while_it_is_open(merged: bool, tmp_path: Path) -> None:
    run = build_store(tmp_path, RAW, 7, merged=merged)
    path = run.features if merged else segment_path(run.index, 2)
    with FeatureStore.open(run.path) as store:
        store.check_lengths()
        content = path.read_bytes()
        path.write_bytes(content[:-1])
        with pytest.raises(MonosemError, match=f"{path.name} has changed while it was open"):
            store.check_lengths()
        path.write_bytes(content + b"\0")
        with pytest.raises(MonosemError, match=f"{path.name} has changed while it was open"):
            store.check_lengths()


def test_a_file_that_is_replaced_is_read_on_to_its_end(tmp_path: Path) -> None:
    run = build_store(tmp_path, RAW, 40, merged=True)
    with FeatureStore.open(run.path) as store:
        (tmp_path / "other").write_bytes(b"another index")
        (tmp_path / "other").replace(run.features)
        store.check_lengths()
        assert store.postings(0).token.tolist() == [e.place for e in RAW.falling(0)]
