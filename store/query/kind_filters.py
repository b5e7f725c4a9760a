"""Filters of features by their kind, and by the shares of variance that decide it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.query.feature_order import Ids
from store.query.filters import COMPARE, FilterSource, Sign
from store.settings.feature_kinds import KINDS, Kind, ShareName

_DECIDING: dict[Kind, ShareName] = {"position": "position", "n-gram": "ngram", "context": "context"}


@dataclass(frozen=True)
class OfKind:
    """Features of a kind: token, n-gram, position, context or dense."""

    kind: Kind

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Return those of the kind."""
        keep_N: NDArray[np.bool_] = source.kinds().kind_F[ids] == KINDS.index(self.kind)
        return ids[keep_N]

    def strength(self, source: FilterSource) -> NDArray[Any] | None:
        """Return the share of variance that decides: of position, pair, token, or what is left."""
        return _known(source, _DECIDING.get(self.kind, "token"))


@dataclass(frozen=True)
class KindShare:
    """Features by a share of their variance: `context>80%`. Those too rare to judge never pass."""

    name: ShareName
    sign: Sign
    share: float

    def keep(self, source: FilterSource, ids: Ids) -> Ids:
        """Return those for which it holds."""
        share_N = source.kinds().share(self.name)[ids].astype(np.float64)
        keep_N: NDArray[np.bool_] = COMPARE[self.sign](share_N, self.share) & ~np.isnan(share_N)
        return ids[keep_N]

    def strength(self, source: FilterSource) -> NDArray[Any] | None:
        """Return the share."""
        return _known(source, self.name)


def _known(source: FilterSource, name: ShareName) -> NDArray[np.float32]:
    """Return a share, -inf where it is not known."""
    return np.nan_to_num(source.kinds().share(name), nan=-np.inf)
