"""Every action, once: bindings, footer, help panel, command palette and docs/keys.md are made from these tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
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
    View("2", "find", "Find", "which features track a pattern"),
    View("3", "live", "Live", "write with features clamped; any text through the features"),
    View("4", "health", "Health", "the run as a whole"),
    View("5", "runs", "Runs", "all runs, and those in training live"),
)
"""In the header's order. The app makes one screen of each (`monosem_tui.app.SCREENS`)."""


class Where(Enum):
    """What must have the focus, or which screen must be shown, for an action to be within reach."""

    LIST = "in the list"
    PAGE = "on the page"
    DOCUMENT = "in a document"
    INPUT = "while filtering"
    NUMBER = "while typing behind :"
    PATTERN = "while typing a pattern"
    COMMAND = "while choosing a command"
    NOTE = "while typing a note"
    FORM = "while choosing a form"
    BROWSE = "in Browse"
    FIND = "in Find"
    HEALTH = "in Health"
    RUNS = "in Runs"
    LIVE = "in Live, whatever it does"
    WRITING = "in Live"
    INSPECT = "while inspecting"
    RECIPES = "while choosing a recipe"
    LIVE_TEXT = "while typing in Live"
    EVERYWHERE = "everywhere"


TYPING = (Where.INPUT, Where.NUMBER, Where.PATTERN, Where.COMMAND, Where.NOTE, Where.LIVE_TEXT)
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
    CHOSEN = "nothing is chosen: n goes to an example, } to the next section"
    PAST = "no feature was followed to come here"
    FUTURE = "there is nothing to go forward to"
    GROUP = "this group has no features"
    RUNS = "there are no runs here"
    CLAMPS = "no clamps: a adds one, c in Browse takes the feature under the cursor"
    TEXT = "nothing has been written yet: ctrl+g writes"
    READ = "no token is chosen that has features: p takes a text"
    RECIPES = "no recipes: w keeps what is written, and how"
    TOKEN = "h and l choose a token of the text first"


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
    Action("number.go", "keep", ("enter",), "go to the number, or run the command", Where.NUMBER, "do it", "⏎ go"),
    Action(
        "number.complete", "complete", ("tab",), "complete the command's name", Where.NUMBER, "complete it", "tab …"
    ),
    Action("number.leave", "leave", ("escape", "ctrl+c"), "stay here", Where.NUMBER, "stay here", "esc back"),
    Action("pattern.find", "keep", ("enter",), "search for it", Where.PATTERN, "search for it", "⏎ find"),
    Action("pattern.leave", "leave", ("escape", "ctrl+c"), "leave it as it was", Where.PATTERN, "leave", "esc back"),
    Action(
        "pattern.older", "previous", ("up", "ctrl+p"), "the pattern before", Where.PATTERN, "before, behind", "↑ before"
    ),
    Action("pattern.newer", "next", ("down", "ctrl+n"), "the pattern behind", Where.PATTERN),
    Action("command.run", "keep", ("enter",), "run the command", Where.COMMAND, "run it", "⏎ run"),
    Action("command.leave", "leave", ("escape", "ctrl+c"), "leave", Where.COMMAND, "leave", "esc back"),
    Action("command.next", "next", ("down", "ctrl+n"), "next command", Where.COMMAND, "next, previous"),
    Action("command.previous", "previous", ("up", "ctrl+p"), "previous command", Where.COMMAND),
    Action("live-text.keep", "keep", ("enter", "ctrl+g"), "keep it", Where.LIVE_TEXT, "keep it", "⏎ keep"),
    Action(
        "live-text.leave", "leave", ("escape", "ctrl+c"), "leave it as it was", Where.LIVE_TEXT, "as it was", "esc back"
    ),
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
        "browse.fires",
        "fires",
        ("f",),
        "show or hide which n-grams the feature fires on",
        Where.BROWSE,
        "what it fires on",
        "f fires on",
        _FEATURES,
    ),
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
    Action(
        "browse.clamp", "clamp", ("c",), "put the feature into Live's tray", Where.BROWSE, "clamp it", "", _FEATURES
    ),
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
_PAGE = (
    *_scrolling(Where.PAGE, "page"),
    Action("page.next", "choose(1)", ("n",), "next example or feature", Where.PAGE, "choose next", "n/N choose"),
    Action("page.previous", "choose(-1)", ("N",), "previous example or feature", Where.PAGE),
    Action("page.section", "section(1)", ("}",), "next section", Where.PAGE),
    Action("page.section-before", "section(-1)", ("{",), "previous section", Where.PAGE),
    Action(
        "page.open",
        "screen.follow_chosen",
        ("enter",),
        "follow the feature, or open the example's document",
        Where.PAGE,
        "follow, back, on",
        "⏎ open",
        (Need.CHOSEN,),
    ),
    Action(
        "page.back",
        "screen.trail(-1)",
        ("H", "backspace"),
        "back to the feature before",
        Where.PAGE,
        needs=(Need.PAST,),
    ),
    Action("page.forward", "screen.trail(1)", ("L",), "forward again", Where.PAGE, needs=(Need.FUTURE,)),
    Action(
        "page.more-text",
        "screen.widen_text(1)",
        ("+", "="),
        "more text around examples",
        Where.PAGE,
        "text, examples",
        "+/- text",
    ),
    Action("page.less-text", "screen.widen_text(-1)", ("-",), "less text around examples", Where.PAGE),
    Action("page.intervals", "screen.intervals", ("i",), "4 or 12 quantile intervals", Where.PAGE),
    Action("page.one", "screen.one", ("o",), "one example a document, or a context", Where.PAGE),
    Action("page.random", "screen.draw", ("r",), "draw other random examples", Where.PAGE),
)


def _as_well(actions: Iterable[Action], place: Where, prefix: str) -> tuple[Action, ...]:
    """The same actions on another screen."""
    return tuple(replace(one, id=f"{prefix}.{one.id.partition('.')[2]}", where=place) for one in actions)


_WITH_A_PAGE = ("next", "previous", "heat", "log", "fires", "zoom", "wider", "narrower", "switch", "copy", "export")
_FIND = (
    Action("find.pattern", "pattern", ("/",), "type a regular expression", Where.FIND, "type a pattern", "/ pattern"),
    Action(
        "find.tokens",
        "tokens",
        ("w",),
        "match running text, or single tokens",
        Where.FIND,
        "text, or tokens",
        "w words",
    ),
    Action(
        "find.last", "last", ("W",), "ask for whole matches, or for their last tokens", Where.FIND, "all, or the last"
    ),
    Action(
        "find.held-out",
        "held_out",
        ("v",),
        "choose on all contexts, or on half and measure on the others",
        Where.FIND,
        "held-out figures",
        "v held out",
    ),
    Action("find.by", "by", ("s",), "rank by F1, or by AUROC", Where.FIND, "by F1, or AUROC", "s sort"),
    Action("find.all", "all", ("a",), "show the ranking in Browse", Where.FIND, "all in Browse", "a all", _FEATURES),
    *_as_well((one for one in _BROWSE if one.id.partition(".")[2] in _WITH_A_PAGE), Where.FIND, "find"),
    *_as_well(_NOTES, Where.FIND, "find"),
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
_GOTO = Action(
    "goto",
    "screen.goto",
    (":",),
    "go to a feature by number, or run a command",
    Where.EVERYWHERE,
    "go to",
    ": go to",
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

_CLAMPS, _READ = (Need.CLAMPS,), (Need.READ,)
_WRITING = (
    Action("live.write", "screen.write", ("ctrl+g",), "write, or stop", Where.WRITING, "write, stop", "ctrl+g write"),
    Action(
        "live.step", "screen.step", ("space",), "pause, or one token more", Where.WRITING, "pause, step", "space step"
    ),
    Action("live.prompt", "screen.prompt", ("p",), "type a prompt and write", Where.WRITING, "prompt", "p prompt"),
    Action(
        "live.stronger",
        "screen.strength(1)",
        ("]", "+", "="),
        "the clamp under the cursor stronger",
        Where.WRITING,
        "stronger, weaker",
        "[ ] strength",
        _CLAMPS,
    ),
    Action(
        "live.weaker",
        "screen.strength(-1)",
        ("[", "-"),
        "the clamp under the cursor weaker",
        Where.WRITING,
        needs=_CLAMPS,
    ),
    Action("live.off", "screen.off", ("0",), "the clamp off, or on again", Where.WRITING, "off, on", "0 off", _CLAMPS),
    Action(
        "live.ablate",
        "screen.ablate",
        ("x",),
        "ablate the feature, or not",
        Where.WRITING,
        "ablate",
        "x ablate",
        _CLAMPS,
    ),
    Action(
        "live.drop",
        "screen.drop",
        ("d",),
        "take the clamp out of the tray",
        Where.WRITING,
        "drop it",
        "d drop",
        _CLAMPS,
    ),
    Action("live.add", "screen.add", ("a",), "add a clamp as it is written", Where.WRITING, "add a clamp", "a add"),
    Action(
        "live.edit",
        "screen.edit",
        ("enter",),
        "change the clamp as it is written",
        Where.WRITING,
        "edit it",
        "",
        _CLAMPS,
    ),
    Action("live.mode", "screen.mode", ("m",), "max, set, add or scale", Where.WRITING, "its mode", "", _CLAMPS),
    Action(
        "live.place",
        "screen.place",
        ("@",),
        "where it holds: response, everywhere, prompt; in a chat a turn",
        Where.WRITING,
        "where it holds",
        "@ where",
        _CLAMPS,
    ),
    Action("live.next", "screen.move(1)", ("j", "down"), "next clamp", Where.WRITING, "next, previous", "", _CLAMPS),
    Action("live.previous", "screen.move(-1)", ("k", "up"), "previous clamp", Where.WRITING, needs=_CLAMPS),
    Action(
        "live.left",
        "screen.token(-1)",
        ("h", "left"),
        "the token before",
        Where.WRITING,
        "tokens",
        "h/l token",
        (Need.TEXT,),
    ),
    Action("live.right", "screen.token(1)", ("l", "right"), "the token behind", Where.WRITING, needs=(Need.TEXT,)),
    Action(
        "live.branch",
        "screen.branch",
        ("b",),
        "write on from the token",
        Where.WRITING,
        "branch here",
        "b branch",
        (Need.TOKEN,),
    ),
    Action(
        "live.settings", "screen.settings", ("g",), "how tokens are drawn", Where.WRITING, "temperature …", "g settings"
    ),
    Action("live.sweep", "screen.sweep", ("s",), "a row of strengths", Where.WRITING, "sweep", "s sweep", _CLAMPS),
    Action(
        "live.recipe",
        "screen.recipe",
        ("w",),
        "keep the recipe: in the notes, or in a file",
        Where.WRITING,
        "keep recipe",
        "w keep",
    ),
    Action("live.recipes", "screen.recipes", ("o",), "open a kept recipe", Where.WRITING, "open a recipe", "o recipes"),
    Action(
        "live.export",
        "screen.export",
        ("e",),
        "export the texts as text or JSON",
        Where.WRITING,
        "export",
        "",
        (Need.TEXT,),
    ),
    Action("live.seed", "screen.seed", ("r",), "another seed", Where.WRITING, "another seed", "r seed"),
    Action(
        "live.chat", "screen.chat", ("C",), "the prompt as a turn of a chat, or as it is", Where.WRITING, "chat, or not"
    ),
    Action("live.system", "screen.system", ("S",), "what the system says in a chat", Where.WRITING, "system's words"),
)
_LIVE = (
    Action(
        "live.inspect", "inspect", ("i",), "any text through the features, or back", Where.LIVE, "inspect", "i inspect"
    ),
    Action("live.restart", "restart", ("R",), "start the model's process anew", Where.LIVE, "model anew"),
)
_KEPT = (Need.RECIPES,)
_RECIPES = (
    Action(
        "recipe.next",
        "screen.choose(1)",
        ("j", "down"),
        "next recipe",
        Where.RECIPES,
        "next, previous",
        "j/k move",
        _KEPT,
    ),
    Action("recipe.previous", "screen.choose(-1)", ("k", "up"), "previous recipe", Where.RECIPES, needs=_KEPT),
    Action(
        "recipe.write", "screen.replay", ("enter",), "write it again", Where.RECIPES, "write again", "⏎ write", _KEPT
    ),
    Action(
        "recipe.forget", "screen.forget", ("d",), "take it away", Where.RECIPES, "take it away", "d take away", _KEPT
    ),
    Action(
        "recipe.file", "screen.recipe_file", ("f",), "write a file's recipe", Where.RECIPES, "from a file", "f file"
    ),
    Action("recipe.leave", "screen.recipes", ("o",), "back to writing", Where.RECIPES, "back"),
)
_INSPECT = (
    Action("inspect.text", "screen.text", ("p",), "type or paste a text", Where.INSPECT, "a text", "p text"),
    Action(
        "inspect.right", "screen.look(1, 0)", ("l", "right"), "the token behind", Where.INSPECT, "tokens", "h/l token"
    ),
    Action("inspect.left", "screen.look(-1, 0)", ("h", "left"), "the token before", Where.INSPECT),
    Action(
        "inspect.next", "screen.look(0, 1)", ("j", "down"), "next feature", Where.INSPECT, "features", "j/k feature"
    ),
    Action("inspect.previous", "screen.look(0, -1)", ("k", "up"), "previous feature", Where.INSPECT),
    Action(
        "inspect.open",
        "screen.open",
        ("enter",),
        "open the feature in Browse",
        Where.INSPECT,
        "open it",
        "⏎ open",
        _READ,
    ),
    Action(
        "inspect.colour",
        "screen.colour",
        ("space",),
        "colour the text by it",
        Where.INSPECT,
        "colour by it",
        "space colour",
        _READ,
    ),
    Action(
        "inspect.ablate", "screen.effects", ("x",), "effects of ablation", Where.INSPECT, "effects", "x effects", _READ
    ),
    Action(
        "inspect.clamp",
        "screen.clamp",
        ("c",),
        "put the feature into the tray",
        Where.INSPECT,
        "clamp it",
        "c clamp",
        _READ,
    ),
)

ACTIONS: tuple[Action, ...] = (
    *_LIST,
    *_PAGE,
    *_scrolling(Where.DOCUMENT, "document"),
    *_TYPING,
    *_FORMS,
    *_HEALTH,
    *_RUN_LIST,
    _BROWSE[0],
    _FIND[0],
    _GOTO,
    *_BROWSE[1:],
    *_NOTES,
    *_FIND[1:],
    *_WRITING,
    *_LIVE,
    *_INSPECT,
    *_RECIPES,
    *_EVERYWHERE,
)
"""All of them, those first that a bottom line should name first; no two within reach at once have a key in common."""


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
