"""Where contexts and documents lie in the indexed corpus, and which of its tokens count."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.index.index_part import IndexPart, reading

Places = NDArray[np.int64]


class Contexts(NamedTuple):
    """Stretches of text as the model saw them, in corpus order; [C] each."""

    start: Places
    """Corpus place of the first token."""
    length: NDArray[np.int32]
    document: Places
    """Number of the document of the first token."""


class Documents(NamedTuple):
    """Runs of tokens of one document: where each begins, and the document's number in the corpus.

    A document that is cut into contexts is one run where its contexts follow each other.
    """

    start: Places
    number: Places


class CorpusLayout:
    """Read from the parts of an index when first asked for. N tokens."""

    def __init__(self, path: Path, parts: Sequence[IndexPart]) -> None:
        self._path, self._parts = path, parts

    @cached_property
    def contexts(self) -> Contexts:
        """Every context."""
        with reading(self._path):
            groups = [(part.first_token, part.file["corpus/contexts"]) for part in self._parts]
            return Contexts(
                np.concatenate([group["start"][()] + first for first, group in groups]),
                np.concatenate([group["length"][()] for _, group in groups]),
                np.concatenate([group["document"][()] for _, group in groups]),
            )

    @cached_property
    def documents(self) -> Documents:
        """Every run."""
        with reading(self._path):
            groups = [(part.first_token, part.file["corpus/documents"]) for part in self._parts]
            start = np.concatenate([group["start"][()] + first for first, group in groups])
            number = np.concatenate([group["id"][()] for _, group in groups])
        begins = np.diff(number, prepend=number[:1] - 1) != 0  # not where a part goes on with the one before
        return Documents(start[begins], number[begins])

    def counted_tokens(self) -> NDArray[np.bool_]:
        """Which of the tokens count [N]."""
        with reading(self._path):
            return np.concatenate([part.file["corpus/counted"][()] for part in self._parts])

    def counted(self, start: int, stop: int) -> NDArray[np.bool_]:
        """The same for corpus places start … stop-1."""
        first = start // 8
        bits = np.unpackbits(self._counted_bits[first : -(-stop // 8)])[start - 8 * first :]
        return bits[: max(0, stop - start)].astype(bool)

    @cached_property
    def _counted_bits(self) -> NDArray[np.uint8]:
        """An eighth of a byte a token: all of them are read to know a stretch's, and pages of many features ask."""
        return np.packbits(self.counted_tokens())
