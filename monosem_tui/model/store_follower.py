"""Follows an index that is being written while it is shown."""

from __future__ import annotations

import threading
from dataclasses import replace

from monosem_tui.model.open_run import OpenRun
from store.files.errors import MonosemError
from store.index.growth import Watch


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

    def look(self) -> OpenRun | None:
        """Return the run as it is now, with the list's columns read; None where nothing was added since the last poll.

        Raises:
            MonosemError: the new part cannot be read, or is of another autoencoder.
        """
        if self.over or not self._busy.acquire(blocking=False):
            return None
        try:
            if not self._watch.changed():
                return None
            newer = self._run.store.grown()
            if newer is None:
                return None
            if newer.d_sae != self._run.store.d_sae:
                raise MonosemError("the index was made anew with another autoencoder", "Open the run again.")
            _ = newer.columns  # read here, in the thread, because keys do not wait for it
            self._run = replace(self._run, store=newer)
            return self._run
        finally:
            self._busy.release()
