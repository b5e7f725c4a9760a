"""Numbers typed before a motion: `5j` is five times `j`, `42G` goes to row 42."""

from __future__ import annotations

import ast
from dataclasses import replace

from monosem_tui.keys.actions import Action

STEPS = frozenset({"move", "scroll", "roll", "turn", "step", "choose", "section", "look", "token", "strength"})
STEPS |= {"next_pair", "widen", "widen_text"}
"""Methods whose numbers count steps: a number before the key multiplies them."""
PLACES = {"end": "entry"}
"""Methods that go to an end, and what goes to a numbered row, line or token instead."""
MOST_DIGITS = 7


def counted(action: Action, number: int) -> Action | None:
    """Return the action that a number before its key makes of it; None where numbers mean nothing to it."""
    method, _, given = action.name.partition("(")
    if method in PLACES:
        return replace(action, name=f"{PLACES[method]}({number})")
    if method not in STEPS or not given:
        return None
    steps = ast.literal_eval(f"({given.removesuffix(')')},)")
    return replace(action, name=f"{method}({', '.join(str(one * number) for one in steps)})")
