"""Prompts as tokens: plain text, or the turns of a chat in the tokenizer's template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.live.live_model import LiveModel
from engine.live.row_clamps import PromptLayout
from engine.runtime.hub import one_line
from store.files.errors import MonosemError
from store.live.clamp import Part


@dataclass(frozen=True)
class ChatMessage:
    """One turn of a chat."""

    role: Part
    content: str


@dataclass(frozen=True)
class Prompt:
    """Tokens to be continued."""

    text: str
    """The prompt's text without BOS; in a chat with the template around it."""
    tokens: tuple[int, ...]
    role_P: tuple[Part | None, ...] | None = None
    """In a chat, the role of each token."""

    @property
    def layout(self) -> PromptLayout:
        """The layout of the prompt: its length and roles."""
        return PromptLayout(len(self.tokens), self.role_P)


def plain_prompt(live: LiveModel, text: str) -> Prompt:
    """Return a text after BOS, where the model has one, as every document starts.

    Raises:
        MonosemError: there is nothing to continue, or it is longer than the model's context.
    """
    ids = live.encoding.encode([text])[0]
    bos = live.encoding.bos_id
    return _checked(live, Prompt(text, tuple(ids if bos is None else [bos, *ids])))


def chat_prompt(live: LiveModel, messages: Sequence[ChatMessage]) -> Prompt:
    """Return the turns of a chat in the tokenizer's template, up to the assistant's answer.

    A token belongs to a turn if one of its characters does; tokens of the template belong to none.

    Raises:
        MonosemError: the tokenizer has no chat template, or it does not take these turns.
    """
    tokenizer = live.encoding.tokenizer
    if not getattr(tokenizer, "chat_template", None):
        raise MonosemError(
            f"the tokenizer of {live.lm.name} has no chat template",
            "Leave `chat=True` out: the prompt is taken as it is.",
        )
    turns = [{"role": message.role, "content": message.content} for message in messages]
    try:
        text: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except Exception as error:  # a template is a program of the model's author, with errors of its own
        raise MonosemError(f"the chat template of {live.lm.name} fails: {one_line(error)}") from error
    ids, offsets = live.encoding.located(text, markers=True)
    return _checked(live, Prompt(text, tuple(ids), tuple(_roles(text, messages, offsets))))


def _roles(text: str, messages: Sequence[ChatMessage], offsets: Sequence[tuple[int, int]]) -> list[Part | None]:
    roles: list[Part | None] = [None] * len(offsets)
    at = 0
    for message in messages:
        content = message.content if message.content in text[at:] else message.content.strip()
        start = text.find(content, at)
        if start < 0:
            continue  # a template may leave a turn out
        at = start + len(content)
        for number, (first, last) in enumerate(offsets):
            if first < at and last > start:
                roles[number] = message.role
    return roles


def _checked(live: LiveModel, prompt: Prompt) -> Prompt:
    if not prompt.tokens:
        raise MonosemError("there is nothing to continue: the prompt is empty", "Give some text with `prompt`.")
    limit = live.lm.max_context
    if limit is not None and len(prompt.tokens) > limit:
        raise MonosemError(
            f"the prompt has {len(prompt.tokens)} tokens, and {live.lm.name} was made for contexts of up to {limit}",
            "Shorten it.",
        )
    return prompt
