"""The corpus protocol: numbered documents, streamed from the start on every call; and the cutting of long texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from engine.corpus.conversations import Content, Conversation, TokenIds
from store.files.errors import MonosemError

MAX_DOCUMENT = 65_536
"""Most characters of a document. Longer ones are cut, so that a giant file streams in bounded memory."""

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_INK = re.compile(r"\S")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Document:
    """A text of a corpus, a conversation, or token ids."""

    number: int
    """Its position in the corpus, from 0, before any shuffling."""
    text: str
    """Without white space at its edges; the messages of a conversation, or the ids in decimal, on one line each."""
    source: int | None = None
    """The number of the text that it is, or is a piece of; None where no text of the corpus is cut."""
    turns: Conversation = ()
    """The messages of a conversation."""
    ids: TokenIds | None = None
    """The tokens of a document that is tokenized already."""

    @property
    def text_number(self) -> int:
        """The number of its text, counted from 0."""
        return self.number if self.source is None else self.source


class LaterPiece(str):
    """A piece of a text whose beginning came before it."""

    __slots__ = ()


class Corpus(Protocol):
    """Text to train on or to index."""

    @property
    def spec(self) -> str:
        """The corpus's name as the user wrote it."""

    def documents(self) -> Iterator[Document]:
        """Yield all documents; every call starts from the first.

        Errors: MonosemError for text that cannot be read, and for a corpus without documents.
        """

    def describe(self) -> str:
        """Describe in one sentence what is read and how documents are separated."""

    def digest(self) -> str:
        """Return SHA-256 (hexadecimal) of the content."""


def names_files(spec: str) -> bool:
    """Return whether a corpus is named by the path or glob of its files, with or without a field."""
    return (
        spec != "stdlib" and not is_address(spec) and not spec.startswith("hf:") and spec.split(":", 1)[0] != "planted"
    )


def is_address(spec: str) -> bool:
    """Return whether a corpus is named by the address of its files: s3://, gs://, https:// and the like."""
    return _ADDRESS.match(spec) is not None


def numbered(contents: Iterable[Content], spec: str) -> Iterator[Document]:
    """Yield documents from raw contents: texts stripped, long ones cut, blank ones left out; the others whole.

    Lone surrogates, which JSON can express but UTF-8 cannot, become U+FFFD.

    Errors: MonosemError, naming `spec`, if there is no document.
    """
    number, source = 0, -1
    for content in contents:
        begins = not isinstance(content, LaterPiece)
        for document in _documents(content, number):
            source, begins = source + begins, False
            yield replace(document, source=source)
            number += 1
    if number == 0:
        raise MonosemError(f"{spec} holds no text", "Every document in it is empty or only white space.")


def _documents(content: Content, first: int) -> Iterator[Document]:
    if isinstance(content, str):
        yield from (Document(number, _encodable(piece)) for number, piece in enumerate(cut(content), first))
    elif isinstance(content, TokenIds):
        yield Document(first, "\n".join(map(str, content)), ids=content)
    else:
        turns = tuple(replace(turn, content=_encodable(turn.content)) for turn in content)
        yield Document(first, "\n".join(turn.content for turn in turns), turns=turns)


def cut(text: str) -> Iterator[str]:
    """Yield `text` in stripped pieces of at most MAX_DOCUMENT characters; nothing for blank text.

    A piece ends at white space if there is any, preferably between lines.
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
    """Yield the texts between matches of `separator` in a stream of chunks, cut as by `cut`.

    Later pieces of a text are marked. Chunk boundaries make no difference. At most two maximal documents and one chunk
    are held in memory.
    """
    tail, begun = "", False
    for chunk in chunks:
        *whole, tail = separator.split(tail + chunk)
        for text in whole:
            yield from _pieces(text, begun=begun)
            begun = False
        start = _skip_space(tail, 0) if len(tail) >= 2 * MAX_DOCUMENT else 0
        # Twice the length, so that an incomplete separator at the end is never cut in two.
        while len(tail) - start >= 2 * MAX_DOCUMENT:
            end = _piece_end(tail, start)
            yield LaterPiece(tail[start:end]) if begun else tail[start:end]
            start, begun = _skip_space(tail, end), True
        tail = tail[start:] or _line_break(tail)
    yield from _pieces(tail, begun=begun)


def _line_break(text: str) -> str:
    """Return the line break among the white space at the end of a text, which may begin a separator; "" without one."""
    return "\n" if "\n" in text[len(text.rstrip()) :] else ""


def _pieces(text: str, *, begun: bool) -> Iterator[str]:
    for piece in cut(text):
        yield LaterPiece(piece) if begun else piece
        begun = True


def _piece_end(text: str, start: int) -> int:
    """Return the end (exclusive) of the piece at `start`; more than MAX_DOCUMENT characters must follow `start`."""
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
