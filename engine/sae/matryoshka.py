"""Matryoshka BatchTopK: BatchTopK over nested dictionaries.

Bussmann, Nabeshima, Karvonen, Nanda 2025, *Learning Multi-Level Features with Matryoshka Sparse Autoencoders* (arXiv
2503.17547).

Shapes: D = d_in, O = d_out, F = d_sae.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.sae.base import Sae
from engine.sae.batchtopk import BatchTopKSae

PREFIXES = (1 / 32, 3 / 32, 7 / 32, 15 / 32)
"""Share of features in each prefix except the whole; each group is twice the previous one (the paper's 2 048, 6 144,
14 336 and 30 720 of 65 536)."""


class MatryoshkaSae(BatchTopKSae):
    """BatchTopK whose first m features must reconstruct by themselves, for each m of nested prefixes.

    Loss: L = mean over m of Σ‖x - x̂_m‖² / Σ‖x - mean(x)‖² + α · AuxK, x̂_m = Σ_{i<m} f_i · W_dec[i] + b_dec, for m =
    1/32, 3/32, 7/32, 15/32 and all of F. The paper takes the sum over m: the mean gives AuxK five times the weight,
    without which features of the last group die (docs/log.md). Activations are selected once, over all features; AuxK
    explains the error of the whole dictionary. General features thus come first, and are neither split nor absorbed
    when there is room for more specific ones.
    """

    arch = "matryoshka"

    @torch.no_grad()
    def initialise(self, mean_D: Tensor, generator: torch.Generator, mean_O: Tensor | None = None) -> None:
        """Start as `Sae` does: with shorter columns more features of the last group die (docs/log.md)."""
        Sae.initialise(self, mean_D, generator, mean_O)

    def group_starts(self) -> tuple[int, ...]:
        """Return 0 and the end of each prefix; fewer when small dictionaries make prefixes coincide."""
        d_sae = self.settings.d_sae
        return tuple(sorted({0} | {round(d_sae * share) for share in PREFIXES}))
