"""Ordinary tokens: the definition worked out by hand, blocks without outliers, and their state."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.data import ordinary_tokens
from engine.data.activations import BlockShuffle
from engine.data.ordinary_tokens import LEAST_ROWS, OrdinaryBlocks, OrdinaryTokens, variance_shares
from engine.data.prefetch import prefetched
from store.files.errors import WorkFailed
from tests.engine.data.test_activations import Numbered

ALL = {"": slice(None)}


def heavy_tailed(rows: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    length_N1 = (1.2 * torch.randn(rows, 1, generator=generator)).exp()
    return 3 + torch.randn(rows, width, generator=generator) * length_N1


def by_hand(rows_ND: torch.Tensor, max_norm: float) -> list[bool]:
    values = rows_ND.double().numpy()
    middle = (len(values) - 1) // 2  # the lower of two
    away = values - np.sort(values, 0)[middle]
    distance = np.sqrt((away**2).mean(1))
    scale = max(np.sort(distance)[middle], 0.6 * np.sort(distance)[98 * len(values) // 100])
    return [bool(one) for one in distance > max_norm * scale]


@pytest.mark.parametrize("rows", [LEAST_ROWS, 501])
def test_the_definition_by_hand(rows: int) -> None:
    sample_ND = heavy_tailed(rows, 7)
    found = OrdinaryTokens.measured(sample_ND, ALL, 5.0).outliers(sample_ND).tolist()
    assert found == by_hand(sample_ND, 5.0)
    assert 0 < sum(found) < rows / 2


@given(st.integers(-30, 30), st.integers(0, 99))
def test_a_power_of_two_changes_nothing(power: int, seed: int) -> None:
    sample_ND = heavy_tailed(200, 3, seed)
    plain, scaled = (
        OrdinaryTokens.measured(x_ND, ALL, 2.0).outliers(x_ND) for x_ND in (sample_ND, sample_ND * 2.0**power)
    )
    assert plain.equal(scaled)


def test_a_heavy_tail_is_ordinary_and_a_few_tokens_are_not() -> None:
    sample_ND = torch.randn(5000, 8, generator=torch.Generator().manual_seed(0))
    sample_ND[:350, 3] += 200  # seven in a hundred
    assert not OrdinaryTokens.measured(sample_ND, ALL, 5.0).outliers(sample_ND).any()
    sample_ND[20:350, 3] -= 200
    found_N = OrdinaryTokens.measured(sample_ND, ALL, 5.0).outliers(sample_ND)
    assert found_N.nonzero().flatten().tolist() == list(range(20))


def test_each_site_is_judged_by_itself() -> None:
    x_ND, y_ND = heavy_tailed(300, 4, 1), heavy_tailed(300, 6, 2)
    both_ND = torch.cat([x_ND, 1000 * y_ND], 1)
    places = {"x": slice(0, 4), "y": slice(4, 10)}
    apart = [OrdinaryTokens.measured(one, ALL, 5.0).outliers(one) for one in (x_ND, y_ND)]
    assert OrdinaryTokens.measured(both_ND, places, 5.0).outliers(both_ND).equal(apart[0] | apart[1])


@pytest.mark.parametrize(
    "sample_ND",
    [heavy_tailed(LEAST_ROWS - 1, 4), torch.ones(200, 4), torch.ones(400, 4).index_fill(0, torch.arange(7), 9.0)],
    ids=["few rows", "all equal", "most are equal"],
)
def test_without_a_usual_distance_nothing_is_an_outlier(sample_ND: torch.Tensor) -> None:
    assert not OrdinaryTokens.measured(sample_ND, ALL, 5.0).outliers(torch.cat([sample_ND, 1e9 * sample_ND])).any()


def test_none_is_an_outlier_at_max_norm_zero() -> None:
    sample_ND = heavy_tailed(200, 4)
    assert not OrdinaryTokens.measured(sample_ND, ALL, 0.0).outliers(sample_ND).any()


def test_values_that_are_no_numbers_are_left_to_others() -> None:
    sample_ND = heavy_tailed(200, 4)
    found = OrdinaryTokens.measured(sample_ND, ALL, 5.0)
    bad_ND = torch.tensor([[torch.nan, 0, 0, 0], [torch.inf, 0, 0, 0], [1e9, 0, 0, 0]])
    assert found.outliers(bad_ND).tolist() == [False, False, True]


class Lengths(Numbered):
    """Numbered rows of random directions, every 97th a hundred times as long."""

    def next_block(self, rows: int) -> list[torch.Tensor]:
        pieces = super().next_block(rows)
        return [
            torch.where(one[:, :1] % 97 == 3, 100.0, 1.0) * torch.cos(one[:, :1] * torch.tensor([1.0, 2.0, 3.0]))
            for one in pieces
        ]


def blocks(max_norm: float = 5.0) -> OrdinaryBlocks:
    return OrdinaryBlocks(Lengths((150, 90, 120), d_in=3), ALL, max_norm)


def test_batches_stay_full_and_without_outliers() -> None:
    source = blocks()
    shuffle = BlockShuffle(source, 32, 0, 32 * 12)
    made = [shuffle.next_batch() for _ in range(12)]
    assert all(len(batch_ND) == 32 for batch_ND in made)
    assert max(float(batch_ND.abs().max()) for batch_ND in made) <= 1
    assert shuffle.after == {"block": 4, "outliers": 4}
    with pytest.raises(ValueError, match="given out"):
        shuffle.next_batch()


@pytest.mark.parametrize("wanted", [False, True], ids=["at once", "prefetched"])
@pytest.mark.parametrize("steps", [1, 5, 11])
def test_a_resumed_shuffle_is_the_same_to_the_bit(steps: int, wanted: bool) -> None:
    plain = BlockShuffle(blocks(), 32, 0, 32 * 12)
    expected = [plain.next_batch() for _ in range(12)]
    first = blocks()
    with prefetched(first, wanted=wanted) as source:
        shuffle = BlockShuffle(source, 32, 0, 32 * 12)
        made = [shuffle.next_batch() for _ in range(steps)]
        values, carry_ND = shuffle.state()
    assert first.ordinary is not None
    again = blocks()
    again.resume(first.ordinary.limits_2D)
    with prefetched(again, wanted=wanted) as source:
        resumed = BlockShuffle(source, 32, 0, 32 * 12)
        resumed.restore(values, carry_ND)
        made += [resumed.next_batch() for _ in range(steps, 12)]
        assert resumed.after["outliers"] == plain.after["outliers"]
    for one, other in zip(made, expected, strict=True):
        assert one.equal(other)


def test_a_source_without_outliers_is_passed_through() -> None:
    plain, same = (
        BlockShuffle(Numbered((150, 90)), 32, 0, 320),
        BlockShuffle(OrdinaryBlocks(Numbered((150, 90)), ALL, 50.0), 32, 0, 320),
    )
    for _ in range(10):
        assert plain.next_batch().equal(same.next_batch())
    assert same.after == plain.after


def test_a_training_from_before_leaves_nothing_out() -> None:
    source = blocks()
    source.resume(None)
    assert sum(len(piece) for piece in source.next_block(150)) == 150


def test_mostly_outliers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordinary_tokens, "SAMPLE_ROWS", 100)
    source = OrdinaryBlocks(Numbered((100, 4000)), ALL, 5.0)  # numbers that rise and rise
    with pytest.raises(WorkFailed, match="most activations are outliers"):
        for _ in range(9):
            list(source.next_block(10**6))


def test_shares_of_the_variance() -> None:
    rows_ND = torch.randn(2000, 8, generator=torch.Generator().manual_seed(0))
    rows_ND[:, 5] *= 4
    rows_ND[7] = 1000
    shares = OrdinaryTokens.measured(rows_ND, {"here": slice(None)}, 5.0).shares(rows_ND)["here"]
    assert shares.lines() == [
        "1 of 2000 tokens (0.05%) hold 99% of the variance",
        "dimension 5 holds 70% of the variance",
    ]
    rows_ND[7], rows_ND[:, 5] = 0, 0
    assert OrdinaryTokens.measured(rows_ND, {"": slice(None)}, 5.0).shares(rows_ND)[""].lines() == []


def test_the_farthest_hundredth_counts_where_there_is_no_outlier() -> None:
    away_N, none_N = np.r_[np.ones(1000), 60 * np.ones(9)], np.zeros(1009, bool)
    found = variance_shares(away_N, none_N, np.ones(9))
    assert (found.few, found.lines()) == (10, ["10 of 1009 tokens (0.99%) hold 35% of the variance"])
