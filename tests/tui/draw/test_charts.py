"""Charts against dots and columns worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monosem_tui.draw.charts import columns_chart, curve
from monosem_tui.model.runs_watch import course


def heights(rows: list[str]) -> list[list[int]]:
    """For each column of dots the heights set, 0 at the bottom, read from the Unicode block's own numbering."""
    n_rows, found = len(rows), []
    for column in range(2 * len(rows[0])):
        at = []
        for number, row in enumerate(rows):
            cell = row[column // 2]
            bits = 0 if cell == " " else ord(cell) - 0x2800
            order = (0, 1, 2, 6) if column % 2 == 0 else (3, 4, 5, 7)
            at += [4 * (n_rows - number) - 1 - place for place, bit in enumerate(order) if bits >> bit & 1]
        found.append(sorted(at))
    return found


def test_columns() -> None:
    assert columns_chart(np.array([0.0, 1, 8, 16]), 4, 2) == ["   █", " ▁██"]
    assert columns_chart(np.array([1.0, 2]), 6, 1) == ["▄▄▄███"]
    assert columns_chart(np.zeros(3), 3, 2) == ["   ", "   "]
    assert columns_chart(np.array([1.0, 1e6]), 2, 1) == ["▁█"]


def test_a_straight_line_is_a_diagonal() -> None:
    x = np.arange(8.0)
    drawn = curve(x, x, 4, 2)
    assert heights(drawn.rows) == [[n] for n in range(8)]
    assert (drawn.low, drawn.high) == (0, 7)


def test_a_cliff_is_drawn_without_gaps() -> None:
    drawn = curve(np.arange(4.0), np.array([0.0, 0, 7, 7]), 2, 2)
    assert heights(drawn.rows) == [[0], [0], list(range(1, 8)), [7]]


def test_a_logarithm_makes_powers_straight() -> None:
    x = np.arange(8.0)
    assert curve(x, 2.0**x, 4, 2, log=True).rows == curve(x, x, 4, 2).rows


@pytest.mark.parametrize("y", [[5.0] * 8, [5.0, 5.001] * 4])
def test_rounding_is_no_cliff(y: list[float]) -> None:
    assert heights(curve(np.arange(8.0), np.array(y), 4, 2).rows) == [[3]] * 8


def test_the_smallest_numbers_there_are_have_heights_too() -> None:
    assert heights(curve(np.arange(2.0), np.array([0.0, 5e-324]), 1, 1).rows) == [[0], [1, 2, 3]]


def test_what_is_no_number_is_left_out() -> None:
    drawn = curve(np.arange(4.0), np.array([np.nan, 1, np.inf, 2]), 2, 1)
    assert (drawn.low, drawn.high) == (1, 2)
    assert curve(np.arange(2.0), np.array([np.nan, np.nan]), 3, 2) == (["   ", "   "], 0, 0)
    assert curve(np.arange(2.0), np.array([0.0, -1]), 3, 1, log=True) == (["   "], 0, 0)


@given(arrays(np.float64, st.integers(0, 60), elements=st.floats()), st.integers(1, 30), st.integers(1, 6))
def test_any_curve_has_its_size_and_no_gap(y: np.ndarray, cells: int, rows: int) -> None:
    drawn = curve(np.arange(len(y), dtype=float), y, cells, rows).rows
    assert [len(row) for row in drawn] == [cells] * rows
    if np.isfinite(y).any():
        last = max(n for n, at in enumerate(heights(drawn)) if at)
        assert all(heights(drawn)[: last + 1])


def test_course() -> None:
    assert course([]) == ()
    assert course([-3.0, 0.5]) == (0.0, 0.5)
    assert course([float("nan")]) == (0.0,)
    assert course([1.0, 3.0] * 24) == (2.0,) * 24
