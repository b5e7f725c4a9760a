"""Parse filters as they are typed: `density>1e-4 max<=12 !dead label:water token:" sea">50% like:412 boat`.

Terms are separated by spaces and must all hold; `!` negates a term. docs/guide.md lists them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import cast

from store.files.typed_json import is_unicode, shown
from store.query.filters import (
    COLUMNS,
    MARKS,
    NOTES,
    All,
    BadFilter,
    Column,
    Compare,
    Contains,
    Filter,
    FiresOn,
    FiresOnOutliers,
    Like,
    Mark,
    Marked,
    Not,
    Promotes,
    RuleName,
    Says,
    Sign,
    TokenName,
)
from store.settings.feature_kinds import KINDS, SHARES, Kind
from store.settings.roles import ROLES, Role

_SIGN = r"(>=|<=|>|<|=)"
_COMPARED = re.compile(rf"([A-Za-z_]+){_SIGN}(\S*)")
_KEYED = re.compile(r"([A-Za-z_]+):")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_BRACED = re.compile(r'\{((?:"(?:[^"\\]|\\.)*"|[^"{}])*)\}')
_BOUND = re.compile(rf"{_SIGN}(\S*)")
_WORD = re.compile(r"\S+")
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(%|[kKM])?")
_SCALES = {"": 1.0, "%": 0.01, "k": 1e3, "K": 1e3, "M": 1e6}
_MAPPED = re.compile(r"([\w.-]+)(?:\(([^()\s]*)\)|#(\d{1,9})\.(\d{1,9})(?!\d))")
_KEYS = (*NOTES, "token", "promotes", "like", "role", "kind", "rule", "in")


class FilterError(BadFilter):
    """A filter that cannot be parsed."""

    def __init__(self, text: str, at: int, what: str, *, unfinished: bool = False) -> None:
        rest = text[at : at + 20]
        where = f"“{rest}” at character {at + 1} of the filter" if rest else f"the filter ends at character {at}"
        super().__init__(f"{where}: {what}", 'Text in "quotes" is looked for as it is.', at)
        self.why = what
        """The same without the place."""
        self.unfinished = unfinished or not rest
        """Whether more text may mend it."""


def parse_filter(text: str) -> All:
    """Parse a filter; white space alone keeps all features.

    Raises:
        FilterError: it cannot be parsed; the error shows where.
    """
    if not is_unicode(text):
        raise BadFilter(f"the filter is not UTF-8: {shown(text)}")
    return All(tuple(_Reader(text).terms()))


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def terms(self) -> list[Filter]:
        found = []
        while self._skip_spaces():
            found.append(self._term())
            if self._at < len(self._text) and not self._text[self._at].isspace():
                raise self._error("a space is missing between two terms")
        return found

    def _skip_spaces(self) -> bool:
        rest = self._text[self._at :]
        self._at += len(rest) - len(rest.lstrip())
        return self._at < len(self._text)

    def _error(self, what: str, at: int | None = None, *, unfinished: bool = False) -> FilterError:
        return FilterError(self._text, self._at if at is None else at, what, unfinished=unfinished)

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found:
            self._at = found.end()
        return found

    def _term(self) -> Filter:
        if self._text[self._at] == "!":
            self._at += 1
            if self._at == len(self._text) or self._text[self._at].isspace():
                raise self._error("a term is expected after !")
            return Not(self._term())
        if self._text[self._at] == '"':
            return Contains(self._quoted())
        start = self._at
        if found := self._take(_COMPARED):
            name = found[1].casefold()
            if name == "outliers":
                return FiresOnOutliers(cast(Sign, found[2]), self._number(found, 3))
            if name in SHARES:
                from store.query.kind_filters import KindShare

                return KindShare(name, cast(Sign, found[2]), self._number(found, 3))
            if name not in COLUMNS:
                listed = ", ".join((*COLUMNS, *SHARES, "outliers"))
                raise self._error(f"there is no column {found[1]}: {listed}", start)
            return Compare(cast(Column, name), cast(Sign, found[2]), self._number(found, 3))
        if found := self._take(_KEYED):
            return self._keyed(found[1], start)
        word = cast(re.Match[str], self._take(_WORD))[0]
        return Marked(cast(Mark, word.casefold())) if word.casefold() in MARKS else Contains(word)

    def _keyed(self, typed: str, start: int) -> Filter:
        key = typed.casefold()
        if key not in _KEYS:
            raise self._error(f"there is no filter {typed}: — there are {', '.join(f'{k}:' for k in _KEYS)}", start)
        if key in NOTES:
            return Says(key, self._value(key))
        if key == "like":
            return self._like()
        if key == "role":
            return self._role()
        if key == "rule":
            return self._rule()
        if key == "in":
            return self._mapped()
        if key == "kind":
            from store.query.kind_filters import OfKind

            return OfKind(cast(Kind, self._one_of(KINDS, key)))
        token = self._token(key)
        if key == "promotes":
            return Promotes(token)
        return FiresOn(token, *(self._bound() or ()))

    def _role(self) -> FiresOn:
        return FiresOn(cast(Role, self._one_of(ROLES, "role")), *(self._bound() or ()))

    def _rule(self) -> FiresOn:
        found = self._take(_BRACED)
        if not found:
            begun = self._text[self._at : self._at + 1] == "{" and "}" not in self._text[self._at :]
            example = 'a rule in braces is expected after rule:, such as rule:{word("sea") & !quote}'
            raise self._error(example, unfinished=begun)
        from store.rules.grammar import parse_rule

        parse_rule(found[1])
        return FiresOn(RuleName(found[1]), *(self._bound() or ()))

    def _mapped(self) -> Filter:
        from store.map.feature_map import Box
        from store.query.map_filters import InBox, InCluster

        found = self._take(_MAPPED)
        if not found:
            raise self._error("a map and a part of it are expected after in:, such as graph(-3,1.5,0,4) or graph#1.12")
        if found[3]:
            return InCluster(found[1], int(found[3]), int(found[4]))
        edges = found[2].split(",")
        if len(edges) != 4 or not all(number and not number[2] for number in map(_NUMBER.fullmatch, edges)):
            raise self._error("four numbers are expected: left, bottom, right, top", found.start(2))
        left, bottom, right, top = map(float, edges)
        if not (left <= right and bottom <= top):
            raise self._error("left must not exceed right, nor bottom top", found.start(2))
        return InBox(found[1], Box(left, bottom, right, top))

    def _one_of(self, words: Sequence[str], key: str) -> str:
        found = self._take(re.compile("|".join(words)))
        if not found:
            begun = self._text[self._at :]
            listed = f"one of {', '.join(words)} is expected after {key}:"
            raise self._error(listed, unfinished=any(word.startswith(begun) for word in words))
        return found[0]

    def _like(self) -> Like:
        found = self._take(re.compile(r"\d{1,9}(?!\d)"))
        if not found:
            raise self._error("the number of a feature is expected after like:")
        bound = self._bound()
        return Like(int(found[0]), *bound) if bound else Like(int(found[0]))

    def _token(self, key: str) -> TokenName:
        if found := self._take(re.compile(r"#(\d{1,9})(?=[\s<>=]|$)")):
            return TokenName("", id=int(found[1]))
        exact = self._text[self._at : self._at + 1] == '"'
        return TokenName(self._value(key), exact)

    def _value(self, key: str) -> str:
        if self._text[self._at : self._at + 1] == '"':
            value = self._quoted()
        else:
            found = self._take(_WORD)
            value = found[0] if found else ""
        if not value:
            raise self._error(f"a text is expected after {key}:")
        return value

    def _quoted(self) -> str:
        start = self._at
        found = self._take(_QUOTED)
        if not found:
            raise self._error("the closing quote is missing", start, unfinished=True)
        return re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), found[1], flags=re.DOTALL)

    def _bound(self) -> tuple[Sign, float] | None:
        found = self._take(_BOUND)
        return (cast(Sign, found[1]), self._number(found, 2)) if found else None

    def _number(self, found: re.Match[str], group: int) -> float:
        number = _NUMBER.fullmatch(found[group])
        if not number:
            raise self._error(f"a number is expected after {found[group - 1]}", found.start(group))
        value = float(number[1]) * _SCALES[number[2] or ""]
        if math.isinf(value):
            raise self._error(f"a smaller number is expected after {found[group - 1]}", found.start(group))
        return value
