"""Ordinary tokens and outliers: a few tokens far from the rest would carry input scale, loss and explained variance.

Definition, for each site by itself, over a sample of tokens:

- the centre c is the median of each dimension, and a token's distance ‖x - c‖ / √d;
- the scale is the median of the distances, or 0.6 of the one that 98 % of tokens do not exceed where that is more;
- an outlier's distance is more than `max_norm` times the scale, at any of the sites.

The second scale keeps the tokens of a heavy tail: where one in fifty is far away, that is what the site is like. The
distance is that of the loss: dividing each dimension by a scale of its own hides tokens with a few huge dimensions
among hundreds of others (docs/decisions/014-outlier-tokens.md). Multiplying a site's activations by a number changes
nothing. A site of which fewer than `LEAST_ROWS` tokens are known has no outliers.

Shapes: N tokens, D width of a row, all sites beside each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from engine.data.activations import BlockSource
from engine.runtime.sizes import SAMPLE_BYTES, SAMPLE_ROWS
from store.files.errors import WorkFailed
from store.run.folder import RunFolder
from store.run.ordinary import load_limits
from store.run.variance_shares import MUCH, VarianceShares

LEAST_ROWS = 64
"""Tokens that are needed to know what is usual."""
TAIL, TAIL_SCALE = 98, 0.6
"""Per cent of tokens that are not the far end, and the share of their farthest's distance that a scale is at least."""
_ROWS, _COLUMNS = 2048, 64
"""Rows and columns handled at once, so that they stay in the processor's cache."""
TINY = 1e-30
"""Least variance to divide by."""
OUTLIERS = "outliers"
"""Name of their number in the position of a source."""
KEPT_ROWS, KEPT_BLOCKS = 256, 3
"""Most outliers of a block that are kept, and blocks that keep theirs: one in use, one computed ahead, one to spare."""
Places = Mapping[str, slice]
"""The columns of each site by its name."""


@dataclass(frozen=True)
class OrdinaryTokens:
    """Tells outliers from ordinary tokens: those with ‖weight · (x - centre)‖ > 1 at a site."""

    limits_2D: NDArray[np.float32]
    """Centre and weight of each dimension; all dimensions of a site weigh the same."""
    places: Places

    @classmethod
    def measured(cls, sample_ND: torch.Tensor, places: Places, max_norm: float) -> OrdinaryTokens:
        """Measure what is usual in a sample, as the module defines it; `max_norm` 0 finds no outliers."""
        if len(sample_ND) < LEAST_ROWS:
            return cls(np.zeros((2, sample_ND.shape[1]), np.float32), places)
        columns = (columns_ND.float().T.contiguous() for columns_ND in torch.split(sample_ND, _COLUMNS, dim=1))
        centre_D = torch.cat([columns_DN.median(1).values for columns_DN in columns]).cpu().numpy()
        limits_2D = np.stack([centre_D, np.ones_like(centre_D)])
        n, distances = len(sample_ND), cls(limits_2D, places).distances(sample_ND).sort(1).values.cpu().numpy()
        for place, sorted_N in zip(places.values(), distances, strict=True):
            most = max_norm * max(sorted_N[(n - 1) // 2], TAIL_SCALE * sorted_N[TAIL * n // 100])
            limits_2D[1, place] = 1 / most if most > TINY else 0
        return cls(limits_2D, places)

    def distances(self, rows_ND: torch.Tensor) -> torch.Tensor:
        """Return ‖weight · (x - centre)‖ at each site [sites, N], float32."""
        centre_D, weight_D = torch.from_numpy(self.limits_2D).to(rows_ND.device)
        found = [rows_ND.new_zeros(len(self.places), 0, dtype=torch.float32)]
        for some_ND in torch.split(rows_ND, _ROWS):
            away_ND = (some_ND.float() - centre_D).mul_(weight_D).square_()
            found.append(torch.stack([away_ND[:, place].sum(1).sqrt_() for place in self.places.values()]))
        return torch.cat(found, 1)

    def of_input(self) -> OrdinaryTokens:
        """Return what tells outliers by the first site alone."""
        name, place = next(iter(self.places.items()))
        return OrdinaryTokens(self.limits_2D[:, place], {name: place})

    def outliers(self, rows_ND: torch.Tensor) -> torch.Tensor:
        """Return which rows are outliers at any site [N]; NaN and infinite ones are not, so that others refuse them."""
        distances = self.distances(rows_ND)
        return ((distances > 1) & distances.isfinite()).any(0)

    def shares(self, rows_ND: torch.Tensor) -> dict[str, VarianceShares]:
        """Return how the variance of some tokens is shared out, by site."""
        outlier_N, centre_D = self.outliers(rows_ND), torch.from_numpy(self.limits_2D[0]).to(rows_ND.device)
        found = {}
        for name, place in self.places.items():
            rows = rows_ND[:, place].float()
            away_N = (rows - centre_D[place]).square().sum(1)
            variance_D = rows[~outlier_N].var(0, unbiased=False)
            found[name] = variance_shares(*(part.cpu().numpy() for part in (away_N, outlier_N, variance_D)))
        return found


def variance_shares(
    away_N: NDArray[np.float32], outlier_N: NDArray[np.bool_], variance_D: NDArray[Any]
) -> VarianceShares:
    """Return the shares from ‖x - centre‖² and whether it is an outlier by token, and the variance by dimension."""
    n, outliers, total = len(away_N), int(outlier_N.sum()), max(float(away_N.sum(dtype=np.float64)), TINY)
    few = max(0, -(-n // 100) - 1)
    share = float(np.partition(away_N, n - few)[n - few :].sum(dtype=np.float64)) / total if few else 0.0
    of_outliers = float(away_N[outlier_N].sum(dtype=np.float64)) / total
    if 0 < 100 * outliers < n and of_outliers > MUCH:
        few, share = outliers, of_outliers
    top = int(np.argmax(variance_D))
    of_top = float(variance_D[top]) / max(float(variance_D.sum(dtype=np.float64)), TINY)
    return VarianceShares(n, few, share, top, of_top, len(variance_D))


def places_of(d_in: int, d_out: int | None) -> Places:
    """Return the columns of what an autoencoder reads, and those of a transcoder's target after them."""
    read = {"input": slice(0, d_in)}
    return read if d_out is None else read | {"target": slice(d_in, d_in + d_out)}


def kept_limits(run: RunFolder) -> OrdinaryTokens | None:
    """Return what a run's training measured; None for an older run, or one imported without a check."""
    spec = run.record().spec
    places = places_of(spec.d_in, spec.d_out)
    limits_2D = load_limits(run.ordinary, max(place.stop for place in places.values()))
    return None if limits_2D is None else OrdinaryTokens(limits_2D, places)


class LeftOut(NamedTuple):
    """The outliers of one block."""

    rows_ND: torch.Tensor
    """The first `KEPT_ROWS` of them."""
    share: float
    """Their share of the block's tokens."""


class OrdinaryBlocks:
    """The blocks of a source without their outliers, which are measured on the first `SAMPLE_ROWS` rows."""

    def __init__(self, source: BlockSource, places: Places, max_norm: float) -> None:
        self._source, self._places, self._max_norm = source, places, max_norm
        self.ordinary: OrdinaryTokens | None = None
        """None before the first block."""
        self.shares: dict[str, VarianceShares] = {}
        """Shares of the variance of the tokens that were measured; empty in a resumed training."""
        self._outliers = 0
        self._seen, self._left_out = 0, 0
        self._kept: dict[str, LeftOut] = {}
        """Outliers of the last blocks, by the position after each."""

    @property
    def d_in(self) -> int:
        """Width of the rows."""
        return self._source.d_in

    def next_block(self, rows: int) -> Iterator[torch.Tensor]:
        """Return the ordinary ones of up to `rows` rows; further blocks follow one that was cut.

        Raises:
            WorkFailed: most rows are outliers, so that the first ones are not what is usual.
        """
        pieces = iter(self._source.next_block(rows))
        if self.ordinary is None:
            first = self._measure(pieces)
            pieces = chain(first, pieces)
        assert self.ordinary is not None
        before, kept = (self._seen, self._left_out), [torch.empty(0, self.d_in)]
        for piece_ND in pieces:
            outlier_N = self.ordinary.outliers(piece_ND)
            n_outliers = int(outlier_N.sum())
            self._seen, self._left_out = self._seen + len(piece_ND), self._left_out + n_outliers
            if self._seen > SAMPLE_ROWS and self._left_out > self._seen / 2:
                raise WorkFailed(
                    "most activations are outliers, judged by the first ones",
                    "Leave none out by `max_norm=0`, or raise it.",
                )
            self._outliers += n_outliers
            if n_outliers and (room := KEPT_ROWS - sum(map(len, kept))) > 0:
                kept.append(piece_ND[outlier_N][:room].float().cpu())
            yield piece_ND[~outlier_N] if n_outliers else piece_ND
        seen, left_out = self._seen - before[0], self._left_out - before[1]
        self._kept[json.dumps(self.position())] = LeftOut(torch.cat(kept), left_out / max(1, seen))
        for position in list(self._kept)[:-KEPT_BLOCKS]:
            del self._kept[position]

    def left_out(self, position: dict[str, Any]) -> LeftOut | None:
        """Return the outliers of the block before a position; None if there are none, or they are not kept."""
        found = self._kept.get(json.dumps(position))
        return found if found is not None and found.share else None

    def _measure(self, pieces: Iterator[torch.Tensor]) -> list[torch.Tensor]:
        """Measure what is usual on the first rows, and return the pieces that were taken for it."""
        taken, most = [], max(LEAST_ROWS, min(SAMPLE_ROWS, SAMPLE_BYTES // (4 * self.d_in)))
        for piece_ND in pieces:
            taken.append(piece_ND)
            if sum(map(len, taken)) >= most:
                break
        step = -(-sum(map(len, taken)) // most)
        sample_ND = torch.cat([piece_ND[::step] for piece_ND in taken])
        self.ordinary = OrdinaryTokens.measured(sample_ND, self._places, self._max_norm)
        self.shares = self.ordinary.shares(sample_ND)
        return taken

    def resume(self, limits_2D: NDArray[np.float32] | None) -> None:
        """Use what an earlier process measured; None for a training that left nothing out."""
        if limits_2D is None:
            self._max_norm = 0.0
        else:
            self.ordinary = OrdinaryTokens(limits_2D, self._places)

    def position(self) -> dict[str, Any]:
        """Return where the next block begins, with the outliers before it if there are any."""
        return self._source.position() | ({OUTLIERS: self._outliers} if self._outliers else {})

    def seek(self, position: dict[str, Any]) -> None:
        """Continue from the `position` of an earlier run."""
        self._outliers = int(position.get(OUTLIERS, 0))
        self._source.seek({name: value for name, value in position.items() if name != OUTLIERS})
