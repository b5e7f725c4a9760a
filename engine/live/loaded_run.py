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
    given: tuple[str | None, str | None, str | None]
    """Model, device and dtype; None where the request named none."""
    stamps: tuple[tuple[int, ...], ...]
    """Modification time (ns) and size of sae.h5 and features.h5 when they were read; None for a missing file."""

    @classmethod
    def load(cls, request: wire.Load, progress: Progress) -> LoadedRun:
        """Load the run of a request.

        Raises:
            MonosemError: it cannot be loaded.
        """
        run = RunFolder(Path(request.run))
        stamps, given = _stamps(run), (request.model, request.device, request.dtype)
        wanted = ReopenSettings(model=request.model, device=request.device, dtype=request.dtype)
        check_again(run, wanted)
        from engine.live.live_model import open_live

        live = open_live(run, wanted, progress)
        return cls(live, run.path.resolve(), given, stamps)

    def meets(self, request: wire.Load) -> bool:
        """Return whether this run satisfies the request and its files have not changed."""
        run = RunFolder(Path(request.run))
        asked = (request.model, request.device, request.dtype)
        same = all(wanted in (None, has) for wanted, has in zip(asked, self.given, strict=True))
        return same and run.path.resolve() == self.run and _stamps(run) == self.stamps


def _stamps(run: RunFolder) -> tuple[tuple[int, ...], ...]:
    return stamp(run.sae), stamp(run.features)
