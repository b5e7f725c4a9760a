"""Generate a text twice, unclamped and with features clamped, token by token in one batch.

Both rows read the same prompt and draw from random streams with the same seed. While the texts agree, two rows are
enough; from then on a third row reads the clamped text without clamps, so that both distributions of the next token
are known after every token of the clamped text, in the same context:

- `kl`: KL(clamped ‖ own) = Σ p · log(p / q) in nats, p the clamped model's distribution, q the model's own, both
  before temperature, top-k and top-p: the effect of the clamps at this token, given everything they did before.
- perplexity: exp of minus the mean of log q over a text's tokens, q the model's own, for the base and the clamped text.

Shapes: V vocabulary.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.live.candidates import candidates
from engine.live.decoder import Chooser, Decoder
from engine.live.kept_states import KeptStates
from engine.live.live_model import LiveModel
from engine.live.prompts import Prompt
from engine.live.row_clamps import RowClamps
from store.files.errors import MonosemError
from store.live.clamp import Clamp
from store.live.model_outputs import ClampedAct, DrawnToken, End, PromptFeature, SampledText, Step
from store.live.sampling import Sampling


@dataclass
class GrowingText:
    """A text while it is being generated."""

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    end: End | None = None
    """None while it continues."""
    seconds: float = 0.0
    """Time for all tokens but the first, for which the prompt had to be read."""
    states: list[Tensor | None] = field(default_factory=list)
    """State of the random stream before each token."""

    def cut(self, length: int) -> None:
        """Drop all tokens after the first `length`."""
        if length < len(self.tokens):
            self.end = None
        for part in (self.tokens, self.logprobs, self.states):
            del part[length:]

    def complete(self) -> SampledText:
        """Return the text as a value."""
        return SampledText(tuple(self.tokens), tuple(self.logprobs), self.end)

    @property
    def speed(self) -> float | None:
        """Tokens per second; None for a text too short to measure."""
        return (len(self.tokens) - 1) / self.seconds if len(self.tokens) > 1 and self.seconds > 0 else None


class GenerationRow:
    """One text being generated, with its sampler."""

    def __init__(self, live: LiveModel, prompt: Prompt, sampling: Sampling) -> None:
        sampling.check()
        self.text = GrowingText()
        self.chooser = Chooser(sampling, live.lm.device)
        self._prompt, self._max_new, self._limit = prompt, sampling.max_new, live.lm.max_context
        self._ends = end_tokens(live)

    def draw(self, logits_V: Tensor, log_probs_V: Tensor) -> DrawnToken:
        """Draw one token.

        Raises:
            MonosemError: there is no distribution to draw from.
        """
        self.text.states.append(self.chooser.state())
        try:
            token = self.chooser.pick(logits_V)
            drawn = DrawnToken(token, float(log_probs_V[token]))
        except RuntimeError:
            if not log_probs_V.isnan().any():
                raise
            drawn = DrawnToken(0, math.nan)
        if math.isnan(drawn.logprob):
            raise MonosemError("the model's numbers have overflowed", "Clamp less strongly.")
        self.text.tokens.append(token)
        self.text.logprobs.append(drawn.logprob)
        if token in self._ends:
            self.text.end = "eos"
        elif len(self.text.tokens) >= self._max_new:
            self.text.end = "length"
        elif self._limit is not None and len(self._prompt.tokens) + len(self.text.tokens) > self._limit:
            self.text.end = "context"
        return drawn

    def back(self, length: int) -> None:
        """Drop all tokens after the first `length`, and rewind the random stream."""
        if length < len(self.text.states):
            self.chooser.restore(self.text.states[length])
        self.text.cut(length)

    def upcoming(self, start: int, stop: int) -> list[int]:
        """Return tokens start to stop (exclusive); a text that has ended repeats its last token, to keep step."""
        known = [*self._prompt.tokens, *self.text.tokens]
        return (known + known[-1:] * max(0, stop - len(known)))[start:stop]


class Generation:
    """A prompt being continued, with clamps that may change at any time and a way back to any token.

    Each token is read under the clamps in force at that moment: a change acts from the next token on, and the cache of
    earlier tokens (prompt included) stays as it was.
    """

    def __init__(
        self,
        live: LiveModel,
        prompt: Prompt,
        clamps: Sequence[Clamp],
        sampling: Sampling,
        *,
        compare: bool = True,
        detail: bool = False,
    ) -> None:
        """Prepare; nothing is computed yet.

        Args:
            live: the opened run.
            prompt: the prompt to continue.
            clamps: clamps of the clamped text.
            sampling: sampling of both texts.
            compare: whether to generate both texts; else one, under the clamps if there are any.
            detail: whether to return candidates with each token and to keep what the dictionary reads.

        Raises:
            MonosemError: a clamp does not fit the run or the prompt, or a setting is out of range.
        """
        self.live, self.prompt, self.compare = live, prompt, compare
        self.kl: list[float] = []
        self.own_logprobs: list[float] = []
        self.acts: list[tuple[ClampedAct, ...]] = []
        self._base, self._clamped = (GenerationRow(live, prompt, sampling) for _ in range(2))
        self._kept = KeptStates(live) if detail else None
        self._decoder = Decoder(live, self._kept.keep if self._kept else None)
        self._forked = False
        """Whether a third row reads the clamped text without clamps; before, the base row does."""
        self._clamps = RowClamps(live, clamps, prompt.layout)

    @property
    def base(self) -> GrowingText:
        """The unclamped text, or the only text."""
        return self._base.text

    @property
    def clamped(self) -> GrowingText:
        """The clamped text, or the only text."""
        return self._clamped.text if self.compare else self._base.text

    @property
    def clamps(self) -> tuple[Clamp, ...]:
        """The clamps in force."""
        return self._clamps.clamps

    @property
    def finished(self) -> bool:
        """Whether both texts have ended."""
        return all(row.text.end is not None for row in self._rows())

    def change(self, clamps: Sequence[Clamp]) -> None:
        """Change the clamps from the next token on.

        Raises:
            MonosemError: a clamp does not fit; the present clamps stay.
        """
        self._clamps = RowClamps(self.live, clamps, self.prompt.layout)

    def step(self) -> Step | None:
        """Generate the next token of each text that continues; return None when both have ended."""
        if self.finished:
            return None
        began, going = time.perf_counter(), [row for row in self._rows() if row.text.end is None]
        number = max(len(row.text.tokens) for row in going)
        logits_RV = self._feed(len(self.prompt.tokens) + number)
        log_probs_RV = functional.log_softmax(logits_RV, dim=-1)
        base = self._base.draw(logits_RV[0], log_probs_RV[0]) if self._base in going else None
        clamped, kl, own, found = None, None, None, None
        if self._clamped in going:
            clamped = self._clamped.draw(logits_RV[1], log_probs_RV[1])
            own_V = log_probs_RV[2 if self._forked else 0]
            kl, own = divergence(log_probs_RV[1], own_V), float(own_V[clamped.token])
            found = candidates(log_probs_RV[1], own_V) if self._kept else None
            self.kl.append(kl)
            self.own_logprobs.append(own)
            self.acts.append(self._clamps.acts)
        for row in going if number else ():
            row.text.seconds += time.perf_counter() - began
        return Step(number, base, clamped, kl, own, self._clamps.acts if clamped else (), found)

    def back(self, token: int, seed: int | None = None) -> None:
        """Drop the response from token `token` on and continue from there.

        Without a seed the same random numbers are drawn again, so that only changed clamps change the text.

        Raises:
            MonosemError: there is no such token, or the model's cache cannot be cropped.
        """
        longest = max(len(row.text.tokens) for row in self._rows())
        if not 0 <= token <= longest:
            raise MonosemError(f"there is no token {token} to go back to", f"There are {longest} so far.")
        # The last kept token is read again, so that its prediction obeys the present clamps.
        self._decoder.crop(min(self._decoder.length, len(self.prompt.tokens) + token - 1))
        for row in self._rows():
            row.back(token)
            if seed is not None:
                row.chooser.reseed(seed)
        for known in (self.kl, self.own_logprobs, self.acts):
            del known[token:]
        if self._forked and self.base.tokens == self.clamped.tokens:
            self._decoder.select([0, 1])
            self._forked = False

    def text_acts(self, feature: int, start: int = 0) -> tuple[list[float], list[float]]:
        """Return a feature's activations on the tokens of both texts read so far, from number `start` on.

        They are those before any clamp at that token; NaN where they are not kept, or the token does not count.

        Raises:
            MonosemError: there is no such feature.
        """
        self.live.check_feature(feature)
        found = []
        for number, row in enumerate((self._base, self._clamped)):
            first = len(self.prompt.tokens)
            stop = max(first + start, min(self._decoder.length, first + len(row.text.tokens)))
            counted = self._counted(row, first + start, stop)
            none = [math.nan] * len(counted)
            kept = self._kept
            found.append(kept.acts(number, feature, counted, first + start, stop) if kept else none)
        return found[0], found[1]

    def prompt_features(self, top: int) -> tuple[PromptFeature, ...]:
        """Return at most `top` features that fire in the prompt, once it is read, nearest to their maxima first."""
        known = self._kept.strongest(self._counted(self._base, 0, len(self.prompt.tokens))) if self._kept else {}

        def height(feature: int) -> float:
            return known[feature][0] / (self.live.maximum(feature) or 1.0)

        best = sorted(known, key=lambda feature: (-height(feature), feature))[:top]
        return tuple(PromptFeature(one, known[one][0], self.prompt.tokens[known[one][1]]) for one in best)

    def _counted(self, row: GenerationRow, start: int, stop: int) -> list[bool]:
        counted: list[bool] = self.live.encoding.counted(np.array([row.upcoming(0, stop)], np.int64))[0].tolist()
        if self.live.encoding.bos_id is None and counted:
            counted[0] = False
        return counted[start:stop]

    def _rows(self) -> list[GenerationRow]:
        return [self._base, self._clamped] if self.compare else [self._base]

    def _feed(self, stop: int) -> Tensor:
        """Read all unread positions before `stop`; return the logits of the base, clamped and own rows."""
        rows = self._rows()
        clamps = [None, self._clamps] if self.compare else [self._clamps]
        if self.compare and (self._forked or self.base.tokens != self.clamped.tokens):
            if not self._forked:
                self._decoder.select([0, 1, 0])
                self._forked = True
            rows, clamps = [*rows, self._clamped], [*clamps, None]
        return self._decoder.feed([row.upcoming(self._decoder.length, stop) for row in rows], clamps[: len(rows)])


def divergence(log_p_V: Tensor, log_q_V: Tensor) -> float:
    """Return KL(p ‖ q) = Σ p · log(p / q), in nats."""
    found = float(log_p_V.exp() @ (log_p_V - log_q_V))
    if math.isnan(found):  # 0 · log 0, of a token that the model rules out
        terms_V = log_p_V.exp() * (log_p_V - log_q_V)
        found = float(torch.where(log_p_V > -torch.inf, terms_V, 0.0).sum())
    return max(0.0, found)


def end_tokens(live: LiveModel) -> frozenset[int]:
    """Return the tokens that end a text: those of generation_config.json and the tokenizer's own."""
    named = getattr(live.lm.network.generation_config, "eos_token_id", None)
    several = named if isinstance(named, list | tuple) else [named]
    own = getattr(live.encoding.tokenizer, "eos_token_id", None)
    return frozenset(int(token) for token in (*several, own) if token is not None)


def shown_text(live: LiveModel, text: GrowingText | SampledText) -> str:
    """Return a text without the token that ended it."""
    tokens = text.tokens[:-1] if text.end == "eos" else text.tokens
    return live.vocabulary.text(tokens)
