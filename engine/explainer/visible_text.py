"""Text of a corpus in a prompt: one line each, with marks that the text itself cannot have.

Text is untrusted: a document may hold instructions, other lines of a prompt, or characters that nobody sees. Here it
cannot end its line, and invisible characters are spelled out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

OPEN, CLOSE = "⟦", "⟧"
"""Marks around a token."""
_NAMED = {"\n": "↵", "\t": "⇥", "\r": "␍", OPEN: "[", CLOSE: "]"}
TENTHS = 10


def visible(text: str) -> str:
    """Return text on one line: a newline as `↵`, invisible characters by number, and without marks."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    if (named := _NAMED.get(character)) is not None:
        return named
    category = unicodedata.category(character)
    hidden = category[0] == "C" or category in ("Zl", "Zp")
    return f"⟨U+{ord(character):04X}⟩" if hidden else " " if category == "Zs" else character


def marked_text(tokens: Sequence[bytes], marks: Sequence[str | None]) -> str:
    """Return tokens as one line of text, each one with a mark between brackets, followed by its mark.

    A mark may be empty. A character that is cut by a bracket reads as U+FFFD.
    """
    pieces: list[str] = []
    plain: list[bytes] = []
    for token, mark in zip(tokens, marks, strict=True):
        if mark is None:
            plain.append(token)
            continue
        pieces += [_decoded(plain), OPEN, _decoded([token]), CLOSE, mark]
        plain = []
    return "".join([*pieces, _decoded(plain)])


def _decoded(tokens: Sequence[bytes]) -> str:
    return visible(b"".join(tokens).decode("utf-8", "replace"))


def tenths(act: float, largest: float) -> int:
    """Return an activation as a whole number from 1 to 10, rounded up; 0 for none."""
    if act <= 0 or largest <= 0:
        return 0
    return max(1, min(TENTHS, -int(-TENTHS * act // largest)))
