"""Reconstruction of held-out activations: one formula for all libraries.

Shapes: N activations, D = d_in, F = d_sae.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.sae.base import encoded_rows
from engine.sae.registry import from_weights
from store.run.folder import RunFolder
from store.run.weights import load_sae


@dataclass(frozen=True)
class Quality:
    """Quality of one autoencoder on held-out activations."""

    explained_variance: float
    alive: float
    """Share of features that fire on them."""


def explained_variance(x_ND: NDArray[np.float32], reconstructed_ND: NDArray[np.float32]) -> float:
    """1 - Σ‖x - x̂‖² / Σ‖x - mean(x)‖²."""
    exact_ND = x_ND.astype(np.float64)
    return 1 - float(((exact_ND - reconstructed_ND) ** 2).sum() / ((exact_ND - exact_ND.mean(0)) ** 2).sum())


@torch.no_grad()
def of_run(path: Path, x_ND: NDArray[np.float32]) -> Quality:
    """Reconstructions by the autoencoder of a run folder, computed by monosem."""
    sae = from_weights(load_sae(RunFolder(path).sae), torch.device("cpu"))
    fired_F = torch.zeros(sae.settings.d_sae, dtype=torch.bool)
    pieces = []
    for some_ND in torch.split(torch.from_numpy(x_ND), encoded_rows(sae)):
        acts = sae.encode(some_ND)
        fired_F[acts.feature_BK[acts.act_BK > 0]] = True
        pieces.append(sae.decode(acts))
    return Quality(explained_variance(x_ND, torch.cat(pieces).numpy()), float(fired_F.float().mean()))


def of_reconstructions(file: Path, alive: float, x_ND: NDArray[np.float32]) -> Quality:
    """Reconstructions by another library, and the share of features that fired."""
    return Quality(explained_variance(x_ND, np.load(file)), alive)
