"""The loss of guessing tokens by their frequency: what a model must beat.

Shapes: B contexts, T positions, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.activations import forward_contexts
from engine.jobs.subject import Subject
from engine.runtime.progress import Progress

LEAST, MOST = 1 << 18, 1 << 20
"""Fewest and most tokens that are counted: four per token of the vocabulary between them."""


class Unigram:
    """Frequencies of the tokens that follow others within contexts, each counted once more than it occurs."""

    def __init__(self, subject: Subject, progress: Progress) -> None:
        """Count about `LEAST` to `MOST` tokens of the training split, in the order in which a training reads them."""
        vocab, context = subject.lm.vocab_size, subject.context
        count_V: NDArray[np.int64] = np.ones(vocab, np.int64)
        contexts = -(-min(MOST, max(LEAST, 4 * vocab)) // context)
        with progress.task("frequencies of tokens", None, "contexts") as bar:
            for batch in subject.stream("train").batches(forward_contexts(context), contexts):
                count_V += np.bincount(batch.tokens_BT[:, 1:][batch.mask_BT[:, 1:]], minlength=vocab)
                bar.advance(len(batch.tokens_BT))
        self._loss_V = np.log(count_V.sum()) - np.log(count_V)

    def loss(self, tokens_BT: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Return -log p of each token in nats."""
        loss_BT: NDArray[np.float64] = self._loss_V[tokens_BT]
        return loss_BT
