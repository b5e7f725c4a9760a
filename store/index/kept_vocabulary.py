"""vocabulary.h5: the bytes of every token beside a run, with the digest of the tokenizer that they were read from.

Decoding the 262 144 tokens of a Gemma takes as long as reading a small model; reading this file takes milliseconds. It
is a copy of what the tokenizer says: without it, or with another tokenizer, the tokens are decoded again.
"""

from __future__ import annotations

from pathlib import Path

from store.files.array_rules import ArrayRule, Rules, ValueRange, check_shapes
from store.files.errors import MonosemError
from store.files.hdf5_arrays import reading
from store.files.sealed_hdf5 import create_sealed, open_described
from store.index.vocabulary import Vocabulary

KIND = "vocabulary"
_RULES: Rules = {
    "offsets": ArrayRule("i8", "V+1", low=0, end="B+1", order="offsets"),
    "strings": ArrayRule("u1", "B"),
}


def save_vocabulary(path: Path, vocabulary: Vocabulary, tokenizer: str) -> None:
    """Write a vocabulary and the digest of its tokenizer, all or nothing."""
    with create_sealed(path, KIND) as file:
        file.attrs["tokenizer"] = tokenizer
        vocabulary.write(file)


def read_vocabulary(path: Path) -> tuple[Vocabulary, str]:
    """Return a vocabulary and the digest of its tokenizer.

    Raises:
        MonosemError: the file is missing, damaged, of a newer schema or a link out of its folder.
    """
    file, found = open_described(path, KIND)
    with file, reading(path):
        lengths = check_shapes(found, _RULES)
        strings_B, offsets_V = file["strings"][()], file["offsets"][()]
        ValueRange.of("offsets", _RULES["offsets"], lengths).checked(offsets_V, whole=True)
        return Vocabulary(strings_B, offsets_V), str(file.attrs["tokenizer"])


def known_vocabulary(path: Path, tokenizer: str) -> Vocabulary | None:
    """Return the vocabulary that was kept of a tokenizer; None where there is none, or the file is unusable."""
    try:
        vocabulary, kept_of = read_vocabulary(path)
    except MonosemError:
        return None
    return vocabulary if kept_of == tokenizer else None
