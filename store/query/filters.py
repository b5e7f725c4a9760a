"""What features can be filtered by: one frozen dataclass a filter, index arrays in, index arrays out.

`store.query.filter_parser` reads them from what a person types. Shapes: F features, V vocabulary, N ids asked about.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, cast, get_args

import numpy as np
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.index.reader import FeatureColumns, FeatureStore
from store.notes.note_file import FeatureNotes
from store.query.feature_order import Ids, matching

Column = Literal["density", "max", "mean", "count", "norm", "id"]
COLUMNS: tuple[Column, ...] = get_args(Column)
Sign = Literal[">", ">=", "<", "<=", "="]
Mark = Literal["alive", "dead", "bookmarked", "labelled", "tagged", "commented"]
MARKS: tuple[Mark, ...] = get_args(Mark)
Note = Literal["label", "tag", "comment"]
NOTES: tuple[Note, ...] = get_args(Note)
NEAREST = 50
"""Features that are similar to one where no least cosine is said."""
KEPT = 8
"""Passes over the corpus or the decoder whose result is kept: a filter that is typed is asked for letter by letter."""

_Answer = TypeVar("_Answer")
_COMPARE: dict[Sign, Callable[[NDArray[Any], float], NDArray[np.bool_]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
}


class BadFilter(MonosemError):
    """A filter that cannot be read, or that names a token or feature that there is not."""


@dataclass(frozen=True)
class Token:
    """Tokens of the vocabulary, as a person names them."""

    text: str
    exact: bool = True
    """Whether spaces at its ends count."""
    id: int | None = None
    """A vocabulary id, in place of a text."""


@dataclass(frozen=True)
class TokenUse:
    """How much each feature fires on some token."""

    count_F: NDArray[np.int64]
    """Places with the token on which it fires."""
    sum_F: NDArray[np.float64]
    """Total activation there."""
    share_F: NDArray[np.float64]
    """Of its total activation over the corpus; 0 where it never fires."""


class FilterSource:
    """What filters look at: a store and the notes on it. Costly answers are kept."""

    def __init__(self, store: FeatureStore, notes: Mapping[int, FeatureNotes]) -> None:
        self.store, self.notes = store, notes
        self._known: dict[object, Any] = {}

    @property
    def columns(self) -> FeatureColumns:
        """The feature list's columns."""
        return self.store.columns

    def token_ids(self, token: Token) -> NDArray[np.int64]:
        """The vocabulary ids that a person may mean.

        Raises:
            BadFilter: there are none.
        """
        return self._once(token, lambda: self._token_ids(token))

    def use_of(self, token: Token) -> TokenUse:
        """How much each feature fires on a token: exact, over the whole indexed corpus."""
        return self._once(("use", token), lambda: token_use(self.store, self.token_ids(token)))

    def cosines(self, feature: int) -> NDArray[np.float32]:
        """The cosine of every feature's decoder direction with one feature's.

        Raises:
            BadFilter: there is no such feature.
        """
        if feature >= self.store.d_sae:
            last = self.store.d_sae - 1
            raise BadFilter(f"there is no feature {feature}", f"Features of this run are 0 to {last}.")
        return self._once(("like", feature), lambda: decoder_cosines(self.store, feature))

    def raised(self, token: Token) -> NDArray[np.float32]:
        """How much each feature raises a token that is among those listed for it; 0 for the others. [F]"""
        return self._once(("raised", token), lambda: _raised(self.store, self.token_ids(token)))

    def _once(self, key: object, ask: Callable[[], _Answer]) -> _Answer:
        if key not in self._known:
            answer = ask()
            while len(self._known) >= KEPT:
                self._known.pop(next(iter(self._known)))
            self._known[key] = answer
        return cast(_Answer, self._known[key])

    def _token_ids(self, token: Token) -> NDArray[np.int64]:
        if token.id is not None:
            return np.array([token.id], np.int64)
        found = self.store.vocabulary.reading(token.text, exact=token.exact)
        if len(found):
            return found
        near = "" if not token.exact else self._spaced(token.text)
        raise BadFilter(f"no token of the vocabulary is “{token.text}”", near or "#ID names a token by its number.")

    def _spaced(self, text: str) -> str:
        others = self.store.vocabulary.strings(self.store.vocabulary.reading(text, exact=False)[:5])
        return f"There is {', '.join(f'“{other}”' for other in others)}: spaces count in quotes." if others else ""


class Filter(Protocol):
    """Something features are filtered by."""

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Those of `ids` that it lets through, in their order."""

    def strength(self, source: FilterSource) -> NDArray[Any] | None:
        """How strongly it holds for each feature [F], where it has a measure of its own."""


class _Plain:
    """A filter without a measure of its own."""

    def strength(self, source: FilterSource) -> NDArray[Any] | None:  # noqa: ARG002
        """None."""
        return None


@dataclass(frozen=True)
class Compare(_Plain):
    """A column against a number: `density>1e-4`."""

    column: Column
    sign: Sign
    value: float

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Those for which it holds."""
        columns = source.columns
        by_name: dict[Column, NDArray[Any]] = {
            "density": columns.density_F,
            "max": columns.max_F,
            "mean": columns.mean_F,
            "count": columns.count_F,
            "norm": columns.decoder_norm_F,
        }
        values = ids if self.column == "id" else by_name[self.column][ids]
        return ids[_COMPARE[self.sign](values.astype(np.float64), self.value)]


@dataclass(frozen=True)
class Marked(_Plain):
    """Dead or alive, bookmarked, with a label, tags or a comment."""

    mark: Mark

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Those that are."""
        if self.mark in ("alive", "dead"):
            fires_N: NDArray[np.bool_] = source.columns.count_F[ids] > 0
            return ids[fires_N if self.mark == "alive" else ~fires_N]
        return _among(ids, source, lambda note: self._has(note))

    def _has(self, note: FeatureNotes) -> bool:
        fields = {"bookmarked": note.bookmark, "labelled": note.label, "tagged": note.tags, "commented": note.comment}
        return bool(fields[self.mark])


@dataclass(frozen=True)
class Says(_Plain):
    """A label or comment that contains a text, or a tag that is one; case does not matter."""

    note: Note
    text: str

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Those with such a note."""
        wanted = self.text.casefold()
        if self.note == "tag":
            return _among(ids, source, lambda note: wanted in (tag.casefold() for tag in note.tags))
        name = self.note
        return _among(ids, source, lambda note: wanted in str(getattr(note, name)).casefold())


@dataclass(frozen=True)
class FiresOn:
    """Features that fire on a token: at all, or with a share of their total activation over the corpus."""

    token: Token
    sign: Sign = ">"
    share: float = 0.0

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Those that do. Exact: every place of the token in the corpus is looked up."""
        use = source.use_of(self.token)
        keep_N: NDArray[np.bool_] = (use.count_F[ids] > 0) & _COMPARE[self.sign](use.share_F[ids], self.share)
        return ids[keep_N]

    def strength(self, source: FilterSource) -> NDArray[Any] | None:
        """The share."""
        return source.use_of(self.token).share_F


@dataclass(frozen=True)
class Promotes:
    """Features that raise a token's logit most.

    The store lists the tokens that each feature raises most, ten of them, and not the effect on every token: a feature
    that raises the token as its eleventh is not found.
    """

    token: Token

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Those that list it."""
        return ids[source.raised(self.token)[ids] > 0]

    def strength(self, source: FilterSource) -> NDArray[Any] | None:
        """The effect on its logit of one unit of activation."""
        return source.raised(self.token)


@dataclass(frozen=True)
class Like:
    """Features whose decoder direction is near another's: by cosine, or where no cosine is said the 50 nearest.

    Exact over all features. The feature itself is among them, with a cosine of 1.
    """

    feature: int
    sign: Sign = ">="
    cosine: float | None = None

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Those that are near."""
        cosine_F = source.cosines(self.feature)
        if self.cosine is not None:
            return ids[_COMPARE[self.sign](cosine_F[ids].astype(np.float64), self.cosine)]
        nearest = np.lexsort((np.arange(len(cosine_F)), -cosine_F))[: NEAREST + 1]
        return ids[np.isin(ids, nearest)]

    def strength(self, source: FilterSource) -> NDArray[Any] | None:
        """The cosine."""
        return source.cosines(self.feature)


@dataclass(frozen=True)
class Contains(_Plain):
    """A number that starts with a text, or a label or top token that contains it; case does not matter."""

    text: str

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Those with it."""
        return matching(source.columns, source.store.vocabulary, source.notes, ids, self.text)


@dataclass(frozen=True)
class Not(_Plain):
    """What another filter leaves out."""

    inner: Filter

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """The others."""
        return ids[~np.isin(ids, self.inner.keep(source, ids))]


@dataclass(frozen=True)
class All:
    """Several filters that must all hold; none of them lets everything through."""

    filters: tuple[Filter, ...] = ()

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Those that pass every one."""
        for one in self.filters:
            ids = one.keep(source, ids)
        return ids

    def strength(self, source: FilterSource) -> NDArray[Any] | None:
        """That of the first filter that has one."""
        found = (one.strength(source) for one in self.filters)
        return next((values_F for values_F in found if values_F is not None), None)


def token_use(store: FeatureStore, vocab: NDArray[np.int64]) -> TokenUse:
    """How much each feature fires on any of some vocabulary tokens, over the whole corpus."""
    count_F, sum_F = np.zeros(store.d_sae, np.int64), np.zeros(store.d_sae)
    for feature, act in store.entries_on(vocab):
        count_F += np.bincount(feature, minlength=store.d_sae)
        sum_F += np.bincount(feature, weights=act, minlength=store.d_sae)
    total_F = store.totals.sum_F
    return TokenUse(count_F, sum_F, np.divide(sum_F, total_F, out=np.zeros_like(sum_F), where=total_F > 0))


def decoder_cosines(store: FeatureStore, feature: int) -> NDArray[np.float32]:
    """The cosine of every feature's decoder row with one feature's; 0 for rows of zeros. One pass over W_dec.

    Raises:
        MonosemError: there is no such feature.
    """
    store.check_feature(feature)
    row_D = store.decoder_row(feature).astype(np.float64)
    row_D /= np.linalg.norm(row_D) or 1.0
    found = []
    for rows_ND in store.decoder_rows():
        norm_N = np.sqrt(np.einsum("nd,nd->n", rows_ND, rows_ND))
        found.append(rows_ND @ row_D.astype(np.float32) / np.where(norm_N > 0, norm_N, 1))
    cosine_F: NDArray[np.float32] = np.clip(np.concatenate(found), -1, 1)
    return cosine_F


def _raised(store: FeatureStore, vocab: NDArray[np.int64]) -> NDArray[np.float32]:
    listed = store.listed_tokens()
    hit_FT = np.isin(listed.id, vocab)
    effect_F: NDArray[np.float32] = np.where(hit_FT, listed.value, np.float32(0)).max(axis=1, initial=0)
    return effect_F


def _among(ids: Ids, source: FilterSource, has: Callable[[FeatureNotes], bool]) -> Ids:
    wanted = [feature for feature, note in source.notes.items() if has(note)]
    return ids[np.isin(ids, np.array(wanted, np.int64))]
