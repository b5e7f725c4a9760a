"""Where training begins: with reconstructions as large as what they reconstruct.

With unit encoder columns the first ones can be many times too large. While biases and thresholds bring that down many
features die, and what is learnt meanwhile is learnt badly (docs/log.md).
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

from engine.sae.base import SaeSettings


class Start(NamedTuple):
    """Length of the encoder's columns, and the threshold of features with such columns."""

    length: float
    threshold: float


def start_of(settings: SaeSettings, share: float) -> Start:
    """The start at which a share p of the features fires, and first reconstructions are as large as their inputs.

    What a random unit column w reads, z = x · w, has variance 1 with inputs scaled as they are; p of it is above
    q = Φ⁻¹(1 - p). Σ z · w over the columns with z > q is on average F / d · (p + q · φ(q)) · x: by as much columns are
    made shorter, never longer, and the threshold with them. Where half the features fire, their length is 2d / F.
    """
    normal, p = NormalDist(), min(share, 0.5)
    q = normal.inv_cdf(1 - p)
    length = min(1.0, settings.d_in / (settings.d_sae * (p + q * normal.pdf(q))))
    return Start(length, length * q)
