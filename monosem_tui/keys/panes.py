"""Keys of whatever scrolls: lists, pages, documents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from monosem_tui.keys.actions import Action, KeyGroup, Where


def scrolling(pane: KeyGroup) -> tuple[Action, ...]:
    """Return the actions of a pane of lines."""
    return (
        pane("down", "scroll(1)", "j down", "a line down", "down, up", "j/k scroll"),
        pane("up", "scroll(-1)", "k up", "a line up"),
        *turning(pane),
    )


def turning(pane: KeyGroup) -> tuple[Action, ...]:
    """Return the actions that move by screens and to the ends."""
    ends = pane("top", "end(-1)", "g home", "the top", "top, end"), pane("end", "end(1)", "G end", "the end")
    return (*leafing(pane), *ends)


def leafing(pane: KeyGroup) -> tuple[Action, ...]:
    """Return the actions that move by screens."""
    return (
        pane("half-down", "turn(0.5)", "ctrl+d", "half a screen down", "half a screen"),
        pane("half-up", "turn(-0.5)", "ctrl+u", "half a screen up"),
        pane("page-down", "turn(1)", "pagedown space ctrl+f", "a screen down", "a whole screen"),
        pane("page-up", "turn(-1)", "pageup", "a screen up"),
    )


def as_well(actions: Iterable[Action], place: Where, prefix: str) -> tuple[Action, ...]:
    """Return the same actions for another screen."""
    return tuple(replace(one, id=f"{prefix}.{one.id.partition('.')[2]}", where=place) for one in actions)
