"""Colours of the points of a map: each feature belongs to a step of a scale, or to one of a few groups.

Shapes: F features, N features on a map, C clusters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.numbers import activation, fixed, share
from monosem_tui.draw.safe_text import printable
from store.index.reader import FeatureColumns
from store.map.feature_map import FeatureMap
from store.notes.note_file import FeatureNotes
from store.rules.kinds import Kinds
from store.settings.feature_kinds import KINDS

STEPS = 5
GROUPS = 6
"""Groups that have a colour of their own; the others share the last."""
NONE = -1


@dataclass(frozen=True, eq=False)
class Colouring:
    """The colour of each feature."""

    name: str
    """As it is chosen: density, kind, cluster."""
    title: str
    group_F: NDArray[np.int8]
    """Step or group; NONE for a feature that has none, and is drawn dim."""
    names: tuple[str, ...]
    """Names of the groups; of a scale, the values between which steps lie: one more than there are steps."""
    is_scale: bool = False
    """Whether they are steps of a scale, from low to high."""

    def same(self, other: Colouring) -> bool:
        """Return whether another one looks the same."""
        looks = (self.name, self.title, self.names) == (other.name, other.title, other.names)
        return looks and np.array_equal(self.group_F, other.group_F)


def plain(d_sae: int) -> Colouring:
    """Return no colours."""
    return Colouring("plain", "", np.zeros(d_sae, np.int8), ("",))


def crowd(d_sae: int) -> Colouring:
    """Return colours by how many features share a cell, which the picture counts."""
    return Colouring("crowd", "features in a cell", np.zeros(d_sae, np.int8), (), is_scale=True)


def by_density(columns: FeatureColumns) -> Colouring:
    """Return steps of density, by its logarithm."""
    value_F = np.log10(np.where(columns.count_F > 0, columns.density_F, np.nan))
    return scale("density", "density, log", value_F, lambda value: share(10**value))


def by_max(columns: FeatureColumns) -> Colouring:
    """Return steps of the maximum, by its logarithm."""
    value_F = np.log10(np.where(columns.count_F > 0, np.maximum(columns.max_F, 1e-30), np.nan))
    return scale("max", "maximum, log", value_F, lambda value: activation(10**value))


def by_kind(kinds: Kinds) -> Colouring:
    """Return the kinds; those too rare to judge have none."""
    return Colouring("kind", "kind", kinds.kind_F.astype(np.int8), KINDS)


def by_note(notes: Mapping[int, FeatureNotes], explained: Iterable[int], d_sae: int) -> Colouring:
    """Return what is said of features: labelled, bookmarked, explained, in this order of precedence."""
    group_F = np.full(d_sae, NONE, np.int8)
    for group, features in (
        (2, explained),
        (1, (feature for feature, note in notes.items() if note.bookmark)),
        (0, (feature for feature, note in notes.items() if note.label)),
    ):
        ids = np.fromiter(features, np.int64)
        group_F[ids[(ids >= 0) & (ids < d_sae)]] = group
    return Colouring("label", "label", group_F, ("labelled", "bookmarked", "explained"))


def by_tag(notes: Mapping[int, FeatureNotes], d_sae: int) -> Colouring:
    """Return the most frequent tags; of several tags of a feature, the rarest."""
    counts = Counter(tag for note in notes.values() for tag in note.tags)
    names = [tag for tag, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]
    order = [*names[: GROUPS - 1], *(["other tags"] if len(names) > GROUPS - 1 else [])]
    group_F = np.full(d_sae, NONE, np.int8)
    for feature, note in notes.items():
        if note.tags and feature < d_sae:
            group_F[feature] = min(max(names.index(tag) for tag in note.tags), len(order) - 1)
    titles = (f"#{printable(tag)}" if tag in counts else tag for tag in order)
    return Colouring("tag", "tag", group_F, tuple(titles))


def by_cluster(found: FeatureMap, level: int) -> Colouring:
    """Return clusters of a level in few colours, so that clusters near each other differ."""
    cluster_N, size_C = found.cluster_LN[level], found.sizes[level]
    sums = [np.bincount(cluster_N, found.place_N2[:, axis], len(size_C)) for axis in (0, 1)]
    hue_C = _hues(np.stack(sums, axis=1) / size_C[:, None], size_C)
    group_F = np.full(found.summary.features, NONE, np.int8)
    group_F[found.feature_N] = hue_C[found.cluster_LN[level]]
    return Colouring("cluster", "clusters, near ones apart", group_F, ())


def judged(value_F: NDArray[np.floating], judged_F: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return values of the features that could be judged, NaN for the others."""
    return np.where(judged_F, value_F, np.nan)


def by_score(name: str, title: str, value_F: NDArray[np.floating]) -> Colouring:
    """Return steps of a figure from 0 to 1, such as F1 or r; NaN has none."""
    value_F = np.clip(np.asarray(value_F, np.float64), 0, 1)
    step_F = np.where(np.isnan(value_F), NONE, np.minimum(STEPS - 1, np.nan_to_num(value_F) * STEPS)).astype(np.int8)
    return Colouring(name, title, step_F, tuple(fixed(n / STEPS, 1) for n in range(STEPS + 1)), is_scale=True)


def scale(name: str, title: str, value_F: NDArray[np.floating], text: Callable[[float], str]) -> Colouring:
    """Return steps of equal width between the 2nd and the 98th percentile; NaN has none.

    Args:
        name: as it is chosen.
        title: for the legend.
        value_F: values.
        text: returns a value as text.
    """
    known = value_F[np.isfinite(value_F)]
    low, high = np.percentile(known, [2, 98]).tolist() if len(known) else (0.0, 1.0)
    high = high if high > low else low + 1e-9
    share_F = np.clip((value_F - low) / (high - low), 0, 1)
    step_F = np.where(np.isfinite(value_F), np.minimum(STEPS - 1, np.nan_to_num(share_F) * STEPS), NONE).astype(np.int8)
    return Colouring(
        name, title, step_F, tuple(text(low + (high - low) * n / STEPS) for n in range(STEPS + 1)), is_scale=True
    )


def _hues(middle_C2: NDArray[np.float64], size_C: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return a colour for each cluster, the largest first: the one whose nearest bearer is farthest away."""
    hue_C = np.full(len(size_C), NONE, np.int8)
    for cluster in np.argsort(-size_C, kind="stable").tolist():
        apart_C = np.square(middle_C2 - middle_C2[cluster]).sum(axis=1)
        free = [float(np.min(apart_C[hue_C == hue], initial=np.inf)) for hue in range(GROUPS)]
        hue_C[cluster] = int(np.argmax(free))
    return hue_C
