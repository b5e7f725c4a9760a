"""Spans of the original text come back as they were given, whatever the segments; forged ones are found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from store.files.schema import NEWEST_VERSION, SCHEMA_VERSION
from store.files.sealed_hdf5 import read_seal
from store.index.merge import merge
from store.index.offsets_file import offsets_path, save_offsets
from store.index.reader import FeatureStore
from store.index.segment import SegmentBuilder, SparseRows, TokenRows, segment_path
from store.index.text_spans import DocumentText, TextColumns, TokenSpans
from store.verify.run_check import verify_file
from tests.forged_run import Change, forge
from tests.forged_run import put as forged_value
from tests.store.cut_texts import CutText, index_texts
from tests.store.raw import build_store, random_raw, reseal

RAW = random_raw(7, n_contexts=12)


def drawn(seed: int) -> TokenSpans:
    """Spans of RAW's tokens, which overlap, leave gaps and go back; every third document has no text."""
    rng = np.random.default_rng(seed)
    n = len(RAW.tokens)
    start_N = rng.integers(0, 300, n)
    end_N = start_N + rng.integers(0, 6, n)
    numbers = {token.document for token in RAW.tokens}
    texts = {number: DocumentText.of(b"x" * (310 + number)) for number in numbers if number % 3}
    textless = np.array([token.document not in texts for token in RAW.tokens])
    start_N[textless] = end_N[textless] = 0
    return TokenSpans(start_N.astype(np.int32), end_N.astype(np.int32), texts)


def index_with(folder: Path, spans: TokenSpans, at_once: int) -> Path:
    """Write an index of RAW with spans, in segments of some contexts, and return its features.h5."""
    run = build_store(folder, RAW, len(RAW.contexts), merged=False)
    segment_path(run.index, 0).unlink()
    token = context = 0
    for number, first in enumerate(range(0, len(RAW.contexts), at_once)):
        some = RAW.contexts[first : first + at_once]
        tokens = [one for each in some for one in each]
        document_N = np.array([one.document for one in tokens], np.int64)
        part = spans.part(token, token + len(tokens), np.array([one.document for one in RAW.tokens]), head=False)
        rows = TokenRows(
            np.array([one.id for one in tokens], np.int32),
            np.ones(len(tokens), bool),
            document_N,
            np.array([len(each) for each in some], np.int32),
            spans=part,
        )
        builder = SegmentBuilder(RAW.d_sae)
        empty = np.empty(0, np.int64)
        builder.add(rows, SparseRows(np.zeros(len(tokens) + 1, np.int64), empty, empty.astype(np.float32)))
        builder.seal(segment_path(run.index, number), token, context)
        token, context = token + len(tokens), context + len(some)
    merge(run.index, run.features)
    return run.features


def columns_of(path: Path) -> TextColumns:
    """Read the spans of an index."""
    with FeatureStore.open(path) as store:
        found = store.layout.text
        assert found is not None
        return found


@pytest.mark.parametrize("seed", range(3))
def test_spans_are_those_given_whatever_the_segments(tmp_path: Path, seed: int) -> None:
    spans = drawn(seed)
    paths = [index_with(tmp_path / str(n), spans, n) for n in (1, 5, 12)]
    assert len({path.read_bytes() for path in paths}) == 1
    assert read_seal(paths[0]).schema_version == NEWEST_VERSION
    for path in (paths[0], paths[1].parent):
        found = columns_of(path)
        np.testing.assert_array_equal(found.start_N, spans.start_N)
        np.testing.assert_array_equal(found.end_N, spans.end_N)
    with FeatureStore.open(paths[0]) as store:
        numbers = store.layout.documents.number.tolist()
    for number, n_bytes, digest in zip(numbers, found.bytes_R, found.digest_R, strict=True):
        text = spans.texts.get(number)
        assert (n_bytes, digest.tobytes()) == (text or (0, bytes(16)))


def test_segments_are_read_as_the_whole(tmp_path: Path) -> None:
    spans = drawn(1)
    features = index_with(tmp_path / "run", spans, 5)
    features.unlink()
    np.testing.assert_array_equal(columns_of(features.parent).end_N, spans.end_N)


def test_an_index_without_texts_has_no_columns_and_the_older_version(tmp_path: Path) -> None:
    features = index_with(tmp_path / "run", TokenSpans.nothing(len(RAW.tokens)), 5)
    assert read_seal(features).schema_version == SCHEMA_VERSION
    with FeatureStore.open(features) as store:
        assert store.layout.text is None


def test_offsets_beside_an_index_are_its_columns_and_of_no_other_index(tmp_path: Path) -> None:
    spans = drawn(2)
    with_columns, without = (
        index_with(tmp_path / name, given, 5)
        for name, given in (("a", spans), ("b", TokenSpans.nothing(len(RAW.tokens))))
    )
    with FeatureStore.open(without) as store:
        start_C = store.layout.contexts.start
    save_offsets(without, spans, np.array([token.document for token in RAW.tokens]), start_C)
    for one, other in zip(columns_of(without), columns_of(with_columns), strict=True):
        np.testing.assert_array_equal(one, other)
    assert verify_file(offsets_path(without)).ok
    with h5py.File(without, "r+") as file:
        file.attrs["other"] = 1
    reseal(without)
    with FeatureStore.open(without) as store:
        assert store.layout.text is None
    assert "belongs to another features.h5" in verify_file(offsets_path(without)).detail
    merge(without.parent / "index", without)
    assert not offsets_path(without).exists()


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CutText]:
    """An index whose tokens give back all texts, with every byte in its vocabulary."""
    every = [bytes([byte]) for byte in range(256)]
    documents = [b"the cat sat on the mat", b"a dog and a cat", b"rain", "é and ☃".encode(), b"one more"]
    folder = tmp_path_factory.mktemp("exact") / "run"
    yield index_texts(folder, documents, 3, longest=1, tokenizer="located", known=every)


@pytest.mark.parametrize(
    "change, named",
    [
        (forged_value("corpus/text/length", 4, 0), "covers"),
        (forged_value("corpus/text/length", 5, 2), "covers"),
        (forged_value("corpus/text/length", 5, 999_999), "does not have"),
        (forged_value("corpus/text/length", 5, -1), "below 0"),
        (forged_value("corpus/text/skipped", 6, 1), "covers"),
        (forged_value("corpus/text/skipped", 6, -50), "does not have"),
        (forged_value("corpus/text/start", 1, 2), "corpus/text"),
        (forged_value("corpus/text/bytes", 0, 3), "does not have"),
        (forged_value("corpus/text/bytes", 0, 500), "covers other bytes"),
        (forged_value("corpus/text/digest", (0, 3), 7), "is not that of its tokens"),
    ],
)
def test_verify_finds_forged_spans(exact: CutText, tmp_path: Path, change: Change, named: str) -> None:
    assert verify_file(exact.features).ok, verify_file(exact.features)
    copy = tmp_path / "features.h5"
    copy.write_bytes(exact.features.read_bytes())
    forge(copy, change)
    found = verify_file(copy)
    assert not found.ok
    assert named in found.detail


def test_verify_accepts_a_tokenizer_that_changes_the_text(tmp_path: Path) -> None:
    texts = [b"The cat Sat on the mat", b"A dog and a cat", b"Rain in May"]
    made = index_texts(tmp_path / "run", texts, 3, tokenizer="changing")
    assert verify_file(made.features).ok, verify_file(made.features)
