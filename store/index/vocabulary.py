"""Token strings without a tokenizer: the raw bytes of every token, kept in the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import h5py
import numpy as np
from numpy.typing import NDArray

from store.files.sealed_hdf5 import put


class Vocabulary:
    """The bytes that each token id stands for.

    Bytes and not text, because a token of a byte-level tokenizer may end in the middle of a character: joined with its
    neighbours it is text again.
    """

    def __init__(self, blob: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        self._blob = blob.tobytes()
        self._offsets = offsets

    @classmethod
    def from_tokens(cls, tokens: Sequence[bytes]) -> Vocabulary:
        """From the bytes of token 0, 1, 2, …"""
        offsets = np.zeros(len(tokens) + 1, np.int64)
        np.cumsum([len(token) for token in tokens], out=offsets[1:])
        return cls(np.frombuffer(b"".join(tokens), np.uint8), offsets)

    def write(self, group: h5py.Group) -> None:
        """Into `vocab/strings` (all bytes, one behind the other) and `vocab/offsets` [vocab+1]."""
        put(group, "strings", np.frombuffer(self._blob, np.uint8), packed=True)
        put(group, "offsets", self._offsets, packed=True)

    @classmethod
    def read(cls, group: h5py.Group) -> Vocabulary:
        """What `write` wrote."""
        return cls(group["strings"][()], group["offsets"][()])

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def token(self, token: int) -> bytes:
        """The bytes of one token; ids outside the vocabulary (padded embeddings have them) read `<id>`."""
        if 0 <= token < len(self):
            return self._blob[self._offsets[token] : self._offsets[token + 1]]
        return f"<{token}>".encode()

    def tokens(self, ids: Iterable[int]) -> list[bytes]:
        """The bytes of several tokens."""
        wanted = np.fromiter(ids, np.int64)
        known = (wanted >= 0) & (wanted < len(self))
        if not known.all():
            return [self.token(int(i)) for i in wanted]
        blob = self._blob
        starts, stops = self._offsets[wanted].tolist(), self._offsets[wanted + 1].tolist()
        return [blob[start:stop] for start, stop in zip(starts, stops, strict=True)]

    def joined(self, id_N: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The bytes of many tokens one behind the other, and how many each token has [N]."""
        known = (id_N >= 0) & (id_N < len(self))
        if not known.all():
            pieces = self.tokens(id_N.tolist())
            return np.frombuffer(b"".join(pieces), np.uint8), np.array([len(piece) for piece in pieces], np.int64)
        start_N = self._offsets[id_N]
        length_N: NDArray[np.int64] = self._offsets[id_N + 1] - start_N
        end_N = np.cumsum(length_N)
        place = np.arange(end_N[-1] if len(end_N) else 0) + np.repeat(start_N - (end_N - length_N), length_N)
        return np.frombuffer(self._blob, np.uint8)[place], length_N

    def strings(self, ids: Iterable[int]) -> list[str]:
        """One string a token, for JSON: bytes that are no UTF-8 by themselves are replaced."""
        return [token.decode("utf-8", errors="replace") for token in self.tokens(ids)]

    def containing(self, text: str) -> NDArray[np.bool_]:
        """Whether each token of the vocabulary has a text in it, whatever the case: [vocab]."""
        needle = text.casefold()
        return np.fromiter((needle in folded for folded in self._folded), bool, len(self))

    def reading(self, text: str, *, exact: bool) -> NDArray[np.int64]:
        """Ids of the tokens that read a text; unless `exact`, whatever spaces they begin or end with."""
        every = self.tokens(range(len(self)))
        wanted = text.encode() if exact else text.encode().strip(b" ")
        same = (token == wanted if exact else token.strip(b" ") == wanted for token in every)
        return np.flatnonzero(np.fromiter(same, bool, len(every)))

    @cached_property
    def _folded(self) -> list[str]:
        return [string.casefold() for string in self.strings(range(len(self)))]

    def text(self, ids: Iterable[int]) -> str:
        """The text of a stretch of tokens, characters that span tokens made whole."""
        return b"".join(self.tokens(ids)).decode("utf-8", errors="replace")
