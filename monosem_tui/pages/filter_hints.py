"""Hints while a filter is typed: the terms that there are, values to complete, the meaning of the term at the caret."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from monosem_tui.pages.typing_hints import Completion, TypingHints, fault_of, having
from store.files.errors import MonosemError
from store.query.filters import COLUMNS
from store.settings.feature_kinds import KINDS, SHARES
from store.settings.roles import ROLES

PAIR_EXAMPLE = "r<0.3 mutual only:A label:x"
NUMBERS = "numbers: 0.001, 1e-3, 5%, 2k, 1M · signs: > >= < <= ="
_WORD = re.compile(r'(?:"(?:[^"\\]|\\.)*"?|\{[^}]*\}?|[^\s"{])+')
_COMPARED = re.compile(r"([A-Za-z_]+)(?:>=|<=|>|<|=)")
_KEYED = re.compile(r"([A-Za-z_]+):")
Form = Literal["column", "key", "mark"]


class FilterTerm(NamedTuple):
    """A term of filters."""

    name: str
    example: str
    brief: str
    """Its meaning in up to 20 letters."""
    whole: str = ""
    """Its meaning where there is room; empty where that is the same."""
    form: Form = "column"

    @property
    def meaning(self) -> str:
        """Its meaning in full."""
        return self.whole or self.brief

    @property
    def typed(self) -> str:
        """The part of it that a completion types."""
        return self.name + {"column": ">", "key": ":", "mark": ""}[self.form]

    def completion(self) -> Completion:
        """Return what completes its name."""
        return Completion(self.typed, self.brief, self.example, self.whole)


TERMS = (
    FilterTerm("density", "density>1e-4", "share of tokens", "share of tokens on which it fires"),
    FilterTerm("max", "max<5", "strongest activation", "its strongest activation in the index"),
    FilterTerm(
        "token", 'token:"the">50%', "fires on the token", "has that share of its activation on the token", "key"
    ),
    FilterTerm("promotes", 'promotes:" said"', "raises its logit", "has it among the ten tokens it raises most", "key"),
    FilterTerm("label", "label:water", "label contains it", "its label contains the text", "key"),
    FilterTerm("like", "like:412>0.4", "decoder cosine", "decoder cosine with a feature; alone, the 50 nearest", "key"),
    FilterTerm("tag", "tag:place", "has the tag", form="key"),
    FilterTerm("bookmarked", "bookmarked", "has a bookmark", form="mark"),
    FilterTerm("dead", "dead", "never fires", "never fires in the index", "mark"),
    FilterTerm("!", "!label:water", "! negates a term", "negates the term behind it", "mark"),
    FilterTerm("comment", 'comment:"to do"', "comment contains it", "its comment contains the text", "key"),
    FilterTerm("labelled", "labelled", "has a label", form="mark"),
    FilterTerm("tagged", "tagged", "has tags", form="mark"),
    FilterTerm("commented", "commented", "has a comment", form="mark"),
    FilterTerm("alive", "alive", "fires", "fires in the index", "mark"),
    FilterTerm("kind", "kind:context", "what decides it", "what decides its activation (monosem explain)", "key"),
    FilterTerm("context", "context>80%", "by context", "share of variance that neither token nor position explain"),
    FilterTerm("ngram", "ngram>80%", "by two tokens", "share of variance that the token and the one before explain"),
    FilterTerm("position", "position>80%", "by position", "share of variance that the position explains"),
    FilterTerm("outliers", "outliers<50%", "share of outliers", "share of outliers among the tokens on which it fires"),
    FilterTerm("mean", "mean>1", "mean activation", "mean activation where it fires"),
    FilterTerm("count", "count>1k", "tokens it fires on", "number of tokens on which it fires"),
    FilterTerm("norm", "norm>1", "length of its row", "length of its decoder row"),
    FilterTerm("id", "id<100", "its number"),
    FilterTerm("rule", 'rule:{word("sea")}', "fires by the rule", "fires where the rule holds", "key"),
    FilterTerm("role", "role:user>50%", "fires in such turns", "has that share of its activation in such turns", "key"),
    FilterTerm("in", "in:graph#1.12", "part of a map", "in a cluster or box of a map", "key"),
)
"""Terms of lists of features, the most useful first; docs/guide.md has the same in more words."""
SHARE_OF_TOKEN = FilterTerm("token", "token>80%", "by the token", "share of variance that the token explains")
PAIR_TERMS = (
    FilterTerm("only", "only:A", "without partner", "has no partner: of A, the open run, or of B", "key"),
    FilterTerm("mutual", "mutual", "best of each other", "each is the other's best partner", "mark"),
    FilterTerm("r", "r<0.3", "correlation", "correlation of the pair over units of text"),
    FilterTerm("n", "n>100", "units of both", "units of text on which both fire"),
    FilterTerm("cosine", "cosine>0.7", "of decoder rows", "cosine of the decoder rows, in one model"),
    FilterTerm("within", "within>0.5", "share in the other", "share of its activation inside the other's, in trees"),
    FilterTerm(
        "covers", "covers>0.5", "share of the other", "share of the other's activation that it covers, in trees"
    ),
)
"""Terms that pairs have besides."""


@dataclass(frozen=True)
class FilterWords:
    """The words of a run that a filter may name."""

    labels: Sequence[str] = ()
    tags: Mapping[str, int] = field(default_factory=dict)
    """How many features have each."""
    maps: Sequence[str] = ()
    feature: int | None = None
    """The feature under the cursor."""
    pairs: bool = False
    """Whether pairs are filtered."""

    @property
    def terms(self) -> tuple[FilterTerm, ...]:
        """The terms that there are, those of pairs first."""
        return (*PAIR_TERMS, *TERMS) if self.pairs else TERMS


def filter_hints(text: str, at: int, words: FilterWords, problem: MonosemError | None = None) -> TypingHints:
    """Return the hints of a filter whose caret is before character `at`; `problem` is why it cannot be applied."""
    found = next((one for one in _WORD.finditer(text) if one.start() <= at <= one.end()), None)
    start, word = (found.start(), text[found.start() : at]) if found else (at, "")
    bare = word.lstrip("!")
    start += len(word) - len(bare)
    title = "terms that must all hold · ! negates one · tab completes"
    if problem is not None:
        title = "the list stays as it was until the filter can be read"
    return _at_word(bare, start, words)._replace(title=title, fault=fault_of(problem))


def _at_word(word: str, start: int, words: FilterWords) -> TypingHints:
    if found := _COMPARED.match(word):
        column = found[1].casefold()
        share = SHARE_OF_TOKEN if column == "token" else None
        known = share or next((one for one in words.terms if one.name == column and one.form == "column"), None)
        numbers = "" if known in PAIR_TERMS else f" · {NUMBERS}"
        return TypingHints("", words=f"{known.example}   {known.meaning}{numbers}" if known else _columns(words))
    if found := _KEYED.match(word):
        key, value = found[1].casefold(), word[found.end() :]
        known = next((one for one in words.terms if one.name == key and one.form == "key"), None)
        offered = [one for one in _values(key, words) if _begins(one.text, value)]
        return TypingHints(
            "", offered, start + found.end(), f"{known.example}   {known.meaning}" if known else _columns(words)
        )
    if word.startswith('"'):
        return TypingHints("", words="text that an id begins with, or a label, explanation or top token contains")
    offered = [one.completion() for one in words.terms if one.name.startswith(word.casefold())]
    named = f"“{word}” in ids, labels, explanations and top tokens" if word else ""
    mark = next((one for one in words.terms if one.form == "mark" and one.name == word.casefold()), None)
    return TypingHints("", offered, start, f"{mark.name}   {mark.meaning}" if mark else named)


def _columns(words: FilterWords) -> str:
    """Return the names that can be compared, and the keys."""
    pairs = [one.name for one in PAIR_TERMS if one.form == "column"] if words.pairs else []
    keys = [f"{one.name}:" for one in words.terms if one.form == "key"]
    return f"columns: {', '.join((*pairs, *COLUMNS, *SHARES, 'outliers'))} · {' '.join(keys)}"


def _values(key: str, words: FilterWords) -> list[Completion]:
    """Return the values of a key that are known."""
    if key == "label":
        return [Completion(_quoted(label), "a label") for label in dict.fromkeys(words.labels)]
    if key == "tag":
        return [Completion(_quoted(tag), having(n)) for tag, n in words.tags.items()]
    if key == "like":
        return [] if words.feature is None else [Completion(str(words.feature), "the feature under the cursor")]
    if key == "in":
        return [Completion(f"{name}#", "a cluster: level.number", f"{name}#1.12") for name in words.maps]
    known = {"kind": KINDS, "role": ROLES, "only": ("A", "B")}.get(key, ())
    return [Completion(str(one), "") for one in known]


def _begins(text: str, typed: str) -> bool:
    return text.casefold().lstrip('"').startswith(typed.casefold().lstrip('"'))


def _quoted(text: str) -> str:
    if re.fullmatch(r'[^\s"\\]+', text):
        return text
    inside = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{inside}"'
