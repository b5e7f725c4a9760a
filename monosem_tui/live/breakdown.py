"""Texts that have broken down: they repeat themselves, or the model without clamps finds them far too surprising."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monosem_tui.live.transcript import Transcript
from store.live.model_outputs import perplexity

RECENT = 64
"""Tokens at the end of a text that are judged, so that what was said once is forgotten."""
LONGEST = 8
"""Tokens of the longest stretch whose repetition is looked for."""
TIMES, LEAST = 4, 12
"""A loop: a stretch that is there so often in a row, over at least so many tokens."""
RATIO = 10.0
"""Perplexity of the clamped text, as a multiple of the base text's, from which it counts as broken down."""
JUDGED = 16
"""Least tokens of a perplexity that is judged."""


@dataclass(frozen=True)
class Loop:
    """A stretch of tokens that follows itself again and again."""

    tokens: tuple[int, ...]
    times: int
    """Whole repetitions."""


@dataclass(frozen=True)
class Breakdown:
    """Why a clamped text counts as broken down."""

    loop: Loop | None = None
    base_too: bool = False
    """Whether the text without clamps repeats itself as well, so that no clamp is to blame."""
    perplexity: float = 0.0
    """Perplexity of the last tokens, where they do not repeat themselves."""
    ratio: float = 0.0
    """The same as a multiple of the base text's."""


def loop_of(tokens: Sequence[int]) -> Loop | None:
    """Return the longest loop among the last tokens, as the shortest stretch that makes it; None without one."""
    recent = tuple(tokens[-RECENT:])
    best, found = 0, None
    for size in range(1, LONGEST + 1):
        same = 0
        for at in range(size, len(recent)):
            same = same + 1 if recent[at] == recent[at - size] else 0
            length = same + size
            if length > best and length >= max(TIMES * size, LEAST):
                start = at + 1 - length
                best, found = length, Loop(recent[start : start + size], length // size)
    return found


def broken_down(writing: Transcript) -> Breakdown | None:
    """Return how the clamped text has broken down; None while it has not, or nothing has changed it."""
    if not any(writing.kl[-RECENT:]):
        return None
    loop = loop_of([one.token for one in writing.clamped[-RECENT:]])
    if loop is not None:
        return Breakdown(loop, base_too=loop_of([one.token for one in writing.base[-RECENT:]]) is not None)
    own, base = perplexity(writing.own[-RECENT:]), perplexity([one.logprob for one in writing.base])
    if own is None or base is None or min(len(writing.own), len(writing.base)) < JUDGED or own < RATIO * base:
        return None
    return Breakdown(perplexity=own, ratio=own / base)
