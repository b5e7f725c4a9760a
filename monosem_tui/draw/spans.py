"""Lines as spans of text with a role; a palette maps roles to styles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import NamedTuple

from monosem_tui.draw import safe_text as safe


class Role(Enum):
    """The meaning of a piece of text, which decides its style."""

    PLAIN = "plain"
    DIM = "dim"
    """Secondary: rules, units."""
    BOLD = "bold"
    HEADING = "heading"
    ACCENT = "accent"
    """The focus: the rule and title of the pane with the keys, and the mark of its cursor."""
    ERROR = "error"
    """Something is wrong, or cannot be done."""
    MARK = "mark"
    """Given by a person: ★, tags, labels."""
    PLUS = "plus"
    """A value above zero, where its sign matters: it always has its sign as well."""
    MINUS = "minus"
    CARET = "caret"
    """The position of the next letter typed."""
    CURSOR = "cursor"
    """The row under the cursor of the focused pane; `lit` gives the roles below to its other parts."""
    CURSOR_DIM = "cursor dim"
    CURSOR_BOLD = "cursor bold"
    CURSOR_MARK = "cursor mark"
    CURSOR_PLUS = "cursor plus"
    CURSOR_MINUS = "cursor minus"
    UNDER = "under"
    """An active token, where no colour shows it."""
    PEAK = "peak"
    """One of the strongest active tokens."""
    HEAT_1 = "heat 1"
    HEAT_2 = "heat 2"
    HEAT_3 = "heat 3"
    HEAT_4 = "heat 4"
    HEAT_5 = "heat 5"
    HEAT_1_UNDER = "heat 1 under"
    """A token on which ablating the drawn feature changes the loss."""
    HEAT_2_UNDER = "heat 2 under"
    HEAT_3_UNDER = "heat 3 under"
    HEAT_4_UNDER = "heat 4 under"
    HEAT_5_UNDER = "heat 5 under"
    INK_1 = "ink 1"
    """Bars and dots in the colour of a step of heat."""
    INK_2 = "ink 2"
    INK_3 = "ink 3"
    INK_4 = "ink 4"
    INK_5 = "ink 5"
    CURSOR_INK_1 = "cursor ink 1"
    CURSOR_INK_2 = "cursor ink 2"
    CURSOR_INK_3 = "cursor ink 3"
    CURSOR_INK_4 = "cursor ink 4"
    CURSOR_INK_5 = "cursor ink 5"
    HUE_1 = "hue 1"
    """One of up to four features that colour a text; `UNDER` where ablating it changes the loss."""
    HUE_2 = "hue 2"
    HUE_3 = "hue 3"
    HUE_4 = "hue 4"
    HUE_1_UNDER = "hue 1 under"
    HUE_2_UNDER = "hue 2 under"
    HUE_3_UNDER = "hue 3 under"
    HUE_4_UNDER = "hue 4 under"


HEAT = (Role.PLAIN, Role.HEAT_1, Role.HEAT_2, Role.HEAT_3, Role.HEAT_4, Role.HEAT_5)
HEAT_UNDER = (Role.UNDER, *(Role[f"{role.name}_UNDER"] for role in HEAT[1:]))
INK = (Role.PLAIN, Role.INK_1, Role.INK_2, Role.INK_3, Role.INK_4, Role.INK_5)
HUES = (Role.HUE_1, Role.HUE_2, Role.HUE_3, Role.HUE_4)
HUES_UNDER = tuple(Role[f"{role.name}_UNDER"] for role in HUES)
LIT = {
    Role.PLAIN: Role.CURSOR,
    Role.HEADING: Role.CURSOR_BOLD,
    **{role: Role[f"CURSOR_{role.name}"] for role in (Role.DIM, Role.BOLD, Role.MARK, Role.PLUS, Role.MINUS, *INK[1:])},
}
"""The roles of a row under the cursor; heat and hues stay as they are."""


class Span(NamedTuple):
    """A printable piece of a line."""

    text: str
    role: Role = Role.PLAIN


Line = tuple[Span, ...]
RULE, FOCUSED_RULE, MARK = "─", "━", "▌"


def line(*parts: Span | str) -> Line:
    """Join spans and plain strings into a line, dropping empty ones."""
    spans = (part if isinstance(part, Span) else Span(part) for part in parts)
    return tuple(span for span in spans if span.text)


def cursor_mark(here: bool) -> Span:
    """Return the first cell of a row: a mark under the cursor, else a blank."""
    return Span(MARK, Role.ACCENT) if here else Span(" ")


def in_role(spans: Iterable[Span], role: Role) -> Line:
    """Return the same text in another role."""
    return tuple(Span(span.text, role) for span in spans)


def lit(spans: Iterable[Span], cells: int = 0) -> Line:
    """Return a row as it looks under the cursor, filled with blanks to `cells` cells."""
    found = line(*(Span(span.text, LIT.get(span.role, span.role)) for span in spans))
    return line(*found, Span(" " * (cells - width_of(found)), Role.CURSOR))


def ruled(left: Line, cells: int, right: Line = (), *, focused: bool = False) -> Line:
    """Return a rule from the end of `left`, cut where it is too long, to `right`; heavy where its pane has the keys."""
    left = crop(left, cells - width_of(right))
    return line(*left, rule_span(cells - width_of(left) - width_of(right), focused=focused), *right)


def rule_span(cells: int, *, focused: bool = False) -> Span:
    """Return a piece of a rule: dim, or heavy and in the accent where its pane has the keys."""
    return Span(FOCUSED_RULE * cells, Role.ACCENT) if focused else Span(RULE * cells, Role.DIM)


def rule(title: str, cells: int, role: Role = Role.BOLD, *, focused: bool = False) -> Line:
    """Return a rule with a title near its start; in the accent where its pane has the keys."""
    start = line(rule_span(1, focused=focused), " ", Span(title, Role.ACCENT if focused else role), " ")
    return ruled(start, cells, focused=focused)


def text_of(spans: Iterable[Span]) -> str:
    """Return the text of spans."""
    return "".join(span.text for span in spans)


def width_of(spans: Iterable[Span]) -> int:
    """Return the cells of a line."""
    return sum(safe.width(span.text) for span in spans)


def spread(left: Line, right: Line, cells: int) -> Line:
    """Place `left` and `right` at the ends of `cells` cells; `right` is dropped where both do not fit."""
    gap = cells - width_of(left) - width_of(right)
    return (*left, Span(" " * gap), *right) if right and gap > 1 else crop(left, cells)


def crop(spans: Sequence[Span], cells: int) -> Line:
    """Return the start of a line in at most `cells` cells, with `…` where something is missing."""
    if width_of(spans) <= cells:
        return tuple(spans)
    kept, _ = _fitting(spans, cells - 1, safe.head)
    return (*kept, Span(safe.ELLIPSIS, Role.DIM)) if cells > 0 else ()


def crop_left(spans: Sequence[Span], cells: int) -> Line:
    """Return the end of a line in exactly `cells` cells, after blanks, or after `…` where something is missing."""
    missing = cells - width_of(spans)
    if missing >= 0:
        return line(" " * missing, *spans)
    kept, room = _fitting(reversed(spans), cells - 1, safe.tail)
    return line(Span(safe.ELLIPSIS, Role.DIM), " " * room, *reversed(kept)) if cells > 0 else ()


def _fitting(spans: Iterable[Span], room: int, cut: Callable[[str, int], str]) -> tuple[list[Span], int]:
    """Return the spans that fit, the last one shortened by `cut`, and the cells that are left."""
    kept: list[Span] = []
    for text, role in spans:
        part = cut(text, room)
        if part:
            kept.append(Span(part, role))
        room -= safe.width(part)
        if part != text:
            break
    return kept, room


def wrap(parts: Sequence[Line], cells: int, between: str, indent: int = 0) -> list[Line]:
    """Wrap unbreakable parts into lines; lines after the first start with `indent` blanks."""
    lines: list[list[Span]] = []
    used = 0
    for part in parts:
        size = width_of(part)
        if lines and used + safe.width(between) + size <= cells:
            lines[-1] += [Span(between, Role.DIM), *part]
            used += safe.width(between) + size
        else:
            start = [Span(" " * indent)] if lines and indent else []
            lines.append([*start, *part])
            used = size + (indent if start else 0)
    return [crop(spans, cells) for spans in lines]
