"""maps/NAME.h5: a map of an index's features, complete or absent, beside the index and tied to its features.h5."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from store.files.array_rules import ArrayRule, Rules, check_shapes
from store.files.errors import MonosemError, disk_errors
from store.files.hdf5_arrays import reading
from store.files.regular_file import own_folder, stamp
from store.files.sealed_hdf5 import create_sealed, open_described, put
from store.files.typed_json import Narrowed, decode, is_unicode, parse
from store.map.feature_map import FeatureMap, MapSummary
from store.notes.note_file import beside
from store.run.new_folders import filename

KIND, FOLDER = "map", "maps"
MOST_WORDS, LONGEST_WORD = 8, 200
"""Words of a cluster's name, and characters of a word."""
FARTHEST = 1e6
"""Largest coordinate of a place."""
_RULES: Rules = {
    "feature": ArrayRule("i4", "N"),
    "place": ArrayRule("f4", "N 2"),
    "cluster": ArrayRule("i4", "L N"),
    "names": ArrayRule("u1", "B"),
}
_Word = Annotated[
    str,
    Narrowed(f"text of at most {LONGEST_WORD} characters", lambda word: len(word) <= LONGEST_WORD and is_unicode(word)),
]
_Words = Annotated[tuple[_Word, ...], Narrowed(f"at most {MOST_WORDS} words", lambda words: len(words) <= MOST_WORDS)]


def map_path(path: Path, name: str) -> Path:
    """Return where a map of a run folder or index is kept.

    Raises:
        MonosemError: the folder is a link.
    """
    return maps_folder(path) / f"{filename(name)}.h5"


def maps_folder(path: Path) -> Path:
    """Return the folder of the maps of a run folder or index, there or not.

    Raises:
        MonosemError: it is a link.
    """
    return own_folder(beside(path, FOLDER))


def map_names(path: Path) -> list[str]:
    """Return the names of the maps of a run folder or index, in order; none in a folder that is a link."""
    try:
        return sorted(one.stem for one in maps_folder(path).glob("*.h5") if not one.name.startswith("."))
    except (MonosemError, OSError):
        return []


def save_map(path: Path, found: FeatureMap) -> None:
    """Write a map, all or nothing.

    Raises:
        MonosemError: the disk is full, or it cannot be written there.
    """
    with disk_errors(path):
        path.parent.mkdir(exist_ok=True)
    with create_sealed(path, KIND) as file:
        file.attrs["summary"] = json.dumps(asdict(found.summary))
        put(file, "feature", found.feature_N)
        put(file, "place", found.place_N2)
        put(file, "cluster", found.cluster_LN)
        put(file, "names", np.frombuffer(json.dumps(found.names).encode(), np.uint8))


def load_map(path: Path) -> FeatureMap:
    """Read the file of `save_map`.

    Raises:
        MonosemError: it is missing, damaged or senseless, or of a newer schema.
    """
    file, found = open_described(path, KIND)
    with file, reading(path):
        check_shapes(found, _RULES)
        summary = decode(MapSummary, parse(str(file.attrs["summary"])))
        feature_N, place_N2, cluster_LN = (file[name][()] for name in ("feature", "place", "cluster"))
        names = decode(tuple[tuple[_Words, ...], ...], parse(file["names"][()].tobytes()))
        _check(summary, feature_N, place_N2, cluster_LN, names)
        return FeatureMap(summary, feature_N, place_N2, cluster_LN, names)


def _check(
    summary: MapSummary,
    feature_N: NDArray[np.int32],
    place_N2: NDArray[np.float32],
    cluster_LN: NDArray[np.int32],
    names: Sequence[Sequence[object]],
) -> None:
    """Raise ValueError if the parts do not belong together, or hold what they cannot."""
    if not len(feature_N):
        raise ValueError("it has no features")
    if feature_N[0] < 0 or feature_N[-1] >= summary.features or not (np.diff(feature_N) > 0).all():
        raise ValueError("its features are not ascending numbers below that of all features")
    if not (np.abs(place_N2) <= FARTHEST).all():
        raise ValueError(f"its places hold NaN, or lie beyond {FARTHEST:g}")
    if len(names) != len(cluster_LN):
        raise ValueError("its names are of another number of levels")
    before_N = np.zeros(len(feature_N), np.int64)
    for cluster_N, named in zip(cluster_LN, names, strict=True):
        if cluster_N.min() < 0 or cluster_N.max() >= len(named) or (np.bincount(cluster_N) == 0).any():
            raise ValueError("its clusters are not numbered from 0 on")
        if len(named) != cluster_N.max() + 1:
            raise ValueError("its names are of another number of clusters")
        pairs = np.unique(cluster_N.astype(np.int64) * len(feature_N) + before_N)
        if len(pairs) != len(named):
            raise ValueError("its clusters do not lie within each other")
        before_N = cluster_N.astype(np.int64)


class KeptMap:
    """A map beside an index: read when it is asked for first, and again once its file has changed."""

    def __init__(self, path: Path, name: str) -> None:
        """Prepare to read the map `name` of a run folder or index file."""
        self.name, self._beside = name, path
        self._stamp: tuple[int, ...] | None = None
        self._map: FeatureMap | None = None

    def present(self) -> FeatureMap | None:
        """Return the map; None where there is none.

        Raises:
            MonosemError: as `load_map` and `map_path` do.
        """
        path = map_path(self._beside, self.name)
        now = stamp(path)
        if now != self._stamp:
            self._map = load_map(path) if now else None
            self._stamp = now
        return self._map
