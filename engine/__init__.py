"""Everything that computes: text to activations to sparse autoencoders to the feature index."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from engine.sae.base import Sae

SET_FOR_TORCH = ("THP_MEM_ALLOC_ENABLE", "GOMP_SPINCOUNT")
"""Environment variables that are set below, where the user has not; child processes inherit them."""

# Large tensors in huge pages: else a training step spends some of its time on page faults (docs/benchmarks.md). torch
# reads this when it first allocates.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

# OpenMP's threads wait for each other by spinning, for so long that on a machine where anything else runs most of the
# time is lost: steps of 64 to 1 024 features fell to a fiftieth (docs/log.md). Short spins cost a tenth of such steps
# where nothing else runs, and nothing of larger ones.
if not os.environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}:
    os.environ["GOMP_SPINCOUNT"] = "1000"


def load(run: str | Path, device: str = "cpu") -> Sae:
    """A run's autoencoder as a torch module: `encode`, `decode`, `forward` on raw activations [B, d_in] in float32.

    `encode` gives `SparseActs` (engine.sae.base); its settings say d_in, d_sae and k. Nothing requires a gradient.

    Args:
        run: the folder of a run, or a sae.h5.
        device: where it is to lie.

    Raises:
        MonosemError: there is none.
    """
    # torch takes a second to import, and engine.runtime.progress must not wait for it.
    from pathlib import Path

    import torch

    from engine.sae.registry import from_weights
    from store.files.errors import MonosemError
    from store.run.weights import load_sae

    path = Path(run) / "sae.h5" if Path(run).is_dir() else Path(run)
    if not path.is_file():
        raise MonosemError(f"{run} has no trained autoencoder", "Give a run's folder, or a sae.h5.")
    return from_weights(load_sae(path.resolve()), torch.device(device))
