"""Offsets that a tokenizer gives, in characters, as bytes of a document's text.

Shapes: N tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from store.index.corpus_text import character_bytes
from store.index.text_spans import DocumentText, TokenSpans

Offsets = list[tuple[int, int]]
"""The half-open range of characters that each token has."""
SPACE_MARKS = ("▁", "Ġ")
"""Tokens that stand for a space; before a text that has none, a tokenizer may add one."""


def spans_of(number: int, text: str, offsets: Offsets, before: int = 0, after: int = 0) -> TokenSpans:
    """Return the bytes of a document's text that its tokens cover.

    Args:
        number: of the document.
        text: the document's.
        offsets: characters of its tokens.
        before: tokens in front of them, which cover nothing.
        after: tokens behind them, which cover nothing.
    """
    first_N, last_N = np.array(offsets, np.int64).reshape(-1, 2).T
    if (byte_C := character_bytes(text)) is not None:
        first_N, last_N = byte_C[first_N], byte_C[last_N]
    having = last_N > first_N
    # A token that covers nothing lies where the text before it ends, so that columns stay small.
    latest = np.maximum.accumulate(np.where(having, np.arange(len(having)), -1))
    here_N = np.where(latest >= 0, last_N[latest], 0)
    first_N, last_N = np.where(having, first_N, here_N), np.where(having, last_N, here_N)
    at_end = last_N[-1] if len(last_N) else 0
    ends = np.zeros(before, np.int64), np.full(after, at_end)
    start_N, end_N = (np.concatenate([ends[0], edge_N, ends[1]]).astype(np.int32) for edge_N in (first_N, last_N))
    return TokenSpans(start_N, end_N, {number: DocumentText.of(text.encode())})


def offsets_in_turns(
    offsets: Offsets, turns: Sequence[tuple[int, int, int]], text: str, contents: Sequence[str]
) -> Offsets:
    """Return offsets in a chat's template as offsets in its messages, laid end to end with a line break between.

    The template's own tokens, and those of a message that it repeats, cover nothing.

    Args:
        offsets: characters of `text`.
        turns: number of a message, and the characters of `text` that it has.
        text: the chat in its template.
        contents: the messages.
    """
    first_N, last_N = np.array(offsets, np.int64).reshape(-1, 2).T
    found = np.zeros((len(offsets), 2), np.int64)
    begins = np.cumsum([0, *(len(content) + 1 for content in contents)])
    seen: set[int] = set()
    for number, start, end in turns:
        trimmed = contents[number].find(text[start:end])
        if trimmed < 0 or number in seen:
            continue
        seen.add(number)
        inside = (first_N < end) & (last_N > start)
        shift = int(begins[number]) + trimmed - start
        found[inside] = np.stack([np.maximum(first_N, start), np.minimum(last_N, end)], 1)[inside] + shift
    return [(int(first), int(last)) for first, last in found]
