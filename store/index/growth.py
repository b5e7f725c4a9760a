"""Reading an index while it is written: notice new segments, and open files that may vanish meanwhile.

Segments and features.h5 appear whole, under their final names, and never change; index/ is removed after the merge. So
open files stay valid, and a file can vanish only between looking for it and opening it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import h5py

from store.files.errors import MonosemError
from store.files.regular_file import stamp
from store.run.folder import RunFolder

TRIES = 20
"""Attempts to open an index that keeps changing."""
SETTLED = 2_000_000_000
"""Nanoseconds after which a later change surely has another time stamp; those of network drives are coarse."""

Signature = tuple[tuple[int, ...], tuple[int, ...]]
_Opened = TypeVar("_Opened")


def signature(folder: Path) -> Signature:
    """Return numbers that change whenever the index of a run does, for two calls of stat."""
    run = RunFolder(folder)
    return stamp(run.features), stamp(run.index)


def settled(folder: Path, opens: Callable[[], _Opened]) -> _Opened:
    """Open files of a run's index, again if it changed meanwhile, and return what `opens` returns.

    Raises:
        MonosemError: `opens` raised it although the index did not change.
    """
    for _ in range(TRIES):
        before = signature(folder)
        try:
            return opens()
        except MonosemError:
            if signature(folder) == before:
                raise
    return opens()


class Watch:
    """Notices when `FeatureStore.grown` may return something; while nothing happens a look costs two stats."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: Signature | None = None

    def changed(self) -> bool:
        """Return whether the index may have grown since the last call."""
        found = signature(self._folder)
        if found == self._seen:
            return False
        newest = max((one[1] for one in found if one), default=0)
        # A change soon after the last one may leave the time stamp as it is.
        self._seen = found if abs(time.time_ns() - newest) > SETTLED else None
        return True


def same_file(file: h5py.File, path: Path) -> bool:
    """Return whether an open file still has its name."""
    try:
        there = path.stat()
    except OSError:
        return False
    here = os.fstat(file.id.get_vfd_handle())
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
