"""What the terminal and the model's own process say to each other: one JSON object a line, over the child's pipes.

The child is `python -P -m engine.live.server` (`command`). It greets, then answers requests in order; while a text is
being written it looks for a request before every token, so that a change acts on the next one. Every answer carries the
`id` of the request it belongs to, which the terminal counts up, so that an answer to something given up can be dropped.
Tokens are vocabulary ids: their bytes are in the store.

`Start` and `Branch` write nothing by themselves; `Go` does, and `Pause` ends that. `Stop` breaks off whatever runs, a
sweep or an inspection as well. The child ends when its stdin closes, when its parent dies, and when it has long been
idle (`Gone` says so).

The same lines go over a Unix socket (store.live.socket_file) to a process that outlives the line: `monosem serve`. It
greets everybody and listens to the one who has asked for something last; whoever was listened to before is told so
(`Gone`). What it has open stays when nobody is there, and a text is written on. `Load` of what is open is answered at
once, and `Recall` brings the text back.
"""

from __future__ import annotations

import json
import math
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from store.files.typed_json import JsonError
from store.files.typed_json import decode as decode_json

PROTOCOL = 1
LONGEST = 1 << 24
"""Bytes of a line at the most."""


class WireError(ValueError):
    """A line is no message."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """Open a run's model and dictionary; what was open is let go. Answers: Working …, Ready."""

    id: int
    run: str
    """Its folder."""
    model: str | None = None
    device: str | None = None
    dtype: str | None = None


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """Read a text. Answers: Working …, Inspected."""

    id: int
    text: str
    top: int = 5
    ablate: bool = False


@dataclass(frozen=True, kw_only=True)
class Start:
    """Prepare a prompt to be continued; what was being written is let go. Answer: Started."""

    id: int
    prompt: str
    clamps: tuple[str, ...] = ()
    """As they are written (store.live.clamp)."""
    chat: bool = False
    system: str = ""
    max_new: int = 100
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Go:
    """Write on. Answers, with the id of this request: Stepped …, then Rested."""

    id: int
    tokens: int | None = None
    """As many; None for as far as the text goes."""


@dataclass(frozen=True, kw_only=True)
class Pause:
    """Write no further for now. Answer: Rested, to the Go that is paused; nothing where nothing is written."""

    id: int


@dataclass(frozen=True, kw_only=True)
class Change:
    """Put other clamps in force from the next token on, while it writes or not. Answer: Changed."""

    id: int
    clamps: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Branch:
    """Take back all tokens of the response from number `token` on. Answer: Branched."""

    id: int
    token: int
    seed: int | None = None
    """Another stream of random numbers; None draws the same ones again."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Write one text for each strength. Answers: Working …, Swept."""

    id: int
    start: Start
    """What to continue, and under which other clamps."""
    strengths: str
    """`412=0,5,10`, with a place behind it if wished."""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Break off what runs, and let the text go. Answer: Stopped; to what was broken off: Failed."""

    id: int


@dataclass(frozen=True, kw_only=True)
class Recall:
    """Tell of the text that is open, to a terminal that comes back. Answers, with the id of this request: Recalled, a
    Stepped for each token so far and for each that follows, then Rested."""

    id: int


@dataclass(frozen=True)
class Token:
    """One token of one text."""

    token: int
    logprob: float


@dataclass(frozen=True)
class Act:
    """A clamped feature at the position that the clamped token was drawn from."""

    feature: int
    natural: float
    clamped: float


@dataclass(frozen=True)
class Fires:
    """A feature that fires on a token."""

    feature: int
    activation: float
    loss_change: float | None


@dataclass(frozen=True)
class Read:
    """One token of a text that was read."""

    token: int
    counted: bool
    firings: tuple[Fires, ...]
    active: int
    next_loss: float | None


@dataclass(frozen=True)
class Swung:
    """One strength of a sweep."""

    clamp: str
    tokens: tuple[int, ...]
    end: str | None
    kl: tuple[float, ...]
    own_logprobs: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Hello:
    """The first line."""

    protocol: int
    pid: int


@dataclass(frozen=True, kw_only=True)
class Working:
    """How far something long is, or a sentence about it."""

    id: int
    title: str
    done: int = 0
    total: int | None = None
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The model is open."""

    id: int
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
class Inspected:
    """The tokens of a text, context by context."""

    id: int
    contexts: tuple[tuple[Read, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Started:
    """A prompt has been taken."""

    id: int
    prompt: tuple[int, ...]
    clamps: tuple[str, ...]
    """In the form that store.live.clamp gives them."""


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """One more token of each text that goes on; see engine.live.generation for the figures."""

    id: int
    number: int
    base: Token | None
    clamped: Token | None
    kl: float | None
    own_logprob: float | None
    acts: tuple[Act, ...]


@dataclass(frozen=True, kw_only=True)
class Rested:
    """Nothing is being written any more. The ends say why each text is complete; None while it could go on."""

    id: int
    base_end: str | None
    clamped_end: str | None
    base_tok_s: float | None
    clamped_tok_s: float | None


@dataclass(frozen=True, kw_only=True)
class Changed:
    """Other clamps are in force."""

    id: int
    clamps: tuple[str, ...]
    from_token: int
    """The first token of the response that obeys."""


@dataclass(frozen=True, kw_only=True)
class Branched:
    """Tokens have been taken back."""

    id: int
    token: int


@dataclass(frozen=True, kw_only=True)
class Recalled:
    """The text that is open."""

    id: int
    start: Start | None
    """What it was begun with, its clamps those in force; None where there is no text: nothing follows then."""
    prompt: tuple[int, ...] = ()
    tokens: int = 0
    """How many Stepped follow at once."""
    writing: bool = False
    """Whether it is being written."""


@dataclass(frozen=True, kw_only=True)
class Swept:
    """The texts of a sweep."""

    id: int
    base: tuple[int, ...]
    base_logprobs: tuple[float, ...]
    strengths: tuple[Swung, ...]


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """What ran has been broken off."""

    id: int


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A request could not be met; the process goes on."""

    id: int
    """0 where the line was no request."""
    what: str
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Gone:
    """The last line of a process that ends by itself."""

    why: str


Request = Load | Inspect | Start | Go | Pause | Change | Branch | Sweep | Stop | Recall
Answer = (
    Hello
    | Working
    | Ready
    | Inspected
    | Started
    | Stepped
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
    """How this process starts the child. With -P, a folder `engine` where the user is is not taken for ours."""
    return [sys.executable, "-P", "-m", "engine.live.server", "--log", str(log), "--parent", str(os.getpid())]


def encode(message: Request | Answer) -> bytes:
    """One line, its end included. What JSON cannot say (infinity, nan) becomes null."""
    values = {"type": type(message).__name__.lower()} | asdict(message)
    return json.dumps(_finite(values), allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Request | Answer:
    """The message of a line.

    Raises:
        WireError: it is none.
    """
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WireError(f"no JSON: {error}") from None
    name = values.pop("type", None) if isinstance(values, dict) else None
    if not isinstance(name, str) or name not in _KINDS:
        raise WireError(f"no message: {line[:80]!r}")
    try:
        message: Request | Answer = decode_json(_KINDS[name], values, finite=False)
    except JsonError as error:
        raise WireError(f"{name}: {error}") from None
    return message


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
