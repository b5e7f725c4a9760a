"""Keys of whatever scrolls: lists, pages, documents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from monosem_tui.keys.actions import Action, KeyGroup, Where

TURNS = ("zz", "zt", "zb")
"""Keys of two letters: the row under the cursor to the middle, the top, the bottom of the pane."""


def scrolling(pane: KeyGroup) -> tuple[Action, ...]:
    """Return the actions of a pane of lines."""
    return (
        pane("down", "scroll(1)", "j down ctrl+e", "a line down", "down, up", "j/k scroll"),
        pane("up", "scroll(-1)", "k up ctrl+y", "a line up"),
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
        pane("page-up", "turn(-1)", "pageup ctrl+b", "a screen up"),
    )


def rows(pane: KeyGroup) -> tuple[Action, ...]:
    """Return the actions that scroll a list below its cursor."""
    middle, top, bottom = TURNS
    return (
        pane("line-down", "roll(1)", "ctrl+e", "scroll a line down; the cursor stays with its row", "scroll a line"),
        pane("line-up", "roll(-1)", "ctrl+y", "scroll a line up"),
        pane("middle", "stand(0.5)", middle, "scroll the row to the middle", "row to the middle"),
        pane("row-top", "stand(0)", top, "scroll the row to the top"),
        pane("row-bottom", "stand(1)", bottom, "scroll the row to the bottom"),
    )


def as_well(actions: Iterable[Action], place: Where, prefix: str) -> tuple[Action, ...]:
    """Return the same actions for another screen."""
    return tuple(replace(one, id=f"{prefix}.{one.id.partition('.')[2]}", where=place) for one in actions)
