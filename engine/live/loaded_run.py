"""The run the server has loaded, and a check whether it satisfies a `Load` request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.jobs.refusals import check_again
from engine.runtime.progress import Progress
from store.files.regular_file import stamp
from store.live import wire
from store.run.folder import RunFolder
from store.settings.subject import ReopenSettings

if TYPE_CHECKING:
    from engine.live.live_model import LiveModel


@dataclass(frozen=True)
class LoadedRun:
    """A run whose model and dictionary are open."""

    live: LiveModel
    run: Path
    given: ReopenSettings
    """The request's."""
    stamps: tuple[tuple[int, ...], ...]
    """Modification time (ns) and size of sae.h5 and features.h5 when they were read; None for a missing file."""

    @classmethod
    def load(cls, request: wire.Load, progress: Progress) -> LoadedRun:
        """Load the run of a request.

        Raises:
            MonosemError: it cannot be loaded.
        """
        run = RunFolder(Path(request.run))
        stamps, wanted = _stamps(run), _asked(request)
        check_again(run, wanted)
        from engine.live.live_model import open_live

        live = open_live(run, wanted, progress)
        return cls(live, run.path.resolve(), wanted, stamps)

    def meets(self, request: wire.Load) -> bool:
        """Return whether this run satisfies the request and its files have not changed."""
        run = RunFolder(Path(request.run))
        asked = _asked(request)
        same = all(getattr(asked, name) == getattr(self.given, name) for name in asked.given)
        return same and run.path.resolve() == self.run and _stamps(run) == self.stamps


def _asked(request: wire.Load) -> ReopenSettings:
    return ReopenSettings(model=request.model, device=request.device, dtype=request.dtype, weights=request.weights)


def _stamps(run: RunFolder) -> tuple[tuple[int, ...], ...]:
    return stamp(run.sae), stamp(run.features)
