"""Text that is safe to print: nothing that moves the cursor, hides, joins or reorders.

Text of corpora, vocabularies and labels is untrusted. The result of `printable` occupies exactly `width` cells, in
terminals that cluster characters and in those that do not.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal

from rich.cells import cell_len

ELLIPSIS = "…"
NEWLINE = "↵"
TAB = "⇥"
RETURN = "␍"
_NAMED = {"\n": NEWLINE, "\t": TAB, "\r": RETURN}
_ALONE = "◌"
"""Carries a combining mark that has no letter before it."""
_MOST_MARKS = 4
"""Combining marks kept per letter: dozens would paint over the lines above and below."""


def printable(text: str) -> str:
    """Return text with invisible or dangerous characters spelled out (`⟨U+200B⟩`), a newline as `↵`, a tab as `⇥`.

    Variation selectors and skin tones after a character are dropped, because terminals disagree on their width;
    letters of flags become full-width letters for the same reason.
    """
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    marks: int | None = None  # on the letter they belong to; None while there is no letter
    for character in text:
        kind, safe = _character(character)
        if kind == "whole":
            marks = 0
        elif marks is None:
            safe = _ALONE + character if kind == "mark" else _named(character)
            marks = 1
        elif kind == "mark":
            safe = character if marks < _MOST_MARKS else ""
            marks += 1
        shown.append(safe)
    return "".join(shown)


_Kind = Literal["whole", "mark", "modifier"]


@lru_cache(maxsize=8192)
def _character(character: str) -> tuple[_Kind, str]:
    """Return a character's kind (on its own, on the letter before, or a change of it) and its printable form."""
    code, category = ord(character), unicodedata.category(character)
    if character in _NAMED:
        return "whole", _NAMED[character]
    if 0xFE00 <= code <= 0xFE0F or 0x1F3FB <= code <= 0x1F3FF or 0xE0100 <= code <= 0xE01EF:
        return "modifier", ""
    if 0x1F1E6 <= code <= 0x1F1FF:
        return "whole", chr(0xFF21 + code - 0x1F1E6)
    if category[0] == "C" or category in ("Zl", "Zp"):
        return "whole", _named(character)
    if category == "Zs":
        return "whole", character if code == 0x3000 else " "
    if cell_len(character) > 0:
        return "whole", character
    return ("mark", character) if category in ("Mn", "Me", "Mc") else ("whole", _named(character))


def _named(character: str) -> str:
    code = ord(character)
    return f"⟨0x{code:02X}⟩" if code < 0x20 or code == 0x7F else f"⟨U+{code:04X}⟩"


def width(text: str) -> int:
    """Return the cells that printable text occupies."""
    return len(text) if text.isascii() else cell_len(text)


def _clusters(text: str) -> Iterator[tuple[str, int]]:
    """Yield each character with its marks, and its cells."""
    cluster, cells = "", 0
    for character in text:
        size = cell_len(character)
        if size and cluster:
            yield cluster, cells
            cluster, cells = "", 0
        cluster, cells = cluster + character, cells + size
    if cluster:
        yield cluster, cells


def head(text: str, cells: int) -> str:
    """Return the start of printable text that fits, without an ellipsis."""
    if text.isascii():
        return text[: max(0, cells)]
    return "".join(_fitting(_clusters(text), cells))


def tail(text: str, cells: int) -> str:
    """Return the end of printable text that fits, without an ellipsis."""
    if text.isascii():
        return text[len(text) - min(len(text), max(0, cells)) :]
    return "".join(reversed(_fitting(reversed(list(_clusters(text))), cells)))


def _fitting(clusters: Iterable[tuple[str, int]], cells: int) -> list[str]:
    """Return the clusters that fit, from the first on."""
    kept: list[str] = []
    for cluster, size in clusters:
        cells -= size
        if cells < 0:
            break
        kept.append(cluster)
    return kept


def cut(text: str, cells: int) -> str:
    """Cut printable text to at most `cells` cells, ending in `…` where something is missing."""
    if width(text) <= cells:
        return text
    return head(text, cells - 1) + ELLIPSIS if cells > 0 else ""


def cut_middle(text: str, cells: int) -> str:
    """Cut printable text to at most `cells` cells; what is missing, `…`, is before its end, which tells names apart."""
    if width(text) <= cells:
        return text
    end = tail(text, max(0, 3 * (cells - 1) // 5))
    return head(text, cells - 1 - width(end)) + ELLIPSIS + end if cells > 0 else ""


def fit(text: str, cells: int, align: Literal["<", ">"] = "<") -> str:
    """Return printable text in exactly `cells` cells: cut, or padded at the side that `align` leaves open."""
    text = cut(text, cells)
    padding = " " * (cells - width(text))
    return text + padding if align == "<" else padding + text
