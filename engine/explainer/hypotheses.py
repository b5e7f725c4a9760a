"""Explanations read from a model's answer, which is untrusted: it may reason first, break off, or be nonsense."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from engine.endpoint.chat import Answer
from store.files.errors import MonosemError
from store.query.pattern_tokens import compile_pattern

LONGEST_SENTENCE, LONGEST_PATTERN = 300, 200
"""Characters."""
FEWEST_LETTERS = 3
_REASONING = re.compile(r"<(think|thinking|reasoning)>.*?(</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_UNOPENED = re.compile(r"\A.*</(?:think|thinking|reasoning)>", re.DOTALL | re.IGNORECASE)
_FIELD = r"^[\s>#*_\-]*{}[\s*_]*:[ \t*_]*(.*)$"
_SENTENCE = re.compile(_FIELD.format("explanation"), re.IGNORECASE | re.MULTILINE)
_PATTERN = re.compile(_FIELD.format("pattern"), re.IGNORECASE | re.MULTILINE)
_QUOTES = (('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"), ("`", "`"), ("/", "/"))
_NOTHING = {"", "none", "n/a", "null", "no pattern"}


@dataclass(frozen=True)
class Hypothesis:
    """An explanation that is yet to be tested."""

    sentence: str
    pattern: str | None = None
    """A regular expression; None where none was given, or none that is valid."""
    remark: str = ""
    """The reason why a pattern that was given is left out."""


def after_reasoning(text: str) -> str:
    """Return an answer without the reasoning before it; empty where it did not come to its end."""
    return _UNOPENED.sub("", _REASONING.sub("", text)).strip()


def read_hypothesis(answer: Answer) -> Hypothesis | None:
    """Return the explanation in an answer; None where there is none.

    Of several, as after reasoning aloud, the last counts. An answer that broke off inside its sentence is none.
    """
    text = after_reasoning(answer.text)
    sentences = list(_SENTENCE.finditer(text))
    if not sentences:
        return None
    last = sentences[-1]
    sentence = clean_sentence(last[1])
    if sum(letter.isalpha() for letter in sentence) < FEWEST_LETTERS or (
        answer.is_cut and "\n" not in text[last.start(1) :]
    ):
        return None
    pattern = _PATTERN.search(text[last.end() :])
    if pattern is None:
        return Hypothesis(sentence)
    if answer.is_cut and "\n" not in text[last.end() + pattern.start(1) :]:
        return Hypothesis(sentence, remark="the answer broke off inside its pattern")
    return _with_pattern(sentence, pattern[1])


def _with_pattern(sentence: str, given: str) -> Hypothesis:
    pattern = _unquoted(given.strip())
    if pattern.lower() in _NOTHING:
        return Hypothesis(sentence)
    if len(pattern) > LONGEST_PATTERN or not pattern.isprintable():
        return Hypothesis(sentence, remark="its pattern is too long or has control characters")
    try:
        compile_pattern(pattern)
    except MonosemError as error:
        return Hypothesis(sentence, remark=error.what)
    return Hypothesis(sentence, pattern)


def clean_sentence(text: str) -> str:
    """Return a sentence as it is kept: one line of bounded length, without control characters and emphasis."""
    text = text.replace("**", "").replace("`", "")
    plain = "".join(" " if _is_hidden(letter) else letter for letter in text)
    line = _unquoted(" ".join(plain.split()))
    return line if len(line) <= LONGEST_SENTENCE else line[: LONGEST_SENTENCE - 1] + "…"


def _is_hidden(letter: str) -> bool:
    category = unicodedata.category(letter)
    return category[0] == "C" or category in ("Zl", "Zp")


def _unquoted(text: str) -> str:
    """Return text without a pair of quotation marks, backticks or slashes around all of it."""
    for first, last in _QUOTES:
        inner = text[1:-1]
        if len(text) >= 2 and text[0] == first and text[-1] == last and first not in inner and last not in inner:
            return inner.strip() if first != "/" else inner
    return text
