"""Filters of features: one frozen dataclass per filter, index arrays in, index arrays out.

`store.query.filter_parser` parses them. Shapes: F features, T listed tokens, D decoder width, N rows or ids.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, cast, get_args

import numpy as np
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.index.reader import FeatureColumns, FeatureStore
from store.notes.note_file import FeatureNotes
from store.query.feature_order import COLUMN_KEYS, Ids, SortKey, column, matching, sort_by, sort_features
from store.run.counted_noun import ROW
from store.settings.feature_kinds import ShareName
from store.settings.roles import Role

Column = Literal["density", "max", "mean", "count", "norm", "id"]
COLUMNS: tuple[Column, ...] = get_args(Column)
Sign = Literal[">", ">=", "<", "<=", "="]
Mark = Literal["alive", "dead", "bookmarked", "labelled", "tagged", "commented"]
MARKS: tuple[Mark, ...] = get_args(Mark)
Note = Literal["label", "tag", "comment"]
NOTES: tuple[Note, ...] = get_args(Note)
NEAREST = 50
"""Features similar to another where no cosine is given."""
KEPT = 8
"""Results of passes over the corpus or decoder that are cached: a typed filter is applied after every letter."""

if TYPE_CHECKING:
    from store.map.feature_map import FeatureMap
    from store.map.map_file import KeptMap
    from store.notes.explanations import Explanations
    from store.query.token_use import TokenUse
    from store.rules.kind_file import KeptKinds
    from store.rules.kinds import Kinds

_Answer = TypeVar("_Answer")
COMPARE: dict[Sign, Callable[[NDArray[Any], float], NDArray[np.bool_]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
}


class BadFilter(MonosemError):
    """A filter that cannot be parsed, or that names a token or feature that does not exist."""


@dataclass(frozen=True)
class TokenName:
    """Tokens of the vocabulary, as a filter names them."""

    text: str
    exact: bool = True
    """Whether spaces at its ends count."""
    id: int | None = None
    """A vocabulary id, in place of a text."""


@dataclass(frozen=True)
class RuleName:
    """The tokens that a rule holds on (store.rules.grammar)."""

    text: str


class FilterSource:
    """The data that filters read, a store and the notes on it, with a cache of costly results."""

    def __init__(
        self, store: FeatureStore, notes: Mapping[int, FeatureNotes], explanations: Explanations | None = None
    ) -> None:
        self.store, self.notes, self.explanations = store, notes, explanations
        self._known: dict[object, Any] = {}
        self._maps: dict[str, KeptMap] = {}

    @property
    def columns(self) -> FeatureColumns:
        """Columns of the feature list."""
        return self.store.columns

    def token_ids(self, token: TokenName) -> NDArray[np.int64]:
        """Return the vocabulary ids that a name stands for.

        Raises:
            BadFilter: there are none.
        """
        return self._once(token, lambda: self._token_ids(token))

    def use_of(self, on: TokenName | RuleName | Role) -> TokenUse:
        """Return how much each feature fires on a token, or in turns of a role: exact, over the whole indexed corpus.

        Raises:
            MonosemError: there is no such token, or the corpus has no conversations.
        """
        from store.query.token_use import role_use, rule_use, token_use

        if isinstance(on, RuleName):
            return self._once(("use", on), lambda: rule_use(self.store, on.text))
        if isinstance(on, TokenName):
            return self._once(("use", on), lambda: token_use(self.store, self.token_ids(on)))
        return self._once(("use", on), lambda: role_use(self.store, on))

    def cosines(self, feature: int) -> NDArray[np.float32]:
        """Return the cosine of every feature's decoder direction with one feature's.

        Raises:
            BadFilter: there is no such feature.
        """
        if feature >= self.store.d_sae:
            last = self.store.d_sae - 1
            raise BadFilter(f"there is no feature {feature}", f"Features of this run are 0 to {last}.")
        return self._once(("like", feature), lambda: decoder_cosines(self.store, feature))

    def outlier_shares(self) -> NDArray[np.float64]:
        """Return the share of outliers among the tokens on which each feature fires; 0 if it never fires: [F]."""
        from store.query.token_use import outlier_shares

        return self._once("outliers", lambda: outlier_shares(self.store))

    def outlier_led(self) -> NDArray[np.bool_]:
        """Return which features have their maximum on an outlier token: [F]."""
        from store.query.token_use import outlier_led

        if not len(self.store.layout.outliers):
            return np.zeros(self.store.d_sae, np.bool_)
        return self._once("led", lambda: outlier_led(self.store, self.outlier_shares()))

    def kinds(self) -> Kinds:
        """Return the kinds of all features; a `BadFilter` where they were not measured."""
        found = self._kept_kinds.present()
        if found is None:
            raise BadFilter("the kinds of features were not measured", "Measure them: monosem explain RUN.")
        return found

    def map(self, name: str) -> FeatureMap:
        """Return a map of this very index.

        Raises:
            BadFilter: there is none of that name, or it is of another index.
            MonosemError: its file is damaged.
        """
        from store.map.map_file import KeptMap, map_names
        from store.rules.kind_file import index_digest

        found = self._maps.setdefault(name, KeptMap(self.store.path, name)).present() if self.store.merged else None
        if found is None:
            there = ", ".join(map_names(self.store.path))
            raise BadFilter(f"there is no map {name}", f"There is {there}." if there else "Make one: monosem map RUN.")
        if found.summary.index_digest != index_digest(self.store.path):
            raise BadFilter(f"the map {name} is of another index", f"Make it anew: monosem map RUN --name {name}.")
        return found

    def sort(self, ids: Ids, key: SortKey, *, descending: bool) -> Ids:
        """Return `ids` ordered by a column, or by a share of variance; those too rare to judge are behind the others.

        Raises:
            BadFilter: the shares were not measured.
        """
        if key in COLUMN_KEYS:
            return sort_features(self.columns, ids, key, descending=descending)
        return sort_by(self.kinds().share(cast(ShareName, key)), self.columns, ids, descending=descending)

    @cached_property
    def _kept_kinds(self) -> KeptKinds:
        from store.rules.kind_file import KeptKinds

        return KeptKinds(self.store)

    def raised(self, token: TokenName) -> NDArray[np.float32]:
        """Return how much each feature raises a token among those listed for it, else 0: [F]."""
        return self._once(("raised", token), lambda: _raised(self.store, self.token_ids(token)))

    def _once(self, key: object, ask: Callable[[], _Answer]) -> _Answer:
        if key not in self._known:
            answer = ask()
            while len(self._known) >= KEPT:
                self._known.pop(next(iter(self._known)))
            self._known[key] = answer
        return cast(_Answer, self._known[key])

    def _token_ids(self, token: TokenName) -> NDArray[np.int64]:
        if token.id is not None:
            return np.array([token.id], np.int64)
        found = self.store.vocabulary.reading(token.text, exact=token.exact)
        if len(found):
            return found
        if self.store.plan.noun == ROW:
            raise BadFilter(f"no row is “{token.text}”", f"Rows are #0 to #{self.store.n_tokens - 1}.")
        near = "" if not token.exact else self._spaced(token.text)
        raise BadFilter(f"no token of the vocabulary is “{token.text}”", near or "#ID names a token by its number.")

    def _spaced(self, text: str) -> str:
        others = self.store.vocabulary.strings(self.store.vocabulary.reading(text, exact=False)[:5])
        return f"There is {', '.join(f'“{other}”' for other in others)}: spaces count in quotes." if others else ""


class Filter(Protocol):
    """Interface of filters."""

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Return those of `ids` that pass, in their order."""

    def strength(self, source: FilterSource) -> NDArray[Any] | None:
        """Return how strongly it holds for each feature [F]; None if it has no such measure."""


class _Plain:
    """A filter without a measure of strength."""

    def strength(self, source: FilterSource) -> NDArray[Any] | None:  # noqa: ARG002
        """Return None."""
        return None


@dataclass(frozen=True)
class Compare(_Plain):
    """A column against a number: `density>1e-4`."""

    column: Column
    sign: Sign
    value: float

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Return those for which it holds."""
        values = ids if self.column == "id" else column(source.columns, self.column)[ids]
        return ids[COMPARE[self.sign](values.astype(np.float64), self.value)]


@dataclass(frozen=True)
class Marked(_Plain):
    """Dead or alive, bookmarked, with a label, tags or a comment."""

    mark: Mark

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Return those with the mark."""
        if self.mark in ("alive", "dead"):
            fires_N: NDArray[np.bool_] = source.columns.count_F[ids] > 0
            return ids[fires_N if self.mark == "alive" else ~fires_N]
        return _among(ids, source, lambda note: self._has(note))

    def _has(self, note: FeatureNotes) -> bool:
        fields = {"bookmarked": note.bookmark, "labelled": note.label, "tagged": note.tags, "commented": note.comment}
        return bool(fields[self.mark])


@dataclass(frozen=True)
class Says(_Plain):
    """A label or comment that contains a text, or a tag that equals it; case does not matter."""

    note: Note
    text: str

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Return those with such a note."""
        wanted = self.text.casefold()
        if self.note == "tag":
            return _among(ids, source, lambda note: wanted in (tag.casefold() for tag in note.tags))
        name = self.note
        return _among(ids, source, lambda note: wanted in str(getattr(note, name)).casefold())


@dataclass(frozen=True)
class FiresOn:
    """Features that fire on a token, by a rule or in a role's turns: at all, or with a share of their activation."""

    on: TokenName | RuleName | Role
    sign: Sign = ">"
    share: float = 0.0

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Return those that do. Exact: all such places in the corpus are read."""
        use = source.use_of(self.on)
        keep_N: NDArray[np.bool_] = (use.count_F[ids] > 0) & COMPARE[self.sign](use.share_F[ids], self.share)
        return ids[keep_N]

    def strength(self, source: FilterSource) -> NDArray[Any] | None:
        """Return the share."""
        return source.use_of(self.on).share_F


@dataclass(frozen=True)
class FiresOnOutliers:
    """Features by the share of outliers among the tokens on which they fire: `outliers<50%`."""

    sign: Sign
    share: float

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Return those for which it holds."""
        return ids[COMPARE[self.sign](source.outlier_shares()[ids], self.share)]

    def strength(self, source: FilterSource) -> NDArray[Any] | None:
        """Return the share."""
        return source.outlier_shares()


@dataclass(frozen=True)
class Promotes:
    """Features that raise a token's logit most.

    The index lists the ten tokens that each feature raises most, not its effect on every token: a feature with the
    token in eleventh place is not found.
    """

    token: TokenName

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Return those that list it."""
        return ids[source.raised(self.token)[ids] > 0]

    def strength(self, source: FilterSource) -> NDArray[Any] | None:
        """Return the effect of one unit of activation on its logit."""
        return source.raised(self.token)


@dataclass(frozen=True)
class Like:
    """Features whose decoder direction is near another's: by cosine, or the `nearest` ones.

    Exact over all features. The feature itself is among them, with a cosine of 1.
    """

    feature: int
    sign: Sign = ">="
    cosine: float | None = None
    nearest: int = NEAREST

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Return those that are near."""
        cosine_F = source.cosines(self.feature)
        if self.cosine is not None:
            return ids[COMPARE[self.sign](cosine_F[ids].astype(np.float64), self.cosine)]
        nearest = np.lexsort((np.arange(len(cosine_F)), -cosine_F))[: self.nearest + 1]
        return ids[np.isin(ids, nearest)]

    def strength(self, source: FilterSource) -> NDArray[Any] | None:
        """Return the cosine."""
        return source.cosines(self.feature)


@dataclass(frozen=True)
class Contains(_Plain):
    """A number that starts with a text, or a label, explanation or top token that contains it, whatever the case."""

    text: str

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Return those that do."""
        found = matching(source.columns, source.store.vocabulary, source.notes, ids, self.text)
        if source.explanations is None or not self.text:
            return found
        said = np.array(source.explanations.saying(self.text), np.int64)
        return ids[np.isin(ids, np.concatenate([found, said]))] if len(said) else found


@dataclass(frozen=True)
class Not(_Plain):
    """Negation of another filter."""

    inner: Filter

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Return those that the other filter leaves out."""
        return ids[~np.isin(ids, self.inner.keep(source, ids))]


@dataclass(frozen=True)
class All:
    """Conjunction of filters; without any it keeps all features."""

    filters: tuple[Filter, ...] = ()

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Return those that pass every filter."""
        for one in self.filters:
            ids = one.keep(source, ids)
        return ids

    def strength(self, source: FilterSource) -> NDArray[Any] | None:
        """Return the strength of the first filter that has one."""
        found = (one.strength(source) for one in self.filters)
        return next((values_F for values_F in found if values_F is not None), None)


def decoder_cosines(store: FeatureStore, feature: int) -> NDArray[np.float32]:
    """Return the cosine of every feature's decoder row with one feature's; 0 for rows of zeros. One pass over W_dec.

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
