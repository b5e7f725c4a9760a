"""Tests of an explanation by a judge who knows nothing but the explanation, one text a call.

*Detection*: texts in which the feature fires against silent ones, of three kinds that are reported apart. *Fuzzing*:
texts in which it fires, with the right tokens marked, against the same texts with as many wrong ones. The *control* is
detection with another feature's explanation: what it scores above a half is not about this feature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.endpoint.chat import ChatRequest
from engine.explainer.excerpts import Excerpt, JudgedExcerpts
from engine.explainer.judge_scores import JudgedText, JudgeScore, judge_score
from engine.explainer.prompts import detection_request, fuzzing_request
from engine.explainer.verdicts import Verdict
from store.index.reader import FeatureStore

Test = Literal["firing", "random", "same token", "neighbour", "fuzzing", "control"]
KINDS: tuple[Test, ...] = ("random", "same token", "neighbour")
"""Silent texts, easy ones first."""
MARKED = 0.3
"""Share of an excerpt's largest activation from which a token is marked."""
FEWEST_SILENT = 3
"""Silent tokens in a text whose marks can be wrong."""
_TRIES = 20


@dataclass(frozen=True)
class TextQuestion:
    """One call to a judge, and what is right."""

    request: ChatRequest
    test: Test
    is_positive: bool
    document: int
    group: int = 0


@dataclass(frozen=True)
class Judgement:
    """Figures of an explanation by a judge; None where there were too few texts."""

    detection: JudgeScore | None
    """Firing against silent texts; each interval of activations and each kind of silent texts counts the same."""
    random: JudgeScore | None
    same_token: JudgeScore | None
    neighbour: JudgeScore | None
    fuzzing: JudgeScore | None
    is_graded: bool
    """Whether all answers came with probabilities; else the figures are balanced accuracies."""
    asked: int
    unanswered: int
    """Calls whose answer was neither yes nor no: they count as half of each."""


def detection_questions(
    store: FeatureStore, explanation: str, judged: JudgedExcerpts, *, more_tokens: int = 0
) -> list[TextQuestion]:
    """Return the calls of the detection test."""
    kinds: tuple[tuple[Test, Sequence[Excerpt]], ...] = (
        ("firing", judged.firing),
        *zip(KINDS, (judged.random, judged.same_token, judged.neighbour), strict=True),
    )
    return [
        TextQuestion(
            detection_request(store, explanation, one, more_tokens=more_tokens),
            test,
            test == "firing",
            one.document,
            one.interval if test == "firing" else number,
        )
        for number, (test, excerpts) in enumerate(kinds)
        for one in excerpts
    ]


def fuzzing_questions(
    store: FeatureStore, explanation: str, judged: JudgedExcerpts, wanted: int, seed: int, *, more_tokens: int = 0
) -> list[TextQuestion]:
    """Return the calls of the fuzzing test: two about each of `wanted` firing texts, spread over the intervals."""
    rng = np.random.default_rng((seed, 3))
    found: list[TextQuestion] = []
    for one in _spread(judged.firing, wanted):
        right_T = right_marks(one.act_T)
        if (wrong_T := wrong_marks(right_T, one.act_T > 0, rng)) is None:
            continue
        for marks_T in (right_T, wrong_T):
            request = fuzzing_request(store, explanation, one, marks_T.tolist().__getitem__, more_tokens=more_tokens)
            found.append(TextQuestion(request, "fuzzing", marks_T is right_T, one.document, one.interval))
    return found


def right_marks(act_T: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the marks of tokens on which the feature fires, from `MARKED` of its strongest on.

    Where it fires almost everywhere, the strongest are marked, as many as there are silent ones.
    """
    marks_T: NDArray[np.bool_] = (act_T > 0) & (act_T >= MARKED * act_T.max())
    room = int((act_T <= 0).sum())
    if marks_T.sum() > room:
        marks_T[np.argsort(-act_T, kind="stable")[room:]] = False
    return marks_T


def wrong_marks(
    right_T: NDArray[np.bool_], fires_T: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.bool_] | None:
    """Return as many marks on silent tokens: the right ones moved along, or scattered where that cannot be.

    None where fewer than `FEWEST_SILENT` tokens are silent.
    """
    silent, wanted = np.flatnonzero(~fires_T), int(right_T.sum())
    if len(silent) < max(FEWEST_SILENT, wanted) or not wanted:
        return None
    for shift in rng.permutation(np.arange(1, len(right_T)))[:_TRIES].tolist():
        moved_T = np.roll(right_T, shift)
        if not (moved_T & fires_T).any():
            return moved_T
    scattered_T = np.zeros_like(right_T)
    scattered_T[rng.choice(silent, wanted, replace=False)] = True
    return scattered_T


def judgement(questions: Sequence[TextQuestion], verdicts: Sequence[Verdict], seed: int = 0) -> Judgement:
    """Return the figures that follow from a judge's verdicts."""
    answered = [one for one in verdicts if one.is_answer]
    is_graded = bool(answered) and all(one.is_graded for one in answered)
    # Where some answers are words, probabilities are rounded to words too, so that all are of one kind.
    texts = [
        (asked.test, JudgedText(asked.is_positive, _value(one, is_graded), asked.document, asked.group))
        for asked, one in zip(questions, verdicts, strict=True)
    ]

    def score(*tests: Test) -> JudgeScore | None:
        return judge_score([text for test, text in texts if test in tests], seed)

    return Judgement(
        detection=score("firing", *KINDS),
        random=score("firing", "random"),
        same_token=score("firing", "same token"),
        neighbour=score("firing", "neighbour"),
        fuzzing=score("fuzzing"),
        is_graded=is_graded,
        asked=len(questions),
        unanswered=sum(not one.is_answer for one in verdicts),
    )


def _value(verdict: Verdict, is_graded: bool) -> float:
    if is_graded or not verdict.is_answer:
        return verdict.yes
    return float(verdict.yes > 0.5) if verdict.yes != 0.5 else 0.5


def _spread(excerpts: Sequence[Excerpt], wanted: int) -> Iterator[Excerpt]:
    """Yield up to `wanted` excerpts at even distances."""
    n = len(excerpts)
    for number in sorted({round(at) for at in np.linspace(0, n - 1, min(wanted, n)).tolist()}) if n else ():
        yield excerpts[number]
