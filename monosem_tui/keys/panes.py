"""Keys of whatever scrolls: lists, pages, documents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from monosem_tui.keys.actions import Action, Where


def scrolling(place: Where, prefix: str) -> tuple[Action, ...]:
    """Return the actions of a pane of lines."""
    return (
        Action(f"{prefix}.down", "scroll(1)", ("j", "down"), "a line down", place, "down, up", "j/k scroll"),
        Action(f"{prefix}.up", "scroll(-1)", ("k", "up"), "a line up", place),
        *turning(place, prefix),
    )


def turning(place: Where, prefix: str) -> tuple[Action, ...]:
    """Return the actions that move by screens and to the ends."""
    return (
        Action(f"{prefix}.half-down", "turn(0.5)", ("ctrl+d",), "half a screen down", place, "half a screen"),
        Action(f"{prefix}.half-up", "turn(-0.5)", ("ctrl+u",), "half a screen up", place),
        Action(
            f"{prefix}.page-down", "turn(1)", ("pagedown", "space", "ctrl+f"), "a screen down", place, "a whole screen"
        ),
        Action(f"{prefix}.page-up", "turn(-1)", ("pageup",), "a screen up", place),
        Action(f"{prefix}.top", "end(-1)", ("g", "home"), "the top", place, "top, end"),
        Action(f"{prefix}.end", "end(1)", ("G", "end"), "the end", place),
    )


def as_well(actions: Iterable[Action], place: Where, prefix: str) -> tuple[Action, ...]:
    """Return the same actions for another screen."""
    return tuple(replace(one, id=f"{prefix}.{one.id.partition('.')[2]}", where=place) for one in actions)
