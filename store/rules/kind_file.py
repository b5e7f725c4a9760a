"""kinds.h5: the kinds of an index's features, measured once, complete or absent, and tied to that very features.h5."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from store.files.array_rules import ArrayRule, Rules, check_shapes
from store.files.errors import MonosemError
from store.files.hdf5_arrays import reading
from store.files.regular_file import stamp
from store.files.sealed_hdf5 import create_sealed, open_described, put, read_seal
from store.index.reader import FeatureStore
from store.notes.note_file import beside
from store.rules.halves import document_halves
from store.rules.kinds import Kinds, feature_kinds
from store.rules.neuron_firings import open_firings
from store.settings.feature_kinds import KINDS

_SHARES = ("token", "pair", "position")
_RULES: Rules = {**{name: ArrayRule("f4", "F") for name in _SHARES}, "kind": ArrayRule("i1", "F")}


def kinds_path(path: Path) -> Path:
    """Return the path of the kinds of a run folder or an index file, which lie beside its notes."""
    return beside(path, "kinds.h5")


def index_digest(path: Path) -> str:
    """Return the digest by which files say which index they belong to: that in the seal of a features.h5."""
    return read_seal(path).sha256


def save_kinds(path: Path, kinds: Kinds, digest: str) -> None:
    """Write the kinds of the features of the index with a digest, all or nothing."""
    with create_sealed(path, "kinds") as file:
        file.attrs["index_digest"] = digest
        for name in _SHARES:
            put(file, name, getattr(kinds, f"{name}_F"))
        put(file, "kind", kinds.kind_F)


def load_kinds(path: Path, d_sae: int | None = None, digest: str | None = None) -> Kinds | None:
    """Read the file of `save_kinds`; None where there is none, or it belongs to another index.

    Args:
        path: the file.
        d_sae: features that it must have; None for any number of them.
        digest: that of the index it must belong to; None for any.

    Raises:
        MonosemError: it is damaged, of another width or of a newer schema.
    """
    if not path.is_file():
        return None
    file, found = open_described(path, "kinds")
    with file, reading(path):
        if digest is not None and file.attrs.get("index_digest") != digest:
            return None
        check_shapes(found, _RULES, None if d_sae is None else {"F": d_sae})
        kind_F = file["kind"][()]
        if kind_F.size and not -1 <= kind_F.min() <= kind_F.max() < len(KINDS):
            raise ValueError("it names kinds that there are not")
        shares = [file[name][()] for name in _SHARES]
        if any(not np.array_equal(np.isfinite(share_F), kind_F >= 0) for share_F in shares):
            raise ValueError("shares and kinds do not belong together")
        token_F, pair_F, position_F = shares
        return Kinds(token_F, pair_F, position_F, kind_F)


class KeptKinds:
    """The kinds beside an index: read when they are asked for first, and again once their file has changed."""

    def __init__(self, store: FeatureStore) -> None:
        self._store, self._path = store, kinds_path(store.path)
        self._stamp: tuple[int, ...] | None = None
        self._kinds: Kinds | None = None

    @property
    def stamp(self) -> tuple[int, ...]:
        """Changes when the file does; empty without one."""
        return stamp(self._path) if self._store.merged else ()

    def present(self) -> Kinds | None:
        """Return the kinds; None where they were not measured, or not for this index.

        Raises:
            MonosemError: as `load_kinds` does.
        """
        now = self.stamp
        if now != self._stamp:
            self._kinds = load_kinds(self._path, self._store.d_sae, index_digest(self._store.path)) if now else None
            self._stamp = now
        return self._kinds

    def sound(self) -> Kinds | None:
        """Return what `present` does, and None for a damaged file: a page shows everything else."""
        try:
            return self.present()
        except MonosemError:
            return None


def need_merged(store: FeatureStore) -> None:
    """Refuse an index that is still being written: explanations belong to one that does not change.

    Raises:
        MonosemError: it is one.
    """
    if not store.merged:
        raise MonosemError(f"{store.path} is not a whole index yet", "Finish it first: monosem merge RUN.")


def measured_kinds(
    path: Path, seed: int = 0, advance: Callable[[int], object] = lambda _: None, neurons: Path | None = None
) -> Kinds:
    """Return the kinds of all features of a merged index: those kept beside it, else measured and kept.

    Args:
        path: a run folder or a features.h5.
        seed: decides which documents are in which half.
        advance: is told how many more features have been measured.
        neurons: the file of neurons that are meant instead, by the tokens on which each direction fires.

    Raises:
        MonosemError: the index is not merged, cannot be halved, or kinds.h5 cannot be read or written.
    """
    with FeatureStore.open(path) as store, open_firings(store, neurons) as firings:
        need_merged(store)
        digest, place = index_digest(neurons or store.path), kinds_path(neurons or path)
        known = load_kinds(place, firings.n_detectors if firings else store.d_sae, digest)
        if known is None:
            known = feature_kinds(store, document_halves(store, seed), advance, firings)
            save_kinds(place, known, digest)
        return known
