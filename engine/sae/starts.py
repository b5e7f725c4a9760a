"""Initial encoder length and threshold, so that first reconstructions are as large as their inputs.

With unit encoder columns they can be many times too large. Many features die while biases and thresholds correct that,
and what is learnt meanwhile is poor (docs/log.md).
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

from engine.sae.base import SaeSettings


class Start(NamedTuple):
    """Initial length of the encoder's columns, and the threshold for features with such columns."""

    length: float
    threshold: float


def start_of(settings: SaeSettings, share: float) -> Start:
    """Return the start at which a share p of the features fires and reconstructions are as large as their inputs.

    With scaled inputs, z = x · w of a random unit column w has variance 1, and exceeds q = Φ⁻¹(1 - p) with probability
    p. Σ z · w over the columns with z > q is on average F / d · (p + q · φ(q)) · x: columns, and the threshold with
    them, are divided by that factor, but never made longer. With half of the features firing, their length is 2d / F.
    """
    normal, p = NormalDist(), min(share, 0.5)
    q = normal.inv_cdf(1 - p)
    length = min(1.0, settings.d_in / (settings.d_sae * (p + q * normal.pdf(q))))
    return Start(length, length * q)
