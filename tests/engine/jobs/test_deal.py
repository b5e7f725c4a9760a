"""The deal of trainings, or of the features of one, to processes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.jobs.deal import WIDE, Deal, dealt


@given(st.lists(st.integers(1, 50), max_size=9), st.integers(1, 5))
def test_every_job_is_dealt_once_and_evenly(costs: list[int], number: int) -> None:
    shares = dealt(costs, number)
    assert sorted(job for share in shares for job in share) == list(range(len(costs)))
    loads = [sum(costs[job] for job in share) for share in shares]
    assert loads == sorted(loads, reverse=True)
    assert max(loads) - min(loads) <= max(costs, default=0)


def test_features_are_dealt_of_a_wide_training_by_itself() -> None:
    assert Deal.of([WIDE], 2) == Deal([[0], [0]], features=True)
    assert Deal.of([WIDE], 1) == Deal([[0]])
    assert Deal.of([WIDE - 1], 3) == Deal([[0], [], []])
    assert not Deal.of([WIDE, WIDE], 2).features
    assert Deal.of([100, 300, 150, 90], 2).shares == [[0, 2, 3], [1]]
