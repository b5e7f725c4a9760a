"""Results of the live model: drawn tokens, tokens of an inspected text, and texts of a clamp sweep.

The engine computes these values; messages (store.live.wire) carry them to the terminal as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from store.settings.roles import Role

End = Literal["eos", "length", "context"]
"""Why a text ends: the model ended it, it has `max_new` tokens, or it fills the model's context."""


@dataclass(frozen=True)
class DrawnToken:
    """One token of a generated text."""

    token: int
    logprob: float
    """Under the model that drew it, before temperature, top-k and top-p."""


@dataclass(frozen=True)
class ClampedAct:
    """Activation of a clamped feature at the position that the clamped token was drawn from."""

    feature: int
    natural: float
    """Before the clamp, in the text and under the clamps so far."""
    clamped: float
    """After it; equal to `natural` where no clamp holds."""


KEPT = 4096
"""Tokens of a text whose candidates are kept: the last ones."""


@dataclass(frozen=True)
class NextTokens:
    """Candidates for a token of the clamped text, with their log-probabilities after the same clamped text.

    Among them are the most probable ones of both distributions, and those whose probability differs most.
    """

    tokens: tuple[int, ...]
    clamped: tuple[float, ...]
    own: tuple[float, ...]
    """Log-probabilities under the unclamped model."""


@dataclass(frozen=True)
class Step:
    """The next token of each text that goes on."""

    number: int
    """Number in the response, from 0."""
    base: DrawnToken | None
    clamped: DrawnToken | None
    kl: float | None
    """KL(clamped ‖ own) at the clamped token, in nats."""
    own_logprob: float | None
    """Log-probability of the clamped token under the unclamped model."""
    acts: tuple[ClampedAct, ...]
    candidates: NextTokens | None = None
    """Candidates for the clamped token; None where they were not asked for, or are kept no more."""


@dataclass(frozen=True)
class Firing:
    """A feature that fires on a token."""

    feature: int
    activation: float
    loss_change: float | None = None
    """Increase of the next token's loss from ablating the feature at this token alone, in nats: positive where the
    feature helps to predict it. None where the context has no next token, or ablation was not requested."""


@dataclass(frozen=True)
class PromptFeature:
    """A feature that fires in a prompt."""

    feature: int
    activation: float
    """The largest in the prompt."""
    token: int
    """The token where that is."""


@dataclass(frozen=True)
class ReadToken:
    """One token of an inspected text."""

    token: int
    counted: bool
    """Whether features are read here: not on BOS, nor on the first token where there is no BOS."""
    firings: tuple[Firing, ...]
    """The strongest first, as many as requested."""
    active: int
    """Number of features that fire, shown or not."""
    next_loss: float | None = None
    """-log p of the next token of the context, in nats; None as for `Firing.loss_change`."""
    role: Role | None = None
    """The role of its turn, in a chat."""


@dataclass(frozen=True)
class SampledText:
    """A complete generated text."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    """Log-probability of each token under the model that drew it."""
    end: End | None


@dataclass(frozen=True)
class SweptStrength:
    """The text under one strength of a sweep."""

    clamp: str
    text: SampledText
    kl: tuple[float, ...]
    """KL(clamped ‖ own) at each token, in nats."""
    own_logprobs: tuple[float, ...]
    """Log-probability of each token under the unclamped model."""


@dataclass(frozen=True)
class ClampSweep:
    """One feature over a row of strengths, beside the model's own text."""

    base: SampledText
    strengths: tuple[SweptStrength, ...]


def mean(values: Sequence[float]) -> float | None:
    """Return the mean; None without values."""
    return sum(values) / len(values) if values else None


def perplexity(logprobs: Sequence[float]) -> float | None:
    """Return exp of minus the mean; None without tokens, with a non-finite log-probability, or beyond any number."""
    if not logprobs or not all(map(math.isfinite, logprobs)):
        return None
    try:
        return math.exp(-sum(logprobs) / len(logprobs))
    except OverflowError:
        return None
