"""A question to a language model, and its answer, whoever runs the model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from engine.corpus.conversations import Turn

TOP = 5
"""Likeliest tokens asked for at each place of an answer."""
BYTES_PER_TOKEN = 4
"""Bytes of a token of English in most tokenizers: for tokens that nobody has counted."""
OPTIONAL = ("max_tokens", "temperature", "seed", "top_logprobs", "logprobs")
"""Fields of a request that some servers refuse; without the first, the limit has its newer name."""
FRAME_TOKENS = 16
"""Tokens that a chat's template spends on one turn, at most."""


@dataclass(frozen=True)
class ChatRequest:
    """Turns to be answered, at temperature 0."""

    turns: tuple[Turn, ...]
    most_tokens: int
    """Tokens of the answer at most, reasoning included."""
    logprobs: bool = False
    """Ask for the log-probabilities of the likeliest tokens at each place of the answer."""
    seed: int = 0

    def digest(self, endpoint: str) -> str:
        """Return SHA-256 over everything that the answer depends on, the endpoint's name included."""
        turns = [[turn.role, turn.content] for turn in self.turns]
        said = [1, endpoint, turns, self.most_tokens, self.logprobs, self.seed]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    @property
    def n_bytes(self) -> int:
        """Bytes of the turns in UTF-8."""
        return sum(len(turn.content.encode("utf-8", "replace")) for turn in self.turns)

    @property
    def likely_tokens(self) -> int:
        """Tokens of the turns, estimated from their bytes."""
        return self.n_bytes // BYTES_PER_TOKEN + FRAME_TOKENS // 2 * len(self.turns)

    @property
    def most_prompt_tokens(self) -> int:
        """Tokens of the turns at most: no tokenizer makes more than one of a byte."""
        return self.n_bytes + FRAME_TOKENS * len(self.turns)


@dataclass(frozen=True)
class TokenUse:
    """Tokens of one or several calls."""

    prompt: int = 0
    answer: int = 0
    counted: bool = True
    """Whether the endpoint counted them; else they are estimates from bytes."""

    def __add__(self, other: TokenUse) -> TokenUse:
        return TokenUse(self.prompt + other.prompt, self.answer + other.answer, self.counted and other.counted)


@dataclass(frozen=True)
class LikelyToken:
    """A token that might have stood at a place of an answer."""

    text: str
    logprob: float


@dataclass(frozen=True)
class AnswerToken:
    """One token of an answer, and the likeliest ones at its place."""

    text: str
    likeliest: tuple[LikelyToken, ...]


@dataclass(frozen=True)
class Answer:
    """The answer to a request. All text is as the endpoint sent it."""

    text: str
    use: TokenUse
    is_cut: bool = False
    """Whether the answer ended because it had reached the most tokens."""
    tokens: tuple[AnswerToken, ...] = ()
    """Empty where the endpoint gives no log-probabilities."""


class Endpoint(Protocol):
    """A language model that answers chats."""

    @property
    def name(self) -> str:
        """Its address and model: where this is equal, answers may be exchanged."""

    @property
    def parallel(self) -> int:
        """Requests that may be under way at a time."""

    def complete(self, request: ChatRequest) -> Answer:
        """Return the answer to a request; called from several threads.

        Raises:
            MonosemError: the endpoint refuses it, or does not answer.
        """

    def stop(self, *, at_once: bool = False) -> None:
        """Let waiting calls end soon, and those under way too if `at_once`; called from any thread."""


def request_body(request: ChatRequest, model: str, left_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the body of `POST …/chat/completions`, without some fields of `OPTIONAL`."""
    limit = "max_completion_tokens" if "max_tokens" in left_out else "max_tokens"
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": turn.role, "content": turn.content} for turn in request.turns],
        limit: request.most_tokens,
        "temperature": 0,
        "seed": request.seed,
        "stream": False,
    }
    body |= {"logprobs": True, "top_logprobs": TOP} if request.logprobs else {}
    if "logprobs" in left_out:
        left_out |= {"top_logprobs"}
    return {name: value for name, value in body.items() if name not in left_out and value != ""}


def chat(system: str, *user: str) -> tuple[Turn, ...]:
    """Return a system's turn and a user's turn of several paragraphs."""
    return Turn("system", system), Turn("user", "\n\n".join(user))


def estimated_use(request: ChatRequest, text: str) -> TokenUse:
    """Return the tokens of a call that nobody has counted."""
    return TokenUse(request.likely_tokens, len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN + 1, counted=False)


def likely_use(requests: Sequence[ChatRequest], answer: int) -> TokenUse:
    """Return the tokens of requests that are answered in about `answer` tokens each."""
    return TokenUse(sum(one.likely_tokens for one in requests), answer * len(requests), counted=False)


def most_use(requests: Sequence[ChatRequest]) -> TokenUse:
    """Return the tokens of requests at most."""
    prompt, answer = sum(one.most_prompt_tokens for one in requests), sum(one.most_tokens for one in requests)
    return TokenUse(prompt, answer, counted=False)
