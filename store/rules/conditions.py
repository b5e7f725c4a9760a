"""Predicates that many features share: kinds of characters, places in the text, its state, the document's language.

Each is a mask, computed once; those that hold nowhere or everywhere are left out. Shapes: N tokens, Q predicates.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from store.rules.grammar import LANGUAGES, Predicate
from store.rules.halves import Halves
from store.rules.places import RuleCorpus
from store.rules.token_classes import SHAPES
from store.settings.roles import ROLES

POSITIONS = ((0, 2), (1, 2), (2, 3), (0, 4), (0, 8), (0, 16), (0, 32))
_STATES = ("document_start", "sentence_start", "line_start", "quote", "bracket", "string", "comment", "item", "code")
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.int64)
"""The bits of each byte, [256, 8], in the order of `packbits`."""


class Conditions:
    """The shared predicates of a corpus and where they hold."""

    def __init__(self, corpus: RuleCorpus, halves: Halves) -> None:
        counted_N = halves.choosing_N
        wanted = [_at(offset, Predicate(name)) for name in SHAPES for offset in (0, -1, 1)]
        wanted += [Predicate("position", span) for span in POSITIONS]
        wanted += [Predicate(name) for name in _STATES]
        wanted += [Predicate("language", (language,)) for language in LANGUAGES]
        if corpus.store.layout.roles is not None:
            wanted += [Predicate("role", (role,)) for role in ROLES]
        found = []
        total = int(counted_N.sum())
        for predicate in wanted:
            mask_N = corpus.holds(predicate)
            if 0 < (mask_N & counted_N).sum() < total:
                found.append((predicate, mask_N))
        self.predicates = [predicate for predicate, _ in found]
        self._bits_NW = np.packbits(
            np.stack([mask_N for _, mask_N in found], axis=1) if found else np.zeros((corpus.n_tokens, 0), bool), axis=1
        )
        self.seen_Q = self.counts(np.flatnonzero(counted_N))

    def counts(self, place_P: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return on how many of some places each predicate holds: [Q]."""
        bits_PW = self._bits_NW[place_P]
        bytes_WB = np.array([np.bincount(bits_P, minlength=256) for bits_P in bits_PW.T]).reshape(-1, 256)
        found_Q: NDArray[np.int64] = (bytes_WB @ _BITS).reshape(-1)[: len(self.predicates)]
        return found_Q


def _at(offset: int, predicate: Predicate) -> Predicate:
    return Predicate("at", (offset, predicate)) if offset else predicate
