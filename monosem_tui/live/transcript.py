"""The base and the clamped text received so far, with KL, perplexity and their first difference."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from store.live import wire
from store.live.model_outputs import ClampedAct, DrawnToken, End, Step, perplexity


@dataclass
class Transcript:
    """Both texts; tokens are numbered from the start of the response."""

    base: list[DrawnToken] = field(default_factory=list)
    clamped: list[DrawnToken] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    """Log-probability of each clamped token under the model without clamps."""
    acts: list[tuple[ClampedAct, ...]] = field(default_factory=list)
    base_end: End | None = None
    clamped_end: End | None = None
    speed: float | None = None
    """Tokens per second of the clamped text at the last pause."""
    base_speed: float | None = None
    prompt: tuple[int, ...] = ()

    def take(self, step: Step) -> None:
        """Append a token to each text."""
        if step.base is not None:
            self.base.append(step.base)
        if step.clamped is not None:
            self.clamped.append(step.clamped)
            self.kl.append(0.0 if step.kl is None else step.kl)
            self.own.append(math.nan if step.own_logprob is None else step.own_logprob)
            self.acts.append(step.acts)

    def rest(self, rested: wire.Rested) -> None:
        """Record a pause."""
        self.base_end, self.clamped_end = rested.base_end, rested.clamped_end
        self.base_speed = rested.base_tok_s
        self.speed = rested.clamped_tok_s or rested.base_tok_s

    def cut(self, token: int) -> None:
        """Drop all tokens from `token` on."""
        for part in (self.base, self.clamped, self.kl, self.own, self.acts):
            del part[token:]
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
