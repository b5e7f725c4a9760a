"""Hints while a pattern or tags are typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from monosem_tui.pages.typing_hints import Completion, Fault, TypingHints, having
from store.files.errors import MonosemError
from store.index.regular_expression import compile_pattern
from store.run.counted_noun import ROW, CountedNoun

BEFORE = 5
"""Patterns asked before that come ahead of the examples."""
SIGNS = (
    r"\b edge of a word · \d digit · \w letter or digit · \s blank · . any character · [a-z] one of these · "
    r"? * + once, often · a|b either · ( ) group · (?i) whatever the case · \ before a sign takes it literally"
)
"""The signs of regular expressions that are of most use."""
EXAMPLES = (
    Completion(r"\b(sea|boat)s?\b", "either word, or its plural"),
    Completion(r"(?i)once upon", "whatever the case"),
    Completion(r"\d+", "digits"),
    Completion(r"[A-Z][a-z]+", "a capital, then small letters"),
    Completion(r"def (\w+)", "a word after another"),
    Completion(r"(?<=said) \w+", "a word behind said, without it"),
    Completion(r"[.!?]\s*\n", "the end of a line"),
    Completion(r"\$\.", "a backslash takes signs literally"),
)


def pattern_hints(text: str, at: int, asked: Sequence[str], noun: CountedNoun) -> TypingHints:
    """Return the hints of a regular expression; `asked` are those of earlier searches, the last one first."""
    fault = None
    try:
        compile_pattern(text)
    except MonosemError as error:
        fault = Fault(error.what.partition("is not a regular expression: ")[2] or error.what, error.at, at == len(text))
    before = [Completion(one, "asked before") for one in asked if one.startswith(text[:at]) and one != text]
    found = before if at else [*before[:BEFORE], *(() if noun == ROW else EXAMPLES)]
    subject = "row numbers as text" if noun == ROW else "the corpus as running text"
    return TypingHints(
        f"regular expression of {subject} · tab completes · ↑ asked before", found, 0, SIGNS if text else "", fault
    )


def tag_hints(text: str, at: int, tags: Mapping[str, int]) -> TypingHints:
    """Return the hints of tags: those of other features, by how many have them."""
    start = _word_start(text, at)
    known = text.split()
    found = [
        Completion(f"{tag} ", having(n), tag)
        for tag, n in tags.items()
        if tag.startswith(text[start:at]) and (tag not in known or tag == text[start:at])
    ]
    return TypingHints("tags of this run · tab completes", found, start)


RUN_WORDS = "gpt2 training !failed"
"""Example of a filter of runs."""


def run_hints(text: str, at: int, words: Sequence[str]) -> TypingHints:
    """Return the hints of a filter of runs; `words` are statuses, models and architectures of those listed."""
    start = _word_start(text, at)
    start += text[start:at].startswith("!")
    found = [Completion(word, "") for word in words if word.casefold().startswith(text[start:at].casefold())]
    said = "every word must be in the run's name, status, model, site or dictionary; !word must not"
    return TypingHints("runs that have every word · tab completes", found, start, said)


def _word_start(text: str, at: int) -> int:
    """Return where the word that ends at a place of a text begins."""
    return text.rfind(" ", 0, at) + 1
