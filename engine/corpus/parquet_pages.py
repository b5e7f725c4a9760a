"""Headers of the pages of a Parquet column: what a page claims to unpack to, before a reader unpacks it.

Format: Thrift's compact protocol, and parquet.thrift of apache/parquet-format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

LARGEST = 64 << 20
"""Bytes to which any page may unpack."""
MOST_PACKED = 100
"""Bytes to which a byte of a larger page may unpack: far above what text does."""
_DELTA_BYTE_ARRAY = 7
_DICTIONARY_PAGE = 2
_DEPTH = 8


@dataclass(frozen=True)
class Page:
    """The header of one page."""

    unpacked: int
    """Bytes it claims to unpack to."""
    packed: int
    repeats: bool
    """Whether a short page can hold long values many times: dictionaries, and values that share their beginnings."""


def pages(file: BinaryIO, start: int, end: int) -> Iterator[Page]:
    """Yield the header of each page in bytes start … end-1 of a file.

    Raises:
        ValueError: one is not a page header, or its page claims to unpack to more than its bytes may.
    """
    while start < end:
        file.seek(start)
        header = _struct(file, _DEPTH)
        unpacked, packed = header.get(2), header.get(3)
        if not (isinstance(unpacked, int) and isinstance(packed, int) and min(unpacked, packed) >= 0):
            raise ValueError("a page has no size")
        if unpacked > max(LARGEST, packed * MOST_PACKED):
            raise ValueError(f"a page of {packed:,} bytes claims to unpack to {unpacked:,}")
        encoding = header.get(5, {}).get(2), header.get(8, {}).get(4)
        yield Page(unpacked, packed, header.get(1) == _DICTIONARY_PAGE or _DELTA_BYTE_ARRAY in encoding)
        start = file.tell() + packed


def _struct(file: BinaryIO, depth: int) -> dict[int, Any]:
    """Read a struct, its fields by their numbers."""
    if not depth:
        raise ValueError("a page header is nested too deep")
    found: dict[int, Any] = {}
    number = 0
    while head := _byte(file):
        step, kind = head >> 4, head & 15
        number = number + step if step else _integer(file)
        found[number] = _value(file, kind, depth)
    return found


def _value(file: BinaryIO, kind: int, depth: int) -> Any:
    if kind in (1, 2):  # true and false are in the field's head
        return kind == 1
    if kind == 3:
        return _byte(file)
    if kind in (4, 5, 6):
        return _integer(file)
    if kind == 7:
        return file.seek(8, 1)
    if kind == 8:
        return file.seek(_varint(file), 1)
    if kind == 12:
        return _struct(file, depth - 1)
    raise ValueError("a page header holds what none does")


def _integer(file: BinaryIO) -> int:
    """Read a signed integer, zigzag encoded."""
    raw = _varint(file)
    return (raw >> 1) ^ -(raw & 1)


def _varint(file: BinaryIO) -> int:
    value = 0
    for place in range(10):
        byte = _byte(file)
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value
    raise ValueError("a page header holds an endless number")


def _byte(file: BinaryIO) -> int:
    read = file.read(1)
    if not read:
        raise ValueError("a page header is cut off")
    return read[0]
