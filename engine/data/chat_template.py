"""A tokenizer's chat template, applied to a conversation, and the range of characters that each turn has in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.corpus.conversations import Turn
from engine.model.config_file import no_template
from engine.runtime.hub import one_line
from store.files.errors import MonosemError

DATE = "26 Jul 2024"
"""The date for templates that print one (Llama 3's own default): today's would change a text from day to day."""
_PARTS = {
    "%d": "26",
    "%e": "26",
    "%m": "07",
    "%b": "Jul",
    "%B": "July",
    "%Y": "2024",
    "%y": "24",
    "%A": "Friday",
    "%a": "Fri",
}
_TODAY = (
    "{%- macro strftime_now(format) -%}{{ format"
    + "".join(f" | replace('{part}', '{value}')" for part, value in _PARTS.items())
    + " }}{%- endmacro %}{{ '' }}"
)
"""Goes before a template, in place of the clock that transformers gives it."""
_MARK = re.compile("\ue000(\\d+)\ue001")
_TRIMS: tuple[Callable[[str], str], ...] = (str, str.strip)


@dataclass(frozen=True)
class ChatText:
    """A conversation as the model reads it."""

    text: str
    spans: tuple[tuple[int, int, int], ...]
    """The number of a turn, and the half-open range of characters that it has; a template may leave turns out."""


def chat_text(tokenizer: Any, name: str, turns: Sequence[Turn], *, answer: bool = False) -> ChatText:
    """Put turns into the template of a tokenizer.

    The places of the turns come from the template applied to placeholders, not from a search in the text: a message
    may well occur in the template's own words.

    Args:
        tokenizer: with a chat template.
        name: of its model, for errors.
        turns: in their order.
        answer: whether the text ends where the assistant's answer begins.

    Raises:
        MonosemError: there is no template, it does not take these turns, or it changes one depending on another.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise no_template(name)

    template = tokenizer.get_chat_template()

    def applied(turns: Sequence[Turn]) -> str:
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            text: str = tokenizer.apply_chat_template(
                messages,
                chat_template=_TODAY + template if "strftime_now" in template else template,
                tokenize=False,
                add_generation_prompt=answer,
                date_string=DATE,
            )
        except Exception as error:  # a template is a program of the model's author, with errors of its own
            raise MonosemError(f"the chat template of {name} fails: {one_line(error)}") from error
        return text

    text = applied(turns)
    marked = [replace(turn, content=f"\ue000{number}\ue001") for number, turn in enumerate(turns)]
    skeleton = _MARK.split(applied(marked))
    for trim in _TRIMS:
        found = _filled(skeleton, [trim(turn.content) for turn in turns])
        if found.text == text:
            return found
    contents = [
        _between(applied([*marked[:number], turn, *marked[number + 1 :]]), skeleton, number)
        for number, turn in enumerate(turns)
    ]
    found = _filled(skeleton, contents)
    if found.text != text:
        raise MonosemError(f"the chat template of {name} changes a turn depending on others: none can be told apart")
    return found


def _filled(skeleton: Sequence[str], contents: Sequence[str]) -> ChatText:
    """Put contents into a skeleton: the template's words at even places, numbers of turns at odd ones."""
    text, spans = "", []
    for place, piece in enumerate(skeleton):
        if place % 2:
            number = int(piece)
            spans.append((number, len(text), len(text) + len(contents[number])))
            piece = contents[number]
        text += piece
    return ChatText(text, tuple(spans))


def _between(text: str, skeleton: Sequence[str], number: int) -> str:
    """Return what the template made of the one turn that is not a placeholder; empty if that cannot be told."""
    places = [place for place in range(1, len(skeleton), 2) if int(skeleton[place]) == number]
    if len(places) != 1:
        return ""
    as_marked = [f"\ue000{piece}\ue001" if place % 2 else piece for place, piece in enumerate(skeleton)]
    before, after = "".join(as_marked[: places[0]]), "".join(as_marked[places[0] + 1 :])
    fits = text.startswith(before) and text.endswith(after) and len(text) >= len(before) + len(after)
    return text[len(before) : len(text) - len(after)] if fits else ""
