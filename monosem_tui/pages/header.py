"""The top line: the open run and the screens."""

from __future__ import annotations

from enum import Enum

from monosem_tui.draw.spans import Line, Role, Span, line, width_of
from monosem_tui.keys.actions import VIEWS
from monosem_tui.model.open_run import OpenRun, essential, headline


class Titles(Enum):
    """The screens whose titles are shown."""

    ALL = "all"
    PRESENT = "present"
    NONE = "none"


def header(run: OpenRun | None, present: str, cells: int) -> Line:
    """`stories · … · EV 0.941 · L0 16.0          [1]Browse 2 Find 3 Live 4 Health 5 Runs`.

    The run's name and quality take precedence over titles of other screens.
    """
    least = width_of(essential(run)) + 1
    forms = [tabs(present, titles) for titles in Titles]
    right = next((form for form in forms if least + width_of(form) <= cells), forms[-1])
    left = headline(run, cells - width_of(right) - 1)
    gap = cells - width_of(left) - width_of(right)
    return line(*left, " " * gap, *right) if gap > 0 else left


def tabs(present: str, titles: Titles) -> Line:
    """Return the screens with their keys, the present one in brackets."""
    parts: list[Span | str] = []
    for view in VIEWS:
        here = view.name == present
        title = view.title if titles is Titles.ALL or (here and titles is Titles.PRESENT) else ""
        text = f"[{view.key}]{title}" if here else f"{view.key} {title}".rstrip()
        parts += [" ", Span(text, Role.BOLD if here else Role.DIM)]
    return line(*parts, " ")
