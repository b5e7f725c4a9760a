"""Features as points of a picture: density against maximum, or the places of a map.

Shapes: N points, F features.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.numbers import activation, share
from store.index.reader import FeatureColumns
from store.map.feature_map import Box, FeatureMap

Floats = NDArray[np.float64]
MARGIN = 0.03
"""Room beside the outermost points, as a share of the whole."""
_EXACT = 1e-6
"""Share of the last digit that is not rounded."""
WIDE = 30.0
"""Times that the strongest maximum exceeds the median of all from which on maxima are drawn by their logarithms."""


@dataclass(frozen=True, eq=False)
class PointAxes:
    """The meaning of both axes, where they have one."""

    x_title: str
    y_title: str
    log_y: bool


@dataclass(frozen=True, eq=False)
class MapPoints:
    """Points in the plane, one for each feature that has a place."""

    name: str
    """Name of the map; empty for density against maximum."""
    feature_N: NDArray[np.int64]
    """Ascending."""
    place_N2: Floats
    axes: PointAxes | None
    """None for the places of a map, whose axes mean nothing: only what is near is alike."""
    map: FeatureMap | None = None

    @cached_property
    def bounds(self) -> Box:
        """The part of the plane that holds all points, with a margin."""
        if not len(self.place_N2):
            return Box(0.0, 0.0, 1.0, 1.0)
        low, high = self.place_N2.min(axis=0), self.place_N2.max(axis=0)
        room = np.maximum((high - low) * MARGIN, 1e-6)
        (left, bottom), (right, top) = (low - room).tolist(), (high + room).tolist()
        return Box(left, bottom, right, top)

    @cached_property
    def rank_N(self) -> Floats:
        """A number from 0 to 1 for each point: those below s are a share s of all, drawn once at random."""
        rank_N: Floats = np.random.default_rng(0).permutation(len(self.feature_N)) / max(1, len(self.feature_N))
        return rank_N

    def filter_of(self, box: Box) -> str:
        """Return the filter that keeps the features in a part of the plane; edges are rounded outwards."""
        if self.axes is None:
            edges = ",".join(f"{_outwards(value, up=side > 1):g}" for side, value in enumerate(box))
            return f"in:{self.name}({edges})"
        low, high = (10.0**value for value in (box.left, box.right))
        least, most = ((10.0**value if self.axes.log_y else value) for value in (box.bottom, box.top))
        terms = [
            ("density>=", low, False),
            ("density<=", high, True),
            ("max>=", max(least, 0.0), False),
            ("max<=", most, True),
        ]
        return " ".join(f"{name}{_outwards(value, up=up):g}" for name, value, up in terms)

    def x_text(self, value: float) -> str:
        """Return a value on the horizontal axis as text."""
        return share(10.0**value)

    def y_text(self, value: float) -> str:
        """Return a value on the vertical axis as text."""
        return activation(10.0**value if self.axes is not None and self.axes.log_y else value)


def density_points(columns: FeatureColumns, many: str) -> MapPoints:
    """Return the features that fire, by the logarithm of their density and their maximum; no map is needed.

    Args:
        columns: of the index.
        many: noun that densities are counted in, in the plural.
    """
    feature_N = np.flatnonzero(columns.count_F > 0)
    density_N, max_N = np.log10(columns.density_F[feature_N]), columns.max_F[feature_N].astype(np.float64)
    log_y = bool(len(max_N)) and float(max_N.max()) > WIDE * float(np.median(max_N))
    height_N = np.log10(np.maximum(max_N, 1e-30)) if log_y else max_N
    axes = PointAxes(f"density: share of {many} it fires on", "max: strongest activation", log_y)
    return MapPoints("", feature_N, np.stack([density_N, height_N], axis=1), axes)


def map_points(name: str, found: FeatureMap) -> MapPoints:
    """Return the features of a map."""
    return MapPoints(name, found.feature_N.astype(np.int64), found.place_N2.astype(np.float64), None, found)


def _outwards(value: float, *, up: bool, digits: int = 4) -> float:
    """Return a value with few digits, rounded up or down; what has no more digits than that stays."""
    if not value:
        return 0.0
    unit = 10.0 ** (np.floor(np.log10(abs(value))) + 1 - digits)
    return float((np.ceil(value / unit - _EXACT) if up else np.floor(value / unit + _EXACT)) * unit)
