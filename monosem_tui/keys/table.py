"""All actions: bindings, footer, help panel, lookup and docs/keys.md are made from this table."""

from __future__ import annotations

from monosem_tui.keys import browse, compare, everywhere, find, health, live, runs
from monosem_tui.keys import line_input as typing
from monosem_tui.keys import map as plane
from monosem_tui.keys.actions import ASKING, TYPING, Action, Where
from monosem_tui.keys.panes import TURNS

ACTIONS: tuple[Action, ...] = (
    *browse.LIST,
    *browse.PAGE,
    *browse.DOCUMENT,
    *typing.TYPING,
    *browse.FORMS,
    *health.HEALTH,
    *runs.RUNS,
    *runs.TRAINING,
    *runs.RUN_DIFFERENCES,
    *compare.PAIR,
    *compare.STUDY,
    browse.BROWSE[0],
    find.FIND[0],
    everywhere.GOTO,
    *browse.BROWSE[1:],
    *browse.NOTES,
    *find.FIND[1:],
    *compare.COMPARE,
    *plane.DOTS,
    *plane.BOX,
    *plane.MAP,
    *live.WRITING,
    *live.LIVE,
    *live.INSPECT,
    *live.RECIPES,
    *everywhere.EVERYWHERE,
)
"""All actions, in the order in which the bottom line names them; no two within reach at once share a key."""
_TEXTUAL_KEYS = {
    "/": "slash",
    ":": "colon",
    "?": "question_mark",
    "<": "less_than_sign",
    ">": "greater_than_sign",
    "+": "plus",
    "-": "minus",
    "=": "equals_sign",
    "{": "left_curly_bracket",
    "}": "right_curly_bracket",
    "[": "left_square_bracket",
    "]": "right_square_bracket",
    "@": "at",
    "~": "tilde",
}
"""Names of Textual for keys that our tables write as the character."""
_PANES = (Where.LIST, Where.PAGE, Where.DOCUMENT)
_OF_SCREEN = {
    Where.BROWSE: _PANES,
    Where.FIND: _PANES,
    Where.COMPARE: (Where.LIST, Where.PAIR, Where.STUDY),
    Where.RUNS: (Where.RUN_LIST, Where.TRAINING, Where.RUN_DIFFERENCES),
    Where.MAP: (Where.DOTS, Where.BOX),
    Where.LIVE: (Where.WRITING, Where.INSPECT, Where.RECIPES),
}
"""The places of a screen beside its own."""


def at(*places: Where) -> list[Action]:
    """Return the actions of some places, in the table's order."""
    return [action for action in ACTIONS if action.where in places]


def within_reach(*places: Where) -> list[Action]:
    """Return the actions of some places and those that work everywhere; while typing or asked, only the former."""
    return at(*places) if any(place in TYPING + ASKING for place in places) else at(*places, Where.EVERYWHERE)


def textual_key(key: str) -> str:
    """Return a key of the tables as Textual names it."""
    return _TEXTUAL_KEYS.get(key, key)


def pressed(key: str, actions: list[Action]) -> Action | None:
    """Return the action of a key; None where none of them has it."""
    return next((action for action in actions if key in map(textual_key, action.keys)), None)


def begins(key: str, actions: list[Action]) -> bool:
    """Return whether a key begins the longer one of an action, such as zz."""
    return any(key == longer[0] for action in actions for longer in action.keys if longer in TURNS)


def no_use(key: str, shown: str, screen: Where) -> str:
    """Return the sentence for a key that no action within reach has: where it works, on this screen or another.

    Args:
        key: as Textual names it.
        shown: as a person calls it.
        screen: the screen's own place.
    """
    here = _OF_SCREEN.get(screen, ())
    actions = [action for action in ACTIONS if action.where not in TYPING + ASKING]
    found = pressed(key, at(*here)) or pressed(key, actions)
    return (
        f"{shown} works {found.where.value}: {found.title}" if found else f"{shown} has no use here: ? shows the keys"
    )
