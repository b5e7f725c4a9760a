"""The best union of groups that do not overlap, from counts: firing places of each group, and all its places.

F1 of a union of groups is 2·Σh / (Σn + P) with h firing places and n places of each group and P firing places in all.
For fixed sizes it is largest for the groups with the largest h / n, so the best union is a prefix of the groups sorted
by it; from that, groups are dropped that raise F1 by less than they cost to read. Shapes: G groups.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ITEM_COST = 0.003
"""F1 that another group of a set must add."""
TERM_COST = 0.01
"""F1 that another predicate must add."""
FEWEST_TOKENS = 2
"""Firing tokens that another group must explain, whatever F1 it adds; another predicate twice as many."""
MOST_ITEMS = 40
"""Groups of a set at most."""
_LOOKED_AT = 400
"""Groups that are sorted: those with the most firing places."""


class Covered(NamedTuple):
    """Places that a rule holds on already, and those of them where the feature fires."""

    hits: int = 0
    size: int = 0


class Union(NamedTuple):
    """Some groups, their F1 together with what is covered, and that F1 less the cost of reading them."""

    groups: tuple[int, ...]
    f1: float
    score: float


def fewest_hits(fired: int) -> int:
    """Return the firing places that a group of a union must exceed."""
    return max(1, fired // 1000)


def best_union(
    hits_G: NDArray[np.int64], seen_G: NDArray[np.int64], fired: int, covered: Covered, cost: float = ITEM_COST
) -> Union | None:
    """Return the best union of groups 1, 2, …, or None where none has a firing place; group 0 is left out.

    Args:
        hits_G: firing places of each group that are not covered.
        seen_G: places of each group that are not covered.
        fired: firing places in all.
        covered: counts of what the union is added to.
        cost: F1 that each group must add.
    """
    some = np.flatnonzero(hits_G > fewest_hits(fired))
    some = some[some > 0]
    if len(some) > _LOOKED_AT:
        some = np.sort(some[np.argpartition(-hits_G[some], _LOOKED_AT)[:_LOOKED_AT]])
    if not len(some):
        return None
    some = some[np.lexsort((some, -hits_G[some], -(hits_G[some] / seen_G[some])))]
    hits, sizes = covered.hits + np.cumsum(hits_G[some]), covered.size + np.cumsum(seen_G[some])
    chosen = some[: int(np.argmax(2 * hits / (sizes + fired))) + 1]
    while True:
        h, n = covered.hits + int(hits_G[chosen].sum()), covered.size + int(seen_G[chosen].sum())
        f1 = 2 * h / (n + fired)
        gain = f1 - 2 * (h - hits_G[chosen]) / (n - seen_G[chosen] + fired)
        worth = gain >= cost
        if len(chosen) == 1 or (worth.all() and len(chosen) <= MOST_ITEMS):
            break
        keep = np.argsort(-gain, kind="stable")[: max(1, min(MOST_ITEMS, int(worth.sum())))]
        chosen = chosen[np.sort(keep)] if len(keep) < len(chosen) else chosen[:-1]
    in_order = chosen[np.lexsort((chosen, -hits_G[chosen]))]
    return Union(tuple(in_order.tolist()), f1, f1 - cost * (len(chosen) - 1))
