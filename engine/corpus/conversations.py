"""Contents of a row of a corpus: text, the turns of a conversation, or token ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from store.settings.roles import ROLES, Role

_SYNONYMS: dict[str, Role] = {"human": "user", "gpt": "assistant", "model": "assistant", "developer": "system"}
"""Names of roles in other conventions (ShareGPT, Gemma, OpenAI)."""
MOST_ID = (1 << 31) - 1


@dataclass(frozen=True)
class Turn:
    """One message of a conversation."""

    role: Role
    content: str


Conversation = tuple[Turn, ...]


class TokenIds(tuple[int, ...]):
    """A document that is tokenized already."""

    __slots__ = ()


Content = str | Conversation | TokenIds


def content_of(value: object) -> Content | None:
    """Return the content of a parsed field: a string, a list of messages, or a list of token ids.

    A message is an object with `role` and `content`, or `from` and `value` (ShareGPT); a content may be a list of
    parts with `text`. None, an empty list and a list of empty messages are None.

    Raises:
        ValueError: it is something else; the message says what.
    """
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise ValueError(_kind(value))
    if all(isinstance(one, int) and not isinstance(one, bool) for one in value):
        if any(not 0 <= one <= MOST_ID for one in value):
            raise ValueError("a list of numbers that are not token ids")
        return TokenIds(value) or None
    turns = tuple(_turn(one, number) for number, one in enumerate(value, 1))
    return turns if any(turn.content for turn in turns) else None


def _turn(value: object, number: int) -> Turn:
    if not isinstance(value, dict):
        raise ValueError("a list of neither messages nor token ids")
    name = value.get("role", value.get("from"))
    role = _SYNONYMS.get(name, name) if isinstance(name, str) else None
    if role not in ROLES:
        held = f"{name!r:.40}, not {', '.join(ROLES[:-1])} or {ROLES[-1]}"
        raise ValueError(f"a conversation whose message {number} has the role {held}")
    text = _text(value.get("content", value.get("value")))
    if text is None:
        raise ValueError(f"a conversation whose message {number} has no text")
    return Turn(role, text)


def _text(value: Any) -> str | None:
    """Return the text of a message's content: a string, or parts that all have text."""
    parts = value if isinstance(value, list) else [{"text": value}]
    texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return "".join(texts) if len(texts) == len(parts) else None


def _kind(value: object) -> str:
    names = {bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "an object")
