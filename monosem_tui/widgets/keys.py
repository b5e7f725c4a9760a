"""From a key as Textual names it to the action that it runs."""

from __future__ import annotations

from monosem_tui.keys.actions import Action

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


def pressed(key: str, actions: list[Action]) -> Action | None:
    """Return the action of a key; None where none of them has it."""
    return next((action for action in actions if key in (_TEXTUAL_KEYS.get(k, k) for k in action.keys)), None)
