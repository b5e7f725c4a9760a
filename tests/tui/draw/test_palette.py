"""The grammar of colours: every role has a look on every terminal, and none says by colour alone what matters."""

from __future__ import annotations

import pytest
from rich.color import Color

from monosem_tui.draw.palette import DARK_INK, DARK_RAMP, LIGHT_INK, LIGHT_RAMP, OWN, Palette
from monosem_tui.draw.spans import HEAT, INK, LIT, Role, Span, lit, text_of, width_of

PALETTES = [Palette(dark, colors) for dark in (True, False) for colors in (0, 16, 256)] + [Palette(plain=True)]


def luminance(color: int) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = (part / 255 for part in Color.from_ansi(color).get_truecolor())
    r, g, b = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: int, other: int) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", PALETTES, ids=str)
def test_each_role_has_a_look_that_uses_no_more_colours_than_there_are(palette: Palette) -> None:
    for role in Role:
        style = palette.style(role)
        for color in (style.color, style.bgcolor):
            assert color is None or (color.number is not None and color.number < palette.used)


def test_without_colours_focus_errors_and_the_row_under_the_cursor_differ_from_text() -> None:
    palette = Palette(colors=0)
    for role in (Role.ACCENT, Role.ERROR, *LIT.values(), *HEAT[1:]):
        assert palette.style(role) != palette.style(Role.PLAIN)


@pytest.mark.parametrize(("ink", "ground"), [(DARK_INK, 16), (LIGHT_INK, 231)])
def test_ink_goes_away_from_the_ground_with_each_step(ink: tuple[int, ...], ground: int) -> None:
    contrasts = [contrast(color, ground) for color in ink]
    assert contrasts == sorted(contrasts)
    assert contrasts[0] >= 2.5


@pytest.mark.parametrize("ramp", [DARK_RAMP, LIGHT_RAMP], ids=["dark", "light"])
def test_text_on_heat_can_be_read(ramp: tuple[tuple[int, int], ...]) -> None:
    assert min(contrast(*step) for step in ramp) >= 4.5


def test_the_light_theme_can_be_read_on_white() -> None:
    assert min(contrast(light, 231) for *_, light in OWN.values()) >= 4.0


def test_a_lit_row_keeps_its_text_and_its_heat() -> None:
    row = (Span("412", Role.BOLD), Span(" the", Role.HEAT_3), Span(" sea", Role.PLUS), Span("▂", INK[2]))
    found = lit(row, 20)
    assert text_of(found).rstrip() == text_of(row)
    assert width_of(found) == 20
    assert Role.HEAT_3 in {span.role for span in found}
    assert {span.role for span in found} <= {*LIT.values(), Role.HEAT_3}
