"""Token bytes as text: a token of a byte-level tokenizer may end in the middle of a character."""

from __future__ import annotations

import re
from collections.abc import Sequence

from monosem_tui.draw.safe_text import ELLIPSIS, cut, printable

PART = "‥"
"""Stands for bytes of a character that a later token completes."""
EMPTY = "⟨⟩"
SPACE = "·"
LONGEST = 40
"""Cells at which a token is cut: in some vocabularies a whole line of dashes is one token."""
_MOST = 16
"""Characters read per cell; marks and joiners occupy none."""

_UTF8 = re.compile(
    rb"""[\x00-\x7f]+ | (
        [\xc2-\xdf][\x80-\xbf] | \xe0[\xa0-\xbf][\x80-\xbf] | [\xe1-\xec\xee\xef][\x80-\xbf]{2}
        | \xed[\x80-\x9f][\x80-\xbf] | \xf0[\x90-\xbf][\x80-\xbf]{2} | [\xf1-\xf3][\x80-\xbf]{3}
        | \xf4[\x80-\x8f][\x80-\xbf]{2}
    ) | ([\x80-\xff])""",
    re.VERBOSE,
)


def display_tokens(tokens: Sequence[bytes], *, listed: bool = False, longest: int = LONGEST) -> list[str]:
    """Return one printable string per token of a text.

    A character that spans tokens is shown at the token that completes it, where the model knows it; the tokens before
    show `‥`. So every token has at least one cell to carry its activation. Bytes that are not UTF-8 even with their
    neighbours show as `⟨0xC3⟩`.

    Args:
        tokens: consecutive tokens of a text; for unrelated tokens use `display_token`.
        listed: whether the tokens are list entries, where spaces at the ends become `·`.
        longest: cells at which a token is cut with `…`.
    """
    most = _MOST * 4 * longest
    # The end of a long token is kept: it may start a character of the next token.
    raw = _assign([token if len(token) <= most else token[:most] + token[-4:] for token in tokens])
    shown = [_short(text, longest) or EMPTY for text in raw]
    return [dotted(text) for text in shown] if listed else shown


def _short(text: str, longest: int) -> str:
    """Return printable text, cut; only the start of a very long token is read."""
    if len(text) <= longest and text.isascii() and text.isprintable():  # nearly all, and lists show thousands
        return text
    most = _MOST * longest
    return cut(printable(text[:most]) + (ELLIPSIS if len(text) > most else ""), longest)


def display_token(token: bytes, *, listed: bool = True, longest: int = LONGEST) -> str:
    """Return one token as a printable string of its own."""
    return display_tokens([token], listed=listed, longest=longest)[0]


def dotted(text: str) -> str:
    """Show spaces at both ends as `·`."""
    inner = text.strip(" ")
    if not inner:
        return SPACE * len(text)
    before = len(text) - len(text.lstrip(" "))
    return SPACE * before + inner + SPACE * (len(text) - before - len(inner))


def _assign(tokens: Sequence[bytes]) -> list[str]:
    """Return per token the characters whose last byte it holds."""
    if all(token.isascii() for token in tokens):
        return [token.decode("ascii") for token in tokens]
    texts: list[list[str]] = [[] for _ in tokens]
    owner = [number for number, token in enumerate(tokens) for _ in token]
    for found in _UTF8.finditer(b"".join(tokens)):
        first, last = found.span()
        if found[1]:
            for number in dict.fromkeys(owner[first : last - 1]):
                if number != owner[last - 1]:
                    texts[number].append(PART)
            texts[owner[last - 1]].append(found[1].decode())
        elif found[2]:
            texts[owner[first]].append(f"⟨0x{found[2][0]:02X}⟩")
        else:
            for place in range(first, last):
                texts[owner[place]].append(chr(found[0][place - first]))
    return ["".join(text) for text in texts]
