"""Decode rows of text in one batch, token by token, and sample their tokens.

Shapes: R rows, T positions fed at once, V vocabulary, L layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.generation.logits_process import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from engine.live.live_model import LiveModel
from engine.live.memory import Memory
from engine.live.row_clamps import Bools, RowClamps, clamped
from store.files.errors import MonosemError
from store.live.sampling import Sampling

COLDEST = 1e-6
"""Lower temperatures count as 0: logits divided by them leave the range of float32."""


class Chooser:
    """Samples the tokens of one row as transformers' `generate` does, from its own random stream.

    With the same seed and logits it draws what `generate` draws after `torch.manual_seed(seed)` in a batch of one.
    """

    def __init__(self, sampling: Sampling, device: torch.device) -> None:
        self._greedy = sampling.temperature < COLDEST
        self._warpers: list[Any] = []
        if not self._greedy and sampling.temperature != 1:
            self._warpers.append(TemperatureLogitsWarper(sampling.temperature))
        if sampling.top_k:
            self._warpers.append(TopKLogitsWarper(sampling.top_k))
        if sampling.top_p < 1:
            self._warpers.append(TopPLogitsWarper(sampling.top_p))
        self._generator = torch.Generator(device).manual_seed(sampling.seed)

    def pick(self, logits_V: Tensor) -> int:
        """Draw the next token."""
        if self._greedy:
            return int(logits_V.argmax())
        scores_1V = logits_V[None]
        for warper in self._warpers:
            scores_1V = warper(None, scores_1V)
        return int(torch.multinomial(scores_1V.softmax(-1), num_samples=1, generator=self._generator))

    def state(self) -> Tensor | None:
        """State of the random stream; None for greedy sampling."""
        return None if self._greedy else self._generator.get_state()

    def restore(self, state: Tensor | None) -> None:
        """Restore an earlier state of the random stream."""
        if state is not None:
            self._generator.set_state(state)

    def reseed(self, seed: int) -> None:
        """Start a new random stream."""
        self._generator.manual_seed(seed)


class Decoder:
    """Rows of equal length, read on from what the model keeps of them."""

    def __init__(self, live: LiveModel, keep: Callable[[int, Tensor], None] | None = None) -> None:
        """Begin without any tokens.

        Args:
            live: the opened run.
            keep: gets what the dictionary reads [R, T, D] from a position on.

        Raises:
            MonosemError: the model cannot be read token by token.
        """
        self.live, self._keep = live, keep
        self.length = 0
        """Positions read so far."""
        self._memory = Memory(live.lm)

    @torch.inference_mode()
    def feed(self, tokens_RT: Sequence[Sequence[int]], rows: Sequence[RowClamps | None]) -> Tensor:
        """Read T more tokens per row under the rows' clamps; return the logits after the last [R, V] in float32."""
        array_RT = np.array(tokens_RT, np.int64)
        with clamped(self.live, rows, self.length, self._counted(array_RT), self._keep):
            logits_RV = self._memory.read(torch.from_numpy(array_RT).to(self.live.lm.device))
        self.length += array_RT.shape[1]
        return logits_RV

    def _counted(self, tokens_RT: NDArray[np.int64]) -> Bools:
        """Return the positions that clamps may change: all but BOS, or but the first where there is no BOS."""
        counted = self.live.encoding.counted(tokens_RT)
        if self.live.encoding.bos_id is None:
            counted[:, 0] = self.length > 0
        return counted

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows in this order; a row may be repeated."""
        if self.length:
            self._memory.select(rows)

    def crop(self, length: int) -> None:
        """Drop all positions from `length` on.

        Raises:
            MonosemError: this model's memory cannot be cropped.
        """
        if length == 0:
            self._memory, self.length = Memory(self.live.lm), 0
        elif length < self.length:
            if not self._memory.croppable:
                raise MonosemError(
                    f"{self.live.lm.name} keeps a running state, so a text cannot be gone back in",
                    "Start again from the prompt.",
                )
            self._memory.crop(self.length - length)
            self.length = length
