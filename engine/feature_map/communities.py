"""Communities of a graph by modularity, at several resolutions: Blondel, Guillaume, Lambiotte, Lefebvre 2008, *Fast
unfolding of communities in large networks* (arXiv 0803.0476), with Reichardt and Bornholdt's resolution (2006).

Each node moves to the community of a neighbour that raises modularity most, as long as one does; then communities
become the nodes of a smaller graph. The finest level has the highest resolution γ, the coarsest 1 (modularity itself);
each is made of the communities of the one before, so that levels lie within each other. Nodes are taken in their order
and ties go to the lowest number, so nothing is drawn.

Shapes: N nodes, L levels.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix

RESOLUTIONS = (64.0, 16.0, 4.0, 1.0)
"""γ of the levels: expected weight counts so many times."""
LEAST_GAIN = 1e-9
"""Gain of modularity, as a share of a node's weight, below which it stays."""


def communities(graph: csr_matrix) -> NDArray[np.int32]:
    """Return the community of each node at every level [L, N], from coarse to fine; each level lies within the one
    before, and its communities are numbered from 0 by their first node.

    Args:
        graph: symmetric weights, without a diagonal.
    """
    levels: list[NDArray[np.int64]] = []
    of_node_N = np.arange(graph.shape[0])
    small, own = csr_matrix(graph, dtype=np.float64), np.zeros(graph.shape[0])
    for resolution in RESOLUTIONS:
        while True:
            moved = _numbered(_moved(small, own, resolution))
            if moved.max(initial=-1) + 1 == len(moved):
                break
            of_node_N = moved[of_node_N]
            small, own = _joined(small, own, moved)
        if not levels or of_node_N.max(initial=-1) < levels[-1].max(initial=-1):
            levels.append(of_node_N)
    return np.stack([_numbered(level) for level in reversed(levels)]).astype(np.int32)


def _moved(graph: csr_matrix, own_N: NDArray[np.float64], resolution: float) -> NDArray[np.int64]:
    """Return the community of each node once no move raises modularity; `own_N` is the weight inside each node."""
    n = graph.shape[0]
    starts, ends, weights = graph.indptr.tolist(), graph.indices.tolist(), graph.data.tolist()
    degree = (np.asarray(graph.sum(axis=1)).ravel() + own_N).tolist()
    whole = max(sum(degree), 1e-300) / resolution
    home, total = list(range(n)), list(degree)
    waiting, is_waiting = deque(range(n)), [True] * n
    while waiting:
        node = waiting.popleft()
        is_waiting[node] = False
        links: dict[int, float] = {}
        for edge in range(starts[node], starts[node + 1]):
            there = home[ends[edge]]
            links[there] = links.get(there, 0.0) + weights[edge]
        here, mine = home[node], degree[node]
        total[here] -= mine
        best, gain = here, links.get(here, 0.0) - mine * total[here] / whole
        for there in sorted(links):
            if there != here and (found := links[there] - mine * total[there] / whole) > gain + LEAST_GAIN * mine:
                best, gain = there, found
        total[best] += mine
        if best == here:
            continue
        home[node] = best
        for edge in range(starts[node], starts[node + 1]):
            other = ends[edge]
            if home[other] != best and not is_waiting[other]:
                is_waiting[other] = True
                waiting.append(other)
    return np.array(home, np.int64)


def _joined(
    graph: csr_matrix, own_N: NDArray[np.float64], of_node_N: NDArray[np.int64]
) -> tuple[csr_matrix, NDArray[np.float64]]:
    """Return the graph whose nodes are communities, and the weight inside each."""
    n = int(of_node_N.max()) + 1
    edges = graph.tocoo()
    heads, tails = of_node_N[edges.row], of_node_N[edges.col]
    inside = heads == tails
    own: NDArray[np.float64] = np.zeros(n)
    own += np.bincount(of_node_N, own_N, n) + np.bincount(heads[inside], edges.data[inside], n)
    across = ~inside
    joined = coo_matrix((edges.data[across], (heads[across], tails[across])), (n, n)).tocsr()
    joined.sum_duplicates()
    joined.sort_indices()
    return joined, own


def _numbered(of_node_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return communities numbered from 0 by their first node."""
    _, first, inverse = np.unique(of_node_N, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    found: NDArray[np.int64] = rank[inverse]
    return found
