"""Activations that the dictionary reads, kept while a text is written, so that any feature's are known afterwards.

Shapes: R rows, T positions read at once, N positions kept, D = d_in.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from engine.indexing.encoder import encode_rows
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

    def strongest(self, counted: list[bool]) -> dict[int, tuple[float, int]]:
        """Return each feature that fires in the base text, with its largest activation and the position of that.

        Args:
            counted: whether each position counts, from 0 on; later ones are not looked at.
        """
        start, stop = self._first, min(len(counted), self._end)
        counted_N = np.array(counted[start:stop], bool)
        if not counted_N.any():
            return {}
        x_ND = self._rows(start, stop)[0].float()
        rows = encode_rows(self._live.sae, x_ND[torch.from_numpy(counted_N).to(x_ND.device)], counted_N)
        place_E = np.repeat(np.arange(start, stop), np.diff(rows.indptr))
        order_E = np.argsort(rows.act, kind="stable")  # the largest of a feature comes last, and stays
        entries = zip(
            rows.feature[order_E].tolist(), rows.act[order_E].tolist(), place_E[order_E].tolist(), strict=True
        )
        return {feature: (act, place) for feature, act, place in entries}

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
