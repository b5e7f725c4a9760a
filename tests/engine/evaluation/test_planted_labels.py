"""From spans to the concepts of tokens: by hand on a BPE tokenizer, and by counting characters in a stream."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from engine.corpus.planted.generator import ConceptSpan, PlantedCorpus
from engine.corpus.reading_order import Split
from engine.data.contexts import ContextSettings, ContextStream
from engine.data.text_encoder import Encoding
from engine.evaluation.planted_labels import Labeller, token_concepts, token_words
from engine.lm.tokenizer import train_tokenizer
from engine.model.token_bytes import token_bytes
from tests.engine.small import Texts


def bpe(*merges: tuple[str, str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE with these merges and no others."""
    tokens = [*pre_tokenizers.ByteLevel.alphabet(), *("".join(merge) for merge in merges)]
    model = BPE({token: number for number, token in enumerate(sorted(tokens, key=tokens.index))}, list(merges))
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def test_tokens_by_hand() -> None:
    """`a "red é" x` with merges for " \\"", "red", " red" and " x": the tokens are a| "|red| |Ã|©|"| x."""
    encoding = Encoding(bpe(("Ġ", '"'), ("r", "e"), ("re", "d"), ("Ġ", "x")), None, None)
    text = 'a "red é" x'
    ids = encoding.encode([text])[0]
    pieces = [token_bytes(encoding.tokenizer)[token] for token in ids]
    assert pieces == [b"a", b' "', b"red", b" ", b"\xc3", b"\xa9", b'"', b" x"]
    quotation, word, whole, accent, space = 0, 1, 2, 3, 4
    spans = [
        ConceptSpan(quotation, 2, 7),  # "red é without the closing mark
        ConceptSpan(word, 4, 5),  # the e of red
        ConceptSpan(whole, 0, len(text)),
        ConceptSpan(accent, 7, 8),  # é, of two tokens
        ConceptSpan(space, 9, 10),  # the space in front of x
        ConceptSpan(word, 3, 5),  # overlaps another span of its concept
    ]
    assert token_concepts(encoding.located(text)[1], spans) == [
        (whole,),
        (quotation, whole),
        (quotation, word, whole),
        (quotation, whole),
        (whole, accent),
        (whole, accent),
        (whole,),
        (whole, space),
    ]


def test_a_span_touching_a_token_from_outside_is_not_in_it() -> None:
    assert token_concepts([(0, 2), (2, 4), (4, 4)], [ConceptSpan(0, 2, 4)]) == [(), (0,), ()]


@pytest.fixture(scope="module")
def encoding() -> Encoding:
    tokenizer = train_tokenizer(islice(PlantedCorpus(200).documents(), 200), 400, 32)
    return Encoding(tokenizer, 0, 0)


@pytest.mark.parametrize(("split", "opened"), [("heldout", True), ("train", False)], ids=["bos", "closed"])
def test_packed_contexts_by_counting_characters(encoding: Encoding, split: Split, opened: bool) -> None:
    """Documents go over the ends of contexts; the corpus is ASCII, so bytes of tokens are characters."""
    if not opened:
        encoding = Encoding(encoding.tokenizer, None, 0)
    corpus = PlantedCorpus(200)
    pieces = token_bytes(encoding.tokenizer)
    stream = ContextStream(corpus, encoding, ContextSettings(context=32, split=split, seed=3))
    labeller = Labeller(corpus, encoding)
    at: dict[int, int] = {}
    n = several = 0
    for batch in stream.batches(7):
        labels = iter([one.concepts for one in labeller.label(batch)])
        for place in np.argwhere(batch.mask_BT):
            token, number = int(batch.tokens_BT[tuple(place)]), int(batch.document_BT[tuple(place)])
            start = at.get(number, 0)
            end = start if token == 0 else start + len(pieces[token])
            at[number] = end
            if not batch.counted_BT[tuple(place)]:
                continue
            wanted = {span.concept for span in corpus.spans(number) if span.start < end and start < span.end}
            assert set(next(labels)) == (wanted if end > start else set())
            n += 1
            several += len(wanted) > 2
        assert next(labels, None) is None
        if n > 8000:
            break
    assert n > 1000
    assert several > 100


def test_another_text_is_refused(encoding: Encoding) -> None:
    stream = ContextStream(Texts(("something else",)), encoding, ContextSettings(context=32))
    with pytest.raises(ValueError, match="not the planted corpus"):
        Labeller(PlantedCorpus(20), encoding).label(next(stream.batches(1)))


def test_a_word_belongs_to_the_token_of_its_last_character() -> None:
    words = [("red", 1), ("fox", 5), ("a", 9)]
    offsets = [(0, 2), (2, 4), (4, 8), (8, 8), (8, 10), (10, 11)]
    assert token_words(offsets, words) == ["", "red", "fox", "", "a", ""]
    assert token_words([(0, 11)], words) == ["a"]


def test_words_of_packed_contexts_are_those_of_the_documents(encoding: Encoding) -> None:
    corpus = PlantedCorpus(200)
    stream = ContextStream(corpus, encoding, ContextSettings(context=32, split="heldout"))
    labeller, found, documents = Labeller(corpus, encoding), [], set()
    for batch in stream.batches(4):
        found += [one.word for one in labeller.label(batch) if one.word]
        documents |= set(batch.document_BT[batch.mask_BT].tolist())
    wanted = sorted(word for number in documents for word, _ in corpus.words(number))
    assert len(found) > 100
    assert sorted(found) == wanted
