"""Formats of numbers at their edges."""

from __future__ import annotations

import pytest

from monosem_tui.draw.numbers import cosine, fixed, signed, with_error


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (fixed(-0.0004), "0.000"),
        (fixed(-0.0006), "-0.001"),
        (fixed(-0.0), "0.000"),
        (fixed(0.25, 1), "0.2"),
        (cosine(-0.004), "0.00"),
        (cosine(-0.3), "−0.30"),
        (with_error(-0.0001, 0.02), "0.00 ± 0.02"),
        (signed(-0.0), "+0.00"),
    ],
)
def test_zero_has_no_minus(shown: str, expected: str) -> None:
    assert shown == expected
