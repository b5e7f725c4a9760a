"""Replies of OpenAI-style servers, which are untrusted: JSON of any shape, of which only known fields are read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from engine.endpoint.chat import Answer, AnswerToken, ChatRequest, LikelyToken, TokenUse, estimated_use
from store.files.typed_json import LARGEST, JsonError, decode, parse
from store.notes.statements import valid_text

LONGEST_TEXT = 100_000
"""Characters of an answer that are kept."""
MOST_TOKENS = 4096
"""Tokens of an answer whose log-probabilities are kept: its end, where the verdict stands."""
LONGEST_TOKEN = 64
SHOWN = 200
"""Characters of a server's own message that an error shows."""


class StrangeReply(ValueError):
    """A reply is no answer; the message says why, in a few words."""


@dataclass(frozen=True)
class _Likely:
    token: str = ""
    logprob: float = -math.inf


@dataclass(frozen=True)
class _Token:
    token: str = ""
    top_logprobs: tuple[_Likely, ...] = ()


@dataclass(frozen=True)
class _Logprobs:
    content: tuple[_Token, ...] | None = None


@dataclass(frozen=True)
class _Message:
    content: str | None = None


@dataclass(frozen=True)
class _Choice:
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


@dataclass(frozen=True)
class _Usage:
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True)
class _Reply:
    choices: tuple[_Choice, ...]
    usage: _Usage | None = None


def read_reply(body: bytes, request: ChatRequest) -> Answer:
    """Return the answer in the body of a reply.

    Raises:
        StrangeReply: there is none.
    """
    try:
        reply = decode(_Reply, parse(body), finite=False, lenient=True)
    except JsonError as error:
        raise StrangeReply(f"the reply is no chat completion: {error}"[:SHOWN]) from None
    if not reply.choices:
        raise StrangeReply("the reply has no choices")
    choice = reply.choices[0]
    text = valid_text(choice.message.content or "")[:LONGEST_TEXT]
    return Answer(text, _use(reply.usage, request, text), choice.finish_reason == "length", _tokens(choice.logprobs))


def _use(usage: _Usage | None, request: ChatRequest, text: str) -> TokenUse:
    if usage is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return estimated_use(request, text)
    if not (0 < usage.prompt_tokens < LARGEST and 0 <= usage.completion_tokens < LARGEST):
        return estimated_use(request, text)
    return TokenUse(usage.prompt_tokens, usage.completion_tokens)


def _tokens(logprobs: _Logprobs | None) -> tuple[AnswerToken, ...]:
    if logprobs is None or logprobs.content is None:
        return ()
    return tuple(
        AnswerToken(
            valid_text(token.token[:LONGEST_TOKEN]),
            tuple(
                LikelyToken(valid_text(one.token[:LONGEST_TOKEN]), min(one.logprob, 0.0))
                for one in token.top_logprobs[:20]
                if not math.isnan(one.logprob)
            ),
        )
        for token in logprobs.content[-MOST_TOKENS:]
    )


def server_message(body: bytes) -> str:
    """Return a server's own words about an error, as one short line without control characters; may be empty."""
    try:
        found: Any = parse(body)
    except JsonError:
        found = body.decode("utf-8", "replace")
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and name in found:
            found = found[name]
    if not isinstance(found, str) or found.lstrip().startswith("<"):  # a page of HTML says nothing here
        return ""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in found).split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"
