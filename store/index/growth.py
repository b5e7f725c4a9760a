"""An index that is being written while it is read: noticing what has come, and opening it in spite of it.

Segments and features.h5 appear whole, under their own names, and never change; index/ is removed behind the merge. So
what is open stays valid, and only between looking for files and opening them can one vanish.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import h5py

from store.files.errors import MonosemError
from store.run.folder import RunFolder

TRIES = 20
"""Changes in a row that opening goes along with."""
SETTLED = 2_000_000_000
"""Nanoseconds after which a folder's time stamp tells a later change from the one before; network drives are coarse."""

Signature = tuple[tuple[int, ...], tuple[int, ...]]
_Opened = TypeVar("_Opened")


def signature(folder: Path) -> Signature:
    """What changes whenever the index of a run does: two calls of stat."""
    run = RunFolder(folder)
    return _stamp(run.features), _stamp(run.index)


def settled(folder: Path, opens: Callable[[], _Opened]) -> _Opened:
    """Open files of a run's index; again where it changed meanwhile.

    Raises:
        MonosemError: as `opens` does, of an index that stayed as it was.
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
    """Tells when it is worth to ask `FeatureStore.grown`: as long as nothing happens a question costs two stats."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: Signature | None = None

    def changed(self) -> bool:
        """Whether the index may have grown since this was asked before."""
        found = signature(self._folder)
        if found == self._seen:
            return False
        newest = max((stamp[1] for stamp in found if stamp), default=0)
        # Until the stamp is old another change may leave it as it is.
        self._seen = found if abs(time.time_ns() - newest) > SETTLED else None
        return True


def same_file(file: h5py.File, path: Path) -> bool:
    """Whether an open file is the one that has a name now."""
    try:
        there = path.stat()
    except OSError:
        return False
    here = os.fstat(file.id.get_vfd_handle())
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _stamp(path: Path) -> tuple[int, ...]:
    """Which file or folder it is and when it was last written; nothing where there is none."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size
