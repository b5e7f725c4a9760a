"""A text being written twice, as far as it has got, and what can be said of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from store.files.errors import MonosemError
from store.live import wire

_NAMES = {"t": "temperature", "p": "top_p", "k": "top_k", "max": "max_new", "seed": "seed"}
_BEST = "Write t=0.8 p=0.95 k=40 max=200 seed=1, or greedy."
MOST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn, and how many."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    max_new: int = 200
    seed: int = 0

    def __str__(self) -> str:
        """As it is typed."""
        return " ".join(f"{short}={getattr(self, name):g}" for short, name in list(_NAMES.items())[:2]) + (
            f" k={self.top_k} max={self.max_new} seed={self.seed}"
        )

    @property
    def words(self) -> str:
        """As it is shown: `greedy`, or `t 0.8 · top-p 0.95 · seed 3`."""
        if self.temperature == 0:
            return "greedy"
        parts = [f"t {self.temperature:g}"]
        parts += [f"top-p {self.top_p:g}"] if self.top_p < 1 else []
        parts += [f"top-k {self.top_k}"] if self.top_k else []
        return " · ".join([*parts, f"seed {self.seed}"])

    def changed(self, text: str) -> Sampling:
        """With what was typed in place of what was; what is not named stays.

        Raises:
            MonosemError: a word is none of the settings, or a number is out of its range.
        """
        found = self
        for word in text.replace(",", " ").split():
            name, _, value = word.partition("=")
            if word == "greedy":
                found = replace(found, temperature=0.0)
                continue
            if name not in _NAMES:
                raise MonosemError(f"{word!r} is no setting", _BEST)
            try:
                number = float(value) if name in "tp" else int(value)
            except ValueError:
                raise MonosemError(f"{word!r}: {value!r} is no number", _BEST) from None
            low, high = {"t": (0, 100), "p": (1e-6, 1), "k": (0, 10**9), "max": (1, 10**6)}.get(name, (0, MOST_SEED))
            if not low <= number <= high:
                raise MonosemError(f"{word!r} is not between {low:g} and {high:g}", _BEST)
            changes: dict[str, Any] = {_NAMES[name]: number}
            found = replace(found, **changes)
        return found


@dataclass
class Writing:
    """Both texts. Numbers of tokens are those of the response, from 0."""

    base: list[wire.Token] = field(default_factory=list)
    clamped: list[wire.Token] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    """Log-probability of each clamped token under the model without clamps."""
    acts: list[tuple[wire.Act, ...]] = field(default_factory=list)
    base_end: str | None = None
    clamped_end: str | None = None
    speed: float | None = None
    """Tokens a second of the clamped text, when writing last rested."""
    base_speed: float | None = None
    prompt: tuple[int, ...] = ()

    def take(self, step: wire.Stepped) -> None:
        """One token more of each."""
        if step.base is not None:
            self.base.append(step.base)
        if step.clamped is not None:
            self.clamped.append(step.clamped)
            self.kl.append(0.0 if step.kl is None else step.kl)
            self.own.append(math.nan if step.own_logprob is None else step.own_logprob)
            self.acts.append(step.acts)

    def rest(self, rested: wire.Rested) -> None:
        """Nothing more comes for now."""
        self.base_end, self.clamped_end = rested.base_end, rested.clamped_end
        self.base_speed = rested.base_tok_s
        self.speed = rested.clamped_tok_s or rested.base_tok_s

    def cut(self, token: int) -> None:
        """Take back all tokens from number `token` on."""
        for part in (self.base, self.clamped, self.kl, self.own, self.acts):
            del part[token:]
        self.base_end = self.clamped_end = None

    def __len__(self) -> int:
        return max(len(self.base), len(self.clamped))

    @property
    def complete(self) -> bool:
        """Whether neither text goes on."""
        return self.base_end is not None and self.clamped_end is not None

    @property
    def fork(self) -> int | None:
        """The first token in which the texts differ; None while they are the same."""
        pairs = zip(self.base, self.clamped, strict=False)
        return next((n for n, (a, b) in enumerate(pairs) if a.token != b.token), None)

    @property
    def perplexities(self) -> tuple[float | None, float | None]:
        """Of the base and of the clamped text, under the model without clamps."""
        return perplexity([one.logprob for one in self.base]), perplexity(self.own)

    def mean_kl(self) -> tuple[float, int] | None:
        """Mean from the first token that the clamps changed the odds of, and which that is."""
        first = next((n for n, kl in enumerate(self.kl) if kl > 1e-6), None)
        if first is None:
            return None
        changed = [kl for kl in self.kl[first:] if math.isfinite(kl)]
        return (sum(changed) / len(changed), first) if changed else None


def perplexity(logprobs: Sequence[float]) -> float | None:
    """exp of minus the mean; None of nothing, and of what cannot be said."""
    if not logprobs or not all(map(math.isfinite, logprobs)):
        return None
    try:
        return math.exp(-sum(logprobs) / len(logprobs))
    except OverflowError:
        return None
