"""The base and the clamped text received so far, with KL, perplexity and their first difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from store.live import wire
from store.live.clamp import Part, parse_clamp
from store.live.model_outputs import KEPT, ClampedAct, DrawnToken, End, NextTokens, PromptFeature, Step, perplexity

READ_ONCE: tuple[Part, ...] = ("prompt", "user", "system")
"""Parts of a text that are read before it is written, and not again."""


class Obeyed(NamedTuple):
    """Clamps that held from a token on."""

    token: int
    clamps: frozenset[str]


@dataclass
class WatchedActs:
    """Activations of one feature on the tokens of both texts, before any clamp there; NaN where not known."""

    feature: int | None
    base: list[float] = field(default_factory=list)
    clamped: list[float] = field(default_factory=list)

    def take(self, found: wire.Watched) -> None:
        """Take activations, in place of those from the same token on."""
        for known, values in ((self.base, found.base), (self.clamped, found.clamped)):
            known += [math.nan] * (found.first - len(known))
            known[found.first :] = values

    def cut(self, token: int) -> None:
        """Drop what is read again when the text goes on from a token: that and the one before."""
        for known in (self.base, self.clamped):
            del known[max(0, token - 1) :]


def reads_once(clamp: str) -> bool:
    """Return whether a clamp holds only in what is read before the text is written."""
    return parse_clamp(clamp).where.part in READ_ONCE


@dataclass
class Transcript:
    """Both texts; tokens are numbered from the start of the response."""

    base: list[DrawnToken] = field(default_factory=list)
    clamped: list[DrawnToken] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    """Log-probability of each clamped token under the model without clamps."""
    acts: list[tuple[ClampedAct, ...]] = field(default_factory=list)
    candidates: list[NextTokens | None] = field(default_factory=list)
    """Candidates for each clamped token; None for those that are kept no more."""
    watched: WatchedActs = field(default_factory=lambda: WatchedActs(None))
    prompt_features: tuple[PromptFeature, ...] = ()
    """Features that fire in the prompt, where they were asked for."""
    base_end: End | None = None
    clamped_end: End | None = None
    speed: float | None = None
    """Tokens per second of the clamped text at the last pause."""
    base_speed: float | None = None
    prompt: tuple[int, ...] = ()
    obeyed: list[Obeyed] = field(default_factory=list)
    """The clamps that the clamped text was written with, stretch by stretch."""

    def obey(self, token: int, clamps: Sequence[str]) -> None:
        """Record the clamps in force from a token on; what holds in the prompt stays as it was when that was read."""
        now = frozenset(clamps)
        if self.obeyed:
            read = frozenset(clamp for clamp in self.obeyed[0].clamps if reads_once(clamp))
            now = frozenset(clamp for clamp in now if not reads_once(clamp)) | read
        self.obeyed = [*(one for one in self.obeyed if one.token < token), Obeyed(token, now)]

    @property
    def unclamped(self) -> bool:
        """Whether no token was written with a clamp."""
        return not any(one.clamps for one in self.obeyed)

    def stale(self, clamps: Sequence[str]) -> list[range]:
        """Return the tokens of the clamped text that were written with other clamps than these."""
        ends = [*(one.token for one in self.obeyed[1:]), len(self.clamped)]
        wanted = frozenset(clamps)
        pairs = zip(self.obeyed, ends, strict=False)
        return [range(one.token, end) for one, end in pairs if one.clamps != wanted and one.token < end]

    def take(self, step: Step) -> None:
        """Append a token to each text."""
        if step.base is not None:
            self.base.append(step.base)
        if step.clamped is not None:
            self.clamped.append(step.clamped)
            self.kl.append(0.0 if step.kl is None else step.kl)
            self.own.append(math.nan if step.own_logprob is None else step.own_logprob)
            self.acts.append(step.acts)
            self.candidates.append(step.candidates)
            if len(self.candidates) > KEPT:
                self.candidates[-KEPT - 1] = None

    def rest(self, rested: wire.Rested) -> None:
        """Record a pause."""
        self.base_end, self.clamped_end = rested.base_end, rested.clamped_end
        self.base_speed = rested.base_tok_s
        self.speed = rested.clamped_tok_s or rested.base_tok_s

    def cut(self, token: int) -> None:
        """Drop all tokens from `token` on."""
        for part in (self.base, self.clamped, self.kl, self.own, self.acts, self.candidates):
            del part[token:]
        self.watched.cut(token)
        self.obeyed = [one for one in self.obeyed if not one.token or one.token < token]
        self.base_end = self.clamped_end = None

    def __len__(self) -> int:
        return max(len(self.base), len(self.clamped))

    @property
    def complete(self) -> bool:
        """Whether both texts have ended."""
        return self.base_end is not None and self.clamped_end is not None

    @property
    def fork(self) -> int | None:
        """The first token at which the texts differ; None while they agree."""
        pairs = zip(self.base, self.clamped, strict=False)
        return next((n for n, (a, b) in enumerate(pairs) if a.token != b.token), None)

    @property
    def perplexities(self) -> tuple[float | None, float | None]:
        """Perplexities of base and clamped text under the unclamped model."""
        return perplexity([one.logprob for one in self.base]), perplexity(self.own)

    def mean_kl(self) -> tuple[float, int] | None:
        """Mean KL from the first token whose distribution the clamps changed, and that token."""
        first = next((n for n, kl in enumerate(self.kl) if kl > 1e-6), None)
        if first is None:
            return None
        changed = [kl for kl in self.kl[first:] if math.isfinite(kl)]
        return (sum(changed) / len(changed), first) if changed else None
