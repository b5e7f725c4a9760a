"""Places in the plane for the features of a graph: edges attract, pairs drawn at random repel.

McInnes, Healy, Melville 2018, section 3.2, with the schedule of umap-learn: an edge takes part in a share of the epochs
that is its membership over the largest, each time with `REPELLED` features drawn at random; the step falls to 0. An
epoch is made in `PARTS` parts, each from the places that the part before has left: one after another, edges could not
be computed together; all at once, features with many edges would be thrown about.

Arithmetic is numpy's, in one thread: threads of torch wait for each other longer than such small steps take, the more
so on a busy machine, and its sums would depend on their number.

Shapes: N features, D width of the decoder, E edges, B edges of a part, K features drawn per edge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit
from scipy.sparse import csr_matrix

from engine.runtime.progress import Progress

REPELLED = 5
"""Features that an edge's first end is pushed away from, each time the edge takes part."""
PARTS = 8
LARGEST_STEP = 4.0
"""Bound of a gradient's components."""
NEAREST = 1e-3
"""Added to squared distances, so that two features at one place are pushed apart by a finite step."""
START = 10.0
"""Largest coordinate of the start."""
JITTER = 1e-4
"""Standard deviation of noise on the start: features with one direction would stay at one place."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Curve:
    """Membership over distance in the plane: 1 / (1 + a d^2b)."""

    a: float
    b: float


def curve_of(min_dist: float, spread: float = 1.0) -> Curve:
    """Return the curve nearest to one that is 1 up to `min_dist` and then falls as exp(−(d − min_dist) / spread)."""
    distance = np.linspace(0, 3 * spread, 300)
    wanted = np.where(distance < min_dist, 1.0, np.exp(-(distance - min_dist) / spread))
    (a, b), _ = curve_fit(lambda d, a, b: 1 / (1 + a * d ** (2 * b)), distance, wanted)
    return Curve(float(a), float(b))


def principal_components(rows_ND: Floats) -> Floats:
    """Return the rows' coordinates along their first two principal components [N, 2]; the sign of an axis is fixed: its
    largest loading is positive. Axes that there are not have coordinates of 0.
    """
    mean_D = rows_ND.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred_ND = rows_ND - mean_D
    _, axes_DD = np.linalg.eigh((centred_ND.T @ centred_ND).astype(np.float64))
    axes_D2 = axes_DD[:, ::-1][:, :2]
    largest = np.abs(axes_D2).argmax(axis=0)
    axes_D2 = axes_D2 * np.sign(axes_D2[largest, np.arange(axes_D2.shape[1])])
    found_N2 = np.zeros((len(rows_ND), 2), np.float32)
    found_N2[:, : axes_D2.shape[1]] = centred_ND @ axes_D2.astype(np.float32)
    return found_N2


def start_of(rows_ND: Floats, seed: int) -> Floats:
    """Return where the features begin [N, 2]: principal components, scaled to `START`, with a little noise."""
    place_N2 = principal_components(rows_ND)
    noise_N2 = np.random.default_rng(seed).normal(scale=JITTER, size=place_N2.shape).astype(np.float32)
    scaled_N2: Floats = place_N2 * np.float32(START / max(float(np.abs(place_N2).max(initial=0)), 1e-12)) + noise_N2
    return scaled_N2


def lay_out(graph: csr_matrix, start_N2: Floats, curve: Curve, epochs: int, seed: int, progress: Progress) -> Floats:
    """Return places [N, 2] after `epochs` epochs from a start."""
    edges = _Edges.of(graph, epochs)
    places = _Places(start_N2[:, 0].copy(), start_N2[:, 1].copy())
    random = np.random.default_rng(seed)
    with progress.task("laying out", epochs, "epochs") as bar:
        for epoch in range(epochs):
            step = 1 - epoch / epochs
            head_E, tail_E = edges.of_epoch(epoch)
            for part in range(PARTS):
                head_B, tail_B = head_E[part::PARTS], tail_E[part::PARTS]
                other_KB = random.integers(0, len(places.x_N), (REPELLED, len(head_B)), dtype=np.int32)
                _move(places, (head_B, tail_B, other_KB), curve, step)
            bar.advance(1)
    return np.stack([places.x_N, places.y_N], axis=1)


class _Places(NamedTuple):
    """Coordinates of the features, changed in place."""

    x_N: Floats
    y_N: Floats


class _Edges(NamedTuple):
    """Both directions of each edge, and the share of epochs in which it takes part."""

    head_E: NDArray[np.int32]
    tail_E: NDArray[np.int32]
    share_E: NDArray[np.float64]

    @classmethod
    def of(cls, graph: csr_matrix, epochs: int) -> _Edges:
        edges = graph.tocoo()
        share_E = edges.data.astype(np.float64) / max(float(edges.data.max(initial=0.0)), 1e-300)
        kept_E = share_E >= 1 / max(1, epochs)  # the others would never take part
        return cls(edges.row[kept_E].astype(np.int32), edges.col[kept_E].astype(np.int32), share_E[kept_E])

    def of_epoch(self, epoch: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the ends of the edges that take part: those whose share of the epochs so far has reached the next
        whole number."""
        due_E = np.floor(self.share_E * (epoch + 1)) > np.floor(self.share_E * epoch)
        return self.head_E[due_E], self.tail_E[due_E]


_Ends = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]
"""Heads and tails of edges, and the features that each head is pushed away from."""


def _move(places: _Places, ends: _Ends, curve: Curve, step: float) -> None:
    """Pull the ends of edges together, and push their heads away from features drawn at random."""
    head_B, tail_B, other_KB = ends
    at = [axis_N[head_B] for axis_N in places]
    pulls = _bounded([a - axis_N[tail_B] for a, axis_N in zip(at, places, strict=True)], _pull, curve)
    pushes = _bounded([a - axis_N[other_KB] for a, axis_N in zip(at, places, strict=True)], _push, curve)
    for axis_N, pull_B, push_KB in zip(places, pulls, pushes, strict=True):
        moved_N = np.bincount(head_B, pull_B + push_KB.sum(axis=0), len(axis_N)) - np.bincount(
            tail_B, pull_B, len(axis_N)
        )
        axis_N += (step * moved_N).astype(np.float32)


def _bounded(apart: list[Floats], factor: Callable[[Floats, Curve], Floats], curve: Curve) -> list[Floats]:
    """Return differences of coordinates times a factor of their squared length, each within `LARGEST_STEP`."""
    square = apart[0] * apart[0] + apart[1] * apart[1]
    by = factor(square, curve)
    return [np.clip(one * by, -LARGEST_STEP, LARGEST_STEP) for one in apart]


def _pull(square: Floats, curve: Curve) -> Floats:
    """Return the attraction per unit of distance: −2ab d^(2b−2) / (1 + a d^2b)."""
    power = np.power(square, np.float32(curve.b))
    factor = np.float32(-2 * curve.a * curve.b) * power / np.maximum(square, np.float32(1e-12))
    return (factor / (1 + np.float32(curve.a) * power)).astype(np.float32, copy=False)


def _push(square: Floats, curve: Curve) -> Floats:
    """Return the repulsion per unit of distance: 2b / ((NEAREST + d²) (1 + a d^2b))."""
    power = np.power(square, np.float32(curve.b))
    found: Floats = np.float32(2 * curve.b) / ((np.float32(NEAREST) + square) * (1 + np.float32(curve.a) * power))
    return found
