"""Keys of Health."""

from __future__ import annotations

from monosem_tui.keys.actions import KeyGroup, Need, Where
from monosem_tui.keys.panes import turning

_health = KeyGroup(Where.HEALTH, "health")
HEALTH = (
    _health("next", "move(1)", "j down", "next group, or a line down", "next, previous", "j/k move"),
    _health("previous", "move(-1)", "k up", "previous group, or a line up"),
    *turning(_health),
    _health("show", "show", "enter", "show the group's features in Browse", "show these", "⏎ show", Need.GROUP),
    _health("plots", "plots", "e", "write the plots to files (SVG)", "plots as SVG", "e plots"),
)
