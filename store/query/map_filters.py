"""Filters of features by their place on a map: in a part of it, or in one of its clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.map.feature_map import Box
from store.query.feature_order import Ids
from store.query.filters import BadFilter, FilterSource


@dataclass(frozen=True)
class InBox:
    """Features in a part of a map: `in:graph(-3,1.5,0,4)`."""

    map: str
    box: Box

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Return those that lie there."""
        return ids[np.isin(ids, source.map(self.map).within(self.box))]

    def strength(self, source: FilterSource) -> NDArray[Any] | None:  # noqa: ARG002
        """Return None: they are there or not."""
        return None


@dataclass(frozen=True)
class InCluster:
    """Features of a cluster of a map: `in:graph#1.12`."""

    map: str
    level: int
    cluster: int

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Return its members.

        Raises:
            BadFilter: there is no such cluster.
        """
        found = source.map(self.map)
        if self.level >= found.levels:
            raise BadFilter(f"the map {self.map} has no level {self.level}", f"Its levels are 0 to {found.levels - 1}.")
        if self.cluster >= (n := len(found.sizes[self.level])):
            raise BadFilter(
                f"the map {self.map} has no cluster {self.cluster} at level {self.level}", f"They are 0 to {n - 1}."
            )
        return ids[np.isin(ids, found.members(self.level, self.cluster))]

    def strength(self, source: FilterSource) -> NDArray[Any] | None:  # noqa: ARG002
        """Return None: they belong to it or not."""
        return None
