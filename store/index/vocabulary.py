"""The raw bytes of every token, stored in the index: token strings without a tokenizer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import h5py
import numpy as np
from numpy.typing import NDArray

from store.files.sealed_hdf5 import put
from store.index.index_file import IndexFile


class Vocabulary:
    """The bytes of each token id.

    Bytes rather than text, because a token of a byte-level tokenizer may end inside a character.
    """

    def __init__(self, blob: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        self._blob = blob.tobytes()
        self._bytes = np.frombuffer(self._blob, np.uint8)
        self._offsets = offsets

    @classmethod
    def from_tokens(cls, tokens: Sequence[bytes]) -> Vocabulary:
        """Build it from the bytes of tokens 0, 1, 2, …"""
        offsets = np.zeros(len(tokens) + 1, np.int64)
        np.cumsum([len(token) for token in tokens], out=offsets[1:])
        return cls(np.frombuffer(b"".join(tokens), np.uint8), offsets)

    def write(self, group: h5py.Group) -> None:
        """Write `vocab/strings` (the bytes of all tokens, end to end) and `vocab/offsets` [vocab+1]."""
        put(group, "strings", self._bytes, packed=True)
        put(group, "offsets", self._offsets, packed=True)

    @classmethod
    def read(cls, file: IndexFile) -> Vocabulary:
        """Read the group `vocab` of a file, which `write` filled."""
        return cls(file.whole("vocab/strings"), file.whole("vocab/offsets"))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def token(self, token: int) -> bytes:
        """Return the bytes of one token; `<id>` for ids beyond the vocabulary, as padded embeddings have them."""
        if 0 <= token < len(self):
            return self._blob[self._offsets[token] : self._offsets[token + 1]]
        return f"<{token}>".encode()

    def tokens(self, ids: Iterable[int]) -> list[bytes]:
        """Return the bytes of each of several tokens."""
        wanted = np.fromiter(ids, np.int64)
        known = (wanted >= 0) & (wanted < len(self))
        if not known.all():
            return [self.token(int(i)) for i in wanted]
        blob = self._blob
        starts, stops = self._offsets[wanted].tolist(), self._offsets[wanted + 1].tolist()
        return [blob[start:stop] for start, stop in zip(starts, stops, strict=True)]

    def joined(self, id_N: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the bytes of many tokens end to end, and the number of bytes of each [N]."""
        known = (id_N >= 0) & (id_N < len(self))
        if not known.all():
            pieces = self.tokens(id_N.tolist())
            return np.frombuffer(b"".join(pieces), np.uint8), np.array([len(piece) for piece in pieces], np.int64)
        start_N = self._offsets[id_N]
        length_N: NDArray[np.int64] = self._offsets[id_N + 1] - start_N
        end_N = np.cumsum(length_N)
        place = np.arange(end_N[-1] if len(end_N) else 0) + np.repeat(start_N - (end_N - length_N), length_N)
        return self._bytes[place], length_N

    def strings(self, ids: Iterable[int]) -> list[str]:
        """Return one string per token; bytes that are not UTF-8 by themselves are replaced."""
        return [token.decode("utf-8", errors="replace") for token in self.tokens(ids)]

    def containing(self, text: str) -> NDArray[np.bool_]:
        """Return which tokens contain a text, whatever the case: [vocab]."""
        needle = text.casefold()
        return np.fromiter((needle in folded for folded in self._folded), bool, len(self))

    def reading(self, text: str, *, exact: bool) -> NDArray[np.int64]:
        """Return the ids of the tokens that equal a text; unless `exact`, without spaces at either end."""
        wanted = text.encode() if exact else text.encode().strip(b" ")
        start_V, stop_V = (self._offsets[:-1], self._offsets[1:]) if exact else self._inked
        found_N = np.flatnonzero(stop_V - start_V == len(wanted))
        for place, byte in enumerate(wanted):
            found_N = found_N[self._bytes[start_V[found_N] + place] == byte]
        return found_N

    @cached_property
    def _inked(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first byte, and the end (exclusive), of each token without spaces at either end: [vocab] each."""
        start_V, stop_V = self._offsets[:-1].copy(), self._offsets[1:].copy()
        for at_V, step in ((start_V, 1), (stop_V, -1)):
            id_N = np.flatnonzero(start_V < stop_V)
            while len(id_N := id_N[self._bytes[at_V[id_N] - (step < 0)] == ord(" ")]):
                at_V[id_N] += step
                id_N = id_N[start_V[id_N] < stop_V[id_N]]
        return start_V, stop_V

    @cached_property
    def _folded(self) -> list[str]:
        return [string.casefold() for string in self.strings(range(len(self)))]

    def text(self, ids: Iterable[int]) -> str:
        """Return the text of consecutive tokens; characters that span tokens are decoded whole."""
        return b"".join(self.tokens(ids)).decode("utf-8", errors="replace")
