"""Plain text files: documents separated by <|endoftext|>, or else by blank lines.

UTF-8, with or without a byte order mark; line ends of any kind become a newline. White space at the edges of a document
is dropped.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from engine.corpus.documents import split
from engine.corpus.faults import not_utf8
from engine.corpus.file_blocks import blocks

END_OF_TEXT = "<|endoftext|>"
LOOK = 1 << 20
"""Bytes at a file's start in which the separator must occur to be taken for one."""

_MARK = re.compile(re.escape(END_OF_TEXT))
_BLANK_LINES = re.compile(r"\n\s*\n")


def texts(path: Path, field: str) -> Iterator[str]:
    """The documents of one file. A text file has no fields; `field` is not looked at.

    Errors: MonosemError for what is not UTF-8, with the byte's offset.
    """
    del field
    return split(_decoded(path), _MARK if has_mark(path) else _BLANK_LINES)


def note(path: Path, field: str) -> str:
    """How documents are told apart in this file, behind its name."""
    del field
    if has_mark(path):
        return f": documents separated by {END_OF_TEXT}"
    return f": no {END_OF_TEXT} found, so documents are separated by blank lines"


def has_mark(path: Path) -> bool:
    """Whether <|endoftext|> occurs in the file's first mebibyte."""
    return END_OF_TEXT.encode() in next(blocks(path, LOOK), b"")


def _decoded(path: Path) -> Iterator[str]:
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
