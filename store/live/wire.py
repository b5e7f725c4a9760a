"""Messages between the terminal and the model process: one JSON object per line, over the pipes of a child process.

The child runs `python -P -m engine.live.server` (`command`). It sends `Hello`, then answers requests in order. While it
generates it looks for a request before every token, so that a change acts on the next one. Each answer carries the `id`
of its request, counted up by the terminal, so that late answers to a cancelled request can be dropped. Tokens are
vocabulary ids; their bytes are in the index.

`Start` and `Branch` only prepare a text; `Go` generates until `Pause`. `Stop` cancels whatever runs, a sweep or an
inspection included. The child exits when its stdin closes, when its parent dies, and after a long idle time (`Gone`).

`monosem serve` speaks the same messages over a Unix socket (store.live.socket_file) and outlives the connection. It
sends `Hello` to every client, `Working` with id 0 while its model loads, and serves the client that sent the last
request; the previous one gets `Gone`. The loaded run stays and a text is generated further while no client is
connected. `Load` of the loaded run is answered at once, and `Recall` returns the text.
"""

from __future__ import annotations

import json
import math
import os
import sys
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, get_args

from store.files.typed_json import JsonError, Text, parse
from store.files.typed_json import decode as decode_json
from store.live.model_outputs import ClampSweep, End, PromptFeature, ReadToken, Step
from store.live.recipe import Recipe
from store.settings.subject import Weights

PROTOCOL = 4
LONGEST, LONGEST_REQUEST = 1 << 24, 1 << 20
"""Bytes of an answer and of a request at most."""


class WireError(ValueError):
    """A line is not a message."""


@dataclass(frozen=True, kw_only=True)
class _Numbered:
    """A request, or an answer to the request with the same number."""

    id: int


@dataclass(frozen=True, kw_only=True)
class Load(_Numbered):
    """Load a run's model and dictionary in place of the loaded one. Answers: Working …, Ready."""

    run: str
    """Its folder."""
    model: str | None = None
    device: str | None = None
    dtype: str | None = None
    weights: Weights | None = None


@dataclass(frozen=True, kw_only=True)
class Inspect(_Numbered):
    """Read a text. Answers: Working …, Inspected."""

    text: Text
    top: int = 5
    ablate: bool = False
    chat: bool = False
    """Read it as a user's turn in the chat template, or as a JSON list of messages."""


@dataclass(frozen=True, kw_only=True)
class Start(_Numbered):
    """Prepare a prompt to be continued, in place of the present text. Answer: Started."""

    recipe: Recipe
    """Without its sweep."""


@dataclass(frozen=True, kw_only=True)
class Go(_Numbered):
    """Generate. Answers, with the id of this request: Stepped …, then Rested."""

    tokens: int | None = None
    """Stop after so many; None continues to the end of the text."""


@dataclass(frozen=True, kw_only=True)
class Pause(_Numbered):
    """Stop generating for now. Answer: Rested, to the Go that is paused; none where nothing is generated."""


@dataclass(frozen=True, kw_only=True)
class ChangeClamps(_Numbered):
    """Replace the clamps from the next token on, generating or not. Answer: Changed."""

    clamps: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class WatchFeature(_Numbered):
    """Send a feature's activations on the tokens of the present text. Answers, with the id of this request: Watched
    for those so far, and for each that follows."""

    feature: int | None
    """None ends it."""


@dataclass(frozen=True, kw_only=True)
class RankPrompt(_Numbered):
    """Rank the features that fire in the prompt of the present text, which has been read. Answer: PromptRanked."""

    top: int = 32


@dataclass(frozen=True, kw_only=True)
class Branch(_Numbered):
    """Take back all tokens of the response from number `token` on. Answer: Branched."""

    token: int
    seed: int | None = None
    """Seed of another random stream; None repeats the same one."""


@dataclass(frozen=True, kw_only=True)
class StartSweep(_Numbered):
    """Generate one text for each strength of `recipe.sweep`. Answers: Working …, Swept."""

    recipe: Recipe


@dataclass(frozen=True, kw_only=True)
class Stop(_Numbered):
    """Cancel what runs, and drop the text. Answer: Stopped; to the cancelled request: Failed."""


@dataclass(frozen=True, kw_only=True)
class Recall(_Numbered):
    """Send the present text to a client that reconnects. Answers, with the id of this request: Recalled, a Stepped for
    each token so far and for each that follows, then Rested."""


@dataclass(frozen=True, kw_only=True)
class Hello:
    """The first line."""

    protocol: int
    pid: int


@dataclass(frozen=True, kw_only=True)
class Working(_Numbered):
    """Progress of a long request, or a sentence about it."""

    title: str
    done: int = 0
    total: int | None = None
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Ready(_Numbered):
    """The run is loaded."""

    model: str
    device: str
    d_sae: int
    max_context: int | None
    context: int
    chat: bool
    """Whether the tokenizer has a chat template."""
    knows_maxima: bool
    """Whether clamps may be multiples of a maximum."""


@dataclass(frozen=True, kw_only=True)
class Inspected(_Numbered):
    """The tokens of a text, context by context."""

    contexts: tuple[tuple[ReadToken, ...], ...]

    @cached_property
    def tokens(self) -> tuple[ReadToken, ...]:
        """All tokens, context after context."""
        return tuple(token for context in self.contexts for token in context)


@dataclass(frozen=True, kw_only=True)
class Started(_Numbered):
    """A prompt is ready to be continued."""

    prompt: tuple[int, ...]
    clamps: tuple[str, ...]
    """In the form that store.live.clamp writes them."""


@dataclass(frozen=True, kw_only=True)
class Stepped(_Numbered):
    """The next token of each text that goes on."""

    step: Step


@dataclass(frozen=True, kw_only=True)
class Watched(_Numbered):
    """A feature's activations on tokens of both texts, before any clamp there; NaN where they are not known."""

    feature: int
    first: int
    """Number of the first of these tokens in the response."""
    base: tuple[float, ...]
    clamped: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class PromptRanked(_Numbered):
    """Features of the prompt, those nearest to their maxima first."""

    features: tuple[PromptFeature, ...]


@dataclass(frozen=True, kw_only=True)
class Rested(_Numbered):
    """Generation has paused or ended. An end is None while the text could go on."""

    base_end: End | None
    clamped_end: End | None
    base_tok_s: float | None
    clamped_tok_s: float | None


@dataclass(frozen=True, kw_only=True)
class Changed(_Numbered):
    """Other clamps are in force."""

    clamps: tuple[str, ...]
    from_token: int
    """The first token of the response that they act on."""


@dataclass(frozen=True, kw_only=True)
class Branched(_Numbered):
    """Tokens have been taken back."""

    token: int


@dataclass(frozen=True, kw_only=True)
class ClampStretch:
    """Clamps that held from a token on, until the next stretch."""

    token: int
    clamps: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Recalled(_Numbered):
    """The present text."""

    recipe: Recipe | None
    """Recipe of the text with the clamps now in force; None where there is no text, and nothing follows."""
    prompt: tuple[int, ...] = ()
    tokens: int = 0
    """Number of Stepped that follow at once."""
    writing: bool = False
    """Whether it is being generated."""
    obeyed: tuple[ClampStretch, ...] = ()
    """The clamps that it was written with, by ascending tokens, the first from token 0 on."""


@dataclass(frozen=True, kw_only=True)
class Swept(_Numbered):
    """The texts of a sweep."""

    sweep: ClampSweep


@dataclass(frozen=True, kw_only=True)
class Stopped(_Numbered):
    """The running request has been cancelled."""


@dataclass(frozen=True, kw_only=True)
class Failed(_Numbered):
    """A request failed; the process goes on."""

    """0 where the line was not a request."""
    what: str
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Gone:
    """The last line of a process that exits by itself."""

    why: str


Request = (
    Load | Inspect | Start | Go | Pause | ChangeClamps | WatchFeature | RankPrompt | Branch | StartSweep | Stop | Recall
)
Answer = (
    Hello
    | Working
    | Ready
    | Inspected
    | Started
    | Stepped
    | Watched
    | PromptRanked
    | Rested
    | Changed
    | Branched
    | Recalled
    | Swept
    | Stopped
    | Failed
    | Gone
)
_KINDS: dict[str, type[Any]] = {kind.__name__.lower(): kind for kind in (*get_args(Request), *get_args(Answer))}


def command(log: Path) -> list[str]:
    """Return the command that starts the child. -P keeps a folder `engine` in the working directory off the path."""
    return [sys.executable, "-P", "-m", "engine.live.server", "--log", str(log), "--parent", str(os.getpid())]


def encode(message: Request | Answer) -> bytes:
    """Return a message as one line, line end included. Infinities and NaN become null."""
    values = {"type": type(message).__name__.lower()} | _plain(message)
    return json.dumps(values, allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Request | Answer:
    """Return the message of a line; null reads as NaN where a number is expected.

    Raises:
        WireError: it is not a message.
    """
    try:
        values = parse(line)
    except JsonError as error:
        raise WireError(str(error)) from None
    name = values.pop("type", None) if isinstance(values, dict) else None
    if not isinstance(name, str) or name not in _KINDS:
        raise WireError(f"not a message: {line[:80]!r}")
    try:
        message: Request | Answer = decode_json(_KINDS[name], values, finite=False)
    except JsonError as error:
        raise WireError(f"{name}: {error}") from None
    return message


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, in one pass: a message is sent for every token."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if is_dataclass(value):
        return {name: _plain(getattr(value, name)) for name in _names(type(value))}  # type: ignore[arg-type]
    return value


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
