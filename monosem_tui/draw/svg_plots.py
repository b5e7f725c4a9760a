"""Plots as SVG with axes: lines, columns, points, stacked bars and matrices.

Text is placed by anchors, so that a plot looks right in any font. Colours are those of Okabe and Ito (2008), which
people of every colour vision tell apart; lines also differ in their dashes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from monosem_tui.draw.html_parts import escaped
from monosem_tui.draw.label_places import Name, placed

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c8c00")
DASHES = ("", "6 3", "2 2", "8 3 2 3")
WIDTH, HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 34, 46
HEAD = 24
"""Height of a sheet's title."""
_LEGEND = 16
"""Height of a line of the legend."""
_EM = 7.5
"""Width of a bold letter, as wide as those of wide fonts: names that keep apart in them do so in all."""


@dataclass(frozen=True)
class Line:
    """A line of a plot."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """One axis: its title and range."""

    title: str
    low: float
    high: float

    def at(self, value: float, start: float, stop: float) -> float:
        """Return the place of a value between two edges in the picture."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return start + min(1.0, max(0.0, share)) * (stop - start)

    def ticks(self, most: int = 6) -> list[float]:
        """Return round values inside the range: 1, 2 or 5 times a power of ten apart, `most` at most."""
        rough = (self.high - self.low) / most or 1.0
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * size for size in (1, 2, 5, 10) if unit * size >= rough * (1 - 1e-9))
        first = math.ceil(self.low / step - 1e-9)
        return [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


def lines(title: str, x: Axis, y: Axis, drawn: Sequence[Line], height: int = HEIGHT) -> str:
    """Return lines over two axes, with a legend below."""
    low, right = height - _BOTTOM, WIDTH - _RIGHT
    parts = [*_axes(x, y, low, right)]
    for number, line in enumerate(drawn):
        where = " ".join(f"{x.at(a, _LEFT, right):.1f},{y.at(b, low, _TOP):.1f}" for a, b in line.points)
        parts.append(f'<polyline points="{where}" fill="none" {_stroke(number)}/>')
    for number, line in enumerate(drawn):
        at = height + number * _LEGEND
        parts.append(f'<line x1="{_LEFT}" y1="{at}" x2="{_LEFT + 30}" y2="{at}" {_stroke(number)}/>')
        parts.append(_text(_LEFT + 38, at + 4, line.name))
    return _svg(title, height + _LEGEND * len(drawn) + 4, parts)


def columns(title: str, x: Axis, y: Axis, edges: Sequence[float], heights: Sequence[float], fill: str = "") -> str:
    """Return a histogram over two axes: a column between each two edges, none where its height is below the axis."""
    low, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    parts = [*_axes(x, y, low, right)]
    for left_edge, right_edge, value in zip(edges, edges[1:], heights, strict=False):
        left, top = x.at(left_edge, _LEFT, right), y.at(value, low, _TOP)
        wide = x.at(right_edge, _LEFT, right) - left
        if top < low:
            shape = f'x="{left:.1f}" y="{top:.1f}" width="{max(0.5, wide - 0.5):.1f}" height="{low - top:.1f}"'
            parts.append(f'<rect {shape} fill="{fill or COLOURS[0]}"/>')
    return _svg(title, HEIGHT, parts)


def sheet(title: str, plots: Sequence[str]) -> str:
    """Return plots of height `HEIGHT` one below the other, as one picture."""
    placed = [f'<g transform="translate(0 {HEAD + number * HEIGHT})">{plot}</g>' for number, plot in enumerate(plots)]
    return _svg(title, HEAD + HEIGHT * len(plots), placed)


def _stroke(number: int) -> str:
    dash = DASHES[number // len(COLOURS) % len(DASHES)] or DASHES[number % 2]
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="1.6"{dashes}'


def _axes(x: Axis, y: Axis, low: int, right: int) -> Iterable[str]:
    yield f'<rect x="{_LEFT}" y="{_TOP}" width="{right - _LEFT}" height="{low - _TOP}" fill="none" stroke="#888888"/>'
    for tick in x.ticks():
        at = x.at(tick, _LEFT, right)
        yield f'<line x1="{at:.1f}" y1="{low}" x2="{at:.1f}" y2="{low + 4}" stroke="#888888"/>'
        yield _text(at, low + 16, f"{tick:g}", "middle")
    for tick in y.ticks():
        at = y.at(tick, low, _TOP)
        yield f'<line x1="{_LEFT - 4}" y1="{at:.1f}" x2="{right}" y2="{at:.1f}" stroke="#dddddd"/>'
        yield _text(_LEFT - 8, at + 4, f"{tick:g}", "end")
    yield _text((_LEFT + right) / 2, low + 34, x.title, "middle")
    yield _text(_LEFT, _TOP - 6, y.title)


@dataclass(frozen=True)
class PointGroup:
    """Points of one colour."""

    name: str
    """For the legend; empty for none."""
    colour: str
    points: Sequence[tuple[float, float]]


def points(
    title: str,
    x: Axis,
    y: Axis,
    groups: Sequence[PointGroup],
    *,
    axes: bool = True,
    names: Sequence[tuple[str, float, float]] = (),
    height: int = 560,
    radius: float = 1.6,
) -> str:
    """Return points over two axes, with a legend below.

    Args:
        title: of the picture.
        x: the horizontal axis.
        y: the vertical axis.
        groups: points by colour; later ones are drawn over earlier ones.
        axes: whether the axes mean something: ticks and titles are drawn.
        names: texts with the points that they belong to, the most important first; those without room are left out.
        height: of the plot.
        radius: of a point.
    """
    low, right = height - _BOTTOM if axes else height - 12, WIDTH - _RIGHT
    left = _LEFT if axes else _RIGHT
    parts = list(_axes(x, y, low, right)) if axes else []
    for group in groups:
        dots = "".join(f"M{x.at(a, left, right):.1f} {y.at(b, low, _TOP):.1f}h0" for a, b in group.points)
        if dots:
            parts.append(
                f'<path d="{dots}" fill="none" stroke="{group.colour}" stroke-width="{2 * radius:g}" '
                'stroke-linecap="round" stroke-opacity="0.75"/>'
            )
    parts += _names(names, x, y, (left, _TOP, right, low))
    legend = [group for group in groups if group.name]
    for number, group in enumerate(legend):
        at = height + 8 + number * _LEGEND
        parts.append(f'<circle cx="{left + 8}" cy="{at}" r="4" fill="{group.colour}"/>')
        parts.append(_text(left + 20, at + 4, group.name))
    return _svg(title, height + _LEGEND * len(legend) + 4, parts)


def _names(
    names: Sequence[tuple[str, float, float]], x: Axis, y: Axis, frame: tuple[float, float, float, float]
) -> Iterable[str]:
    """Yield texts that do not cover each other, with a white edge so that they stand out from points."""
    left, top, right, low = frame
    wanted = [Name(text, x.at(a, left, right) - left, y.at(b, low, top) - top, _EM * len(text)) for text, a, b in names]
    for name in placed(wanted, right - left, low - top, _LEGEND, 6):
        middle = left + name.left + name.width / 2
        yield (
            f'<text x="{middle:.1f}" y="{top + name.y + 12:.1f}" text-anchor="middle" font-weight="bold" '
            'fill="#222222" stroke="#ffffff" stroke-width="3" stroke-linejoin="round" paint-order="stroke">'
            f"{escaped(name.text)}</text>"
        )


def stacked(title: str, parts: Sequence[str], rows: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Return a horizontal bar per row, cut into shares of 1 that have the names `parts`."""
    start, stop, each, top = 200, WIDTH - _RIGHT, 20, 58
    drawn = []
    for number, part in enumerate(parts):
        at = _LEFT + number * (WIDTH - _LEFT - _RIGHT) / max(1, len(parts))
        drawn.append(f'<rect x="{at:.1f}" y="28" width="12" height="12" fill="{COLOURS[number % len(COLOURS)]}"/>')
        drawn.append(_text(at + 17, 38, part))
    for row, (name, shares) in enumerate(rows):
        at, y = float(start), top + row * each
        drawn.append(_text(start - 8, y + 12, name, "end"))
        for number, share in enumerate(shares):
            width = max(0.0, share) * (stop - start)
            fill = COLOURS[number % len(COLOURS)]
            drawn.append(f'<rect x="{at:.1f}" y="{y}" width="{width:.1f}" height="{each - 4}" fill="{fill}"/>')
            if width > 34:
                drawn.append(_text(at + width / 2, y + 12, f"{100 * share:.0f} %", "middle", "#ffffff"))
            at += width
    return _svg(title, top + each * len(rows) + 6, drawn)


def matrix(title: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[float | None]]]) -> str:
    """Return shares of 1 as a table of shaded cells, each with its number; None is left empty."""
    start, top, each = 200, 54, 24
    width = (WIDTH - _RIGHT - start) / max(1, len(columns))
    drawn = [_text(start + (n + 0.5) * width, top - 8, name, "middle") for n, name in enumerate(columns)]
    for row, (name, values) in enumerate(rows):
        y = top + row * each
        drawn.append(_text(start - 8, y + 16, name, "end"))
        for number, value in enumerate(values):
            if value is None:
                continue
            x, ink = start + number * width, "#ffffff" if value > 0.5 else "#000000"
            drawn.append(
                f'<rect x="{x:.1f}" y="{y}" width="{width - 2:.1f}" height="{each - 2}" '
                f'fill="#0072b2" fill-opacity="{min(1.0, max(0.0, value)):.3f}"/>'
            )
            drawn.append(_text(x + width / 2, y + 15, f"{100 * value:.0f} %", "middle", ink))
    return _svg(title, top + each * len(rows) + 6, drawn)


def _text(x: float, y: float, text: str, anchor: str = "start", fill: str = "#222222") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{escaped(text)}</text>'


def _svg(title: str, height: float, parts: Iterable[str]) -> str:
    """Return a whole picture on white, its title above."""
    inside = "".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" '
        f'height="{height:g}" font-family="sans-serif" font-size="12" role="img"><title>{escaped(title)}</title>'
        f'<rect width="100%" height="100%" fill="#ffffff"/>'
        f'<text x="{_LEFT}" y="16" font-size="13" font-weight="bold" fill="#222222">{escaped(title)}</text>'
        f"{inside}</svg>"
    )
