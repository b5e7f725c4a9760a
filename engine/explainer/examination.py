"""The examination of one explanation: the texts, and the questions about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.endpoint.chat import ChatRequest, TokenUse, likely_use, most_use
from engine.explainer.excerpts import ExcerptSampler, JudgedExcerpts, ShownExcerpts
from engine.explainer.hypotheses import Hypothesis
from engine.explainer.judgements import TextQuestion, detection_questions, fuzzing_questions
from engine.explainer.prompts import explain_request
from store.index.reader import FeatureStore

TYPICAL_SENTENCE = "Names of boats and words of the sea, mostly after an article, in stories for children."
TYPICAL_ANSWER, TYPICAL_VERDICT = 60, 2
"""Tokens of an explanation and of a verdict, for estimates."""


@dataclass(frozen=True)
class JudgeSizes:
    """Texts that an explanation is made from and judged on."""

    firing: int = 20
    silent: int = 10
    """Texts of each of three kinds."""
    fuzzed: int = 10
    """Texts that are shown twice, with the right and with wrong marks."""
    controls: int = 10
    """Features that are judged by another one's explanation too."""
    reasoning: int = 0
    """Tokens that the model may spend before each answer."""
    seed: int = 0


@dataclass(frozen=True)
class CallEstimate:
    """The calls of a piece of work, before it is done."""

    calls: int
    use: TokenUse
    """Tokens, about."""
    most: TokenUse
    """Tokens at most."""


@dataclass(frozen=True)
class Draft:
    """One feature on the way to its explanation."""

    feature: int
    shown: ShownExcerpts
    judged: JudgedExcerpts
    hypothesis: Hypothesis | None = None

    @property
    def is_silent(self) -> bool:
        """Whether there is no text to explain the feature by."""
        return not self.shown.top


class Examination:
    """Draws the texts of features of one store, and puts the questions."""

    def __init__(self, store: FeatureStore, sizes: JudgeSizes) -> None:
        self.store, self.sizes = store, sizes
        self._sampler = ExcerptSampler(store, sizes.seed)

    def calls(self, features: Sequence[int], among: int) -> CallEstimate:
        """Return the calls that explaining and judging take, of `among` features of which these are a sample."""
        asked: list[ChatRequest] = []
        judged: list[ChatRequest] = []
        detected: list[ChatRequest] = []
        for feature in features:
            draft = self.draft(feature)
            if draft.is_silent:
                continue
            asked.append(self.question(draft))
            judged += [one.request for one in self.questions(draft, TYPICAL_SENTENCE, fuzzed=True)]
            detected += [one.request for one in self.questions(draft, TYPICAL_SENTENCE, fuzzed=False)]
        each, more = 1 / max(1, len(features)), self.sizes.reasoning
        controls = min(self.sizes.controls, among) if among > 1 else 0
        parts = (
            (asked, among * each, TYPICAL_ANSWER + more),
            (judged, among * each, TYPICAL_VERDICT + more),
            (detected, controls * each, TYPICAL_VERDICT + more),
        )
        likely = [(scale, likely_use(requests, answer)) for requests, scale, answer in parts]
        most = [(scale, most_use(requests)) for requests, scale, _ in parts]
        return CallEstimate(round(sum(len(some) * scale for some, scale, _ in parts)), _scaled(likely), _scaled(most))

    def draft(self, feature: int) -> Draft:
        """Return the texts of a feature.

        Raises:
            MonosemError: there is no such feature.
        """
        shown = self._sampler.shown(feature)
        judged = self._sampler.judged(feature, firing=self.sizes.firing, silent=self.sizes.silent, but=shown.all)
        return Draft(feature, shown, judged)

    def question(self, draft: Draft) -> ChatRequest:
        """Return the question to the author."""
        more, seed = self.sizes.reasoning, self.sizes.seed
        return explain_request(self.store, draft.feature, draft.shown, more_tokens=more, seed=seed)

    def questions(self, draft: Draft, sentence: str, *, fuzzed: bool) -> list[TextQuestion]:
        """Return the questions to a judge of a sentence; without `fuzzed`, those of detection alone."""
        more = self.sizes.reasoning
        found = detection_questions(self.store, sentence, draft.judged, more_tokens=more)
        if fuzzed:
            wanted, seed = self.sizes.fuzzed, self.sizes.seed
            found += fuzzing_questions(self.store, sentence, draft.judged, wanted, seed, more_tokens=more)
        return found


def _scaled(parts: Sequence[tuple[float, TokenUse]]) -> TokenUse:
    prompt, answer = (round(sum(scale * getattr(use, name) for scale, use in parts)) for name in ("prompt", "answer"))
    return TokenUse(prompt, answer, counted=False)
