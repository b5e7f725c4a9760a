"""Purposes of actions, by which the list of keys is grouped."""

from __future__ import annotations

from enum import Enum

from monosem_tui.keys.actions import Action


class Purpose(Enum):
    """The purpose of an action, in the order of the list."""

    MOVE = "move"
    LOOK = "look"
    NOTE = "note"
    GO = "go"
    RUN = "run"


_METHODS = {
    Purpose.MOVE: "move scroll roll turn stand end entry choose section step token jump_back trail fork next_pair next "
    "previous strength",
    Purpose.LOOK: "filter sort reverse dead heat log widen widen_text zoom intervals one draw fires colour look pick "
    "effects plots by tokens last held_out ordinary swap tree other mode off theme pattern as_chat",
    Purpose.NOTE: "label bookmark tags comment undo redo explain recipe forget unforget",
    Purpose.GO: "open follow_chosen twin switch view goto back close inspect partners all browse show recipes study "
    "document",
}
_PURPOSES = {method: purpose for purpose, methods in _METHODS.items() for method in methods.split()}


def purpose(action: Action) -> Purpose:
    """Return what an action is for; whatever only does something, such as writing a file, is run."""
    return _PURPOSES.get(action.name.partition("(")[0], Purpose.RUN)
