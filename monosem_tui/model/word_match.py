"""Kinds of match between a typed word and a known one; and slips: a letter wrong, missing, too many, or two swapped.

A slip leaves one half of the typed word as it is, or swaps the letters where its halves meet: only words with one
of the halves in its place are compared, each in time linear in its length.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

WHOLE, BEGINNING, INSIDE, SLIP, LETTERS = range(5)
"""Kinds of match, best first: a whole word, the start of one, a part of one, one with a slip, its letters in order."""
LEAST = 4
"""Letters from which a word may have a slip in it: shorter ones are near too many others."""
LAST = "\U0010ffff"


def may_slip(typed: str) -> bool:
    """Return whether a typed word may have a slip in it: numbers, signs and #tags are meant as they are."""
    return len(typed) >= LEAST and typed.isalpha()


def is_slip(typed: str, word: str) -> bool:
    """Return whether one slip makes `typed` of `word`, or of a beginning of it that reaches beyond the slip.

    Example:
        >>> [is_slip("elehp", word) for word in ("elephant", "eleven")]
        [True, False]
    """
    at = next((n for n, (a, b) in enumerate(zip(typed, word, strict=False)) if a != b), min(len(typed), len(word)))
    if at == len(word):
        return len(typed) == len(word) + 1  # the last letter is one too many
    if at >= len(typed) - 1 and len(word) > len(typed):
        # Too little is typed behind the slip to say that the word is meant, but for one that ends with it.
        return word[at + 1 :] == typed[at:] != ""
    rest, meant = typed[at:], word[at:]
    if at == len(typed) - 1 == len(word) - 1:
        return True  # the last letter is wrong
    if at == len(typed):
        return False  # the beginning of the word, without a slip
    swapped = len(meant) > 1 and rest[:2] == meant[1::-1] and meant[2:].startswith(rest[2:])
    return swapped or any(
        end and wanted.startswith(end) for end, wanted in ((rest[1:], meant[1:]), (rest, meant[1:]), (rest[1:], meant))
    )


def with_beginning(words: Sequence[str], start: str) -> range:
    """Return the places of the words that begin with `start`, among ascending ones."""
    return range(bisect_left(words, start), bisect_left(words, start + LAST))


def kept_half(typed: str) -> str:
    """Return the second half of a typed word, which a slip in its first half leaves as it is."""
    return typed[len(typed) // 2 :]


def slips(words: Sequence[str], typed: str, holding: Iterable[int]) -> list[int]:
    """Return the places of the words that one slip makes `typed` of.

    Args:
        words: distinct, ascending.
        typed: a word that may have a slip in it.
        holding: places of the words that hold its second half.
    """
    half = len(typed) // 2
    swapped = typed[: half - 1] + typed[half] + typed[half - 1]
    near = {*holding, *with_beginning(words, typed[:half]), *with_beginning(words, swapped)}
    return [n for n in near if is_slip(typed, words[n])]
