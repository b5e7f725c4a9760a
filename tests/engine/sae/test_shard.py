"""Features of one rank of several, without the others: which they are, and how they are drawn."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.ranks.group import Ranks
from engine.sae import shard as shards
from engine.sae.matryoshka import MatryoshkaSae
from engine.sae.shard import FeatureShard
from tests.engine.architectures import sae_settings


def all_shards(number: int) -> list[FeatureShard]:
    """Those of each rank."""
    return [FeatureShard(Ranks(rank, number)) for rank in range(number)]


@given(st.integers(0, 200), st.integers(1, 9))
def test_every_prefix_is_dealt_evenly(features: int, number: int) -> None:
    own = [list(range(features))[one.own] for one in all_shards(number)]
    assert sorted(feature for each in own for feature in each) == list(range(features))
    assert [one.count(features) for one in all_shards(number)] == [len(each) for each in own]
    assert max(map(len, own)) - min(map(len, own)) <= 1
    for one in all_shards(number):
        assert one.is_own(torch.arange(features)).nonzero().squeeze(1).tolist() == list(range(features))[one.own]


@pytest.mark.parametrize(("features", "width"), [(5, 3), (37, 5), (512, 7), (1000, 48), (1003, 9)])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_rows_are_those_of_one_draw(features: int, width: int, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn in pieces, each rank keeping its own, and the generator ends where one draw leaves it."""
    monkeypatch.setattr(shards, "DRAWN", 1000)
    generator = torch.Generator().manual_seed(3)
    wanted_FD = torch.randn(features, width, generator=generator)
    for one in all_shards(number):
        own = torch.Generator().manual_seed(3)
        assert torch.equal(one.drawn(features, width, own), wanted_FD[one.own])
        assert torch.equal(own.get_state(), generator.get_state())


@pytest.mark.parametrize("number", [2, 3])
def test_groups_of_a_nested_dictionary_are_dealt(number: int) -> None:
    """The features of a group on all ranks are those of the group."""
    starts = MatryoshkaSae(sae_settings("matryoshka", d_sae=64)).group_starts()
    ends = [*starts[1:], 64]
    for start, end in zip(starts, ends, strict=True):
        dealt = sum(one.count(end) - one.count(start) for one in all_shards(number))
        assert dealt == end - start
