"""Masks of predicates that are kept within a number of bytes: a bit a place, the one used longest ago gives way."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from store.rules.grammar import Predicate

Mask = NDArray[np.bool_]


class PackedMasks:
    """Masks of equal length by predicate."""

    def __init__(self, length: int, most_bytes: int) -> None:
        """Keep masks of `length` places, at least one of them, in about `most_bytes`."""
        self._length = length
        self._most = max(1, most_bytes // (length // 8 + 1))
        self._known: OrderedDict[Predicate, NDArray[np.uint8]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, predicate: Predicate) -> Mask | None:
        """Return a mask that is kept."""
        packed = self._known.get(predicate)
        if packed is None:
            return None
        self._known.move_to_end(predicate)
        return np.unpackbits(packed, count=self._length).view(bool)

    def put(self, predicate: Predicate, mask: Mask) -> None:
        """Keep a mask."""
        self._known[predicate] = np.packbits(mask)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
