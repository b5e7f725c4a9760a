"""Follows an index that is being written while it is shown."""

from __future__ import annotations

import threading
from dataclasses import replace

from textual.message import Message

from monosem_tui.model.open_run import OpenRun
from store.files.errors import MonosemError
from store.index.growth import Watch

EVERY = 2.0
"""Seconds between polls: a segment takes longer, and a poll costs two calls of stat."""


class Grown(Message):
    """More of the corpus has been indexed, or the new part cannot be read."""

    def __init__(self, run: OpenRun | MonosemError) -> None:
        super().__init__()
        self.run = run


class Follower:
    """Polls the index of one run. `look` may be slow: call it in a thread."""

    def __init__(self, run: OpenRun) -> None:
        self._run = run
        folder = run.store.path if run.store.path.is_dir() else run.store.path.parent
        self._watch = Watch(folder.parent if folder.name == "index" else folder)
        self._busy = threading.Lock()

    @property
    def over(self) -> bool:
        """Whether the index is complete."""
        return self._run.store.merged

    def look(self) -> Grown | None:
        """Return what was added since the last poll, with the list's columns read, or None."""
        if self.over or not self._busy.acquire(blocking=False):
            return None
        try:
            if not self._watch.changed():
                return None
            newer = self._run.store.grown()
            if newer is None:
                return None
            if newer.d_sae != self._run.store.d_sae:
                return Grown(MonosemError("the index was made anew with another autoencoder", "Open the run again."))
            _ = newer.columns  # read here, in the thread, because keys do not wait for it
            self._run = replace(self._run, store=newer)
            return Grown(self._run)
        except MonosemError as error:
            return Grown(error)
        finally:
            self._busy.release()
