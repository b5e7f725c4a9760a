"""Bytes that tokens cover, for tokenizers that keep a text and for such as change it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from engine.corpus.conversations import TokenIds
from engine.corpus.documents import Document
from engine.data.contexts import ContextSettings, ContextStream
from engine.data.text_encoder import Encoding
from engine.data.token_offsets import offsets_in_turns
from store.index.text_spans import DocumentText, TokenSpans
from tests.engine.small import Texts, random_texts, words_encoding

BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())


def byte_level(*, trimmed: bool = False, spaced: bool = False) -> Tokenizer:
    """A token per byte."""
    made = Tokenizer(models.BPE(vocab={byte: number for number, byte in enumerate(BYTES)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=spaced)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.ByteLevel(trim_offsets=trimmed)
    return made


def word_piece() -> Tokenizer:
    """Lower-cases, drops accents and spaces, and knows four words."""
    vocab = {"[UNK]": 0, "the": 1, "ete": 2, "c": 3, "##at": 4}
    made = Tokenizer(models.WordPiece(vocab=vocab, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return made


def marked_spaces() -> Tokenizer:
    """Marks spaces by ▁, puts one before the text, and spells what it does not know in bytes."""
    vocab = {"▁": 0, "a": 1, "▁a": 2, **{f"<0x{byte:02X}>": 3 + byte for byte in range(256)}}
    made = Tokenizer(models.BPE(vocab=vocab, merges=[("▁", "a")], byte_fallback=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return made


def spans_of(made: Tokenizer, text: str, **special: str) -> tuple[list[bytes], TokenSpans]:
    """The bytes of the text that each token covers, and the spans."""
    fast = PreTrainedTokenizerFast(tokenizer_object=made, **special)
    encoding = Encoding(fast, None, None)
    (found,) = encoding.documents([Document(3, text)], located=True)
    assert found.ids == encoding.documents([Document(3, text)])[0].ids
    assert found.spans is not None
    assert found.spans.texts == {3: DocumentText.of(text.encode())}
    raw = text.encode()
    pairs = zip(found.spans.start_N.tolist(), found.spans.end_N.tolist(), strict=True)
    return [raw[start:end] for start, end in pairs], found.spans


@pytest.mark.parametrize("trimmed", [True, False])
def test_pieces_of_a_character_cover_all_of_it(trimmed: bool) -> None:
    covered, _ = spans_of(byte_level(trimmed=trimmed), "a é\n☃")
    assert covered == [b"a", b" ", "é".encode(), "é".encode(), b"\n", *["☃".encode()] * 3]


def test_a_space_put_before_the_text_covers_nothing() -> None:
    covered, _ = spans_of(byte_level(spaced=True), "\nb")
    assert covered == [b"", b"\n", b"b"]
    assert spans_of(marked_spaces(), "aé a")[0] == [b"a", "é".encode(), "é".encode(), b" a"]
    assert spans_of(marked_spaces(), "é a")[0] == [b"", "é".encode(), "é".encode(), b" a"]


def test_a_tokenizer_that_changes_the_text_covers_what_it_read() -> None:
    covered, spans = spans_of(word_piece(), "The  ÉTÉ e\u0301te\u0301 cat zz")
    assert covered == [b"The", "ÉTÉ".encode(), "e\u0301te".encode(), b"c", b"at", b"zz"]
    assert (spans.start_N[1:] >= spans.end_N[:-1]).all()


def test_what_begins_or_ends_a_document_covers_nothing() -> None:
    for roles in (("bos",), ("eos",)):
        (found,) = words_encoding(*roles).documents([Document(0, "w1 w22")], located=True)
        assert found.spans is not None
        lengths = (found.spans.end_N - found.spans.start_N).tolist()
        assert lengths == ([0, 2, 3] if roles == ("bos",) else [2, 3, 0])


def test_messages_of_a_chat_are_its_text() -> None:
    contents = ["hello", " b "]
    template = "<u>hello</u><a>b</a><u>hello</u>"
    turns = [(0, 3, 8), (1, 15, 16), (0, 23, 28)]
    offsets = [(0, 3), (3, 6), (6, 9), (12, 16), (16, 20), (20, 28)]
    found = offsets_in_turns(offsets, turns, template, contents)
    joined = "\n".join(contents)
    assert [joined[start:end] for start, end in found] == ["", "hel", "lo", "b", "", ""]


def test_given_ids_cover_nothing_and_have_no_text() -> None:
    (found,) = words_encoding("bos").documents([Document(0, "3 4", ids=TokenIds((3, 4)))], located=True)
    assert found.spans is not None
    assert not found.spans.texts
    assert (found.spans.end_N == 0).all()


@pytest.mark.parametrize("packing", ["packed", "documents"])
@pytest.mark.parametrize("role", ["bos", "eos"])
def test_contexts_keep_the_spans_of_their_tokens(packing: Any, role: str) -> None:
    corpus: Texts = random_texts(40, longest=30)
    stream = ContextStream(corpus, words_encoding(role), ContextSettings(7, packing, located=True))
    seen: dict[int, list[tuple[int, int]]] = {}
    for batch in stream.batches(3):
        for row, spans in enumerate(batch.spans_B):
            n = int(batch.mask_BT[row].sum())
            assert len(spans.start_N) == n
            for start, end, number in zip(spans.start_N, spans.end_N, batch.document_BT[row, :n], strict=True):
                assert spans.texts[int(number)] == DocumentText.of(corpus.texts[int(number)].encode())
                if end > start:
                    seen.setdefault(int(number), []).append((int(start), int(end)))
    for number, text in enumerate(corpus.texts):
        pieces = [text[start:end] for start, end in sorted(seen[number])]
        assert pieces == text.split()


def test_training_streams_have_no_spans() -> None:
    stream = ContextStream(random_texts(5), words_encoding("bos"), ContextSettings(7))
    assert all(batch.spans_B == () for batch in stream.batches(3))
    assert np.array_equal(TokenSpans.nothing(2).end_N, [0, 0])
