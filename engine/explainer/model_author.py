"""A language model as the author of explanations, and as the judge of them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

import numpy as np

from engine.endpoint.question_queue import QuestionQueue
from engine.explainer.examination import Draft, Examination, JudgeSizes
from engine.explainer.hypotheses import read_hypothesis
from engine.explainer.judge_scores import JudgeScore
from engine.explainer.judgements import Judgement, judgement
from engine.explainer.verdicts import read_verdict
from engine.runtime.progress import Task
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.notes.explanations import Explanation, ExplanationScores, Figure
from store.query.pattern_process import PatternScorer
from store.query.pattern_score import PatternScore

TOGETHER = 8
"""Features whose calls are under way at a time."""
PROMPTS = 1
"""Version of the prompts and of the way texts are drawn."""


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
        self._examination = Examination(store, sizes)

    @property
    def key(self) -> str:
        """Digest of all that explanations depend on: an explanation with the same key need not be made again."""
        sizes = asdict(replace(self._sizes, controls=0))
        plan = self._store.plan.to_json()
        said = json.dumps([PROMPTS, self._queue.endpoint.name, sizes, plan, self._store.n_tokens], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()

    def explanations(self, features: Sequence[int], author: str, task: Task) -> Iterator[Explanation | str]:
        """Yield the explanation of each feature, or the reason why there is none.

        Raises:
            MonosemError: the model cannot be asked any more; explanations so far have been yielded.
            KeyboardInterrupt: stopped on request, as above.
        """
        for start in range(0, len(features), TOGETHER):
            drafts = [self._examination.draft(feature) for feature in features[start : start + TOGETHER]]
            firing = [one for one in drafts if not one.is_silent]
            answers = self._queue.answers([self._examination.question(one) for one in firing], task)
            made = {
                one.feature: replace(one, hypothesis=read_hypothesis(answer))
                for one, answer in zip(firing, answers, strict=True)
            }
            judgements = dict(zip(made, self._judged(list(made.values()), task), strict=True))
            for one in drafts:
                if one.is_silent:
                    yield f"feature {one.feature}: it does not fire in the half of the documents to explain it by"
                else:
                    yield self._written(made[one.feature], judgements[one.feature], author)
                task.advance(1)

    def controlled(self, explained: Sequence[Explanation]) -> list[tuple[Explanation, Explanation]]:
        """Return the explanations whose features are controls, each with the one that its feature is judged by."""
        rng = np.random.default_rng((self._sizes.seed, 5))
        chosen = [explained[at] for at in rng.permutation(len(explained))[: self._sizes.controls].tolist()]
        return list(zip(chosen, [*chosen[1:], chosen[0]], strict=True)) if len(chosen) > 1 else []

    def controls(self, chosen: Sequence[tuple[Explanation, Explanation]]) -> Iterator[Explanation]:
        """Yield explanations with their control: the judge's score with another feature's explanation.

        Raises:
            MonosemError, KeyboardInterrupt: as `explanations` does.
        """
        for one, other in chosen:
            questions = self._examination.questions(self._examination.draft(one.feature), other.text, fuzzed=False)
            answers = self._queue.answers([question.request for question in questions])
            judged = judgement(questions, list(map(read_verdict, answers)), self._sizes.seed)
            yield replace(one, scores=replace(one.scores, control=_figure(judged.detection)))

    def _judged(self, drafts: Sequence[Draft], task: Task) -> list[Judgement | None]:
        """Ask all questions about some drafts together, and return the figures of each."""
        asked = self._examination.questions
        questions = [asked(one, one.hypothesis.sentence, fuzzed=True) if one.hypothesis else [] for one in drafts]
        answers = iter(self._queue.answers([question.request for some in questions for question in some], task))
        verdicts = [[read_verdict(next(answers)) for _ in some] for some in questions]
        return [
            judgement(some, said, self._sizes.seed) if some else None
            for some, said in zip(questions, verdicts, strict=True)
        ]

    def _written(self, draft: Draft, judged: Judgement | None, author: str) -> Explanation | str:
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


def _made_from(draft: Draft, judged: Judgement | None, remark: str) -> str:
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
