"""The grammar of rules: predicates over tokens, joined by `&`, negated by `!`, alternatives separated by `|`.

    word("sea", "boat") | at(-1, token(" the")) & ends("ing") & !quote

A name without brackets takes no arguments. Texts are in double quotes with JSON's escapes; a number in place of a text
is the id of a vocabulary entry. `NAMES` lists the predicates. A rule prints as it is parsed: `parse_rule(str(rule))`
equals the rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from store.files.errors import MonosemError
from store.files.typed_json import is_unicode, shown
from store.settings.roles import ROLES

Form = Literal["", "texts", "tokens", "pattern", "offset", "window", "token", "lists", "words", "range", "word"]
NAMES: dict[str, tuple[Form, str]] = {
    "token": ("tokens", "the token is one of these, spaces and case as given"),
    "word": ("texts", "the token is one of these in any case, with or without spaces around it"),
    "starts": ("texts", "the token, without a leading space, begins with one of these"),
    "ends": ("texts", "the token ends with one of these"),
    "match": ("pattern", "the token's text matches a regular expression anywhere"),
    "digits": ("", "the token has digits and no letters"),
    "capital": ("", "the token's first letter is a capital"),
    "capitals": ("", "the token has two letters or more, all of them capitals"),
    "punctuation": ("", "the token has signs only, no letters and digits"),
    "space": ("", "the token is white space"),
    "newline": ("", "the token has a line end"),
    "spaced": ("", "the token begins with a space"),
    "script": ("texts", "the token's first letter is of one of these scripts"),
    "at": ("offset", "the token N places on (before it where N is negative) in the same context is such a token"),
    "within": ("window", "such a token is among the N before it in the same context"),
    "sentence": ("token", "such a token is before it in the same sentence"),
    "line": ("token", "such a token is before it on the same line"),
    "document": ("token", "such a token is anywhere in the document"),
    "ngram": ("lists", "the text ends with one of these sequences of tokens"),
    "phrase": ("words", "the text ends with one of these sequences of words, each as `word` reads it"),
    "position": ("range", "its place in the context is from N to M (exclusive)"),
    "document_start": ("", "it is the first counted token of the document"),
    "sentence_start": ("", "a sentence begins with it"),
    "line_start": ("", "a line begins with it"),
    "quote": ("", "it is inside a quotation"),
    "bracket": ("", "it is inside brackets"),
    "string": ("", "it is inside a string of code"),
    "comment": ("", "it is inside a comment of code"),
    "item": ("", "it is in an item of a list"),
    "role": ("word", "it is in a turn of this role of a conversation"),
    "language": ("word", "the document is in this language"),
    "code": ("", "the document is code"),
}
"""Each predicate's arguments and meaning."""
TOKEN_CLASSES = frozenset(tuple(NAMES)[: tuple(NAMES).index("at")])
"""Predicates of the token alone, which others take as an argument."""
LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pt", "ru", "uk", "el", "he", "ar", "zh", "ja", "ko")
MOST = 10_000
"""Largest distance in tokens, and longest rule in predicates."""
LONGEST = 65_536
"""Characters of a rule."""
_WORDS = {"role": ROLES, "language": LANGUAGES}
_NAME, _NUMBER = re.compile(r"[a-z_]+"), re.compile(r"[+-]?\d{1,9}(?!\d)")
_TEXT = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')


@dataclass(frozen=True)
class Predicate:
    """One predicate and its arguments."""

    name: str
    args: tuple[str | int | tuple[str | int, ...] | Predicate, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(_written, self.args))})" if self.args else self.name

    @property
    def texts(self) -> tuple[str | int, ...]:
        """Arguments that are texts or ids."""
        return tuple(arg for arg in self.args if isinstance(arg, str | int))

    @property
    def inner(self) -> Predicate:
        """Its argument that is a predicate of a token."""
        return next(arg for arg in self.args if isinstance(arg, Predicate))

    @property
    def numbers(self) -> tuple[int, ...]:
        """Arguments that are numbers."""
        return tuple(arg for arg in self.args if isinstance(arg, int))


@dataclass(frozen=True)
class Term:
    """A predicate or its negation."""

    predicate: Predicate
    negated: bool = False

    def __str__(self) -> str:
        return "!" * self.negated + str(self.predicate)


@dataclass(frozen=True)
class Rule:
    """Alternatives, each a conjunction of terms."""

    clauses: tuple[tuple[Term, ...], ...]

    def __str__(self) -> str:
        return " | ".join(" & ".join(map(str, clause)) for clause in self.clauses)

    @classmethod
    def of(cls, predicate: Predicate) -> Rule:
        """Return the rule of one predicate."""
        return cls(((Term(predicate),),))

    @property
    def n_terms(self) -> int:
        """Number of terms."""
        return sum(map(len, self.clauses))


class BadRule(MonosemError):
    """A rule that cannot be parsed, or names a token that does not exist."""


def parse_rule(text: str) -> Rule:
    """Parse a rule.

    Raises:
        BadRule: it cannot be parsed; the error shows where.
    """
    if not is_unicode(text):
        raise BadRule(f"the rule is not UTF-8: {shown(text)}")
    if len(text) > LONGEST:
        raise BadRule(f"the rule has more than {LONGEST} characters")
    return _Reader(text).rule()


def _written(arg: object) -> str:
    if isinstance(arg, tuple):
        return f"[{', '.join(map(_written, arg))}]"
    if not isinstance(arg, str):
        return str(arg)
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in json.dumps(arg, ensure_ascii=False))


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def rule(self) -> Rule:
        clauses = [self._clause()]
        while self._taken("|"):
            clauses.append(self._clause())
        if self._at < len(self._text):
            raise self._error("& or | is expected")
        return Rule(tuple(clauses))

    def _clause(self) -> tuple[Term, ...]:
        terms = [self._term()]
        while self._taken("&"):
            terms.append(self._term())
        return tuple(terms)

    def _term(self) -> Term:
        negated = self._taken("!")
        return Term(self._predicate(), negated)

    def _predicate(self, *, of_token: bool = False) -> Predicate:
        self._skip()
        start, found = self._at, self._take(_NAME)
        names = TOKEN_CLASSES if of_token else NAMES.keys()
        if found is None or found not in names:
            listed = ", ".join(name for name in NAMES if name in names)
            raise self._error(f"one of {listed} is expected", start)
        form = NAMES[found][0]
        if not form:
            return Predicate(found)
        self._need("(", f"after {found}")
        args = tuple(self._args(found, form))
        self._need(")", f"after the arguments of {found}")
        return Predicate(found, args)

    def _args(self, name: str, form: Form) -> Iterator[str | int | tuple[str | int, ...] | Predicate]:
        if form == "offset":
            yield self._number(-MOST, MOST)
        elif form == "window":
            yield self._number(1, MOST)
        elif form == "range":
            yield (first := self._number(0, MOST))
            self._need(",", "between two numbers")
            yield self._number(first + 1, 10**9)
        elif form == "word":
            yield self._word(_WORDS[name])
        elif form == "pattern":
            yield self._string()
        if form in ("offset", "window"):
            self._need(",", f"after the number of {name}")
        if form in ("offset", "window", "token"):
            yield self._predicate(of_token=True)
        elif form in ("texts", "tokens"):
            yield from self._several(ids=form == "tokens")
        elif form in ("lists", "words"):
            yield self._sequence(ids=form == "lists")
            while self._taken(","):
                yield self._sequence(ids=form == "lists")

    def _several(self, *, ids: bool) -> Iterator[str | int]:
        yield self._token() if ids else self._string()
        while self._taken(","):
            yield self._token() if ids else self._string()

    def _sequence(self, *, ids: bool) -> tuple[str | int, ...]:
        self._need("[", "before a sequence of tokens")
        tokens = tuple(self._several(ids=ids))
        self._need("]", "after a sequence of tokens")
        return tokens

    def _token(self) -> str | int:
        self._skip()
        return self._number(0, 2**31 - 1) if self._text[self._at : self._at + 1].isdigit() else self._string()

    def _string(self) -> str:
        self._skip()
        start, found = self._at, self._take(_TEXT)
        if found is None:
            raise self._error('a text in "quotes" is expected', start)
        try:
            text: str = json.loads(found)
        except ValueError:
            raise self._error("this text has an escape that JSON does not know", start) from None
        if not text or not is_unicode(text):
            raise self._error("this text is empty or not Unicode", start)
        return text

    def _word(self, words: tuple[str, ...]) -> str:
        start, text = self._at, self._string()
        if text not in words:
            raise self._error(f"one of {', '.join(words)} is expected", start)
        return text

    def _number(self, least: int, most: int) -> int:
        self._skip()
        start, found = self._at, self._take(_NUMBER)
        if found is None or not least <= int(found) <= most:
            raise self._error(f"a number from {least} to {most} is expected", start)
        return int(found)

    def _skip(self) -> None:
        rest = self._text[self._at :]
        self._at += len(rest) - len(rest.lstrip())

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found[0]

    def _taken(self, sign: str) -> bool:
        self._skip()
        here = self._text.startswith(sign, self._at)
        self._at += len(sign) * here
        self._skip()
        return here

    def _need(self, sign: str, where: str) -> None:
        if not self._taken(sign):
            raise self._error(f"{sign} is expected {where}")

    def _error(self, what: str, at: int | None = None) -> BadRule:
        start = self._at if at is None else at
        rest = self._text[start : start + 20]
        where = f"“{rest}” at character {start + 1} of the rule" if rest else "the end of the rule"
        return BadRule(f"{where}: {what}", 'Example: word("sea", "boat") & !quote | at(-1, token(" the")).')
