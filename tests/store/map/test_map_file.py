"""Files of maps: what is written is read, and nothing senseless is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from store.files.errors import MonosemError
from store.files.sealed_hdf5 import create_sealed, put
from store.map.feature_map import Box
from store.map.map_file import KeptMap, load_map, map_names, map_path, save_map
from store.verify.run_check import verify_file
from tests.store.map.maps import small_map

Parts = dict[str, Any]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path, made = map_path(tmp_path, "a map"), small_map(name="sé\x1b[31m")
    assert path == tmp_path / "maps" / "a_map.h5"
    assert map_names(tmp_path) == []
    save_map(path, made)
    found = load_map(path)
    assert found.summary == made.summary
    for name in ("feature_N", "place_N2", "cluster_LN"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name))
    assert [[list(words) for words in level] for level in found.names] == made.names
    assert map_names(tmp_path) == ["a_map"]
    assert verify_file(path).ok


def test_places_clusters_and_middles() -> None:
    made = small_map()
    assert made.within(Box(2, 0, 4, 1)).tolist() == [3, 4]
    assert made.within(Box(2, 0, 2, 2)).tolist() == [2]
    assert made.members(0, 1).tolist() == [5, 6, 7, 8]
    assert [size_C.tolist() for size_C in made.sizes] == [[5, 4], [3, 2, 2, 2]]
    assert made.middles[0].tolist() == [[2.0, 1.0], [7.0, 2.0]]


def test_a_kept_map_is_read_again_once_its_file_has_changed(tmp_path: Path) -> None:
    kept = KeptMap(tmp_path, "m")
    assert kept.present() is None
    save_map(map_path(tmp_path, "m"), small_map())
    first = kept.present()
    assert first is not None and kept.present() is first
    save_map(map_path(tmp_path, "m"), replace(small_map(), summary=replace(small_map().summary, seed=7)))
    second = kept.present()
    assert second is not None and second.summary.seed == 7


def _parts(path: Path) -> Parts:
    with h5py.File(path) as file:
        return {name: file[name][()] for name in file} | {"summary": json.loads(str(file.attrs["summary"]))}


def _forge(path: Path, change: Callable[[Parts], object]) -> None:
    save_map(path, small_map())
    parts = _parts(path)
    change(parts)
    with create_sealed(path, "map") as file:
        file.attrs["summary"] = json.dumps(parts.pop("summary"))
        for name, values in parts.items():
            put(file, name, values)


def _named(names: object) -> np.ndarray[Any, Any]:
    return np.frombuffer(json.dumps(names).encode(), np.uint8)


FORGERIES: dict[str, Callable[[Parts], object]] = {
    "features that do not rise": lambda parts: parts.update(feature=parts["feature"][::-1].copy()),
    "a feature beyond all": lambda parts: parts["feature"].__setitem__(-1, 10),
    "a negative feature": lambda parts: parts["feature"].__setitem__(0, -1),
    "NaN places": lambda parts: parts["place"].__setitem__(0, np.nan),
    "places out of the world": lambda parts: parts["place"].__setitem__(0, 3e38),
    "one place too few": lambda parts: parts.update(place=parts["place"][:-1]),
    "places in space": lambda parts: parts.update(place=np.zeros((9, 3), np.float32)),
    "no features": lambda parts: parts.update(
        feature=parts["feature"][:0], place=parts["place"][:0], cluster=parts["cluster"][:, :0]
    ),
    "a cluster without a name": lambda parts: parts["cluster"].__setitem__((0, 0), 2**31 - 1),
    "an empty cluster": lambda parts: parts["cluster"].__setitem__((1, slice(None)), 3),
    "a negative cluster": lambda parts: parts["cluster"].__setitem__((0, 0), -1),
    "clusters across each other": lambda parts: parts["cluster"].__setitem__((1, 0), 3),
    "names of one level": lambda parts: parts.update(names=_named([[[], []]])),
    "names of too many clusters": lambda parts: parts.update(names=_named([[[], [], []], [[], [], [], []]])),
    "names that are numbers": lambda parts: parts.update(names=_named([[[1], []], [[], [], [], []]])),
    "names too long": lambda parts: parts.update(names=_named([[["x" * 999], []], [[], [], [], []]])),
    "names too many": lambda parts: parts.update(names=_named([[["x"] * 99, []], [[], [], [], []]])),
    "names that are no JSON": lambda parts: parts.update(names=np.full(5, 255, np.uint8)),
    "a lone surrogate": lambda parts: parts.update(names=_named([[["\ud800"], []], [[], [], [], []]])),
    "names in a list too deep": lambda parts: parts.update(names=np.frombuffer(b"[" * 99_999, np.uint8)),
    "no names": lambda parts: parts.pop("names"),
    "an unknown layout": lambda parts: parts["summary"].update(layout="mercator"),
    "a summary of text": lambda parts: parts.update(summary="far away"),
    "features that are text": lambda parts: parts.update(feature=np.full(9, b"x")),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_map_is_refused(forgery: str, tmp_path: Path) -> None:
    path = map_path(tmp_path, "forged")
    _forge(path, FORGERIES[forgery])
    with pytest.raises(MonosemError) as refused:
        load_map(path)
    assert str(path) in str(refused.value)
    assert not verify_file(path).ok


def test_a_changed_byte_is_found_and_a_cut_file_refused(tmp_path: Path) -> None:
    path = map_path(tmp_path, "m")
    save_map(path, small_map())
    whole = path.read_bytes()
    at = whole.index(small_map().place_N2.tobytes())
    path.write_bytes(whole[:at] + b"\x7f" + whole[at + 1 :])
    assert "place" in verify_file(path).damaged
    path.write_bytes(whole[:-1])
    with pytest.raises(MonosemError, match="truncated"):
        load_map(path)


def test_links_out_of_the_run_are_not_followed(tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    for folder in (run / "maps", other):
        folder.mkdir(parents=True)
    save_map(map_path(other, "m"), small_map())
    (run / "maps" / "m.h5").symlink_to(other / "maps" / "m.h5")
    with pytest.raises(MonosemError, match="link"):
        load_map(map_path(run, "m"))
    (run / "maps" / "m.h5").unlink()
    (run / "maps").rmdir()
    (run / "maps").symlink_to(other / "maps")
    with pytest.raises(MonosemError, match="is a link"):
        map_path(run, "m")
    assert map_names(run) == []
