"""Ways to sort tokens into groups that do not overlap, each group with the predicate that names it.

The best union of groups follows from counts alone, so the search asks for counts, never for masks. Shapes: N tokens,
V vocabulary entries (and one for no token), G groups, P places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.rules.grammar import Predicate
from store.rules.halves import Halves
from store.rules.places import RuleCorpus
from store.rules.token_classes import script_of

Namer = Callable[[Sequence[int]], Predicate]
Sequences = tuple[tuple[str, NDArray[np.int32], Callable[[int], str | int]], ...]


@dataclass(frozen=True)
class Grouping:
    """One way to group tokens; group 0 holds those that it leaves out."""

    name: str
    group_of: NDArray[np.int32]
    """By vocabulary entry [V], or by place [N]."""
    source_N: NDArray[np.int32] | None
    """The entry whose group counts, of each place; None where groups are by place."""
    seen_G: NDArray[np.int64]
    """Counted places of the choosing half in each group."""
    named: Namer
    """The predicate of some groups."""
    length: int = 1
    """Tokens of a group: sequences cost more to read."""

    def at(self, place_P: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the groups of some places."""
        return self.group_of[place_P if self.source_N is None else self.source_N[place_P]]


class Groupings:
    """All groupings of a corpus."""

    def __init__(self, corpus: RuleCorpus, halves: Halves) -> None:
        self._corpus = corpus
        self._choosing = np.flatnonzero(halves.choosing_N)
        classes = corpus.classes
        texts = classes.texts
        self.tokens = np.append(np.arange(1, classes.size + 1), 0).astype(np.int32)
        self.words, self.word_names = _numbered([word if word.strip() else "" for word in classes.words])
        endings = [_numbered([text[-n:] if len(text.strip()) > n else "" for text in texts]) for n in (1, 2, 3)]
        bare = [text.removeprefix(" ") for text in texts]
        starts = [_numbered([text[:n] if len(text) > n else "" for text in bare]) for n in (2, 3, 4)]
        scripts = _numbered([script_of(text) for text in texts])
        self.all: list[Grouping] = [self._of_tokens("token", self.tokens, offset) for offset in (0, -1, 1, -2)]
        self.all += [self._of_texts("word", self.words, self.word_names, offset) for offset in (0, -1, 1)]
        self.all += [self._of_texts("ends", *one, 0) for one in endings]
        self.all += [self._of_texts("starts", *one, 0) for one in starts]
        if len(scripts[1]) > 2:
            self.all += [self._of_texts("script", *scripts, 0)]
        name_of: Sequences = (("ngram", self.tokens, lambda group: classes.name(group - 1)),)
        name_of += (("phrase", self.words, lambda group: self.word_names[group]),)
        for name, group_V, named in name_of:
            self.all += [self._of_sequences(name, group_V, named, length) for length in (2, 3)]

    def _made(
        self, name: str, group: NDArray[np.int32], source_N: NDArray[np.int32] | None, named: Namer, length: int = 1
    ) -> Grouping:
        at = group[self._choosing if source_N is None else source_N[self._choosing]]
        return Grouping(name, group, source_N, np.bincount(at, minlength=int(group.max(initial=0)) + 1), named, length)

    def _of_tokens(self, name: str, group_V: NDArray[np.int32], offset: int) -> Grouping:
        def named(groups: Sequence[int]) -> Predicate:
            return _at(offset, Predicate("token", tuple(self._corpus.classes.name(group - 1) for group in groups)))

        return self._made(name, group_V, self._corpus.shifted(offset), named)

    def _of_texts(self, name: str, group_V: NDArray[np.int32], names: list[str], offset: int) -> Grouping:
        def named(groups: Sequence[int]) -> Predicate:
            return _at(offset, Predicate(name, tuple(names[group] for group in groups)))

        return self._made(name, group_V, self._corpus.shifted(offset), named)

    def _of_sequences(
        self, name: str, group_V: NDArray[np.int32], text_of: Callable[[int], str | int], length: int
    ) -> Grouping:
        base, key_N = int(group_V.max(initial=0)) + 1, np.zeros(self._corpus.n_tokens, np.int64)
        whole_N = np.ones(self._corpus.n_tokens, bool)
        for back in reversed(range(length)):
            digit_N = group_V[self._corpus.shifted(-back)]
            key_N = key_N * base + digit_N
            whole_N &= digit_N > 0
        key_U, group_N = np.unique(np.append(-1, np.where(whole_N, key_N, -1)), return_inverse=True)

        def sequence(key: int) -> tuple[str | int, ...]:
            return tuple(text_of(key // base**power % base) for power in reversed(range(length)))

        def named(groups: Sequence[int]) -> Predicate:
            return Predicate(name, tuple(sequence(int(key_U[group])) for group in groups))

        return self._made(name, group_N.reshape(-1)[1:].astype(np.int32), None, named, length)


def _numbered(texts: Sequence[str]) -> tuple[NDArray[np.int32], list[str]]:
    """Return the number of each text [V+1] and the texts by number; empty ones, and no token, have number 0."""
    usable = [text if "\ufffd" not in text else "" for text in texts]
    names = ["", *sorted({text for text in usable if text})]
    number = {text: i for i, text in enumerate(names)}
    return np.fromiter((number[text] for text in [*usable, ""]), np.int32, len(usable) + 1), names


def _at(offset: int, predicate: Predicate) -> Predicate:
    return Predicate("at", (offset, predicate)) if offset else predicate


def counted(group_P: NDArray[np.int32], size: int) -> NDArray[np.int64]:
    """Count the places of each group."""
    counts: NDArray[Any] = np.bincount(group_P, minlength=size)
    return counts
