"""A map of features as SVG, for papers: points in the colours of their groups, names of clusters, a legend."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.svg_plots import COLOURS, Axis, PointGroup, points
from monosem_tui.model.map_colours import NONE, STEPS, Colouring
from monosem_tui.model.map_names import clusters_in_sight
from monosem_tui.model.map_points import MapPoints
from store.map.feature_map import Box

RAMP = ("#ffd787", "#ffaf00", "#d78700", "#af5f00", "#870000")
"""Colours of the steps of a scale: the heat of a light terminal."""
GREY, FAINT = "#9a9a9a", "#d4d4d4"
"""Colours of features that have none of their own, and of those that a filter leaves out."""
LARGE = 20_000
"""Features from which on points are small."""
RATIO = 600 / 514
"""Width of the plot over its height, so that a map's units are as long in both directions."""


def map_svg(title: str, shown: MapPoints, colouring: Colouring, lit_F: NDArray[np.bool_] | None = None) -> str:
    """Return a picture.

    Args:
        title: its heading.
        shown: the features and their places.
        colouring: their colours.
        lit_F: features that stand out from the others, such as those that pass a filter; None for all.
    """
    bounds = shown.bounds if shown.axes else _of_ratio(shown.bounds)
    x_title = f"log10 of {shown.axes.x_title}" if shown.axes else ""
    y_title = (f"log10 of {shown.axes.y_title}" if shown.axes.log_y else shown.axes.y_title) if shown.axes else ""
    return points(
        title,
        Axis(x_title, bounds.left, bounds.right),
        Axis(y_title, bounds.bottom, bounds.top),
        _groups(shown, colouring, lit_F),
        axes=shown.axes is not None,
        names=[(one.name, one.x, one.y) for one in clusters_in_sight(shown.map, bounds)] if shown.map else [],
        radius=0.8 if len(shown.feature_N) > LARGE else 1.6,
    )


def _groups(shown: MapPoints, colouring: Colouring, lit_F: NDArray[np.bool_] | None) -> list[PointGroup]:
    group_N = colouring.group_F[shown.feature_N]
    lit_N = np.ones(len(group_N), bool) if lit_F is None else lit_F[shown.feature_N]

    def where(wanted_N: NDArray[np.bool_]) -> list[tuple[float, float]]:
        return [(x, y) for x, y in shown.place_N2[wanted_N].tolist()]

    others = "" if lit_F is None else "others"
    found = [PointGroup(others, FAINT, where(~lit_N))] if not lit_N.all() else []
    if (missing_N := lit_N & (group_N == NONE)).any():
        found.append(PointGroup(f"no {colouring.name}", GREY, where(missing_N)))
    for group in range(int(group_N.max(initial=NONE)) + 1):
        colour = RAMP[group] if colouring.is_scale else COLOURS[group % len(COLOURS)]
        found.append(PointGroup(_name(colouring, group), colour, where(lit_N & (group_N == group))))
    return found


def _name(colouring: Colouring, group: int) -> str:
    """Return the name of a group for the legend."""
    if not colouring.is_scale:
        return colouring.names[group] if group < len(colouring.names) else ""
    low, high = colouring.names[group], colouring.names[group + 1]
    ends = {0: f"{colouring.title}: below {high}", STEPS - 1: f"from {low} on"}
    return ends.get(group, f"{low} to {high}")


def _of_ratio(box: Box) -> Box:
    """Return a part of the plane made wider or higher, so that it fills the plot with equal units."""
    width, height = box.right - box.left, box.top - box.bottom
    wider, higher = max(0.0, height * RATIO - width) / 2, max(0.0, width / RATIO - height) / 2
    return Box(box.left - wider, box.bottom - higher, box.right + wider, box.top + higher)
