"""Numbers, bars and heat against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color

from monosem_tui.draw import bars, heat, numbers
from monosem_tui.draw.heat import Rendering, default_rendering
from monosem_tui.draw.palette import DARK_RAMP, LIGHT_RAMP, Palette, paint
from monosem_tui.draw.spans import HEAT, Role, Span, crop, crop_left, line, spread, text_of, width_of, wrap


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 %"),
        (1e-7, "1e-7"),
        (3.4e-5, "3e-5"),
        (1e-4, "0.01 %"),
        (0.0031, "0.31 %"),
        (0.021, "2.10 %"),
        (0.5, "50.0 %"),
        (0.9969, "99.69 %"),
        (0.999999, "> 99.99 %"),
        (1, "100 %"),
    ],
)
def test_share(value: float, shown: str) -> None:
    assert numbers.share(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0.00"), (0.001, "1e-3"), (0.42, "0.42"), (1, "1.0"), (11.84, "11.8"), (99.96, "100"), (65504, "65 504")],
)
def test_activation(value: float, shown: str) -> None:
    assert numbers.activation(value) == shown


def test_other_numbers() -> None:
    assert numbers.count(3187) == "3 187"
    assert [numbers.compact(n) for n in (950, 131_072, 2_400_000, 24e6, 3e9)] == ["950", "131k", "2.4M", "24M", "3.0G"]
    rounded_up = (999, 999.6, 999_499, 999_999, 9_949_999, 9_960_000, 999_400_000, 999_999_999)
    shown = ["999", "1k", "999k", "1.0M", "9.9M", "10M", "999M", "1.0G"]
    assert [numbers.compact(n) for n in rounded_up] == shown
    assert (numbers.signed(2.1), numbers.signed(-0.42)) == ("+2.1", "−0.42")
    assert (numbers.cosine(0.41), numbers.cosine(-0.3)) == ("0.41", "−0.30")


@given(st.floats(0, 9.99e11))
def test_compact_takes_four_places_and_is_nearly_right(number: float) -> None:
    shown = numbers.compact(number)
    assert len(shown) <= 4
    sizes = {"k": 1e3, "M": 1e6, "G": 1e9}
    value = float(shown[:-1]) * sizes[shown[-1]] if shown[-1] in sizes else float(shown)
    last_place = sizes.get(shown[-1], 1) / (10 if "." in shown else 1)
    assert abs(value - number) <= last_place / 2 * (1 + 1e-9)


@pytest.mark.parametrize(
    ("share", "cells", "drawn"),
    [(0, 4, ""), (1, 4, "████"), (0.5, 4, "██"), (0.3125, 4, "█▎"), (1e-9, 4, "▏"), (2, 3, "███"), (0.5, 0, "")],
)
def test_bar(share: float, cells: int, drawn: str) -> None:
    assert bars.bar(share, cells) == drawn


def test_sparkline() -> None:
    assert bars.sparkline([0, 1, 2, 4, 8]) == " ▁▂▄█"
    assert bars.sparkline(np.array([0, 1, 100_000])) == " ▁█"
    assert bars.sparkline([0, 9, 99], log=True) == " ▄█"  # log 10 is half of log 100
    assert bars.sparkline([0, 0]) == "  "
    assert bars.sparkline([]) == ""


def test_decades() -> None:
    assert bars.decades(0.01, 0.0001, 1) == pytest.approx(0.5)
    assert (bars.decades(0, 0.1, 1), bars.decades(5, 0.1, 1), bars.decades(1, 1, 1)) == (0, 1, 1)


@pytest.mark.parametrize("step", [2, 3, 4, 5])
def test_a_heat_step_begins_where_the_formula_says(step: int) -> None:
    begins = (10 ** ((step - 1) / 4) - 1) / 9
    act = np.array([begins * 0.999, min(1.0, begins * 1.001)], np.float32) * 7
    assert heat.bins(act, 7.0).tolist() == [step - 1, step]


def test_heat_of_nothing() -> None:
    assert heat.bins(np.array([0, 1e-6, 9], np.float32), 3.0).tolist() == [0, 1, 5]
    assert heat.bins(np.zeros(2, np.float32), 0.0).tolist() == [0, 0]


def test_ruler_has_the_cells_of_its_tokens() -> None:
    assert heat.ruler(np.array([0, 4, 2], np.float32), 4.0, [1, 2, 3]) == [" ", "██", "▆▆▆"]


def test_strongest_are_above_zero() -> None:
    assert heat.strongest(np.array([0, 3, 0, 1], np.float32), 3) == {1, 3}


def test_renderings_go_round() -> None:
    assert [default_rendering(colors) for colors in (0, 16, 256)] == [
        Rendering.RULER,
        Rendering.RULER,
        Rendering.BACKGROUND,
    ]
    start = Rendering.BACKGROUND
    assert start.following().following().following() is start


def _luminance(number: int) -> float:
    """WCAG relative luminance of a cell of xterm's cube."""
    levels = (0, 95, 135, 175, 215, 255)
    cell = number - 16
    rgb = [levels[cell // 36], levels[cell // 6 % 6], levels[cell % 6]]
    linear = [c / 255 / 12.92 if c / 255 <= 0.03928 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("ramp", [DARK_RAMP, LIGHT_RAMP], ids=["dark", "light"])
def test_ramps_are_legible_and_monotone(ramp: tuple[tuple[int, int], ...]) -> None:
    steps = [_luminance(background) for background, _ in ramp]
    assert steps == sorted(steps, reverse=ramp is LIGHT_RAMP)
    for background, text in ramp:
        light, dark = sorted((_luminance(background), _luminance(text)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.parametrize("colors", [0, 16, 256])
@pytest.mark.parametrize("dark", [True, False])
def test_palettes_use_no_more_colours_than_there_are(colors: int, dark: bool) -> None:
    palette = Palette(dark, colors)
    for role in Role:
        style = palette.style(role)
        for color in (style.color, style.bgcolor):
            assert color is None or (color.number is not None and color.number < colors)
    heats = [str(palette.style(role)) for role in HEAT]
    if colors:
        assert len(set(heats)) == len(HEAT)


def test_paint_joins_what_looks_alike() -> None:
    painted = paint(line("a", Span("b"), Span("c", Role.HEAT_5)), Palette())
    assert [text for text, _ in painted] == ["ab", "c"]
    assert painted[1][1].bgcolor == Color.from_ansi(214)


spans = st.lists(st.sampled_from(["a", "word ", "日本", "e\u0301", "  "]).map(Span), max_size=8)


@given(spans, st.integers(1, 20))
def test_lines_are_cropped_at_either_end(parts: list[Span], cells: int) -> None:
    whole = text_of(parts)
    assert width_of(crop(parts, cells)) <= cells
    left = text_of(crop_left(parts, cells))
    assert width_of(crop_left(parts, cells)) == cells
    if width_of(parts) <= cells:
        assert text_of(crop(parts, cells)) == whole
        assert left.endswith(whole)
    else:
        assert "…" in left
        assert "…" in text_of(crop(parts, cells))


def test_spread_drops_the_right_where_it_is_narrow() -> None:
    assert text_of(spread(line("ab"), line("cd"), 7)) == "ab   cd"
    assert text_of(spread(line("ab"), line("cd"), 4)) == "ab"


def test_wrap_breaks_between_parts_only() -> None:
    rows = wrap([line("aaa"), line("bbb"), line("cc")], 8, " · ")
    assert [text_of(row) for row in rows] == ["aaa", "bbb · cc"]
    assert text_of(wrap([line("x" * 10)], 5, " ")[0]) == "xxxx…"


def test_bins_agree_with_the_formula_over_the_whole_range() -> None:
    values = np.linspace(0.01, 0.99, 61, dtype=np.float32)
    expected = [1 + math.floor(4 * math.log1p(9 * float(v)) / math.log(10)) for v in values]
    assert heat.bins(values, 1.0).tolist() == expected
