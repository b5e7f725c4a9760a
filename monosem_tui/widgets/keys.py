"""From the table of actions to Textual's bindings, and from its keys to the table's."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from monosem_tui.keys.actions import Action, Where
from monosem_tui.keys.table import at

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
}


def bindings(where: Where) -> list[BindingType]:
    """What a widget or screen puts into its BINDINGS.

    All have priority: textual then runs them in the order of the keys, even where several arrive in one packet.
    """
    return [
        Binding(",".join(map(_textual_key, action.keys)), action.name, action.title, show=False, priority=True)
        for action in at(where)
    ]


def pressed(key: str, actions: list[Action]) -> Action | None:
    """The action of a key, as Textual names keys."""
    return next((action for action in actions if key in map(_textual_key, action.keys)), None)


def _textual_key(key: str) -> str:
    return _TEXTUAL_KEYS.get(key, key)
