"""The bytes of files, a block at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.corpus.faults import reading

BLOCK = 1 << 18
"""Bytes read at once."""


def blocks(path: Path, size: int = BLOCK) -> Iterator[bytes]:
    """The file's bytes, `size` at a time. Errors: MonosemError where it cannot be read."""
    with reading(path), path.open("rb") as file:
        while block := file.read(size):
            yield block


def digest_of(paths: Iterable[Path]) -> str:
    """SHA-256 over the files' bytes, one file behind the other: what `cat FILES | sha256sum` prints."""
    total = hashlib.sha256()
    for path in paths:
        for block in blocks(path, 1 << 20):
            total.update(block)
    return total.hexdigest()
