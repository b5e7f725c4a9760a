"""How much each feature fires on some of the corpus's tokens.

Shapes: F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TokenUse:
    """Total activation of each feature on some tokens."""

    count_F: NDArray[np.int64]
    """Places with one of the tokens on which it fires."""
    sum_F: NDArray[np.float64]
    """Total activation there."""
    share_F: NDArray[np.float64]
    """Share of its total activation over the corpus; 0 if it never fires."""
