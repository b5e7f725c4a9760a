"""Number formats: few digits, ordinary spaces, the same everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable

MINUS = "−"


def count(number: int) -> str:
    """Format a whole number with thin groups: `3 187`."""
    return f"{number:,}".replace(",", " ")


def compact(number: float, tenths: str = "GM") -> str:
    """Format a number in few cells: `950`, `131k`, `2.4M`; sizes named in `tenths` have a decimal below 10."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        value = number / size
        if value >= 0.9995:  # would round up to 1000 of the smaller unit
            return f"{value:.1f}{letter}" if value < 9.95 and letter in tenths else f"{value:.0f}{letter}"
    return f"{number:.0f}"


def one_in(share: float) -> str:
    """Format a share as the number of which one is meant, in at most 5 cells: `1.2k` for 1 in 1 200; `never` for 0."""
    if share <= 0:
        return "never"
    number = 1 / share
    return f"{number:.1f}" if number < 9.95 else compact(number, tenths="GMk")


def share(value: float) -> str:
    """Format a share of 1 as percent, `0.31 %`, and below 0.01 % as a power of ten, `1e-5`.

    A share below 1 never shows as 100 %.
    """
    if value <= 0:
        return "0 %"
    if value < 1e-4:
        return tiny(value)
    if value >= 1:
        return "100 %"
    if value >= 0.99995:
        return "> 99.99 %"
    return f"{100 * value:.1f} %" if 0.1 <= value < 0.9 else f"{100 * value:.2f} %"


def tiny(value: float) -> str:
    """Format a small number as `3e-6`."""
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def activation(value: float) -> str:
    """Format an activation: `11.8`, `0.42`, `128`."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if 0 < size < 0.005:
        return tiny(value)
    if size < 0.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if size < 99.95 else count(round(value))


def signed(value: float) -> str:
    """Format a number with its sign: `+2.1`, `−0.42`."""
    return ("+" if value >= 0 else MINUS) + activation(abs(value))


def fixed(value: float, digits: int = 3) -> str:
    """Format a number with some decimals, `0.419`; what rounds to zero has no sign."""
    return f"{value:z.{digits}f}"


def cosine(value: float) -> str:
    """Format a cosine: `0.41`, `−0.30`."""
    return fixed(value, 2).replace("-", MINUS)


def with_error(value: float, error: float | None, digits: int = 3) -> str:
    """Format a figure with the digits that its standard error allows, `3.41 ± 0.02`; without one, with `digits`."""
    if error is None or not 1e-7 < error < math.inf:
        return fixed(value, digits)
    places = max(0, -math.floor(math.log10(error)))
    return f"{fixed(value, places)} ± {error:.{places}f}"


def known(value: float | None, shown: Callable[[float], str] | str, missing: str = "-") -> str:
    """Format a number by a function or a format such as `.3f`; `missing` stands for None."""
    if value is None:
        return missing
    return format(value, shown) if isinstance(shown, str) else shown(value)


def duration(seconds: float) -> str:
    """Format a duration: `0.4 s`, `48 s`, `12 min`, `3 h 05 min`."""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
