"""Two features on the text that their stores share: the units on which both fire, and those on which one of them does.

Shapes: U units of a passage, E units on which a feature fires, D documents, B bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from store.index.corpus_text import Places
from store.index.reader import FeatureStore
from store.query.document_texts import DocumentTexts, paired_texts
from store.query.text_units import TextUnits, UnitKind, UnitValue, shared_units, texts_of

Fires = Literal["both", "first", "second"]
BEFORE, AFTER = 60, 40
"""Units of a passage before and after its peak."""
EACH = 6
"""Passages of each kind."""


@dataclass(frozen=True)
class FiringUnits:
    """The units on which a feature fires, ascending, and its value on each [E] (store.query.text_units.UnitValue)."""

    unit_E: Places
    act_E: NDArray[np.float32]

    def on(self, unit_U: Places) -> NDArray[np.float32]:
        """Return the value on each of some units, 0 where it does not fire."""
        if not len(self.unit_E):
            return np.zeros(len(unit_U), np.float32)
        place_U = np.minimum(np.searchsorted(self.unit_E, unit_U), len(self.unit_E) - 1)
        return np.where(self.unit_E[place_U] == unit_U, self.act_E[place_U], np.float32(0))


@dataclass(frozen=True)
class UnitPassage:
    """A passage of a shared document, cut into units; text that belongs to no unit is a piece of its own."""

    text_U: tuple[bytes, ...]
    acts: tuple[NDArray[np.float32], NDArray[np.float32]]
    """The values of both features [U]; 0 on text that belongs to no unit."""
    peak: int
    """The piece that the passage was chosen for."""
    document: int
    """Pair of documents."""


@dataclass(frozen=True)
class PairPassages:
    """Two features on all the text that their stores share."""

    n: dict[Fires, int]
    """Units on which both fire, or the first only, or the second only."""
    top: tuple[float, float]
    """The largest value of each feature on shared units."""
    passages: dict[Fires, tuple[UnitPassage, ...]]
    """The strongest of each kind, one a document."""


class SharedText:
    """The text that two stores share, cut into units; made once, then asked about any pair of features."""

    def __init__(
        self,
        texts: tuple[DocumentTexts, DocumentTexts],
        units: TextUnits,
        opener: bytes = b"",
        value: UnitValue = "max",
    ) -> None:
        """Take the documents of both stores, their units, the text where a context begins, and what a value is."""
        self.units, self.opener, self.value = units, opener, value
        self._text_B = paired_texts(*texts, units.documents_P2)

    @classmethod
    def of(cls, first: FeatureStore, second: FeatureStore, kind: UnitKind, value: UnitValue = "max") -> SharedText:
        """Read the documents of both stores, pair them and cut them into units.

        Raises:
            MonosemError: they share no document, or a store is damaged or has vanished.
        """
        texts = texts_of((first, second))
        return cls(texts, shared_units(*texts, kind), opening_text(first), value)

    def firing(self, side: int, store: FeatureStore, feature: int) -> FiringUnits:
        """Return the units on which a feature of one side (0 or 1) fires.

        Raises:
            MonosemError: there is no such feature, or the store is damaged or has vanished.
        """
        found = store.postings(feature)
        unit_N = self.units.valued_N(side, self.value)[found.token]
        having = unit_N >= 0
        unit_E, place_N = np.unique(unit_N[having], return_inverse=True)
        act_E = np.zeros(len(unit_E), np.float32)
        gathered = np.add if self.value == "sum" else np.maximum
        gathered.at(act_E, place_N, found.act[having].astype(np.float32))
        return FiringUnits(unit_E, act_E)

    def passages(
        self, firing: tuple[FiringUnits, FiringUnits], *, each: int = EACH, before: int = BEFORE, after: int = AFTER
    ) -> PairPassages:
        """Return the strongest passages on which both features fire, and on which one of them does.

        Where both fire, a passage is as strong as the weaker of the two, each relative to its own largest value.

        Args:
            firing: where the features of both sides fire.
            each: passages of each kind at most.
            before: units before a peak.
            after: units after it.
        """
        first, second = firing
        top = float(first.act_E.max(initial=0)), float(second.act_E.max(initial=0))
        both = np.intersect1d(first.unit_E, second.unit_E, assume_unique=True)
        relative = (one.on(both) / (highest or 1) for one, highest in zip(firing, top, strict=True))
        alone = [np.setdiff1d(one.unit_E, both, assume_unique=True) for one in firing]
        kinds: dict[Fires, tuple[Places, NDArray[np.float32]]] = {
            "both": (both, np.minimum(*relative)),
            "first": (alone[0], first.on(alone[0])),
            "second": (alone[1], second.on(alone[1])),
        }
        return PairPassages(
            {kind: len(unit_E) for kind, (unit_E, _) in kinds.items()},
            top,
            {
                kind: tuple(self._passage(unit, firing, before, after) for unit in self._strongest(*found, each))
                for kind, found in kinds.items()
            },
        )

    def _strongest(self, unit_E: Places, strength_E: NDArray[np.float32], each: int) -> list[int]:
        """Return the strongest units, one a document; of equals the one that comes first."""
        order_E = unit_E[np.lexsort((unit_E, -strength_E))]
        _, first = np.unique(self.units.document_U[order_E], return_index=True)
        strongest: list[int] = order_E[np.sort(first)[:each]].tolist()
        return strongest

    def _passage(self, unit: int, firing: tuple[FiringUnits, FiringUnits], before: int, after: int) -> UnitPassage:
        units = self.units
        pair = int(units.document_U[unit])
        lowest, beyond = np.searchsorted(units.document_U, [pair, pair + 1]).tolist()
        unit_U = np.arange(max(lowest, unit - before), min(beyond, unit + after + 1))
        end_U = units.end_U[unit_U]
        start_U = end_U - units.length_U[unit_U]
        acts = [one.on(unit_U) for one in firing]
        gap_U = np.flatnonzero(start_U[1:] > end_U[:-1]) + 1
        edges = np.unique(np.concatenate([start_U, end_U]))
        spans = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        # Zeros stand where a token is shorter than the text it covers.
        text_U = tuple(self._text_B[a:b].tobytes().replace(b"\0", b"") for a, b in spans)
        padded = [np.insert(act_U, gap_U, np.float32(0)) for act_U in acts]
        return UnitPassage(text_U, (padded[0], padded[1]), int(np.searchsorted(edges, start_U[unit - unit_U[0]])), pair)


def opening_text(store: FeatureStore) -> bytes:
    """Return the text of the token that opens every context and does not count there; nothing without one."""
    start_C = store.layout.contexts.start
    if len(start_C) < 2 or store.layout.counted_tokens()[start_C].any():
        return b""
    ids = np.unique(store.tokens(0, store.n_tokens)[start_C])
    return store.vocabulary.token(int(ids[0])) if len(ids) == 1 else b""
