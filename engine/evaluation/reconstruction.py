"""Figures that need only a site's activations: explained variance, L0, density, cosine, norms.

Shapes: N counted tokens, D = d_in, O = d_out, F = d_sae.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data.activations import Columns
from engine.data.ordinary_tokens import OrdinaryTokens, places_of
from engine.evaluation.ordinary_part import OrdinaryPart
from engine.sae.base import Sae, encoded_rows
from store.files.errors import MonosemError
from store.query.histogram import density_histogram

TINY = 1e-30
"""Least variance and norm to divide by."""


class Reconstruction:
    """Sums over an evaluation set, from which the figures of one autoencoder follow."""

    def __init__(self, sae: Sae, columns: Columns, ordinary: OrdinaryTokens | None = None) -> None:
        """`columns` are those of a row that the autoencoder reads, and those of a transcoder's target."""
        self.tokens = 0
        self._ordinary = OrdinaryPart(ordinary, places_of(sae.settings.d_in, sae.settings.d_out), len(sae.b_dec))
        self._sae, self._columns = sae, columns
        self._squared_error, self._squares, self._cosine, self._norm_ratio = 0.0, 0.0, 0.0, 0.0
        self._sum_O: NDArray[np.float64] = np.zeros(len(sae.b_dec), np.float64)
        self._count_F = torch.zeros(sae.settings.d_sae, dtype=torch.int64, device=sae.W_dec.device)

    def add(self, rows_ND: Tensor) -> None:
        """Add rows of activations."""
        sae, device = self._sae, self._sae.W_dec.device
        self._ordinary.begin(_joined(*self._columns.of(rows_ND)))
        for some_ND in torch.split(rows_ND, encoded_rows(sae)):
            x_ND, target_NO = self._columns.of(some_ND.to(device).float())
            y_NO = x_ND if target_NO is None else target_NO
            acts = sae.encode(x_ND)
            found_NO = sae.decode(acts, x_ND)
            self._squared_error += (y_NO - found_NO).square().sum().item()
            self._count_F += torch.bincount(acts.feature_BK[acts.act_BK > 0], minlength=len(self._count_F))
            norm_N, found_norm_N = (rows.norm(dim=1).double().clamp_min(TINY) for rows in (y_NO, found_NO))
            self._cosine += ((y_NO * found_NO).sum(1).double() / (norm_N * found_norm_N)).sum().item()
            self._norm_ratio += (found_norm_N / norm_N).sum().item()
            exact_NO = y_NO.cpu().numpy().astype(np.float64)
            self._squares += float((exact_NO**2).sum())
            self._sum_O += exact_NO.sum(0)
            self.tokens += len(x_ND)
            self._ordinary.add(_joined(x_ND, target_NO), y_NO - found_NO, exact_NO)

    @property
    def mean_O(self) -> Tensor:
        """The mean of what is reconstructed, float32 on the autoencoder's device."""
        return torch.from_numpy(self._sum_O / self.tokens).float().to(self._sae.W_dec.device)

    def figures(self) -> dict[str, Any]:
        """Return the figures by the names of `Evaluation`."""
        n, d_sae = self.tokens, len(self._count_F)
        alive = int((self._count_F > 0).sum())
        fvu = self._squared_error / max(self._squares - float((self._sum_O**2).sum()) / n, TINY)
        return {
            "l0": float(self._count_F.sum()) / n,
            "explained_variance": 1 - fvu,
            "fvu": fvu,
            **self._ordinary.figures(),
            "mse": self._squared_error / (n * len(self._sum_O)),
            "cosine": self._cosine / n,
            "norm_ratio": self._norm_ratio / n,
            "alive": alive,
            "dead": d_sae - alive,
            "d_sae": d_sae,
            "tokens": n,
            "detectable_density": 3 / n,
            "density_log10_histogram": density_histogram(self._count_F.cpu().numpy() / n),
        }


def _joined(x_ND: Tensor, target_NO: Tensor | None) -> Tensor:
    return x_ND if target_NO is None else torch.cat([x_ND, target_NO], 1)


def reconstruct(batches: Iterable[Tensor], sums: Sequence[Reconstruction], data: str) -> None:
    """Add batches of rows to the sums of each autoencoder.

    Raises:
        MonosemError: there are no rows.
    """
    for batch_ND in batches:
        for one in sums:
            one.add(batch_ND)
    if not sums[0].tokens:
        raise MonosemError(f"{data} has no tokens to evaluate on", "Use other text as `data`.")
