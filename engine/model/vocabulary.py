"""The vocabulary of a model, kept beside a run."""

from __future__ import annotations

from pathlib import Path

from engine.model.language_model import LanguageModel
from engine.model.token_bytes import numbered_vocabulary, token_bytes
from store.index.kept_vocabulary import known_vocabulary, save_vocabulary
from store.index.vocabulary import Vocabulary


def vocabulary_of(lm: LanguageModel, path: Path, *, keep: bool = False) -> Vocabulary:
    """Return the bytes of every token, from the file at `path` where that is of the same tokenizer.

    With `keep` the file is written otherwise; the caller then holds the run's lock. Tokens of a model without a
    tokenizer are numbers.
    """
    lm.read_tokenizer()
    if lm.tokenizer is None:
        return Vocabulary.from_tokens(numbered_vocabulary(lm.vocab_size))
    digest = lm.tokenizer_digest
    known = known_vocabulary(path, digest) if digest else None
    if known is not None:
        return known
    found = Vocabulary.from_tokens(token_bytes(lm.tokenizer))
    if keep and digest:
        save_vocabulary(path, found, digest)
    return found
