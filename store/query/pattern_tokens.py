"""Tokens of the indexed corpus that match a regular expression: over the text, or over single tokens' strings.

Over the text, a token matches if one of its characters is in a match (a character that spans tokens belongs to each of
them). The expression sees one stretch at a time (see store.index.corpus_text): a match never crosses the end of a
document or context, and `\\A` matches where a stretch begins. Python's `re` has no time limit: a pattern such as
`(a+)+$` may take for ever, and only Ctrl-C in the main thread stops it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.index.corpus_text import BLOCK, Mask, TextBlock, opening_token, stretch_starts, text_blocks
from store.index.reader import FeatureStore
from store.index.regular_expression import compile_pattern
from store.query.find import Question

__all__ = ["Matches", "compile_pattern", "matching_vocabulary", "text_matches", "token_matches", "whole"]


class Matches(NamedTuple):
    """Matches among consecutive tokens, those that do not count included."""

    start: int
    """Corpus place of the first token."""
    matched_N: Mask
    ending_N: Mask
    """Tokens with the last character of a match: there the model has seen all of it."""

    def question(self, store: FeatureStore, name: str, *, last: bool = False, ordinary: bool = False) -> Question:
        """Return the question that has the matches as positives among all counted tokens.

        With `last`, the positives are the tokens that end a match; other tokens of a match are not scored. With
        `ordinary`, outliers are not scored.
        """
        counted_N = store.layout.counted_tokens(ordinary=ordinary)
        if last:
            return Question(name, counted_N & (self.ending_N | ~self.matched_N), self.ending_N)
        return Question(name, counted_N, self.matched_N)


def whole(blocks: Iterable[Matches]) -> Matches:
    """Join the blocks of `text_matches` or `token_matches` into one, over all tokens of the corpus."""
    found = [Matches(0, np.empty(0, bool), np.empty(0, bool)), *blocks]
    return Matches(0, np.concatenate([one.matched_N for one in found]), np.concatenate([one.ending_N for one in found]))


def text_matches(store: FeatureStore, pattern: re.Pattern[str], block: int = BLOCK) -> Iterator[Matches]:
    """Yield the tokens that match over the text, in consecutive blocks."""
    for (found,) in matches_of_several(store, [pattern], block):
        yield found


def matches_of_several(
    store: FeatureStore, patterns: Sequence[re.Pattern[str]], block: int = BLOCK
) -> Iterator[list[Matches]]:
    """Yield the tokens that match each of some expressions, in consecutive blocks of a text that is read once."""
    opener = opening_token(store, store.layout.counted_tokens())
    for text in text_blocks(store, stretch_starts(store), opener, block):
        spans = [_spans(text, pattern) for pattern in patterns]
        yield [Matches(text.start, text.holding(first, last), text.completing(last)) for first, last in spans]


def token_matches(store: FeatureStore, pattern: re.Pattern[str], block: int = BLOCK) -> Iterator[Matches]:
    """Yield the tokens whose own string matches anywhere, in blocks; bytes that are not UTF-8 read as U+FFFD."""
    matching = matching_vocabulary(store, pattern)
    for start in range(0, store.n_tokens, block):
        matched_N = np.isin(store.tokens(start, start + block), matching)
        yield Matches(start, matched_N, matched_N)


def matching_vocabulary(store: FeatureStore, pattern: re.Pattern[str]) -> NDArray[np.int64]:
    """Return the ids of the vocabulary whose string matches anywhere."""
    strings = store.vocabulary.strings(range(len(store.vocabulary)))
    return np.array([i for i, text in enumerate(strings) if pattern.search(text)], np.int64)


def _spans(block: TextBlock, pattern: re.Pattern[str]) -> tuple[list[int], list[int]]:
    """Return the first characters and the ends (exclusive) of matches; empty matches are left out."""
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
