"""The definition of an action: its keys, its texts, where it is within reach, what it needs."""

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
    View("2", "find", "Find", "which features track a pattern"),
    View("3", "live", "Live", "write with features clamped; any text through the features"),
    View("4", "health", "Health", "the run as a whole"),
    View("5", "runs", "Runs", "all runs, and those in training live"),
    View("6", "compare", "Compare", "features beside those of other runs on the same text"),
    View("7", "map", "Map", "all features as points: density and maximum, decoder directions"),
)
"""In the header's order. The app makes one screen of each (`monosem_tui.app.SCREENS`)."""


class Where(Enum):
    """The pane or the screen that must have the keys for an action to be within reach."""

    LIST = "in the list"
    PAGE = "on the page"
    DOCUMENT = "in a document"
    INPUT = "while filtering"
    NUMBER = "while typing after :"
    PATTERN = "while typing a pattern"
    COMMAND = "while choosing a command"
    NOTE = "while typing a note"
    FORM = "while choosing a form"
    BROWSE = "in Browse"
    FIND = "in Find"
    HEALTH = "in Health"
    RUNS = "in Runs"
    RUN_LIST = "in the list of runs"
    TRAINING = "on a training's page"
    RUN_DIFFERENCES = "where runs are compared"
    COMPARE = "in Compare"
    PAIR = "on a pair's page"
    STUDY = "in a study's tables"
    MAP = "in Map"
    DOTS = "on the map"
    BOX = "while drawing a box"
    LIVE = "in Live, whatever it does"
    WRITING = "in Live"
    INSPECT = "while inspecting"
    RECIPES = "while choosing a recipe"
    LIVE_TEXT = "while typing in Live"
    EVERYWHERE = "everywhere"


TYPING = (Where.INPUT, Where.NUMBER, Where.PATTERN, Where.COMMAND, Where.NOTE, Where.LIVE_TEXT)
"""Typing a line: every letter is text."""
ASKING = (Where.FORM,)
"""A question that one key answers."""


class Need(Enum):
    """A condition of an action; the value is the sentence in the bottom line where it is not met."""

    RUN = "no run is open: 5 shows the runs, enter opens one"
    FEATURES = "the list is empty"
    MATCHES = "no filter is on: / types one, ⏎ opens the page"
    DEAD = "no feature of this run is dead"
    ROOM = "both panes need a terminal of 110 columns"
    BACK = "nothing to go back to; q quits"
    COLOURS = "without colours there is one theme"
    CHOSEN = "choose an example first (n)"
    PAST = "no feature was followed to come here"
    TWIN = "no feature has a twin: latents have no signs here"
    JUMPED = "no jump to go back from: G, 42G and : jump"
    FUTURE = "there is nothing to go forward to"
    GROUP = "no features are under the cursor"
    RUNS = "there are no runs here"
    MARKED = "mark two runs or more first (v)"
    OTHER_RUNS = "there is no comparison with a second run"
    ONE_OTHER = "choose one other run first (o)"
    STUDY = "this run belongs to no study (monosem study)"
    NAMED_CLUSTERS = "clusters are of maps: ctrl+g makes one, o shows it"
    LIT = "nothing is lit: / filters, v draws a box"
    CLAMPS = "no clamps: a adds one, c in Browse takes the feature under the cursor"
    ROWS = "no clamps yet: a adds one, c in Browse takes the feature under the cursor"
    OFFERED = "c clamps features of the prompt where a text was written without clamps"
    TEXT = "nothing has been written yet: ctrl+g writes"
    READ = "no token is chosen that has features: p takes a text"
    RECIPES = "no recipes: w keeps what is written, and how"
    TAKEN_AWAY = "no recipe was taken away in this session"
    FORK = "the texts do not differ"
    TOKEN = "h and l choose a token of the text first"


@dataclass(frozen=True)
class Action:
    """Something a key does."""

    id: str
    """For people and for files: stays, whatever the method is called."""
    name: str
    """`move(1)` runs `action_move(1)` of its owner: the focused widget, a part, the screen or the app."""
    keys: tuple[str, ...]
    title: str
    """For the palette and docs/keys.md."""
    where: Where
    help: str = ""
    """For the help panel, in fewer words; empty where the action before it speaks for both."""
    hint: str = ""
    """For the footer; empty leaves it to the help panel."""
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True)
class KeyGroup:
    """Makes the actions of one place."""

    where: Where
    prefix: str = ""
    """First part of their ids."""
    need: Need | None = None
    """Need that all of them share."""

    def __call__(
        self, name: str, method: str, keys: str, title: str, help: str = "", hint: str = "", need: Need | None = None
    ) -> Action:
        """Return an action of the place; `keys` are separated by spaces."""
        needs = tuple(one for one in (self.need, need) if one)
        named = f"{self.prefix}.{name}" if self.prefix else name
        return Action(named, method, tuple(keys.split()), title, self.where, help, hint, needs)


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
    """Return a key as it is shown."""
    return _SHOWN_KEYS.get(key, key)


class Entry(NamedTuple):
    """A line of the help panel."""

    keys: str
    description: str
    actions: tuple[Action, ...]


def entries(actions: Iterable[Action]) -> list[Entry]:
    """Return the lines of the help panel; an action without `help` shares that of the one before: `j/k ↓/↑`."""
    found: list[Entry] = []
    for action in actions:
        keys = [shown_key(key) for key in action.keys[:2]]
        if action.help or not found:
            found.append(Entry(" ".join(keys), action.help, (action,)))
        else:
            last = found[-1]
            pairs = zip(last.keys.split(" "), keys, strict=False)
            joined = " ".join(f"{a}/{b.removeprefix('ctrl+') if a.startswith('ctrl+') else b}" for a, b in pairs)
            found[-1] = Entry(joined, last.description, (*last.actions, action))
    return [entry._replace(keys=entry.keys if len(entry.keys) < 10 else entry.keys.split(" ")[0]) for entry in found]
