"""Features to show of a dictionary: legible ones, and of those the well explained, few of them token features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from store.index.reader import FeatureColumns
from store.notes.explanations import Explanation, Explanations
from store.query.feature_order import COMMON, FEW, Ids, alive, sort_features
from store.rules.kinds import Kinds
from store.settings.feature_kinds import KINDS, Kind

WELL = 0.6
"""Held-out F1 from which on a feature counts as well explained."""
SHOWN: dict[Kind, float] = {"n-gram": 0.4, "context": 0.3, "position": 0.1, "token": 0.2}
"""Share of the shown features that each kind has, as far as there are well explained ones."""
LOOKED_AT: dict[Kind, int] = {"n-gram": 4, "context": 7, "position": 3, "token": 3}
"""Candidates to be explained for each feature of a kind that is shown: rules explain few context features well."""


def telling(
    columns: FeatureColumns, wanted: int, kinds: Kinds | None = None, explanations: Explanations | None = None
) -> Ids:
    """Return features that are likely to be legible, from common to rare.

    Leaves out features that are so dense that they are about position or nothing in particular, too rare to judge, or
    weak; of those with the same top token only the strongest is kept. Where kinds and explanations are known, the best
    explained come first, in the shares of `SHOWN`; the rest are spread evenly over densities.
    """
    some = legible(columns)
    best = _well_explained(columns, some, wanted, kinds, explanations) if kinds and explanations else some[:0]
    rest = _apart(columns, some)
    rest = sort_features(columns, rest[~np.isin(rest, best)], "density", descending=True)
    places = np.linspace(0, len(rest) - 1, min(wanted - len(best), len(rest)))
    return sort_features(
        columns, np.concatenate([best, rest[np.rint(places).astype(np.int64)]]), "density", descending=True
    )


def candidates(columns: FeatureColumns, kinds: Kinds, wanted: int) -> Ids:
    """Return the features to explain so that `telling` finds `wanted` well explained ones, the likeliest first.

    Of each kind, by turns, those of whose variance the token and the one before explain most, and the strongest.
    """
    some = legible(columns)
    found = [some[:0]]
    for kind, share in SHOWN.items():
        strongest = some[kinds.kind_F[some] == KINDS.index(kind)]
        plainest = strongest[np.argsort(-kinds.pair_F[strongest], kind="stable")]
        turns = np.stack([plainest, strongest], axis=1).ravel()
        ids = turns[np.sort(np.unique(turns, return_index=True)[1])]
        found.append(ids[: round(share * wanted * LOOKED_AT[kind])])
    return np.concatenate(found)


def legible(columns: FeatureColumns) -> Ids:
    """Return features that are neither dense nor rare nor weak, the strongest first; all that fire if none is so."""
    firing = alive(columns, np.arange(len(columns.count_F)))
    if not len(firing):
        return firing
    typical = np.median(columns.max_F[firing])
    legible_F = (columns.density_F <= COMMON) & (columns.count_F >= FEW) & (columns.max_F >= typical)
    chosen = firing[legible_F[firing]]
    return sort_features(columns, chosen if len(chosen) else firing, "max", descending=True)


def _apart(columns: FeatureColumns, ids: Ids) -> Ids:
    """Return the first feature of each top token."""
    return ids[np.sort(np.unique(columns.top_token_F[ids], return_index=True)[1])]


def _well_explained(columns: FeatureColumns, ids: Ids, wanted: int, kinds: Kinds, explanations: Explanations) -> Ids:
    """Return up to `wanted` well explained features, no two by the same words or with the same top token."""
    found: dict[Kind, list[int]] = {kind: [] for kind in SHOWN}
    seen = set[str | int]()
    for feature, best in best_explained(ids.tolist(), explanations):
        kind = kinds.of(feature)
        alike: set[str | int] = {best.text, int(columns.top_token_F[feature])}
        if kind in found and not alike & seen:
            found[kind].append(feature)
            seen |= alike
    shares = {kind: round(share * wanted) for kind, share in SHOWN.items()}
    chosen = [feature for kind, features in found.items() for feature in features[: shares[kind]]]
    # What one kind lacks, others than token features fill first.
    spare = [feature for kind, features in found.items() for feature in features[shares[kind] :]]
    return np.array([*chosen, *spare][:wanted], np.int64)


def best_explained(features: Sequence[int], explanations: Explanations) -> list[tuple[int, Explanation]]:
    """Return features with their best explanation, the highest F1 first, as far as it is good enough."""
    best = [(feature, said[0]) for feature in features if (said := explanations.of(feature))]
    scored = [(one.scores.f1.value, feature, one) for feature, one in best if one.scores.f1 is not None]
    return [(feature, one) for f1, feature, one in sorted(scored, key=lambda one: (-one[0], one[1])) if f1 >= WELL]
