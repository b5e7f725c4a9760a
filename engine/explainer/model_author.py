"""A language model as the author of explanations, and as the judge of them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from engine.endpoint.chat import ChatRequest, TokenUse, likely_use
from engine.endpoint.question_queue import QuestionQueue
from engine.explainer.excerpts import ExcerptSampler, JudgedExcerpts, ShownExcerpts
from engine.explainer.hypotheses import Hypothesis, read_hypothesis
from engine.explainer.judge_scores import JudgeScore
from engine.explainer.judgements import (
    Judgement,
    TextQuestion,
    detection_questions,
    fuzzing_questions,
    judgement,
)
from engine.explainer.prompts import explain_request
from engine.explainer.verdicts import read_verdict
from engine.runtime.progress import Task
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.notes.explanations import Explanation, ExplanationScores, Figure
from store.query.pattern_process import PatternScorer
from store.query.pattern_score import PatternScore

TOGETHER = 8
"""Features whose calls are under way at a time."""
TYPICAL_SENTENCE = "Names of boats and words of the sea, mostly after an article, in stories for children."
TYPICAL_ANSWER, TYPICAL_VERDICT = 60, 2
"""Tokens of an explanation and of a verdict, for estimates."""
PROMPTS = 1
"""Version of the prompts and of the way texts are drawn."""


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
    most: tuple[ChatRequest, ...]
    """A sample of the requests, for the largest price of each."""


@dataclass(frozen=True)
class _Draft:
    """One feature on the way to its explanation."""

    feature: int
    shown: ShownExcerpts
    judged: JudgedExcerpts
    hypothesis: Hypothesis | None = None


class ModelAuthor:
    """Explains features of one store by one model."""

    def __init__(self, store: FeatureStore, queue: QuestionQueue, scorer: PatternScorer, sizes: JudgeSizes) -> None:
        """Explain features of a store.

        Args:
            store: the index.
            queue: asks the model.
            scorer: of patterns, on the same index.
            sizes: of the tests.
        """
        self._store, self._queue, self._scorer, self._sizes = store, queue, scorer, sizes
        self._sampler = ExcerptSampler(store, sizes.seed)

    @property
    def key(self) -> str:
        """Digest of all that explanations depend on: an explanation with the same key need not be made again."""
        sizes = asdict(replace(self._sizes, controls=0))
        plan = self._store.plan.to_json()
        said = json.dumps([PROMPTS, self._queue.endpoint.name, sizes, plan, self._store.n_tokens], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()

    def calls(self, features: Sequence[int], among: int) -> CallEstimate:
        """Return the calls that some features take, scaled up to `among` features."""
        asked: list[ChatRequest] = []
        verdicts: list[ChatRequest] = []
        for feature in features:
            draft = self._draft(feature)
            asked.append(self._question(draft))
            verdicts += [one.request for one in self._questions(draft, TYPICAL_SENTENCE, fuzzed=True)]
            if feature in features[: self._sizes.controls] and len(features) > 1:
                verdicts += [one.request for one in self._questions(draft, TYPICAL_SENTENCE, fuzzed=False)]
        scale = among / max(1, len(features))
        use = likely_use(asked, TYPICAL_ANSWER + self._sizes.reasoning)
        use += likely_use(verdicts, TYPICAL_VERDICT + self._sizes.reasoning)
        scaled = TokenUse(round(use.prompt * scale), round(use.answer * scale), counted=False)
        return CallEstimate(round((len(asked) + len(verdicts)) * scale), scaled, (*asked, *verdicts))

    def explanations(self, features: Sequence[int], author: str, task: Task) -> Iterator[Explanation | str]:
        """Yield the explanation of each feature, or the reason why there is none.

        Raises:
            MonosemError: the model cannot be asked any more; explanations so far have been yielded.
            KeyboardInterrupt: stopped on request, as above.
        """
        for start in range(0, len(features), TOGETHER):
            drafts = [self._draft(feature) for feature in features[start : start + TOGETHER]]
            answers = self._queue.answers([self._question(one) for one in drafts])
            drafts = [
                replace(one, hypothesis=read_hypothesis(answer)) for one, answer in zip(drafts, answers, strict=True)
            ]
            judgements = self._judged(drafts)
            for one, judged in zip(drafts, judgements, strict=True):
                yield self._written(one, judged, author)
                task.advance(1)

    def controls(self, explained: Sequence[Explanation]) -> Iterator[Explanation]:
        """Yield some of the explanations with their control: the judge's score with another feature's explanation.

        Raises:
            MonosemError, KeyboardInterrupt: as `explanations` does.
        """
        rng = np.random.default_rng((self._sizes.seed, 5))
        chosen = [explained[at] for at in rng.permutation(len(explained))[: self._sizes.controls].tolist()]
        if len(chosen) < 2:
            return
        for one, other in zip(chosen, [*chosen[1:], chosen[0]], strict=True):
            questions = self._questions(self._draft(one.feature), other.text, fuzzed=False)
            answers = self._queue.answers([question.request for question in questions])
            judged = judgement(questions, list(map(read_verdict, answers)), self._sizes.seed)
            yield replace(one, scores=replace(one.scores, control=_figure(judged.detection)))

    def _draft(self, feature: int) -> _Draft:
        shown = self._sampler.shown(feature)
        judged = self._sampler.judged(feature, firing=self._sizes.firing, silent=self._sizes.silent, but=shown.all)
        return _Draft(feature, shown, judged)

    def _question(self, draft: _Draft) -> ChatRequest:
        more, seed = self._sizes.reasoning, self._sizes.seed
        return explain_request(self._store, draft.feature, draft.shown, more_tokens=more, seed=seed)

    def _questions(self, draft: _Draft, sentence: str, *, fuzzed: bool) -> list[TextQuestion]:
        more = self._sizes.reasoning
        found = detection_questions(self._store, sentence, draft.judged, more_tokens=more)
        if fuzzed:
            wanted, seed = self._sizes.fuzzed, self._sizes.seed
            found += fuzzing_questions(self._store, sentence, draft.judged, wanted, seed, more_tokens=more)
        return found

    def _judged(self, drafts: Sequence[_Draft]) -> list[Judgement | None]:
        """Ask all questions about some drafts together, and return the figures of each."""
        questions = [
            self._questions(one, one.hypothesis.sentence, fuzzed=True) if one.hypothesis else [] for one in drafts
        ]
        answers = iter(self._queue.answers([question.request for some in questions for question in some]))
        verdicts = [[read_verdict(next(answers)) for _ in some] for some in questions]
        return [
            judgement(some, said, self._sizes.seed) if some else None
            for some, said in zip(questions, verdicts, strict=True)
        ]

    def _written(self, draft: _Draft, judged: Judgement | None, author: str) -> Explanation | str:
        hypothesis = draft.hypothesis
        if hypothesis is None:
            return f"feature {draft.feature}: the answer is no explanation"
        pattern, score, remark = hypothesis.pattern, None, hypothesis.remark
        if pattern is not None:
            try:
                score = self._scorer.score(draft.feature, pattern, self._sizes.seed)
                remark = remark or ("" if score else "its pattern matches nothing where the feature fires")
            except MonosemError as error:
                pattern, remark = None, error.what
        return Explanation(
            feature=draft.feature,
            author=author,
            date=time.time(),
            text=hypothesis.sentence,
            pattern=pattern,
            last=score is not None and score.extent == "last",
            threshold=score.threshold if score else None,
            made_from=_made_from(draft, judged, remark),
            key=self.key,
            documents=score.documents if score else 0,
            scores=_scores(judged, score),
        )


def _made_from(draft: _Draft, judged: Judgement | None, remark: str) -> str:
    said = [f"made from {len(draft.shown.all)} texts"]
    if judged is not None and judged.asked:
        measure = "AUROC" if judged.is_graded else "balanced accuracy"
        said.append(f"judged in {judged.asked} calls ({measure})")
        if judged.unanswered:
            said.append(f"{judged.unanswered} of them not answered")
    return "; ".join([*said, remark] if remark else said)


def _scores(judged: Judgement | None, pattern: PatternScore | None) -> ExplanationScores:
    scores = ExplanationScores()
    if judged is not None:
        scores = replace(
            scores,
            detection=_figure(judged.detection),
            detection_random=_figure(judged.random),
            detection_same_token=_figure(judged.same_token),
            detection_neighbour=_figure(judged.neighbour),
            fuzzing=_figure(judged.fuzzing),
        )
    if pattern is not None:
        figures = {name: getattr(pattern, name) for name in ("precision", "recall", "f1", "auroc", "r")}
        scores = replace(scores, **figures)
    return scores


def _figure(score: JudgeScore | None) -> Figure | None:
    return None if score is None else Figure(score.value, score.low, score.high)
