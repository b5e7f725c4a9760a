"""Filters of pairs as they are typed: those of Browse's list, and what only pairs have: `only:A`, `mutual`, `r<0.3`.

Shapes: N rows of a table, K of its rows.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monosem_tui.model.pair_table import Numbers, PairTable
from store.comparison.figures import NO_PARTNER
from store.query.filter_parser import FilterError, parse_filter
from store.query.filters import BadFilter, Contains, Filter, FilterSource, Not, Says

_TERM = re.compile(r'(?:"(?:[^"\\]|\\.)*"|\{[^}]*\}|[^\s"{]|["{])+')
_PAIR_TERM = re.compile(
    r"(?P<not>!?)(?:only:(?P<only>\S*)|(?P<mutual>mutual)|(?P<column>r|n|cosine|within|covers)"
    r"(?P<sign>>=|<=|>|<|=)(?P<value>\S*))",
    re.IGNORECASE,
)
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
SIDES = ("A", "B")


@dataclass(frozen=True)
class PairTerm:
    """A condition on a row."""

    holds: Callable[[PairTable], NDArray[np.bool_]]
    negated: bool

    def keep(self, table: PairTable) -> NDArray[np.bool_]:
        """Return which rows pass [N]."""
        return self.holds(table) ^ self.negated


@dataclass(frozen=True)
class PairFilter:
    """A typed filter, taken apart."""

    side: str
    """`A` or `B` where `only:` asks for the features of one side; empty without it."""
    terms: tuple[PairTerm, ...]
    features: tuple[Filter, ...]
    """Filters of Browse's list: words hold if one of the two has them, all others are about the first."""

    def rows(self, table: PairTable, first: FilterSource | None, second: FilterSource | None) -> Numbers:
        """Return the rows that pass, in their order.

        Args:
            table: the pairs.
            first: what filters ask about features of the listed side; None where its run cannot be read.
            second: the same of the other side.

        Raises:
            BadFilter: a filter of features cannot be applied to this run.
        """
        kept_N = np.ones(len(table), bool)
        for term in self.terms:
            kept_N &= term.keep(table)
        for one in self.features:
            kept_N &= _having(one, table, first, second)
        return np.flatnonzero(_with_families(kept_N, table))


def parse_pair_filter(text: str) -> PairFilter:
    """Parse a filter; white space alone keeps all pairs.

    Raises:
        BadFilter: it cannot be parsed; the error shows where.
    """
    side, terms, rest = "", [], list(text)
    for found in _TERM.finditer(text):
        term = _PAIR_TERM.fullmatch(found[0])
        if term is None:
            continue
        rest[found.start() : found.end()] = " " * len(found[0])  # as long as it was, for places in errors
        if term["only"] is not None:
            side = term["only"].upper()
            if side not in SIDES or term["not"]:
                at = found.start() + term.start("only")
                raise FilterError(text, at, "only:A keeps features without a partner, only:B the other's")
            terms.append(PairTerm(lambda table: table.alone_N, negated=False))
        elif term["mutual"]:
            terms.append(PairTerm(lambda table: table.mutual_N, bool(term["not"])))
        else:
            terms.append(PairTerm(_compared(term, text, found.start() + term.start("value")), bool(term["not"])))
    return PairFilter(side, tuple(terms), parse_filter("".join(rest)).filters)


def _compared(term: re.Match[str], text: str, at: int) -> Callable[[PairTable], NDArray[np.bool_]]:
    try:
        value = float(term["value"])
    except ValueError:
        raise FilterError(text, at, f"a number is expected after {term['sign']}") from None
    name, compare = term["column"].casefold(), _COMPARE[term["sign"]]

    def holds(table: PairTable) -> NDArray[np.bool_]:
        values_N = getattr(table, f"{name}_N")
        if values_N is None:
            raise BadFilter(f"{name} is a column of trees only (t shows them)")
        found: NDArray[np.bool_] = compare(values_N.astype(np.float64), value)
        return found

    return holds


def _having(
    one: Filter, table: PairTable, first: FilterSource | None, second: FilterSource | None
) -> NDArray[np.bool_]:
    """Return which rows pass a filter of features."""
    if isinstance(one, Not):
        return ~_having(one.inner, table, first, second)
    by_words = isinstance(one, Contains | Says)
    if first is None and not (by_words and second is not None):
        raise BadFilter("the run that these features are of cannot be read")
    found_N = _passing(one, first, table.first_N)
    return found_N | _passing(one, second, table.second_N) if by_words else found_N


def _passing(one: Filter, source: FilterSource | None, feature_N: Numbers) -> NDArray[np.bool_]:
    if source is None:
        return np.zeros(len(feature_N), bool)
    wanted = np.unique(feature_N[feature_N != NO_PARTNER])
    found_N: NDArray[np.bool_] = np.isin(feature_N, one.keep(source, wanted))
    return found_N


def _with_families(kept_N: NDArray[np.bool_], table: PairTable) -> NDArray[np.bool_]:
    """Return the kept rows; in a tree, every row of a family of which one is kept."""
    if table.root_N is None or kept_N.all():
        return kept_N
    family_N = np.cumsum(table.root_N)
    return np.isin(family_N, family_N[kept_N])
