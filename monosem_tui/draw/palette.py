"""Styles of roles: one meaning a colour, and none by colour alone.

- heat, red to yellow: activation, as a background of tokens and as ink of bars
- green and magenta: plus and minus, beside their signs; they stay apart under the common colour vision deficiencies
- cyan: the focus, beside a heavy rule and the mark `▌`
- red: errors, which are sentences in bold
- yellow, with 16 colours blue: what a person gave: ★, tags, labels

All but heat and the row under the cursor are the terminal's own sixteen; a light theme with 256 colours takes darker
ones of the cube, as the sixteen of many terminals are too bright to be read on white.

Colours of the cube are exact cells, so they are the same with 256 colours and with millions. The heat ramps keep a
text contrast of 4.5 or more on each step, rise strictly in luminance, and stay apart under the three common colour
vision deficiencies (CIE ΔE of 9 or more between neighbours).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from rich.color import Color
from rich.style import Style

from monosem_tui.draw.spans import GROUPS, HEAT, HEAT_UNDER, HUES, HUES_UNDER, INK, LIT, SOLID, Line, Role

THEMES = ("dark", "light", "plain")
BLACK, WHITE = 16, 231
DARK_RAMP = ((52, WHITE), (88, WHITE), (130, WHITE), (172, BLACK), (214, BLACK))
"""Background and text of the five steps, weakest first, on a dark terminal."""
LIGHT_RAMP = ((222, BLACK), (214, BLACK), (172, BLACK), (130, WHITE), (88, WHITE))
SIXTEEN_RAMP = ((None, 3), (None, 3), (3, 0), (11, 0), (15, 0))
"""With 16 colours, whose shades are the user's: text, bold text, then three backgrounds."""


HUE_RAMP = ((38, BLACK), (173, BLACK), (97, WHITE), (71, BLACK))
"""Blue, orange, violet, green, for four features at once. Contrast 4.5 or more on each; blue and orange come first
because they stay apart under every colour vision deficiency."""
SIXTEEN_HUES = ((4, 15), (3, 0), (5, 15), (2, 0))
OWN = {
    Role.ACCENT: (6, 6, 30),
    Role.ERROR: (1, 1, 124),
    Role.MARK: (3, 12, 94),
    Role.PLUS: (2, 2, 28),
    Role.MINUS: (5, 5, 90),
}
"""Text of a role: one of the terminal's own colours; the one with 16 colours, where heat is yellow text; and a darker
one of the cube for a light theme with 256 colours."""
LOUD = (Role.ACCENT, Role.ERROR)
"""Roles in bold, which is all they are without colours."""
DARK_INK, LIGHT_INK = (124, 130, 172, 214, 222), (172, 166, 130, 124, 88)
"""Ink of the five steps of heat, contrast 2.5 or more on black and white."""
SIXTEEN_INK = tuple(
    Style(color=Color.from_ansi(color), bold=weight == "bold" or None, dim=weight == "dim" or None)
    for color, weight in ((3, "dim"), (11, "dim"), (11, ""), (11, "bold"), (15, "bold"))
)
"""With 16 colours."""


DARK_GROUPS, LIGHT_GROUPS = (39, 208, 78, 170, 227, 145), (25, 130, 29, 127, 94, 240)
"""Dots of groups: blue, orange, green, purple, yellow, grey; contrast 4 or more on black and white."""
SIXTEEN_GROUPS = (12, 3, 2, 5, 11, 7)


@dataclass(frozen=True)
class Palette:
    """The styles of all roles on one terminal."""

    dark: bool = True
    colors: int = 256
    """Colours of the terminal: 0, 16 or 256; more are not used."""
    plain: bool = False
    """Whether to use no colours although the terminal has some."""

    @property
    def name(self) -> str:
        """`dark`, `light` or `plain`."""
        return ("dark" if self.dark else "light") if self.used else "plain"

    @property
    def used(self) -> int:
        """Colours in use: 0, 16 or 256."""
        return 0 if self.plain else self.colors

    def following(self) -> Palette:
        """Return the next theme: dark, light, plain."""
        if self.plain:
            return replace(self, plain=False, dark=True)
        return replace(self, dark=False) if self.dark else replace(self, plain=True)

    def themed(self, name: str) -> Palette:
        """Return the theme of a name, or this one for an unknown name."""
        return replace(self, plain=name == "plain", dark=name != "light") if name in THEMES else self

    def style(self, role: Role) -> Style:
        """Return the style of a role."""
        return _styles(self)[role]


@lru_cache(maxsize=8)
def _styles(palette: Palette) -> dict[Role, Style]:
    styles = {
        Role.PLAIN: Style(),
        Role.DIM: Style(dim=True),
        Role.BOLD: Style(bold=True),
        Role.HEADING: Style(bold=True),
        Role.CARET: Style(reverse=True),
        Role.UNDER: Style(underline=True),
        Role.PEAK: Style(bold=True, underline=True),
        **_own(palette),
        **dict(zip(INK[1:], _ink(palette), strict=True)),
    }
    styles |= {lit: _lit(palette, styles[role]) for role, lit in LIT.items()}
    for step, (role, style) in enumerate(zip(HEAT[1:], _heat(palette), strict=True)):
        # Without colours, weight and underline still rise with the step.
        styles[role] = style if palette.used else Style(underline=True, bold=step >= 2, reverse=step >= 4)
        # Without colours, the strips and figures say what an underline says elsewhere.
        styles[HEAT_UNDER[step + 1]] = styles[role] + Style(underline=True)
    for number, (role, under) in enumerate(zip(HUES, HUES_UNDER, strict=True)):
        hue = _hue(palette, number)
        styles[role], styles[under] = hue, hue + Style(underline=True)
    return styles | _groups(palette)


def _groups(palette: Palette) -> dict[Role, Style]:
    """Return the styles of groups' dots and full cells; without colours letters tell them apart."""
    if not palette.used:
        return {role: Style(reverse=role in SOLID) for role in (*GROUPS, *SOLID)}
    numbers = SIXTEEN_GROUPS if palette.used < 256 else DARK_GROUPS if palette.dark else LIGHT_GROUPS
    colors = [Color.from_ansi(number) for number in numbers]
    dots = {role: Style(color=color) for role, color in zip(GROUPS, colors, strict=True)}
    return dots | {role: Style(bgcolor=color) for role, color in zip(SOLID, colors, strict=True)}


def _own(palette: Palette) -> dict[Role, Style]:
    """Return the styles of focus, errors, marks and signs; without colours only the first two are bold."""
    if not palette.used:
        return {role: Style(bold=role in LOUD or None) for role in OWN}
    which = 1 if palette.used < 256 else 0 if palette.dark else 2
    return {role: Style(color=Color.from_ansi(own[which]), bold=role in LOUD or None) for role, own in OWN.items()}


def _ink(palette: Palette) -> list[Style]:
    if not palette.used:
        return [Style()] * 5
    if palette.used < 256:
        return list(SIXTEEN_INK)
    return [Style(color=Color.from_ansi(color)) for color in (DARK_INK if palette.dark else LIGHT_INK)]


def _lit(palette: Palette, style: Style) -> Style:
    """Return a style as it is on the row under the cursor: reversed, or with 256 colours on a grey of its own."""
    if palette.used < 256:
        return style + Style(reverse=True)
    background, text, dim = (237, 255, 249) if palette.dark else (253, 232, 240)
    color = style.color or Color.from_ansi(dim if style.dim else text)
    return Style(color=color, bgcolor=Color.from_ansi(background), bold=style.bold)


def _hue(palette: Palette, number: int) -> Style:
    """Return the style of a feature's hue; without colours reverse, bold, dim and reverse bold, as in the legend."""
    if not palette.used:
        return Style(reverse=number in (0, 3), bold=number in (1, 3), dim=number == 2)
    return _style(*(HUE_RAMP if palette.used >= 256 else SIXTEEN_HUES)[number])


def _heat(palette: Palette) -> list[Style]:
    if palette.colors >= 256:
        return [_style(*step) for step in (DARK_RAMP if palette.dark else LIGHT_RAMP)]
    return [_style(*step, bold=number > 0) for number, step in enumerate(SIXTEEN_RAMP)]


def _style(background: int | None, text: int, *, bold: bool | None = None) -> Style:
    return Style(
        color=Color.from_ansi(text),
        bgcolor=None if background is None else Color.from_ansi(background),
        bold=bold,
    )


def paint(spans: Line, palette: Palette) -> list[tuple[str, Style]]:
    """Return text and style of each piece of a line.

    Neighbours with one role are joined, and blanks with a neighbour of any role in which they look the same: each
    change of style costs bytes on the wire.
    """
    styles = _styles(palette)
    joined: list[tuple[str, Role]] = []
    for text, role in spans:
        before, role_before = joined[-1] if joined else ("", role)
        alike = role_before is role or (_bare(styles[role_before]) and _bare(styles[role]))
        if alike and (role_before is role or not text.strip(" ") or not before.strip(" ")):
            joined[-1:] = [(before + text, role if not before.strip(" ") else role_before)]
        else:
            joined.append((text, role))
    return [(text, styles[role]) for text, role in joined]


def _bare(style: Style) -> bool:
    """Return whether nothing of a style shows on blanks."""
    return style.bgcolor is None and not style.underline and not style.reverse
