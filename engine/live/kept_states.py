"""Activations that the dictionary reads, kept while a text is written, so that any feature's are known afterwards.

Shapes: R rows, T positions read at once, N positions kept, D = d_in.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from engine.live.live_model import LiveModel

MOST = 4096
"""Positions kept: the last ones."""
SLACK = 256
"""Positions beyond them before the first ones are dropped, so that they are rarely copied."""
ROWS = 2
"""Rows kept: of the base and of the clamped text."""


class KeptStates:
    """The last positions of the base and the clamped row."""

    def __init__(self, live: LiveModel) -> None:
        self._live = live
        self._parts: list[Tensor] = []
        self._first = self._end = 0
        """Range of the positions kept."""

    def keep(self, first: int, x_RTD: Tensor) -> None:
        """Keep positions from `first` on, in place of those that were there."""
        self._crop(first)
        self._parts.append(x_RTD[:ROWS].clone())
        self._end = first + x_RTD.shape[1]
        if self._end - self._first > MOST + SLACK:
            self._parts = [torch.cat(self._parts, 1)[:, -MOST:].clone()]
            self._first = self._end - MOST

    def acts(self, row: int, feature: int, counted: list[bool], start: int, stop: int) -> list[float]:
        """Return a feature's activations at positions start to stop (exclusive), NaN where not kept or not counted.

        Args:
            row: 0 for the base text, 1 for the clamped one.
            feature: its number.
            counted: whether each position counts.
            start: first position.
            stop: end (exclusive).
        """
        from_, until = max(start, self._first), min(stop, self._end)
        found = [math.nan] * (stop - start)
        if from_ < until:
            x_ND = self._rows(from_, until)[row].float()
            of = torch.tensor([feature], device=self._live.sae.W_dec.device)
            with torch.inference_mode():
                found[from_ - start : until - start] = self._live.sae.acts_of(x_ND, of)[:, 0].tolist()
        return [act if one else math.nan for act, one in zip(found, counted, strict=True)]

    def base_row(self, stop: int) -> tuple[int, Tensor]:
        """Return the first kept position and the base row [N, D] from there to `stop` (exclusive)."""
        return self._first, self._rows(self._first, min(stop, self._end))[0].float()

    def _rows(self, start: int, stop: int) -> Tensor:
        """Return positions start to stop (exclusive) of both rows [R, N, D]."""
        parts, end = [], self._end
        for part in reversed(self._parts):
            first = end - part.shape[1]
            if first < stop and start < end:
                parts.append(part[:, max(0, start - first) : stop - first])
            end = first
            if end <= start:
                break
        return torch.cat(parts[::-1], 1) if parts else torch.zeros(ROWS, 0, 0)

    def _crop(self, first: int) -> None:
        """Drop positions from `first` on."""
        while self._parts and self._end > first:
            last = self._parts.pop()
            begin = self._end - last.shape[1]
            if begin < first:
                self._parts.append(last[:, : first - begin])
            self._end = max(begin, first)
        if not self._parts:
            self._first = self._end = first
