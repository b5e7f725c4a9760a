"""An index of the words of many short texts: which entries hold a typed word, or letters of it, and how well.

Textual's fuzzy matcher tries every way to place the typed letters in every text, which takes exponential time on texts
such as `aaaa…`, and texts here are untrusted. This one looks each typed word up among the distinct words.

Shapes: W distinct words, P postings (a word of a field of an entry), E entries.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monosem_tui.model.word_match import (
    BEGINNING,
    INSIDE,
    LETTERS,
    SLIP,
    WHOLE,
    kept_half,
    may_slip,
    slips,
    with_beginning,
)

FIELD, SLIPPED, SCATTERED, NONE = 10, 500, 1000, 30_000
"""Cost of each rank of a field, of a match with a slip, of one by scattered letters, and the mark of no match."""
LEAST_LETTERS = 3
"""Letters from which scattered ones match: fewer would match nearly everything."""
SLICE = 8192
"""Words looked at before the search asks whether it is still wanted."""
LONGEST = 2_000
"""Characters of a text that are read."""
_WORDS = re.compile(r"#?\w+|[^\w\s]+?(?=#\w|\w|\s|$)")


class IndexedText(NamedTuple):
    """A text of an entry."""

    entry: int
    field: int
    """Rank of its field: 0 is the best to match."""
    text: str


class Superseded(Exception):
    """A search was given up for a newer one."""


def words_of(text: str) -> list[str]:
    """Return the words of a text, and its runs of other signs, whatever the case."""
    return _WORDS.findall(text[:LONGEST].casefold())


class WordIndex:
    """The distinct words of some texts, and the entries that hold each.

    Args:
        texts: in ascending order of their entries.
        n_entries: entries are 0 to n_entries - 1.
        wanted: asked now and then whether the work is still wanted.
    """

    def __init__(self, texts: Iterable[IndexedText], n_entries: int, wanted: Callable[[], bool] = lambda: True) -> None:
        known: dict[str, int] = {}
        word, entry, field = array("i"), array("i"), array("h")
        for number, text in enumerate(texts):
            if number % SLICE == 0 and not wanted():
                raise Superseded
            for one in set(words_of(text.text)):
                word.append(known.setdefault(one, len(known)))
                entry.append(text.entry)
                field.append(text.field)
        self.n_entries = n_entries
        self.words = sorted(known)
        """Distinct words, ascending."""
        place_W = np.zeros(len(known), np.int32)
        place_W[[known[one] for one in self.words]] = np.arange(len(known))
        self._word_P = place_W[np.frombuffer(word, np.int32)] if len(word) else np.empty(0, np.int32)
        entry_P = np.frombuffer(entry, np.int32) if len(entry) else np.empty(0, np.int32)
        self._field_P = FIELD * np.frombuffer(field, np.int16) if len(field) else np.empty(0, np.int16)
        self._first_E = np.flatnonzero(np.diff(entry_P, prepend=-1))
        self._entry_E = entry_P[self._first_E]

    def costs(self, part: str, wanted: Callable[[], bool] = lambda: True) -> NDArray[np.int16]:
        """Return how badly each entry matches a typed word [E], `NONE` where it does not.

        Raises:
            Superseded: the search is not wanted any more.
        """
        cost_E = np.full(self.n_entries, NONE, np.int16)
        if not len(self._word_P):
            return cost_E
        quality_W = self._qualities(part, wanted)
        quality_P = quality_W[self._word_P]
        cost_P = np.where(quality_P < NONE, quality_P + self._field_P, NONE).astype(np.int16)
        cost_E[self._entry_E] = np.minimum.reduceat(cost_P, self._first_E)
        return cost_E

    def _qualities(self, part: str, wanted: Callable[[], bool]) -> NDArray[np.int16]:
        """Return how badly each distinct word matches [W]."""
        words, quality_W = self.words, np.full(len(self.words), NONE, np.int16)
        if len(part) >= LEAST_LETTERS:
            # What is passed over cannot hold the letter that is looked for, so there is one way to match.
            steps = [f"[^{re.escape(letter)}]*{re.escape(letter)}" for letter in part[1:]]
            scattered = re.compile(re.escape(part[0]) + "".join(steps))
            begun = with_beginning(words, part[0])
            for start in range(0, len(begun), SLICE):
                self._go_on(wanted)
                quality_W[[n for n in begun[start : start + SLICE] if scattered.match(words[n])]] = SCATTERED + LETTERS
        slipping = may_slip(part)
        held = kept_half(part) if slipping else part
        holding: list[int] = []
        for start in range(0, len(words), SLICE):
            self._go_on(wanted)
            holding += [n for n, word in enumerate(words[start : start + SLICE], start) if held in word]
        if slipping:
            quality_W[slips(words, part, holding)] = SLIPPED + SLIP
            holding = [n for n in holding if part in words[n]]
        quality_W[holding] = INSIDE
        begun = with_beginning(words, part)
        quality_W[begun.start : begun.stop] = BEGINNING
        if begun and words[begun.start] == part:
            quality_W[begun.start] = WHOLE
        return quality_W

    @staticmethod
    def _go_on(wanted: Callable[[], bool]) -> None:
        if not wanted():
            raise Superseded
