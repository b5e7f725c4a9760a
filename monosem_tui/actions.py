"""Every action, once: bindings, footer, help panel, command palette and docs/keys.md are made from these tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class View(NamedTuple):
    """One of the app's screens."""

    key: str
    name: str
    """As the app calls it."""
    title: str
    """For the header."""
    purpose: str


VIEWS = (
    View("1", "browse", "Browse", "the feature list and a feature's page"),
    View("4", "health", "Health", "the run as a whole"),
    View("5", "runs", "Runs", "all runs, and those in training live"),
)
"""In the header's order. The app makes one screen of each (`monosem_tui.app.SCREENS`)."""


class Where(Enum):
    """What must have the focus, or which screen must be shown, for an action to be within reach."""

    LIST = "in the list"
    PAGE = "on the page"
    INPUT = "while filtering"
    NUMBER = "while typing a number"
    COMMAND = "while choosing a command"
    NOTE = "while typing a note"
    FORM = "while choosing a form"
    BROWSE = "in Browse"
    HEALTH = "in Health"
    RUNS = "in Runs"
    EVERYWHERE = "everywhere"


TYPING = (Where.INPUT, Where.NUMBER, Where.COMMAND, Where.NOTE)
"""Where every letter is text."""
ASKING = (Where.FORM,)
"""Where one key answers a question."""


class Need(Enum):
    """What an action needs; the value is what the bottom line says where that is missing."""

    RUN = "no run is open: 5 shows the runs, enter opens one"
    FEATURES = "the list is empty"
    DEAD = "no feature of this run is dead"
    ROOM = "both panes need a terminal of 110 columns"
    BACK = "nothing to go back to; q quits"
    COLOURS = "without colours there is one theme"
    GROUP = "this group has no features"
    RUNS = "there are no runs here"


@dataclass(frozen=True)
class Action:
    """Something a key does."""

    id: str
    """For people and for files: stays, whatever the method is called."""
    name: str
    """As Textual calls it: `move(1)` runs `action_move(1)` of the widget, `screen.open` that of the screen."""
    keys: tuple[str, ...]
    title: str
    """What it does, for the palette and docs/keys.md."""
    where: Where
    help: str = ""
    """For the help panel, in fewer words; empty where the action before it speaks for both."""
    hint: str = ""
    """For the footer; empty leaves it to the help panel."""
    needs: tuple[Need, ...] = ()


_FEATURES, _RUN, _RUNS = (Need.FEATURES,), (Need.RUN,), (Need.RUNS,)


def _scrolling(place: Where, prefix: str) -> tuple[Action, ...]:
    """What a pane of lines does."""
    return (
        Action(f"{prefix}.down", "scroll(1)", ("j", "down"), "a line down", place, "down, up", "j/k scroll"),
        Action(f"{prefix}.up", "scroll(-1)", ("k", "up"), "a line up", place),
        *_turning(place, prefix),
    )


def _turning(place: Where, prefix: str) -> tuple[Action, ...]:
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


_LIST = (
    Action("list.next", "move(1)", ("j", "down"), "next feature", Where.LIST, "next, previous", "j/k move", _FEATURES),
    Action("list.previous", "move(-1)", ("k", "up"), "previous feature", Where.LIST, needs=_FEATURES),
    Action(
        "list.half-down", "turn(0.5)", ("ctrl+d",), "half a screen down", Where.LIST, "half a screen", "", _FEATURES
    ),
    Action("list.half-up", "turn(-0.5)", ("ctrl+u",), "half a screen up", Where.LIST, needs=_FEATURES),
    Action(
        "list.page-down",
        "turn(1)",
        ("pagedown", "space", "ctrl+f"),
        "a screen down",
        Where.LIST,
        "a whole screen",
        needs=_FEATURES,
    ),
    Action("list.page-up", "turn(-1)", ("pageup",), "a screen up", Where.LIST, needs=_FEATURES),
    Action("list.first", "end(-1)", ("g", "home"), "first feature", Where.LIST, "first, last", needs=_FEATURES),
    Action("list.last", "end(1)", ("G", "end"), "last feature", Where.LIST, needs=_FEATURES),
    Action(
        "list.open",
        "screen.open",
        ("enter",),
        "open the feature's page",
        Where.LIST,
        "open its page",
        "⏎ page",
        _FEATURES,
    ),
)


_TYPING = (
    Action("filter.keep", "keep", ("enter",), "keep the filter", Where.INPUT, "keep it", "⏎ keep"),
    Action("filter.clear", "leave", ("escape", "ctrl+c"), "clear the filter", Where.INPUT, "clear it", "esc clear"),
    Action("filter.next", "next", ("down", "ctrl+n"), "next feature", Where.INPUT, "next, previous"),
    Action("filter.previous", "previous", ("up", "ctrl+p"), "previous feature", Where.INPUT),
    Action("number.go", "keep", ("enter",), "go to the number", Where.NUMBER, "go there", "⏎ go"),
    Action("number.leave", "leave", ("escape", "ctrl+c"), "stay here", Where.NUMBER, "stay here", "esc back"),
    Action("command.run", "keep", ("enter",), "run the command", Where.COMMAND, "run it", "⏎ run"),
    Action("command.leave", "leave", ("escape", "ctrl+c"), "leave", Where.COMMAND, "leave", "esc back"),
    Action("command.next", "next", ("down", "ctrl+n"), "next command", Where.COMMAND, "next, previous"),
    Action("command.previous", "previous", ("up", "ctrl+p"), "previous command", Where.COMMAND),
    Action("note.keep", "keep", ("enter",), "keep the note", Where.NOTE, "keep it", "⏎ keep"),
    Action("note.leave", "leave", ("escape", "ctrl+c"), "leave it as it was", Where.NOTE, "as it was", "esc back"),
)
_NOTES = (
    Action("note.label", "label", ("l",), "label the feature", Where.BROWSE, "label it", "l label", _FEATURES),
    Action(
        "note.bookmark", "bookmark", ("b",), "set or remove a bookmark", Where.BROWSE, "bookmark it", "b ★", _FEATURES
    ),
    Action("note.tags", "tags", ("t",), "tag the feature", Where.BROWSE, "tag it", "t tag", _FEATURES),
    Action("note.comment", "comment", ("C",), "comment on the feature", Where.BROWSE, "comment on it", "", _FEATURES),
    Action("note.undo", "undo", ("u",), "take back the last note of this session", Where.BROWSE, "undo a note"),
)
_BROWSE = (
    Action("browse.filter", "filter", ("/",), "filter the list", Where.BROWSE, "filter the list", "/ filter"),
    Action("browse.goto", "goto", (":",), "go to a feature by number", Where.BROWSE, "go to a number", ": go to"),
    Action("browse.next", "step(1)", ("J",), "next feature", Where.BROWSE, "another feature", "J/K next", _FEATURES),
    Action("browse.previous", "step(-1)", ("K",), "previous feature", Where.BROWSE, needs=_FEATURES),
    Action("browse.sort", "sort", ("s",), "sort by the next column", Where.BROWSE, "next sort column", "s sort"),
    Action("browse.reverse", "reverse", ("S",), "reverse the order", Where.BROWSE, "reverse the order"),
    Action(
        "browse.dead",
        "dead",
        ("d",),
        "show or hide dead features",
        Where.BROWSE,
        "show, hide dead",
        "d dead",
        (Need.DEAD,),
    ),
    Action(
        "browse.heat", "heat", ("m",), "another way to draw activations", Where.BROWSE, "other heat style", "m heat"
    ),
    Action("browse.log", "log", ("h",), "logarithmic histogram", Where.BROWSE, "log histogram", "h log"),
    Action(
        "browse.zoom",
        "zoom",
        ("z",),
        "one pane on the whole width",
        Where.BROWSE,
        "the whole width",
        "z zoom",
        (Need.ROOM,),
    ),
    Action("browse.wider", "widen(4)", (">",), "the list wider", Where.BROWSE, "wider list", needs=(Need.ROOM,)),
    Action("browse.narrower", "widen(-4)", ("<",), "the list narrower", Where.BROWSE, needs=(Need.ROOM,)),
    Action("browse.switch", "switch", ("tab", "shift+tab"), "the other pane", Where.BROWSE, "the other pane"),
    Action("browse.copy", "copy", ("y",), "copy the page as text", Where.BROWSE, "copy the page", "y copy", _FEATURES),
    Action(
        "browse.export", "export", ("e",), "write the page to a file", Where.BROWSE, "page to a file", "", _FEATURES
    ),
)
_FORMS = (
    Action("export.markdown", "answer", ("m",), "the page as Markdown", Where.FORM, "as Markdown", "m Markdown"),
    Action("export.html", "answer", ("h",), "the page as HTML", Where.FORM, "as HTML", "h HTML"),
    Action("export.json", "answer", ("j",), "the page as JSON", Where.FORM, "as JSON", "j JSON"),
    Action("export.leave", "leave", ("escape", "ctrl+c"), "write nothing", Where.FORM, "nothing", "esc back"),
)
_VIEWS = tuple(
    Action(
        f"view.{view.name}",
        f"app.view('{view.name}')",
        (view.key,),
        f"{view.title}: {view.purpose}",
        Where.EVERYWHERE,
        "" if number else "other screens",
        needs=() if view.name == "runs" else _RUN,
    )
    for number, view in enumerate(VIEWS)
)
_EVERYWHERE = (
    *_VIEWS,
    Action(
        "theme",
        "screen.theme",
        ("T",),
        "dark, light or plain theme",
        Where.EVERYWHERE,
        "another theme",
        "",
        (Need.COLOURS,),
    ),
    Action("picture", "screen.picture", ("P",), "the screen as a picture (SVG)", Where.EVERYWHERE, "screen as SVG"),
    Action("redraw", "screen.redraw", ("ctrl+l",), "draw the screen anew", Where.EVERYWHERE, "draw anew"),
    Action("suspend", "app.suspend_process", ("ctrl+z",), "suspend; fg comes back", Where.EVERYWHERE, "suspend"),
    Action(
        "commands", "screen.commands", ("ctrl+p",), "find a command by its name", Where.EVERYWHERE, "find a command"
    ),
    Action("back", "screen.back", ("escape",), "back; never quits", Where.EVERYWHERE, "back", "esc back", (Need.BACK,)),
    Action("help", "screen.help", ("?",), "show or hide the keys", Where.EVERYWHERE, "these keys", "? keys"),
    Action("quit", "app.quit", ("q", "ctrl+c"), "quit", Where.EVERYWHERE, "quit", "q quit"),
)
_RUN_LIST = (
    Action("runs.next", "move(1)", ("j", "down"), "next run", Where.RUNS, "next, previous", "j/k move", _RUNS),
    Action("runs.previous", "move(-1)", ("k", "up"), "previous run", Where.RUNS, needs=_RUNS),
    *_turning(Where.RUNS, "runs"),
    Action(
        "runs.open", "screen.open", ("enter",), "browse the run's features", Where.RUNS, "browse it", "⏎ browse", _RUNS
    ),
)
_HEALTH = (
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
    *_turning(Where.HEALTH, "health"),
    Action(
        "health.show",
        "screen.show",
        ("enter",),
        "show the group's features in Browse",
        Where.HEALTH,
        "show these",
        "⏎ show",
        (Need.GROUP,),
    ),
)

ACTIONS: tuple[Action, ...] = (
    *_LIST,
    *_scrolling(Where.PAGE, "page"),
    *_TYPING,
    *_BROWSE,
    *_FORMS,
    *_NOTES,
    *_HEALTH,
    *_RUN_LIST,
    *_EVERYWHERE,
)
"""All of them; no two that are within reach at once have a key in common."""


def at(*places: Where) -> list[Action]:
    """The actions of some places, in the table's order."""
    return [action for action in ACTIONS if action.where in places]


def within_reach(*places: Where) -> list[Action]:
    """The actions of some places and those that work everywhere; while typing or being asked, only those of that."""
    return at(*places) if any(place in TYPING + ASKING for place in places) else at(*places, Where.EVERYWHERE)


_SHOWN_KEYS = {
    "down": "↓",
    "up": "↑",
    "left": "←",
    "right": "→",
    "enter": "⏎",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
}


def shown_key(key: str) -> str:
    """A key as a person reads it."""
    return _SHOWN_KEYS.get(key, key)


class Entry(NamedTuple):
    """A line of the help panel."""

    keys: str
    description: str
    actions: tuple[Action, ...]


def entries(actions: Iterable[Action]) -> list[Entry]:
    """Actions as a person reads them; one without `help` shares the line of the one before: `j/k ↓/↑`."""
    found: list[Entry] = []
    for action in actions:
        keys = [shown_key(key) for key in action.keys[:2]]
        if action.help or not found:
            found.append(Entry(" ".join(keys), action.help, (action,)))
        else:
            last = found[-1]
            pairs = zip(last.keys.split(" "), keys, strict=False)
            joined = " ".join(f"{a}/{b.removeprefix('ctrl+')}" for a, b in pairs)
            found[-1] = Entry(joined, last.description, (*last.actions, action))
    return [entry._replace(keys=entry.keys if len(entry.keys) < 10 else entry.keys.split(" ")[0]) for entry in found]
