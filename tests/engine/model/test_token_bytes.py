"""Bytes of tokens: joined, they are the text again, for every kind of tokenizer."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, GPT2Tokenizer, PreTrainedTokenizerFast

from engine.model.token_bytes import numbered_vocabulary, token_bytes
from store.files.errors import MonosemError
from tests.shared_data import shared_path

LINES = [
    "The sea was blue, and the boat swam in the sea.",
    "Élodie a mangé une pomme à Évian; where there is a there, there is the.",
    "日本の海は青い。日本の海。",
    "fish 🎈 and 👩‍🚀 in the water\n\tdef f(x):\n        return x  # ok",
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def wrapped(tokenizer: Tokenizer, **named: Any) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)


def joined(tokenizer: PreTrainedTokenizerFast, text: str) -> bytes:
    spelt = token_bytes(tokenizer)
    return b"".join(spelt[token] for token in tokenizer.encode(text, add_special_tokens=False))


def byte_level(prefix: bool = False, special: Sequence[str] = ("<|endoftext|>",)) -> Tokenizer:
    """Like GPT-2, LLaMA 3 and Qwen: a pre-tokenizer of two steps, a split, then byte-level."""
    made = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(r"\s+(?!\S)|\S+|\s"), "isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=False)]
    )
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(LINES, trainer)
    return made


def byte_fallback(decoder: decoders.Decoder) -> Tokenizer:
    """As LLaMA 2 and Gemma: pieces with "▁", bytes where no piece is known."""
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trainer = trainers.BpeTrainer(
        vocab_size=120, limit_alphabet=30, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False
    )
    trained.train_from_iterator(LINES[:1], trainer)
    pieces = trained.get_vocab()
    for byte in range(256):
        pieces.setdefault(f"<0x{byte:02X}>", len(pieces))
    made = Tokenizer(models.BPE(pieces, [], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.add_special_tokens(["<unk>", "<s>", "</s>"])
    made.decoder = decoder
    return made


def llama() -> Tokenizer:
    made = byte_fallback(
        decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
    )
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return made


def metaspace() -> Tokenizer:
    made = byte_fallback(decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace("▁", "first", True)]))
    made.pre_tokenizer = pre_tokenizers.Metaspace("▁", "first", split=False)
    return made


BYTE_LEVEL = wrapped(byte_level())
LLAMA = wrapped(llama())
METASPACE = wrapped(metaspace())


@given(TEXT)
def test_byte_level_gives_the_text_back(text: str) -> None:
    spelt = token_bytes(BYTE_LEVEL)
    ids = BYTE_LEVEL.backend_tokenizer.encode(text, add_special_tokens=False).ids
    assert b"".join(spelt[token] for token in ids) == text.encode()


@pytest.mark.parametrize("text", LINES)
def test_byte_level_tokens_may_be_parts_of_characters(text: str) -> None:
    assert joined(BYTE_LEVEL, text) == text.encode()
    spelt = token_bytes(BYTE_LEVEL)
    assert {bytes([byte]) for byte in range(256)} <= set(spelt)
    assert b"the" in spelt or b" the" in spelt


def test_byte_level_with_a_space_put_in_front() -> None:
    assert joined(wrapped(byte_level(prefix=True)), "boat") == b" boat"


def test_special_and_added_tokens_are_their_text() -> None:
    made = byte_level(special=["<|endoftext|>", "<|日本é▁|>"])
    # Runs of spaces as added tokens: Pythia has these.
    made.add_tokens([AddedToken("    ", normalized=False, special=False), AddedToken("é!é", special=False)])
    tokenizer = wrapped(made)
    spelt = token_bytes(tokenizer)
    assert spelt[0] == b"<|endoftext|>" and spelt[1] == "<|日本é▁|>".encode()
    assert spelt[-2:] == [b"    ", "é!é".encode()]
    text = "a    b<|日本é▁|>é!é c"
    assert joined(tokenizer, text) == text.encode()


@pytest.mark.parametrize("tokenizer", [LLAMA, METASPACE])
@pytest.mark.parametrize("text", LINES)
def test_marked_spaces_and_byte_tokens(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    spelt = token_bytes(tokenizer)
    vocabulary = tokenizer.get_vocab()
    assert joined(tokenizer, text) == b" " + text.encode()
    assert spelt[vocabulary["<0x0A>"]] == b"\n"
    assert spelt[vocabulary["<0xE6>"]] == b"\xe6"
    assert spelt[vocabulary["<s>"]] == b"<s>"


@given(TEXT.filter(lambda text: "▁" not in text and text.strip()))
def test_byte_fallback_gives_any_text_back(text: str) -> None:
    spelt = token_bytes(LLAMA)
    ids = LLAMA.backend_tokenizer.encode(text, add_special_tokens=False).ids
    assert b"".join(spelt[token] for token in ids) == b" " + text.encode()


def test_marked_spaces_in_added_tokens() -> None:
    made = llama()
    # Gemma's: pieces of the model, listed as added tokens too; and a special token whose text holds the mark.
    made.add_tokens([AddedToken("▁▁▁", normalized=False, special=False)])
    made.add_special_tokens([AddedToken("<begin▁here>", normalized=False)])
    assert token_bytes(wrapped(made))[-2:] == [b"   ", "<begin▁here>".encode()]


def test_unigram() -> None:
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=90, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False)
    made.train_from_iterator(LINES[:3], trainer)
    tokenizer = wrapped(made)
    for line in LINES[:3]:
        assert joined(tokenizer, line) == b" " + line.encode()
    assert token_bytes(tokenizer)[0] == b"<unk>"


def test_wordpiece() -> None:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece("##")
    special = ["[UNK]", "[CLS]", "##literal"]
    trainer = trainers.WordPieceTrainer(vocab_size=90, special_tokens=special, show_progress=False)
    made.train_from_iterator(LINES, trainer)
    tokenizer = wrapped(made)
    assert joined(tokenizer, "The sea, in there") == b" the sea , in there"
    assert joined(tokenizer, "Élodie 日本") == " elodie 日 本".encode()
    assert token_bytes(tokenizer)[:3] == [b"[UNK]", b"[CLS]", b"##literal"]


def test_words() -> None:
    vocabulary = {"[UNK]": 0, "the": 1, "sea": 2, ",": 3, "日本": 4}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(["[UNK]"])
    assert token_bytes(wrapped(made)) == [b"[UNK]", b" the", b" sea", b" ,", " 日本".encode()]


def test_characters_keep_their_white_space() -> None:
    letters = [*string.ascii_lowercase, " ", "\n", "é"]
    made = Tokenizer(models.WordLevel({letter: at for at, letter in enumerate(letters)}, unk_token="z"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    assert joined(wrapped(made), "the sea é") == "the sea é".encode()


def test_marks_at_the_end_of_words() -> None:
    made = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.decoder = decoders.BPEDecoder("</w>")
    made.train_from_iterator(
        LINES[:1], trainers.BpeTrainer(vocab_size=60, end_of_word_suffix="</w>", show_progress=False)
    )
    assert joined(wrapped(made), "the sea in the boat") == b"the sea in the boat "


def test_ids_without_a_token_show_their_number() -> None:
    made = Tokenizer(models.WordLevel({"a": 0, "b": 3}, unk_token="a"))
    assert token_bytes(wrapped(made)) == [b"a", b"<1>", b"<2>", b"b"]
    assert numbered_vocabulary(3) == [b"<0>", b"<1>", b"<2>"]


def test_a_tokenizer_that_counts_more_ids_than_it_names() -> None:
    class Padded(PreTrainedTokenizerFast):
        def __len__(self) -> int:
            return 3

    made = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    assert token_bytes(Padded(tokenizer_object=made)) == [b"a", b"<1>", b"<2>"]


def test_byte_level_tokens_outside_the_alphabet_are_their_text() -> None:
    made = Tokenizer(models.BPE({"Ġé": 0, "é 日": 1}, []))
    made.decoder = decoders.ByteLevel()
    assert token_bytes(wrapped(made)) == [b" \xe9", "é 日".encode()]


def test_a_tokenizer_of_another_make_is_refused() -> None:
    class Other:
        def __len__(self) -> int:
            return 3

    with pytest.raises(MonosemError, match="Other does not define the bytes"):
        token_bytes(Other())  # type: ignore[arg-type]


STORY = 'Once upon a time, there was a girl named Élodie.\n"Hi 🎈", she said.  日本'


def test_stories260k() -> None:
    tokenizer = AutoTokenizer.from_pretrained(str(shared_path("models/stories260K")))
    assert joined(tokenizer, STORY) == b" " + STORY.encode()
    assert len(token_bytes(tokenizer)) == 512


@settings(max_examples=20)
@given(text=TEXT)
def test_gpt2(text: str) -> None:
    folder = shared_path("tokenizers/gpt2")
    tokenizer, spelt = _gpt2(str(folder))
    for one in (text, STORY, *LINES):
        ids = tokenizer.encode(one, add_special_tokens=False)
        assert b"".join(spelt[token] for token in ids) == one.encode()
    assert spelt[50256] == b"<|endoftext|>" and spelt[262] == b" the" and len(spelt) == 50257


_LOADED: dict[str, tuple[GPT2Tokenizer, list[bytes]]] = {}


def _gpt2(folder: str) -> tuple[GPT2Tokenizer, list[bytes]]:
    if folder not in _LOADED:
        tokenizer = GPT2Tokenizer.from_pretrained(folder)
        _LOADED[folder] = tokenizer, token_bytes(tokenizer)
    return _LOADED[folder]
