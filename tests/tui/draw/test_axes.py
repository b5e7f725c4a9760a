"""Curves over axes: round ticks, equal widths, whatever the values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from monosem_tui.draw.axes import axes_chart, floor_line, grown_end, linear_scale, log_scale
from monosem_tui.draw.numbers import compact
from monosem_tui.draw.spans import text_of, width_of


def drawn(x: list[float], y: list[float], *, cells: int = 40, rows: int = 6, log: bool = False) -> list[str]:
    """The lines of a chart whose axis ends at the last point."""
    lines = axes_chart(
        np.array(x),
        np.array(y),
        cells,
        rows,
        right=max(1.0, max((one for one in x if np.isfinite(one)), default=1.0)),
        x_shown=compact,
        y_shown=lambda value: f"{value:.6g}",
        log=log,
    )
    assert len(lines) == rows + 1
    assert len({width_of(one) for one in lines}) == 1
    return [text_of(one) for one in lines]


def test_a_rising_line_with_ticks_at_round_values() -> None:
    found = drawn([0, 1000], [0, 1], rows=7)
    assert [text[:4].strip(" ⣀⠤⠒⠉⡠⠔⠊") for text in found] == ["1┤", "│", "│", "0.5┤", "│", "│", "0┤", "└"]
    assert found[-1].endswith("1k")
    assert all(set(text) - set(" 0.15│┤") for text in found[:-1])


def test_logarithmic_heights() -> None:
    found = drawn([0, 1, 2], [1, 0.1, 0.01], log=True, rows=9)
    assert [text.split("┤")[0].strip() for text in found if "┤" in text] == ["1", "0.1", "0.01"]


@pytest.mark.parametrize("log", [False, True])
def test_any_values_are_drawn(log: bool) -> None:
    odd = [0.0, -1.0, 1e308, -1e308, float("nan"), float("inf"), 1e-300, 16.0]
    for few in itertools.product(odd, repeat=2):
        drawn([1.0, 2.0], list(few), log=log)
        drawn(list(few), [1.0, 2.0], log=log)
    drawn([], [], log=log)
    drawn([1.0], [5.0], log=log, cells=4, rows=1)


def test_scales_hold_their_values_and_few_ticks() -> None:
    for low, high in itertools.combinations((-3.0, 0.0, 1e-7, 0.5, 0.9, 16.0, 16.004, 1e6), 2):
        scale = linear_scale(low, high, 3)
        assert scale.low <= low
        assert scale.high >= high
        assert 2 <= len(scale.ticks) <= 6
        if low > 0:
            scale = log_scale(low, high, 3)
            assert scale.low <= low
            assert scale.high >= high
            assert 1 <= len(scale.ticks) <= 5


def test_the_end_of_a_growing_axis_stays_for_a_while() -> None:
    assert [grown_end(value, 1_500_000) for value in (0, 90, 110_000, 180_000, 700_000, 1_200_000)] == [
        *(1.0, 100.0, 200_000.0, 200_000.0, 1_000_000.0, 1_500_000.0)
    ]
    assert grown_end(1.2e6, None) == 2e6


def test_ticks_of_the_floor_do_not_touch() -> None:
    for cells in range(3, 90):
        floor = floor_line(123_456, cells, compact)
        assert len(floor) == cells
        assert floor.startswith("0") or cells < 3
        assert not {"00k", "0k0"} & {floor[at : at + 3] for at in range(cells) if not floor[at].isdigit()}
