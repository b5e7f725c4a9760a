"""Verdicts read from a judge's answer: the probability of yes, from log-probabilities where there are some."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.endpoint.chat import Answer, AnswerToken
from engine.explainer.hypotheses import after_reasoning

UNDECIDED = 0.5
_WORD = re.compile(r"[^\W\d_]+")
_MARKS = " \t\r\n▁Ġ\"'*.:,;!()[]"


@dataclass(frozen=True)
class Verdict:
    """A judge's answer about one text."""

    yes: float
    """Probability of yes; 0 or 1 where the endpoint gives no log-probabilities, a half where it was no answer."""
    is_graded: bool = False
    """Whether it comes from log-probabilities."""
    is_answer: bool = True


def read_verdict(answer: Answer) -> Verdict:
    """Return the verdict of an answer, which may be nonsense or reason first."""
    word = _verdict_word(answer)
    if (graded := _graded(answer.tokens, word)) is not None:
        return Verdict(graded, is_graded=True)
    if word is None:
        return Verdict(UNDECIDED, is_answer=False)
    return Verdict(float(word == "yes"))


def _verdict_word(answer: Answer) -> str | None:
    """Return yes or no: the first word of the answer, or else the last yes or no of one that was not broken off."""
    words: list[str] = [word.lower() for word in _WORD.findall(after_reasoning(answer.text))]
    if words and words[0] in ("yes", "no"):
        return words[0]
    said = [word for word in words if word in ("yes", "no")]
    return said[-1] if said and not answer.is_cut else None


def _graded(tokens: Sequence[AnswerToken], word: str | None) -> float | None:
    """Return P(yes) / (P(yes) + P(no)) at the verdict's token; without a verdict, at the first token."""
    if not tokens:
        return None
    places = [token for token in tokens if _plain(token.text) == word] if word else list(tokens[:1])
    if not places:
        return None
    # The verdict is the first word of the answer, or stands behind the reasoning.
    place = places[0] if places[0] is tokens[0] else places[-1]
    share = {
        said: sum(math.exp(one.logprob) for one in place.likeliest if _plain(one.text) == said)
        for said in ("yes", "no")
    }
    total = share["yes"] + share["no"]
    return share["yes"] / total if total > 0 else None


def _plain(token: str) -> str:
    return token.strip(_MARKS).lower()
