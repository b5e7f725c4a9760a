"""Plain text files: documents separated by <|endoftext|>, or else by blank lines.

UTF-8, with or without a byte order mark; all line ends become newlines; documents are stripped.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from itertools import chain

from engine.corpus.documents import split
from engine.corpus.files import blocks, not_utf8
from engine.corpus.remote_files import TextFile

END_OF_TEXT = "<|endoftext|>"
LOOK = 1 << 20
"""Bytes at the start of a file in which the separator must occur to be used."""

_MARK = re.compile(re.escape(END_OF_TEXT))
_BLANK_LINES = re.compile(r"\n\s*\n")


def texts(path: TextFile, field: str) -> Iterator[str]:
    """Yield the documents of a file; `field` is ignored, as text files have no fields.

    Errors: MonosemError with the byte's offset if the file is not UTF-8.
    """
    del field
    return split(_decoded(path), _MARK if has_mark(path) else _BLANK_LINES)


def note(path: TextFile, field: str) -> str:
    """Describe how documents are separated in this file; appended to its name."""
    del field
    if has_mark(path):
        return f": documents separated by {END_OF_TEXT}"
    return f": no {END_OF_TEXT} found, so documents are separated by blank lines"


def has_mark(path: TextFile) -> bool:
    """Return whether <|endoftext|> occurs in the file's first mebibyte."""
    return END_OF_TEXT.encode() in next(blocks(path, LOOK), b"")


def _decoded(path: TextFile) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    offset, first = 0, True
    for block in chain(blocks(path), [b""]):
        pending = len(decoder.getstate()[0])
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            raise not_utf8(path, offset - pending + error.start) from error
        offset += len(block)
        yield newlines.decode(text.removeprefix("\ufeff") if first else text, final=not block)
        first = first and not text
