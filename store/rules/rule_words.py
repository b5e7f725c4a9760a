"""Rules in plain words: `"water", "sea" (any case), after "the"`. Text of tokens is as it is; printers make it safe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from store.rules.grammar import Predicate, Rule, Term

SHOWN = 8
"""Texts of a set that are named."""
_PLAIN = {
    "digits": "a number",
    "capital": "a token with a capital",
    "capitals": "a token in capitals",
    "punctuation": "punctuation",
    "space": "white space",
    "newline": "a line end",
    "spaced": "a token with a space before it",
    "document_start": "the first token of a document",
    "sentence_start": "the first token of a sentence",
    "line_start": "the first token of a line",
    "quote": "inside a quotation",
    "bracket": "inside brackets",
    "string": "inside a string of code",
    "comment": "inside a comment of code",
    "item": "in an item of a list",
    "code": "in code",
}
LANGUAGE_NAMES = {
    **{"en": "English", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "nl": "Dutch"},
    **{"pt": "Portuguese", "ru": "Russian", "uk": "Ukrainian", "el": "Greek", "he": "Hebrew", "ar": "Arabic"},
    **{"zh": "Chinese", "ja": "Japanese", "ko": "Korean"},
}
_TOKENS = frozenset(
    "token word starts ends match digits capital capitals punctuation space newline spaced script ngram phrase "
    "document_start sentence_start line_start".split()
)
"""Predicates whose words name a token; those of the others say where it is."""


def rule_words(rule: Rule, text_of: Callable[[int], str]) -> str:
    """Return a rule in words.

    Args:
        rule: the rule.
        text_of: returns the text of a vocabulary id.
    """
    return "; or ".join(_clause(clause, text_of) for clause in rule.clauses)


def _clause(clause: Sequence[Term], text_of: Callable[[int], str]) -> str:
    in_order = sorted(clause, key=lambda term: (term.negated, term.predicate.name not in _TOKENS))
    return ", ".join(("not " * term.negated) + _predicate(term.predicate, text_of) for term in in_order)


def _predicate(one: Predicate, text_of: Callable[[int], str]) -> str:
    name = one.name
    if name in _PLAIN:
        return _PLAIN[name]
    if name in ("ngram", "phrase"):
        joint = "" if name == "ngram" else " "
        sequences = [joint.join(_texts(cast(tuple[str | int, ...], arg), text_of)) for arg in one.args]
        return _listed(sequences) + " (any case)" * bool(joint)
    texts = _listed(_texts(one.texts, text_of))
    inner = [arg for arg in one.args if isinstance(arg, Predicate)]
    of_token = _predicate(inner[0], text_of) if inner else ""
    numbers = one.numbers
    return {
        "token": lambda: texts,
        "word": lambda: f"{texts} (any case)",
        "starts": lambda: f"a token that begins with {texts}",
        "ends": lambda: f"a token that ends with {texts}",
        "match": lambda: f"a token that matches {texts}",
        "script": lambda: f"a token in {', '.join(map(str, one.texts))} letters",
        "at": lambda: _distance(numbers[0], of_token),
        "within": lambda: f"at most {numbers[0]} tokens after {of_token}",
        "sentence": lambda: f"later in a sentence with {of_token}",
        "line": lambda: f"later on a line with {of_token}",
        "document": lambda: f"in a document with {of_token}",
        "position": lambda: _positions(*numbers),
        "role": lambda: f"in turns of the {one.texts[0]}",
        "language": lambda: f"in {LANGUAGE_NAMES[str(one.texts[0])]} text",
    }[name]()


def _texts(args: Sequence[str | int], text_of: Callable[[int], str]) -> list[str]:
    return [arg if isinstance(arg, str) else text_of(arg) for arg in args]


def _listed(texts: Sequence[str]) -> str:
    shown = ", ".join(f'"{text}"' for text in texts[:SHOWN])
    more = len(texts) - SHOWN
    return shown + (f" and {more} more" if more > 0 else "")


def _distance(offset: int, of_token: str) -> str:
    if offset == -1:
        return f"after {of_token}"
    if offset == 1:
        return f"before {of_token}"
    return f"{abs(offset)} tokens {'after' if offset < 0 else 'before'} {of_token}"


def _positions(first: int, stop: int) -> str:
    if stop - first == 1:
        return f"token {first} of a context"
    return f"among the first {stop} tokens of a context" if first == 0 else f"tokens {first} to {stop - 1} of a context"
