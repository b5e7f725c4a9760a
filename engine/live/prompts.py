"""Prompts as tokens: plain text, or the turns of a chat in the tokenizer's template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.corpus.conversations import Turn
from engine.live.live_model import LiveModel
from engine.live.row_clamps import PromptLayout
from store.files.errors import MonosemError
from store.files.typed_json import need_unicode
from store.live.clamp import Part
from store.settings.roles import role_of


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
    ids = live.encoding.encode([need_unicode(text, "prompt")])[0]
    bos = live.encoding.bos_id
    return _checked(live, Prompt(text, tuple(ids if bos is None else [bos, *ids])))


def chat_prompt(live: LiveModel, turns: Sequence[Turn], *, answer: bool = True) -> Prompt:
    """Return the turns of a chat in the tokenizer's template; with `answer`, up to the assistant's answer.

    A token belongs to a turn if one of its characters does; tokens of the template belong to none.

    Raises:
        MonosemError: the tokenizer has no chat template, or it does not take these turns.
    """
    for turn in turns:
        need_unicode(turn.content, "prompt")
    chat = live.encoding.conversation(turns, answer=answer)
    roles = tuple(map(role_of, chat.role_N.tolist()))
    return _checked(live, Prompt(chat.text, tuple(chat.ids), roles))


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
