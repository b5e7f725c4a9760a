"""Headers of GGUF files, walked before a library reads one: it would make an object of each value that a header claims.

The format is that of ggml: magic, version, numbers of tensors and of keys; keys with their values; tensors with their
shapes. Lists and texts state their lengths first.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

MOST_VALUES = 1 << 22
"""Values of all lists in a header: a vocabulary of 2¹⁸ tokens with its scores, kinds and merges takes 1.3 million."""
MOST_NAMES = 1 << 17
"""Keys and tensors of a file."""
_DEPTH = 4
"""Lists inside each other."""
_TEXT, _LIST = 8, 9
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Formats of struct by the number of a type."""
_INTEGERS = {number for number, code in _NUMBERS.items() if code not in "f?d"}
_LEAST_BYTES = {_TEXT: 8, _LIST: 12} | {number: struct.calcsize("<" + code) for number, code in _NUMBERS.items()}
"""Bytes that a value of a type takes at least."""


def read_gguf_integers(path: str) -> dict[str, int]:
    """Walk through the header of a file, in time that grows with its bytes, and return its whole numbers by key.

    Raises:
        ValueError: it claims more than its bytes hold, or more values than any model has.
    """
    with Path(path).open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        walk = _Walk(data)
        walk.skip(4)  # the magic
        if walk.number("I") & 0xFFFF == 0:
            walk.order = ">"
        n_tensors, n_keys = walk.number("Q"), walk.number("Q")
        if max(n_tensors, n_keys) > MOST_NAMES:
            raise ValueError(f"its header claims {n_tensors:,} tensors and {n_keys:,} keys")
        found = dict(walk.entry() for _ in range(n_keys))
        for _ in range(n_tensors):
            walk.tensor()
        return {name: value for name, value in found.items() if value is not None}


@dataclass
class _Walk:
    """A place in a file, which moves on with each value."""

    data: mmap.mmap
    order: str = "<"
    at: int = 0
    values: int = 0
    """Values of lists so far."""

    def number(self, code: str) -> int:
        """Read one number."""
        at = self.at
        self.skip(struct.calcsize("<" + code))
        return int(struct.unpack_from(self.order + code, self.data, at)[0])

    def skip(self, n_bytes: int) -> None:
        """Move on, inside the file."""
        if n_bytes > len(self.data) - self.at:
            raise ValueError(f"its header claims {n_bytes:,} bytes at byte {self.at:,}, behind its end")
        self.at += n_bytes

    def entry(self) -> tuple[str, int | None]:
        """Read a key; its value too, if that is a whole number."""
        length = self.number("Q")
        at = self.at
        self.skip(length)
        name = self.data[at : at + length].decode(errors="replace")
        kind = self.number("I")
        if kind in _INTEGERS:
            return name, self.number(_NUMBERS[kind])
        self.value(kind, _DEPTH)
        return name, None

    def value(self, kind: int, depth: int) -> None:
        """Walk over a value; ValueError for an unknown kind."""
        if kind == _TEXT:
            self.skip(self.number("Q"))
        elif kind == _LIST and depth:
            self.list(depth - 1)
        elif kind in _NUMBERS:
            self.skip(_LEAST_BYTES[kind])
        else:
            raise ValueError(f"its header holds a value of kind {kind} at byte {self.at:,}")

    def list(self, depth: int) -> None:
        """Walk over the values of a list."""
        kind, length = self.number("I"), self.number("Q")
        self.values += length
        if self.values > MOST_VALUES:
            raise ValueError(f"its header claims lists of {self.values:,} values")
        if length * _LEAST_BYTES.get(kind, 1) > len(self.data) - self.at:
            raise ValueError(f"its header claims a list of {length:,} values at byte {self.at:,}, behind its end")
        if kind in _NUMBERS:
            self.skip(length * _LEAST_BYTES[kind])
            return
        for _ in range(length):
            self.value(kind, depth)

    def tensor(self) -> None:
        """Walk over name, shape, kind and place of a tensor."""
        self.skip(self.number("Q"))
        self.skip(8 * self.number("I") + 4 + 8)
