"""What a corpus is: numbered documents, streamed from the start as often as asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from store.files.errors import MonosemError

MAX_DOCUMENT = 65_536
"""Characters. Longer documents become several, so that one giant file streams in bounded memory."""

_INK = re.compile(r"\S")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Document:
    """One text of a corpus, without white space at its edges."""

    number: int
    """Its place in the corpus, from 0, before any shuffling."""
    text: str


class Corpus(Protocol):
    """Text to train on or to look features up in."""

    @property
    def spec(self) -> str:
        """As the user wrote it."""

    def documents(self) -> Iterator[Document]:
        """All documents from the first; every call starts over.

        Errors: MonosemError for text that cannot be read, and for a corpus without a single document.
        """

    def describe(self) -> str:
        """One sentence for the user: what is read and how documents are told apart."""

    def digest(self) -> str:
        """SHA-256 (hexadecimal) of the content, equal where the content is."""


def names_files(spec: str) -> bool:
    """Whether a corpus is named by the path or glob of its files, with or without a field."""
    return spec != "stdlib" and not spec.startswith("hf:") and spec.split(":", 1)[0] != "planted"


def numbered(texts: Iterable[str], spec: str) -> Iterator[Document]:
    """Documents out of raw texts: edges stripped, long ones cut, those of only white space left out.

    Lone surrogates, which JSON can spell but UTF-8 cannot, become U+FFFD. `spec` names the corpus if it is empty.
    """
    number = 0
    for text in texts:
        for piece in cut(text):
            yield Document(number, _encodable(piece))
            number += 1
    if number == 0:
        raise MonosemError(f"{spec} holds no text", "Every document in it is empty or only white space.")


def cut(text: str) -> Iterator[str]:
    """`text` in pieces of at most MAX_DOCUMENT characters.

    A piece ends at white space where there is any, rather between two lines than between two words. White space at both
    edges of every piece is dropped; text of only white space gives no piece.
    """
    text = text.strip()
    start = 0
    while len(text) - start > MAX_DOCUMENT:
        end = _piece_end(text, start)
        yield text[start:end]
        start = _skip_space(text, end)
    if start < len(text):
        yield text[start:]


def split(chunks: Iterable[str], separator: re.Pattern[str]) -> Iterator[str]:
    """The texts between matches of `separator` in a stream of chunks, in pieces as `cut` makes them.

    Where the chunks begin and end makes no difference. At most two documents' length and one chunk are held.
    """
    tail = ""
    for chunk in chunks:
        *whole, tail = separator.split(tail + chunk)
        for text in whole:
            yield from cut(text)
        start = _skip_space(tail, 0) if len(tail) >= 2 * MAX_DOCUMENT else 0
        # Twice the length, so that a separator whose end is still to come is never cut in two.
        while len(tail) - start >= 2 * MAX_DOCUMENT:
            end = _piece_end(tail, start)
            yield tail[start:end]
            start = _skip_space(tail, end)
        tail = tail[start:]
    yield from cut(tail)


def _piece_end(text: str, start: int) -> int:
    """Where to end the piece that begins at `start` (no white space); more than MAX_DOCUMENT characters must follow."""
    window = text[start : start + MAX_DOCUMENT + 1]
    if window[-1].isspace():
        return start + len(window.rstrip())
    line = window.rfind("\n", MAX_DOCUMENT - MAX_DOCUMENT // 4)
    if line > 0:
        return start + len(window[:line].rstrip())
    head, *rest = window.rsplit(maxsplit=1)
    return start + (len(head) if rest else MAX_DOCUMENT)


def _skip_space(text: str, start: int) -> int:
    found = _INK.search(text, start)
    return found.start() if found else len(text)


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text
