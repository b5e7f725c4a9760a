"""Figures of ordinary tokens: their explained variance, also by dimension, and the holders of the variance.

Shapes: N counted tokens, D width of a row, O = d_out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data.ordinary_tokens import TINY, OrdinaryTokens, Places, variance_shares
from engine.runtime.sizes import SAMPLE_ROWS
from store.settings.train import MAX_NORM


class OrdinaryPart:
    """Sums over the ordinary tokens of an evaluation set, by dimension, and the distances of all of its tokens."""

    def __init__(self, ordinary: OrdinaryTokens | None, places: Places, d_out: int) -> None:
        """`ordinary` tells outliers; None to measure what is ordinary on the first tokens."""
        self._ordinary, self._places, self._d_out = ordinary, places, d_out
        self._n = 0
        self._error_O, self._sum_O, self._squares_O = (np.zeros(d_out, np.float64) for _ in range(3))
        self._away: list[NDArray[np.float32]] = []
        self._outlier: list[NDArray[np.bool_]] = []

    def begin(self, rows_ND: Tensor) -> None:
        """Measure what is ordinary on these rows, unless that is known."""
        if self._ordinary is None:
            self._ordinary = OrdinaryTokens.measured(rows_ND[:SAMPLE_ROWS], self._places, MAX_NORM)

    def add(self, rows_ND: Tensor, error_NO: Tensor, exact_NO: NDArray[np.float64]) -> None:
        """Add tokens: rows of activations, y - ŷ, and y in float64."""
        assert self._ordinary is not None
        outlier_N = self._ordinary.outliers(rows_ND)
        centre_O = torch.from_numpy(self._ordinary.limits_2D[0, -self._d_out :]).to(rows_ND.device)
        self._away.append((rows_ND[:, -self._d_out :] - centre_O).square().sum(1).cpu().numpy())
        self._outlier.append(outlier_N.cpu().numpy())
        if outlier_N.any():
            error_NO, exact_NO = error_NO[~outlier_N], exact_NO[~self._outlier[-1]]
        self._n += len(exact_NO)
        self._error_O += error_NO.square().sum(0).double().cpu().numpy()
        self._sum_O += exact_NO.sum(0)
        self._squares_O += (exact_NO**2).sum(0)

    def figures(self) -> dict[str, Any]:
        """Return the figures of ordinary tokens by the names of `Evaluation`."""
        variance_O = self._squares_O - self._sum_O**2 / max(self._n, 1)
        varies_O = variance_O > self._squares_O * 1e-12
        outlier_N = np.concatenate(self._outlier)
        explained_O = 1 - self._error_O[varies_O] / variance_O[varies_O]
        return {
            "explained_variance_ordinary": 1 - float(self._error_O.sum()) / max(float(variance_O.sum()), TINY),
            "explained_variance_standardised": float(explained_O.mean()) if len(explained_O) else 0.0,
            "outlier_tokens": int(outlier_N.sum()),
            "variance_shares": variance_shares(np.concatenate(self._away), outlier_N, variance_O),
        }
