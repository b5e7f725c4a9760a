"""Which tokens of the indexed corpus match a regular expression: over the text, or over single tokens' strings.

Over the text, a token matches where one of its characters lies in a match (a character that is cut by a token border
belongs to every token that has a byte of it). The expression sees one stretch at a time (see store.index.corpus_text):
a match never reaches over the end of a document or of a context, and `\\A` is where a stretch begins. Python's `re`: no
lookup of time, so a pattern such as `(a+)+$` may take for ever; only Ctrl-C in the main thread stops it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.index.corpus_text import BLOCK, Mask, TextBlock, opening_token, stretch_starts, text_blocks
from store.index.reader import FeatureStore
from store.query.find import Question


class Matches(NamedTuple):
    """Consecutive tokens, those that do not count among them."""

    start: int
    """Place of the first one."""
    matched_N: Mask
    ending_N: Mask
    """Those that hold the last character of a match: where the model has seen all of it."""

    def question(self, store: FeatureStore, name: str, *, last: bool = False) -> Question:
        """To tell the matches of the whole corpus from all other counted tokens.

        With `last`, to tell the tokens that end a match; the other tokens of a match take no part.
        """
        counted_N = store.layout.counted_tokens()
        if last:
            return Question(name, counted_N & (self.ending_N | ~self.matched_N), self.ending_N)
        return Question(name, counted_N, self.matched_N)


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A regular expression in Python's syntax.

    Raises:
        MonosemError: it is none; the message says at which character.
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        where = "" if error.pos is None else f" (character {error.pos + 1})"
        raise MonosemError(
            f"the pattern {pattern!r} is no regular expression: {error.msg}{where}",
            "Put a backslash in front of characters that are meant as they are: . * + ? ( ) [ ] { } | ^ $",
        ) from error
    except (RecursionError, OverflowError) as error:
        raise MonosemError(f"the pattern {pattern[:40]!r} … is too large a regular expression") from error


def whole(blocks: Iterable[Matches]) -> Matches:
    """The blocks of `text_matches` or `token_matches` as one, over all tokens of the corpus."""
    found = [Matches(0, np.empty(0, bool), np.empty(0, bool)), *blocks]
    return Matches(0, np.concatenate([one.matched_N for one in found]), np.concatenate([one.ending_N for one in found]))


def text_matches(store: FeatureStore, pattern: re.Pattern[str], block: int = BLOCK) -> Iterator[Matches]:
    """The tokens that match over the text, block by block, in order and without a gap."""
    opener = opening_token(store, store.layout.counted_tokens())
    for text in text_blocks(store, stretch_starts(store), opener, block):
        first, last = _spans(text, pattern)
        yield Matches(text.start, text.holding(first, last), text.completing(last))


def token_matches(store: FeatureStore, pattern: re.Pattern[str], block: int = BLOCK) -> Iterator[Matches]:
    """The tokens whose own string matches anywhere, block by block; what is no UTF-8 by itself reads as U+FFFD."""
    matching = matching_vocabulary(store, pattern)
    for start in range(0, store.n_tokens, block):
        matched_N = np.isin(store.tokens(start, start + block), matching)
        yield Matches(start, matched_N, matched_N)


def matching_vocabulary(store: FeatureStore, pattern: re.Pattern[str]) -> NDArray[np.int64]:
    """Ids of the vocabulary's tokens whose string matches anywhere."""
    strings = store.vocabulary.strings(range(len(store.vocabulary)))
    return np.array([i for i, text in enumerate(strings) if pattern.search(text)], np.int64)


def _spans(block: TextBlock, pattern: re.Pattern[str]) -> tuple[list[int], list[int]]:
    """First characters of matches, and those behind the last; what matches nothing is left out."""
    first: list[int] = []
    last: list[int] = []
    text, search = block.text, pattern.finditer
    for start, stop in zip(block.first_S, block.last_S, strict=True):
        for found in search(text[start:stop]):
            a, b = found.span()
            if a < b:
                first.append(start + a)
                last.append(start + b)
    return first, last
