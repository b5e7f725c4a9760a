"""The explained variance that the shared features of a dictionary keep alone, by a pass of the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from engine.data.activations import captured_batches
from engine.evaluation.reconstruction import Reconstruction, reconstruct
from engine.jobs.activation_source import laid_out
from engine.jobs.trained_run import reopen
from engine.runtime.progress import Progress
from engine.sae.registry import from_weights
from store.comparison.figures import SharedVariance
from store.run.folder import RunFolder
from store.run.weights import SaeWeights, load_sae
from store.settings.subject import ReopenSettings

TOKENS = 100_000
"""Tokens of the pass."""


def shared_variance(
    run: RunFolder, asked: ReopenSettings, shared_F: NDArray[np.bool_], progress: Progress, tokens: int = TOKENS
) -> SharedVariance:
    """Measure what a run's shared features reconstruct by themselves.

    Args:
        run: a trained run.
        asked: the text, and what differs from the training otherwise.
        shared_F: which features are shared.
        progress: receives reports.
        tokens: tokens to measure on, at the beginning of the text as the run reads it; whole contexts.

    Raises:
        MonosemError: the run's model or text cannot be read.
    """
    subject, weights = reopen(run, asked, progress), load_sae(run.sae)
    saes = [from_weights(one, subject.lm.device) for one in (_only(weights, shared_F), weights)]
    sites = [subject.sites()] * len(saes)
    columns, places = laid_out(sites)
    sums = [Reconstruction(sae, of_row) for sae, of_row in zip(saes, columns, strict=True)]
    stream = subject.stream("all")
    contexts = stream.look_ahead(tokens)

    def batches() -> Iterator[Tensor]:
        with progress.task(f"shared features of {run.name}", contexts, "contexts") as bar:
            for captured in captured_batches(subject.lm, places, stream, contexts, whole=False):
                yield captured.acts_ND
                bar.advance(len(captured.batch.tokens_BT))

    reconstruct(batches(), sums, subject.corpus.spec)
    kept, whole = (one.figures() for one in sums)
    return SharedVariance(kept["explained_variance"], whole["explained_variance"], whole["tokens"])


def _only(weights: SaeWeights, shared_F: NDArray[np.bool_]) -> SaeWeights:
    """Return weights that encode as before and decode the shared features alone."""
    decoder_FD = weights.tensors["W_dec"] * shared_F[:, None]
    return replace(weights, tensors=weights.tensors | {"W_dec": decoder_FD.astype(np.float32)})
