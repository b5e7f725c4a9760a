"""Activation as heat: five steps rather than a continuous ramp, and never by colour alone."""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.bars import LEVELS

STEPS = 5


class Rendering(Enum):
    """The way activations are drawn on running text."""

    BACKGROUND = "background"
    """A coloured background per token."""
    RULER = "ruler"
    """A line of ▁▂▃▄▅▆▇█ under the text: for 16 colours, no colours, screenshots, colour-blind readers."""
    MARKS = "marks"
    """Underlines, the strongest tokens bold, and `‹12.1›` after the peak: survives as plain text."""

    def following(self) -> Rendering:
        """Return the next rendering, cyclically."""
        order = list(Rendering)
        return order[(order.index(self) + 1) % len(order)]


def default_rendering(colors: int) -> Rendering:
    """Return backgrounds where there are 256 colours; 16 are too few for a ramp."""
    return Rendering.BACKGROUND if colors >= 256 else Rendering.RULER


def bins(act: NDArray[np.float32], top: float, steps: int = STEPS) -> NDArray[np.int64]:
    """Return 0 for activation 0, else a step from 1 to `steps`: 1 + floor((steps-1) · log(1 + 9a/top) / log 10).

    Logarithmic with a floor, so that weak activations show: Neuronpedia's opacity, quantised.
    """
    if top <= 0:
        return np.zeros(len(act), np.int64)
    share = np.clip(np.asarray(act, np.float64) / top, 0.0, 1.0)
    # The epsilon is needed because log(10)/log(10) may round below 1.
    level = 1 + np.floor((steps - 1) * np.log1p(9 * share) / np.log(10) + 1e-9).astype(np.int64)
    return np.where(share > 0, level, 0)


def ruler(act: NDArray[np.float32], top: float, cells: list[int]) -> list[str]:
    """Return per token a string of `cells` block characters as high as its activation; blanks at 0."""
    levels = bins(act, top, len(LEVELS) - 1)
    return [LEVELS[level] * size for level, size in zip(levels.tolist(), cells, strict=True)]


def strongest(act: NDArray[np.float32], wanted: int) -> set[int]:
    """Return the indices of the `wanted` largest positive activations."""
    order = np.argsort(-np.asarray(act), kind="stable")[:wanted]
    return {int(place) for place in order if act[place] > 0}
