"""Lists of concepts: a name and a pattern or rule each, from a file or one of those that monosem brings along.

A line of a file is a name, a tab, and a regular expression over the text, or `rule:` and a rule (store.rules.grammar).
Empty lines and lines that begin with `#` are skipped.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from store.files.errors import MonosemError
from store.files.regular_file import read_whole
from store.index.regular_expression import compile_pattern
from store.rules.grammar import parse_rule

RULE = "rule:"
"""Begins a rule in the place of a pattern."""
MOST = 10_000
"""Concepts of a list."""
_FORM = 'A line is a name, a tab, and a pattern or `rule:` and a rule: water, tab, rule:word("sea", "boat").'


@dataclass(frozen=True)
class Concept:
    """A property of tokens that a pattern or a rule decides."""

    name: str
    pattern: str
    """A regular expression over the text, or a rule."""
    is_rule: bool = False


@dataclass(frozen=True)
class ConceptList:
    """Concepts under a name."""

    name: str
    concepts: tuple[Concept, ...]


def read_concepts(name: str) -> ConceptList:
    """Return the list that a name of `EMBEDDED` stands for, or that of a file.

    Raises:
        MonosemError: there is no such file, or a line of it is not a concept; which.
    """
    if name in EMBEDDED:
        return ConceptList(name, EMBEDDED[name]())
    path = Path(name)
    if not path.is_file():
        raise MonosemError(f"no list of concepts at {name}", f"Name a file, or one of {', '.join(NAMES)}.")
    try:
        text = read_whole(path, follow=True).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MonosemError(f"{path} is not UTF-8: byte {error.start}", _FORM) from error
    found: dict[str, Concept] = {}
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        if line.strip() and not line.startswith("#"):
            _take(found, line.rstrip("\n"), f"{path}, line {number}")
    if not 0 < len(found) <= MOST:
        raise MonosemError(f"{path} has {len(found)} concepts, not 1 to {MOST}", _FORM)
    return ConceptList(path.stem, tuple(found.values()))


def _take(found: dict[str, Concept], line: str, where: str) -> None:
    name, tab, what = line.partition("\t")
    name, what = name.strip(), what.strip("\t\r")
    if not (tab and name and what):
        raise MonosemError(f"{where}: no name, tab and pattern", _FORM)
    if name in found:
        raise MonosemError(f"{where}: a second concept called {name}", "Give each a name of its own.")
    concept = Concept(name, what.removeprefix(RULE), is_rule=what.startswith(RULE))
    try:
        (parse_rule if concept.is_rule else compile_pattern)(concept.pattern)
    except MonosemError as error:
        raise MonosemError(f"{where}: {error.what}", error.hint) from error
    found[name] = concept


_MONTHS = "January February March April May June July August September October November December"
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
_KEYWORDS = (
    "False None True and as assert async await break class continue def del elif else except finally for from global "
    "if import in is lambda nonlocal not or pass raise return try while with yield"
)
_SIGNS = {
    "full stop": ".",
    "comma": ",",
    "colon": ":",
    "semicolon": ";",
    "question mark": "?",
    "exclamation mark": "!",
    "quotation mark": '"',
    "apostrophe": "'",
    "opening bracket": "(",
    "closing bracket": ")",
    "opening square bracket": "[",
    "closing square bracket": "]",
    "hyphen": "-",
    "dash": "–—",
    "slash": "/",
    "ellipsis": "…",
}
_LANGUAGES = ("en", "fr", "de", "es", "it", "ru", "ja", "zh", "ar", "he")


def _words(words: str) -> tuple[Concept, ...]:
    return tuple(Concept(word, rf"\b{word}\b") for word in words.split())


def _signs() -> tuple[Concept, ...]:
    return tuple(Concept(name, f"[{re.escape(signs)}]") for name, signs in _SIGNS.items())


def _languages() -> tuple[Concept, ...]:
    return tuple(Concept(code, f'language("{code}")', is_rule=True) for code in _LANGUAGES)


EMBEDDED: dict[str, Callable[[], tuple[Concept, ...]]] = {
    "calendar": lambda: _words(f"{_DAYS} {_MONTHS}"),
    "languages": _languages,
    "punctuation": _signs,
    "python": lambda: _words(_KEYWORDS),
}
"""Lists by name: days and months, ten languages of documents, signs, and the keywords of Python."""
NAMES = (*EMBEDDED, "planted")
"""Names of all lists; that of the planted corpus follows from its lexicon (engine.corpus.planted.concept_patterns)."""
