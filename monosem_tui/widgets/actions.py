"""Every action, once: bindings, the footer and the help panel are made from this table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from textual.binding import Binding, BindingType


class Where(Enum):
    """What must have the focus."""

    LIST = "in the list"
    PAGE = "on the page"
    INPUT = "while filtering"
    NUMBER = "while typing a number"
    SCREEN = "everywhere"


@dataclass(frozen=True)
class Action:
    """Something a key does."""

    name: str
    """As Textual calls it: `move(1)` runs `action_move(1)`."""
    keys: tuple[str, ...]
    description: str
    """For the help panel; empty where the action before it speaks for both."""
    where: Where
    hint: str = ""
    """For the footer; empty leaves it to the help panel."""


_TEXTUAL_KEYS = {"/": "slash", ":": "colon", "?": "question_mark"}
_SHOWN_KEYS = {"down": "↓", "up": "↑", "enter": "⏎", "escape": "esc", "pagedown": "pgdn", "pageup": "pgup"}

ACTIONS: tuple[Action, ...] = (
    Action("move(1)", ("j", "down"), "next, previous", Where.LIST, "j/k move"),
    Action("move(-1)", ("k", "up"), "", Where.LIST),
    Action("turn(0.5)", ("ctrl+d",), "half a screen", Where.LIST),
    Action("turn(-0.5)", ("ctrl+u",), "", Where.LIST),
    Action("turn(1)", ("pagedown", "space", "ctrl+f"), "a whole screen", Where.LIST),
    Action("turn(-1)", ("pageup",), "", Where.LIST),
    Action("end(-1)", ("g", "home"), "first, last", Where.LIST),
    Action("end(1)", ("G", "end"), "", Where.LIST),
    Action("screen.open", ("enter",), "open its page", Where.LIST, "⏎ page"),
    Action("scroll(1)", ("j", "down"), "down, up", Where.PAGE, "j/k scroll"),
    Action("scroll(-1)", ("k", "up"), "", Where.PAGE),
    Action("turn(0.5)", ("ctrl+d",), "half a screen", Where.PAGE),
    Action("turn(-0.5)", ("ctrl+u",), "", Where.PAGE),
    Action("turn(1)", ("pagedown", "space", "ctrl+f"), "a whole screen", Where.PAGE),
    Action("turn(-1)", ("pageup",), "", Where.PAGE),
    Action("end(-1)", ("g", "home"), "top, end", Where.PAGE),
    Action("end(1)", ("G", "end"), "", Where.PAGE),
    Action("keep", ("enter",), "keep it", Where.INPUT, "⏎ keep"),
    Action("leave", ("escape", "ctrl+c"), "clear it", Where.INPUT, "esc clear"),
    Action("keep", ("enter",), "go there", Where.NUMBER, "⏎ go"),
    Action("leave", ("escape", "ctrl+c"), "stay here", Where.NUMBER, "esc back"),
    Action("next", ("down", "ctrl+n"), "next, previous", Where.INPUT),
    Action("previous", ("up", "ctrl+p"), "", Where.INPUT),
    Action("filter", ("/",), "filter the list", Where.SCREEN, "/ filter"),
    Action("goto", (":",), "go to a number", Where.SCREEN, ": go to"),
    Action("step(1)", ("J",), "another feature", Where.SCREEN, "J/K next"),
    Action("step(-1)", ("K",), "", Where.SCREEN),
    Action("sort", ("s",), "next sort column", Where.SCREEN, "s sort"),
    Action("reverse", ("S",), "reverse the order", Where.SCREEN),
    Action("dead", ("d",), "show, hide dead", Where.SCREEN, "d dead"),
    Action("heat", ("m",), "other heat style", Where.SCREEN, "m heat"),
    Action("log", ("h",), "log histogram", Where.SCREEN, "h log"),
    Action("zoom", ("z",), "the whole width", Where.SCREEN, "z zoom"),
    Action("switch", ("tab", "shift+tab"), "the other pane", Where.SCREEN),
    Action("theme", ("t",), "dark, light theme", Where.SCREEN),
    Action("redraw", ("ctrl+l",), "draw anew", Where.SCREEN),
    Action("app.suspend_process", ("ctrl+z",), "suspend", Where.SCREEN),
    Action("copy", ("y",), "copy the page", Where.SCREEN, "y copy"),
    Action("back", ("escape",), "back", Where.SCREEN, "esc back"),
    Action("help", ("?",), "these keys", Where.SCREEN, "? keys"),
    Action("app.quit", ("q", "ctrl+c"), "quit", Where.SCREEN, "q quit"),
)


def at(*places: Where) -> list[Action]:
    """The actions of some places, in the table's order."""
    return [action for action in ACTIONS if action.where in places]


def bindings(where: Where) -> list[BindingType]:
    """What a widget or screen puts into its BINDINGS.

    All have priority: textual then runs them in the order of the keys, even where several arrive in one packet.
    """
    return [
        Binding(",".join(map(_textual_key, action.keys)), action.name, action.description, show=False, priority=True)
        for action in at(where)
    ]


def _textual_key(key: str) -> str:
    return _TEXTUAL_KEYS.get(key, key)


class Entry(NamedTuple):
    """A line of the help panel."""

    keys: str
    description: str
    action: Action


def entries(actions: Iterable[Action]) -> list[Entry]:
    """Actions as a person reads them; one without a description shares the line of the one before: `j/k ↓/↑`."""
    found: list[Entry] = []
    for action in actions:
        keys = [_SHOWN_KEYS.get(key, key) for key in action.keys[:2]]
        if action.description:
            found.append(Entry(" ".join(keys), action.description, action))
        else:
            pairs = zip(found[-1].keys.split(" "), keys, strict=False)
            found[-1] = found[-1]._replace(keys=" ".join(f"{a}/{b.removeprefix('ctrl+')}" for a, b in pairs))
    return [entry._replace(keys=entry.keys if len(entry.keys) < 10 else entry.keys.split(" ")[0]) for entry in found]
