"""Splitting trees: features of a larger dictionary hang below their best partner in the smaller one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from store.comparison.figures import NO_PARTNER, Comparison, Shares, Side, SideSummary, Summary
from store.comparison.splitting_tree import SplitFeature, splitting_tree
from store.files.errors import MonosemError


def side(partner: list[int], r: list[float], *, judged: list[bool] | None = None) -> Side:
    """Return features with these partners; shares follow from their number."""
    n = len(partner)
    zeros, some = np.zeros(n, np.float32), np.arange(1, n + 1, dtype=np.float32) / 10
    return Side(
        partner_F=np.array(partner, np.int32),
        r_F=np.array(r, np.float32),
        chosen_r_F=zeros,
        units_F=np.full(n, 30),
        joint_F=np.full(n, 9),
        jaccard_F=zeros,
        coverage_F=some,
        covered_F=some[::-1].copy(),
        cosine_F=zeros,
        encoder_cosine_F=zeros,
        judged_F=np.array(judged or [True] * n),
        mutual_F=np.zeros(n, bool),
    )


def compared(first: Side, second: Side, names: tuple[str, str]) -> Comparison:
    """Return a comparison of two runs with these names."""
    shares = Shares(0.5, (0.5, 0.3, 0.1))
    told = [
        SideSummary(name, name * 8, len(one.r_F), len(one.r_F), 0, 0, shares, (), None, 0.0, 0.0)
        for name, one in zip(names, (first, second), strict=True)
    ]
    return Comparison(Summary("token", 9, 5, 2, 0, (9,), None, False, (told[0], told[1])), (first, second))


SMALL, LARGE = side([0, 2], [0.9, 0.8]), side([0, 0, 1, NO_PARTNER], [0.9, 0.3, 0.8, 0.0])


@pytest.mark.parametrize("turned", [False, True])
def test_features_hang_below_their_best_partners(turned: bool) -> None:
    one = compared(LARGE, SMALL, ("l", "s")) if turned else compared(SMALL, LARGE, ("s", "l"))
    tree = splitting_tree([one])
    assert tree.names == ("s", "l")
    assert [(root.feature, [branch.feature for branch in root.children]) for root in tree.roots] == [
        (0, [0, 1]),
        (1, [2]),
    ]
    first = tree.roots[0].children[0]
    assert (first.r, first.within, first.covers) == pytest.approx((0.9, 0.1, 0.4))
    assert tree.parentless == ((3,),)
    assert tree.childless == 0


def test_weak_partners_are_no_parents() -> None:
    tree = splitting_tree([compared(SMALL, side([0, 0, 1], [0.9, 0.1, 0.19]), ("s", "l"))])
    assert [len(root.children) for root in tree.roots] == [1, 0]
    assert tree.parentless == ((1, 2),)
    assert tree.childless == 1


def test_features_that_were_not_judged_are_left_out() -> None:
    judged = side([0, 0], [0.9, 0.9], judged=[True, False])
    tree = splitting_tree([compared(replace(SMALL, judged_F=np.array([True, False])), judged, ("s", "l"))])
    assert [root.feature for root in tree.roots] == [0]
    assert [branch.feature for branch in tree.roots[0].children] == [0]
    assert tree.parentless == ((),)


def test_a_chain_of_sizes_is_a_tree_of_several_levels() -> None:
    largest = side([3, 0, 0, 2, 1], [0.5] * 5)
    tree = splitting_tree([compared(SMALL, LARGE, ("s", "l")), compared(LARGE, largest, ("l", "xl"))])
    assert tree.names == ("s", "l", "xl")

    def shape(branch: SplitFeature) -> object:
        return (branch.feature, [shape(child) for child in branch.children])

    assert [shape(branch) for branch in tree.roots[0].children] == [(0, [(1, []), (2, [])]), (1, [(4, [])])]
    assert tree.parentless == ((3,), ())


def test_comparisons_that_do_not_follow_on_each_other_are_refused() -> None:
    with pytest.raises(MonosemError, match="do not follow"):
        splitting_tree([compared(SMALL, LARGE, ("s", "l")), compared(SMALL, LARGE, ("s", "l"))])
