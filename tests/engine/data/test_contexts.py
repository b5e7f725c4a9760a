"""Contexts against streams written by hand, and against a second, plainer implementation of the rules."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import accumulate
from typing import NamedTuple

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from engine.corpus.reading_order import Split, ordered
from engine.data import contexts
from engine.data.contexts import ContextSettings, ContextStream, Packing, StreamPosition
from engine.data.text_encoder import Encoding
from engine.lm.tokenizer import END_OF_TEXT, train_tokenizer
from engine.model.language_model import load_model
from store.files.errors import MonosemError
from tests.engine.small import BOS, EOS, FIRST_WORD, Texts, flat, random_texts, words, words_encoding
from tests.shared_data import shared_path
from tests.tiny_text import documents as stories

ROLES: list[tuple[str, ...]] = [("bos", "eos"), ("bos",), ("eos",), ()]
each_tokenizer = pytest.mark.parametrize("roles", ROLES, ids=lambda roles: "+".join(roles) or "neither")
each_packing = pytest.mark.parametrize("packing", ["packed", "documents"])


class Row(NamedTuple):
    """One context as the rules have it."""

    tokens: list[int]
    documents: list[int]
    counted: list[bool]


def in_order(corpus: Texts, encoding: Encoding, seed: int, epoch: int) -> list[tuple[int, list[int]]]:
    """Number and ids of each document in the order of an epoch, framed by hand."""
    found = []
    for document in ordered(corpus, split="all", seed=seed, epoch=epoch):
        ids = [FIRST_WORD + int(word[1:]) for word in document.text.split()]
        if encoding.bos_id is not None:
            ids = [BOS, *ids]
        elif encoding.separator_id is not None:
            ids = [*ids, EOS]
        found.append((document.number, ids))
    return found


def cut_by_hand(stream: list[tuple[int, int]], size: int, has_bos: bool) -> list[Row]:
    """Contexts of a stream of (token, document), one token at a time."""
    rows: list[Row] = []
    tokens: list[int] = []
    owners: list[int] = []
    for token, owner in stream:
        if not tokens and has_bos and token != BOS:
            tokens, owners = [BOS], [owner]
        tokens.append(token)
        owners.append(owner)
        if len(tokens) == size:
            rows.append(row_of(tokens, owners, has_bos))
            tokens, owners = [], []
    return [*rows, row_of(tokens, owners, has_bos)] if tokens else rows


def row_of(tokens: list[int], owners: list[int], has_bos: bool) -> Row:
    return Row(tokens, owners, [token != BOS if has_bos else place > 0 for place, token in enumerate(tokens)])


def by_hand(corpus: Texts, encoding: Encoding, size: int, packing: Packing, seed: int, epoch: int = 0) -> list[Row]:
    """All contexts of an epoch; for `documents`, in no particular order."""
    has_bos = encoding.bos_id is not None
    found = in_order(corpus, encoding, seed, epoch)
    if packing == "packed":
        return cut_by_hand([(token, number) for number, ids in found for token in ids], size, has_bos)
    return [row for number, ids in found for row in cut_by_hand([(token, number) for token in ids], size, has_bos)]


def rows_of(stream: ContextStream, batch: int = 3, limit: int | None = None, first: int = 0) -> list[Row]:
    """Contexts of a stream without their padding, which is checked; `first` is the number of its next context."""
    rows: list[Row] = []
    for made in stream.batches(batch, limit):
        assert made.first == first + len(rows)
        for tokens, mask, counted, owners in zip(
            made.tokens_BT, made.mask_BT, made.counted_BT, made.document_BT, strict=True
        ):
            n = int(mask.sum())
            assert mask[:n].all()
            assert not mask[n:].any()
            assert not counted[n:].any()
            assert (tokens[n:] == 0).all()
            assert (owners[n:] == owners[0]).all()
            rows.append(Row(tokens[:n].tolist(), owners[:n].tolist(), counted[:n].tolist()))
    return rows


def stream_of(
    corpus: Texts,
    encoding: Encoding,
    size: int,
    packing: Packing = "packed",
    seed: int = 0,
    epochs: int | None = 1,
    split: Split = "all",
    position: StreamPosition | None = None,
) -> ContextStream:
    return ContextStream(corpus, encoding, ContextSettings(size, packing, seed, split, epochs), position)


@contextmanager
def chunks_of(characters: int) -> Iterator[None]:
    """Encode so little at once that even small corpora take several chunks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contexts, "CHUNK_CHARACTERS", characters)
        yield


THREE = Texts((words([0, 1, 2, 3, 4]), words([5]), words([6, 7])))
"""Ids 3-7, 8, and 9-10."""


def in_corpus_order() -> int:
    """A seed that leaves THREE in its order, so that streams can be written down."""
    return next(
        seed for seed in range(100) if [d.number for d in ordered(THREE, split="all", seed=seed, epoch=0)] == [0, 1, 2]
    )


@pytest.mark.parametrize(
    ("roles", "packing", "expected"),
    [
        (("bos", "eos"), "packed", [[1, 3, 4, 5], [1, 6, 7, 1], [1, 8, 1, 9], [1, 10]]),
        (("bos",), "packed", [[1, 3, 4, 5], [1, 6, 7, 1], [1, 8, 1, 9], [1, 10]]),
        (("eos",), "packed", [[3, 4, 5, 6], [7, 2, 8, 2], [9, 10, 2]]),
        ((), "packed", [[3, 4, 5, 6], [7, 8, 9, 10]]),
        (("bos", "eos"), "documents", [[1, 8], [1, 6, 7], [1, 9, 10], [1, 3, 4, 5]]),
        (("eos",), "documents", [[8, 2], [7, 2], [9, 10, 2], [3, 4, 5, 6]]),
        ((), "documents", [[7], [8], [9, 10], [3, 4, 5, 6]]),
    ],
)
def test_streams_by_hand(roles: tuple[str, ...], packing: Packing, expected: list[list[int]]) -> None:
    found = flat(stream_of(THREE, words_encoding(*roles), 4, packing, in_corpus_order()).batches(2))
    if packing == "documents":  # which comes first of two of one length is nobody's business
        assert [len(context) for context in found] == [len(context) for context in expected]
        found, expected = sorted(found), sorted(expected)
    assert found == expected


def test_what_counts_and_whose_it_is_by_hand() -> None:
    [batch] = stream_of(THREE, words_encoding("bos"), 4, "packed", in_corpus_order()).batches(10)
    assert batch.first == 0
    assert batch.tokens_BT.tolist() == [[1, 3, 4, 5], [1, 6, 7, 1], [1, 8, 1, 9], [1, 10, 0, 0]]
    assert batch.mask_BT.astype(int).tolist() == [[1, 1, 1, 1]] * 3 + [[1, 1, 0, 0]]
    assert batch.counted_BT.astype(int).tolist() == [[0, 1, 1, 1], [0, 1, 1, 0], [0, 1, 0, 1], [0, 1, 0, 0]]
    assert batch.document_BT.tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [1, 1, 2, 2], [2, 2, 2, 2]]


def test_without_bos_the_first_position_is_left_out() -> None:
    [batch] = stream_of(THREE, words_encoding("eos"), 4, "packed", in_corpus_order()).batches(10)
    assert batch.tokens_BT.tolist() == [[3, 4, 5, 6], [7, 2, 8, 2], [9, 10, 2, 0]]
    assert batch.counted_BT.astype(int).tolist() == [[0, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 0]]
    assert (words_encoding("eos").excluded, words_encoding("bos").excluded) == ("first", "bos")


TEXTS = st.lists(st.lists(st.integers(0, 40), max_size=14).map(words), min_size=1, max_size=12)
SIZES = st.integers(2, 9)
CHUNKS = st.integers(1, 60)
PACKINGS: st.SearchStrategy[Packing] = st.sampled_from(["packed", "documents"])


@given(TEXTS, SIZES, PACKINGS, st.sampled_from(ROLES), st.integers(0, 99), CHUNKS, st.integers(1, 5))
def test_any_stream_follows_the_rules(
    texts: list[str], size: int, packing: Packing, roles: tuple[str, ...], seed: int, chunk: int, batch: int
) -> None:
    corpus, encoding = Texts(tuple(texts)), words_encoding(*roles)
    expected = by_hand(corpus, encoding, size, packing, seed)
    stream = stream_of(corpus, encoding, size, packing, seed)
    with chunks_of(chunk):
        if not any(any(row.counted) for row in expected):
            with pytest.raises(MonosemError, match="no token that counts"):
                rows_of(stream, batch)
            return
        found = rows_of(stream, batch)
    assert found == expected if packing == "packed" else sorted(found) == sorted(expected)


@given(TEXTS, SIZES, PACKINGS, st.integers(0, 99), CHUNKS)
def test_every_token_once_an_epoch_in_the_order_of_that_epoch(
    texts: list[str], size: int, packing: Packing, seed: int, chunk: int
) -> None:
    assume(any(texts))
    corpus, encoding = Texts(tuple(texts)), words_encoding("bos")
    per_epoch = [by_hand(corpus, encoding, size, packing, seed, epoch) for epoch in range(3)]
    total = sum(map(len, per_epoch))
    endless = stream_of(corpus, encoding, size, packing, seed, epochs=None)
    with chunks_of(chunk):
        three = rows_of(stream_of(corpus, encoding, size, packing, seed, epochs=3))
        assert rows_of(endless, limit=total) == three
        assert next(endless.batches(1)).first == total
    for expected in per_epoch:
        found, three = three[: len(expected)], three[len(expected) :]
        assert found == expected if packing == "packed" else sorted(found) == sorted(expected)
        given_out = sorted(token for row in found for token in row.tokens if token != BOS)
        assert given_out == sorted(FIRST_WORD + int(word[1:]) for text in texts for word in text.split())
    assert three == []


@each_packing
@each_tokenizer
def test_the_seed_and_the_epoch_fix_the_order(packing: Packing, roles: tuple[str, ...]) -> None:
    corpus, encoding = random_texts(40), words_encoding(*roles)
    of_seed = {seed: rows_of(stream_of(corpus, encoding, 8, packing, seed, epochs=2)) for seed in (3, 4)}
    assert rows_of(stream_of(corpus, encoding, 8, packing, 3, epochs=2), batch=7) == of_seed[3]
    assert of_seed[3] != of_seed[4]
    half = len(of_seed[3]) // 2
    assert of_seed[3][:half] != of_seed[3][half:]


def test_documents_of_similar_length_share_a_batch() -> None:
    corpus, encoding = random_texts(60, longest=30), words_encoding("bos")
    lengths = [len(row.tokens) for row in rows_of(stream_of(corpus, encoding, 16, "documents"))]
    assert lengths == sorted(lengths)
    batches = list(stream_of(corpus, encoding, 16, "documents").batches(4))
    assert [batch.tokens_BT.shape[1] for batch in batches] == lengths[3::4] + lengths[-1:] * (len(lengths) % 4 > 0)


def test_every_twentieth_document_is_held_out() -> None:
    corpus, encoding = random_texts(65), words_encoding("bos")
    seen = {
        split: {owner for row in rows_of(stream_of(corpus, encoding, 8, split=split)) for owner in row.documents}
        for split in ("train", "heldout", "all")
    }
    assert seen["heldout"] == {19, 39, 59}
    assert seen["train"] == set(range(65)) - {19, 39, 59}
    assert seen["all"] == set(range(65))


LONGER = random_texts(20, longest=20, shortest=0)


@settings(max_examples=60)
@given(st.integers(0, 150), SIZES, PACKINGS, st.sampled_from(ROLES), CHUNKS, st.integers(1, 5))
def test_a_stream_resumes_from_any_position(
    taken: int, size: int, packing: Packing, roles: tuple[str, ...], chunk: int, batch: int
) -> None:
    encoding = words_encoding(*roles)
    with chunks_of(chunk):
        whole = rows_of(stream_of(LONGER, encoding, size, packing, 5, epochs=2))
        stream = stream_of(LONGER, encoding, size, packing, 5, epochs=2)
        assert rows_of(stream, batch, taken) == whole[:taken]
        position = StreamPosition(**json.loads(json.dumps(asdict(stream.position))))
        resumed = stream_of(LONGER, encoding, size, packing, 5, epochs=2, position=position)
        assert resumed.position == stream.position
        assert rows_of(resumed, batch, first=taken) == whole[taken:]
        assert resumed.position == StreamPosition(epoch=2, contexts=len(whole))


@each_packing
def test_resuming_encodes_the_present_chunk_and_nothing_before_it(packing: Packing) -> None:
    encoded: list[str] = []

    class Watched(Encoding):
        def encode(self, texts: list[str]) -> list[list[int]]:  # type: ignore[override]
            encoded.extend(texts)
            return super().encode(texts)

    plain = words_encoding("bos")
    watched = Watched(plain.tokenizer, plain.bos_id, plain.separator_id)
    with chunks_of(100):
        stream = stream_of(LONGER, plain, 8, packing)
        whole = rows_of(stream_of(LONGER, plain, 8, packing))
        stream.skip(len(whole) - 1)
        resumed = stream_of(LONGER, watched, 8, packing, position=stream.position)
        [last] = rows_of(resumed, first=len(whole) - 1)
    assert last == whole[-1]
    assert len(encoded) < 10


@given(st.integers(0, 150), PACKINGS, CHUNKS)
def test_skipping_is_taking_without_looking(count: int, packing: Packing, chunk: int) -> None:
    encoding = words_encoding("bos")
    with chunks_of(chunk):
        whole = rows_of(stream_of(LONGER, encoding, 5, packing))
        stream = stream_of(LONGER, encoding, 5, packing)
        assert stream.skip(count) == min(count, len(whole))
        assert rows_of(stream, first=min(count, len(whole))) == whole[count:]


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("tokens", [0, 1, 4, 5, 37, 10_000])
def test_skipping_tokens_takes_the_fewest_contexts_that_hold_them(tokens: int, counted: bool) -> None:
    encoding = words_encoding("bos")
    whole = rows_of(stream_of(LONGER, encoding, 5))
    held = list(accumulate(sum(row.counted) if counted else len(row.tokens) for row in whole))
    expected = next((number for number, sum_ in enumerate([0, *held]) if sum_ >= tokens), len(whole))
    stream = stream_of(LONGER, encoding, 5)
    assert stream.skip_tokens(tokens, counted=counted) == expected
    assert rows_of(stream, first=expected) == whole[expected:]


@pytest.mark.parametrize("kept", [0, 20, 1 << 20])
@pytest.mark.parametrize("tokens", [0, 1, 37, 10_000])
def test_a_look_ahead_changes_nothing_that_comes(tokens: int, kept: int) -> None:
    encoding = words_encoding("bos")
    plain, looked = stream_of(LONGER, encoding, 5), stream_of(LONGER, encoding, 5)
    expected = stream_of(LONGER, encoding, 5).skip_tokens(tokens)
    before = looked.position
    assert looked.look_ahead(tokens, kept) == expected
    assert looked.position == before
    for one, other in zip(plain.batches(1), looked.batches(1), strict=True):
        assert (one.first, one.tokens_BT.tolist()) == (other.first, other.tokens_BT.tolist())
        assert one.document_BT.tolist() == other.document_BT.tolist()
        assert plain.position == looked.position


def test_batches_stop_at_their_limit_and_go_on_behind_it() -> None:
    encoding = words_encoding("bos")
    stream = stream_of(LONGER, encoding, 5)
    sizes = [[len(batch.tokens_BT) for batch in stream.batches(4, limit)] for limit in (10, 0, 3)]
    assert sizes == [[4, 4, 2], [], [3]]
    assert stream.position.contexts + stream.position.skip == 13
    assert next(stream.batches(4)).first == 13


def test_a_batch_is_cut_and_becomes_tensors() -> None:
    [batch] = stream_of(THREE, words_encoding("bos"), 4, "packed", in_corpus_order()).batches(10)
    tokens_BT, mask_BT = batch.tensors(torch.device("cpu"))
    assert tokens_BT.dtype == torch.int64
    assert tokens_BT.tolist() == batch.tokens_BT.tolist()
    assert mask_BT is not None
    assert mask_BT.tolist() == batch.mask_BT.tolist()
    full = batch.head(3)
    assert full.tensors(torch.device("cpu"))[1] is None
    assert [len(part) for part in (full.tokens_BT, full.mask_BT, full.counted_BT, full.document_BT)] == [3] * 4
    assert full.document_BT.tolist() == batch.document_BT.tolist()[:3]


@each_packing
@pytest.mark.parametrize(
    ("corpus", "roles"),
    [(Texts(("", "", "")), ("bos",)), (Texts((words([4]),)), ()), (Texts(("",)), ("eos",))],
)
def test_an_endless_stream_of_what_does_not_count_is_refused(
    corpus: Texts, roles: tuple[str, ...], packing: Packing
) -> None:
    stream = stream_of(corpus, words_encoding(*roles), 4, packing, epochs=None)
    with pytest.raises(MonosemError, match="texts has no token that counts"):
        stream.skip_tokens(1, counted=True)


def test_a_context_of_one_token_is_refused() -> None:
    with pytest.raises(MonosemError, match="at least 2 tokens, not 1"):
        stream_of(THREE, words_encoding("bos"), 1)


def bpe(corpus: Texts) -> PreTrainedTokenizerFast:
    """A real tokenizer of bytes, with merges learnt from the corpus. BOS is 0."""
    return train_tokenizer(corpus.documents(), 300, 32)


def documents_of(rows: list[Row], bos: int, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The documents that packed contexts were made of, put together again."""
    ids: defaultdict[int, list[int]] = defaultdict(list)
    for row in rows:
        for token, owner in zip(row.tokens, row.documents, strict=True):
            ids[owner] += [token] if token != bos else []
    return [str(tokenizer.decode(ids[owner])) for owner in sorted(ids)]


def test_a_byte_level_tokenizer_loses_nothing() -> None:
    corpus = Texts((*stories(10), "“naïve” 日本語 🎈\tend", "  two  spaces "))
    tokenizer = bpe(corpus)
    rows = rows_of(stream_of(corpus, Encoding(tokenizer, 0, 0), 16))
    assert documents_of(rows, 0, tokenizer) == list(corpus.texts)
    assert all(row.tokens[0] == 0 for row in rows)
    assert len({owner for row in rows for owner in row.documents}) == 12


def test_the_name_of_a_special_token_in_a_text_is_plain_text() -> None:
    corpus = Texts((f"Tim{END_OF_TEXT}Lily",))
    tokenizer = bpe(Texts(tuple(stories(10))))
    [row] = rows_of(stream_of(corpus, Encoding(tokenizer, 0, 0), 64))
    assert row.tokens[0] == 0
    assert 0 not in row.tokens[1:]
    assert tokenizer.decode(row.tokens[1:]) == f"Tim{END_OF_TEXT}Lily"


def test_a_tokenizer_that_truncates_and_pads_is_made_to_do_neither() -> None:
    corpus = Texts(tuple(stories(4)))
    tokenizer = bpe(corpus)
    whole = [tokenizer.encode(text, add_special_tokens=False) for text in corpus.texts]
    tokenizer.backend_tokenizer.enable_truncation(5)
    tokenizer.backend_tokenizer.enable_padding(length=300)
    assert Encoding(tokenizer, 0, 0).encode(corpus.texts) == whole


def test_a_real_model_reads_its_own_text() -> None:
    lm = load_model(str(shared_path("models/stories260K")), device=torch.device("cpu"), dtype=torch.float32)
    texts = shared_path("text/tinystories_val_0.8MB.txt").read_text(encoding="utf-8").split("<|endoftext|>")
    corpus = Texts(tuple(text.strip() for text in texts[:25]))
    assert lm.bos_id == 1
    assert lm.tokenizer is not None
    rows = rows_of(stream_of(corpus, Encoding(lm.tokenizer, lm.bos_id, lm.separator_id), 128))
    assert rows == cut_by_hand(
        [
            (token, document.number)
            for document in ordered(corpus, split="all", seed=0, epoch=0)
            for token in [1, *lm.tokenizer.encode(document.text, add_special_tokens=False)]
        ],
        128,
        has_bos=True,
    )
    assert {len(row.tokens) for row in rows[:-1]} == {128}
    assert [text.strip() for text in documents_of(rows, 1, lm.tokenizer)] == list(corpus.texts)
