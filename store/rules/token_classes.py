"""Classes of vocabulary entries: by text, by the kinds of their characters, by script.

Shapes: V vocabulary entries.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from store.index.regular_expression import compile_pattern
from store.index.vocabulary import Vocabulary
from store.rules.grammar import BadRule, Predicate
from store.rules.packed_masks import Mask, PackedMasks

Text = TypeVar("Text", str, bytes)
KEPT_BYTES = 64 << 20
"""Bytes of masks of vocabulary entries that are kept."""


class TokenClasses:
    """The vocabulary's texts, and which of its entries in the corpus predicates of single tokens hold for."""

    def __init__(self, vocabulary: Vocabulary, token_N: NDArray[np.int32]) -> None:
        self._vocabulary = vocabulary
        self.size = max(len(vocabulary), int(token_N.max(initial=-1)) + 1)
        """Vocabulary entries, those that only the corpus has included."""
        self._used_V = np.bincount(token_N, minlength=self.size) > 0
        self._masks = PackedMasks(self.size, KEPT_BYTES)

    @cached_property
    def _used(self) -> list[int]:
        return np.flatnonzero(self._used_V).tolist()

    @cached_property
    def texts(self) -> list[str]:
        """The text of every entry; bytes that are not UTF-8 by themselves as U+FFFD."""
        return self._vocabulary.strings(range(self.size))

    @cached_property
    def words(self) -> list[str]:
        """The text of every entry in lower case, without spaces around it."""
        return [text.strip(" ").casefold() for text in self.texts]

    @cached_property
    def _raw(self) -> list[bytes]:
        return self._vocabulary.tokens(range(self.size))

    def name(self, token: int) -> str | int:
        """Return how a rule names an entry: its text, or its id where another in the corpus has the same text."""
        text = self.texts[token]
        if not text or self._raw[token] != text.encode():
            return token
        return token if any(self._used_V[other] for other in self.ids(text) if other != token) else text

    @cached_property
    def _by_bytes(self) -> dict[bytes, list[int]]:
        return _places(self._raw)

    @cached_property
    def _by_word(self) -> dict[str, list[int]]:
        return _places(self.words)

    def ids(self, name: str | int) -> list[int]:
        """Return the entries that a name of a rule stands for.

        Raises:
            BadRule: there is none.
        """
        if isinstance(name, int):
            found = [name] if name < self.size else []
        else:
            found = self._by_bytes.get(name.encode(), [])
        if not found:
            raise BadRule(
                f"no token of the vocabulary is {name!r}", 'token(" sea") has its space; word("sea") needs none.'
            )
        return found

    def mask(self, predicate: Predicate) -> Mask:
        """Return which entries that occur in the corpus a predicate of single tokens holds for: [V].

        Raises:
            BadRule: it names a token that does not exist, or its pattern is not a regular expression.
        """
        mask = self._masks.get(predicate)
        if mask is None:
            mask = self._mask(predicate)
            self._masks.put(predicate, mask)
        return mask

    def _mask(self, predicate: Predicate) -> Mask:
        name, texts = predicate.name, [str(text) for text in predicate.texts]
        if name == "token":
            return self._of(self.ids(one) for one in predicate.texts)
        if name == "word":
            return self._of(self._by_word.get(text.strip(" ").casefold(), []) for text in texts)
        if name == "starts":
            return self._where(self.texts, lambda text: text.removeprefix(" ").startswith(tuple(texts)))
        if name == "ends":
            return self._where(self.texts, lambda text: text.endswith(tuple(texts)))
        if name == "match":
            pattern = compile_pattern(texts[0])
            return self._where(self.texts, lambda text: pattern.search(text) is not None)
        if name == "script":
            return self._where(self.texts, lambda text: script_of(text) in texts)
        return self._where(self.texts, SHAPES[name])

    def _of(self, ids: Iterable[list[int]]) -> Mask:
        mask = np.zeros(self.size, bool)
        for some in ids:
            mask[some] = True
        return mask

    def _where(self, texts: Sequence[str], holds: Callable[[str], bool]) -> Mask:
        """Return which entries of the corpus have such a text: of a large vocabulary most never occur."""
        mask = np.zeros(self.size, bool)
        mask[self._used] = np.fromiter((holds(texts[i]) for i in self._used), bool, len(self._used))
        return mask


def _places(texts: Sequence[Text]) -> dict[Text, list[int]]:
    """Return the places of each text, ascending."""
    found: dict[Text, list[int]] = {}
    for i, text in enumerate(texts):
        found.setdefault(text, []).append(i)
    return found


def script_of(text: str) -> str:
    """Return the script of the first letter of a text, as Unicode's names of letters say; empty without letters."""
    letter = next((one for one in text if one.isalpha()), "")
    word = unicodedata.name(letter, "").partition(" ")[0] if letter else ""
    return "Han" if word == "CJK" else word.capitalize()


def _letters(text: str) -> str:
    return "".join(one for one in text if one.isalpha())


def _is_capital(text: str) -> bool:
    return _letters(text)[:1].isupper()


def _is_capitals(text: str) -> bool:
    letters = _letters(text)
    return len(letters) > 1 and letters.isupper()


def _is_punctuation(text: str) -> bool:
    bare = text.strip()
    return bool(bare) and "\ufffd" not in bare and not any(one.isalnum() for one in bare)


SHAPES: dict[str, Callable[[str], bool]] = {
    "digits": lambda text: any(one.isdigit() for one in text) and not any(one.isalpha() for one in text),
    "capital": _is_capital,
    "capitals": _is_capitals,
    "punctuation": _is_punctuation,
    "space": lambda text: bool(text) and text.isspace(),
    "newline": lambda text: "\n" in text,
    "spaced": lambda text: text.startswith(" ") and not text.isspace(),
}
"""Predicates of the characters of a token."""
