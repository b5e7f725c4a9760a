"""Keys of Health."""

from __future__ import annotations

from monosem_tui.keys.actions import Action, Need, Where
from monosem_tui.keys.panes import turning

HEALTH = (
    Action(
        "health.next",
        "move(1)",
        ("j", "down"),
        "next group, or a line down",
        Where.HEALTH,
        "next, previous",
        "j/k move",
    ),
    Action("health.previous", "move(-1)", ("k", "up"), "previous group, or a line up", Where.HEALTH),
    *turning(Where.HEALTH, "health"),
    Action(
        "health.show",
        "show",
        ("enter",),
        "show the group's features in Browse",
        Where.HEALTH,
        "show these",
        "⏎ show",
        (Need.GROUP,),
    ),
)
