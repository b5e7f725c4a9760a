"""Small things to run the engine on: texts in memory, a tokenizer of words, subjects made of both and a tiny model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from engine.corpus.documents import Document
from engine.data.contexts import ContextBatch
from engine.data.text_encoder import Encoding
from engine.jobs.subject import Subject
from engine.model.language_model import LanguageModel
from store.settings.subject import SubjectSettings
from tests.engine.tiny_models import VOCAB, tiny

SPECIAL = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
UNK, BOS, EOS = 0, 1, 2
FIRST_WORD = 3
"""Id of the word "w0"."""


@dataclass(frozen=True)
class Texts:
    """A corpus of given texts."""

    texts: tuple[str, ...]
    spec: str = "texts"

    def documents(self) -> Iterator[Document]:
        """Each text as it is, an empty one too."""
        return (Document(number, text) for number, text in enumerate(self.texts))

    def describe(self) -> str:
        """Return the number of texts in words."""
        return f"{len(self.texts)} texts"

    def digest(self) -> str:
        """Return a digest of all texts."""
        return hashlib.sha256("\0".join(self.texts).encode()).hexdigest()


def words(ids: Sequence[int]) -> str:
    """A text that the words tokenizer encodes as FIRST_WORD plus each id."""
    return " ".join(f"w{one}" for one in ids)


def random_texts(count: int, longest: int = 12, seed: int = 0, shortest: int = 1) -> Texts:
    """Texts of random words."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, longest + 1, count)
    return Texts(tuple(words(rng.integers(0, VOCAB - FIRST_WORD, length).tolist()) for length in lengths))


def words_tokenizer(*roles: str) -> PreTrainedTokenizerFast:
    """Words split at white space. Ids 0, 1 and 2 are special; `roles` ("bos", "eos") are those used."""
    vocab = {word: number for number, word in enumerate([*SPECIAL.values(), *(f"w{n}" for n in range(VOCAB - 3))])}
    tokenizer = Tokenizer(WordLevel(vocab, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    given = {f"{role}_token": SPECIAL[f"{role}_token"] for role in ("unk", *roles)}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **given)


def words_encoding(*roles: str) -> Encoding:
    """The tokenizer's encoding as `open_subject` would make it."""
    lm = LanguageModel("words", torch.nn.Module(), words_tokenizer(*roles), torch.device("cpu"))  # type: ignore[arg-type]
    return Encoding(words_tokenizer(*roles), lm.bos_id, lm.separator_id, lm.name)


def subject_of(
    lm: LanguageModel, corpus: Texts, *roles: str, context: int = 16, layer: int = 0, **settings: Any
) -> Subject:
    """A tiny model on texts of words; BOS unless `roles` says otherwise."""
    encoding = words_encoding(*(roles or ("bos",)))
    known = SubjectSettings(model=lm.name, layer=layer, data=corpus.spec, context=context, device="cpu", **settings)
    return Subject(known, lm, corpus, encoding, context)


def tiny_subject(family: str = "llama", documents: int = 60, **settings: Any) -> Subject:
    """A tiny model of a family on random texts."""
    return subject_of(tiny(family), random_texts(documents), **settings)


def flat(batches: Iterator[ContextBatch]) -> list[list[int]]:
    """The contexts of batches without padding."""
    return [row[mask].tolist() for batch in batches for row, mask in zip(batch.tokens_BT, batch.mask_BT, strict=True)]
