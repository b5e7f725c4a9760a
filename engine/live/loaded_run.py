"""A run that the model's process has open, and whether it is what somebody asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.runtime.progress import Progress
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
    """Model, device and dtype, where they were asked for."""
    stamps: tuple[tuple[int, int] | None, ...]
    """Of the files that it was read from, when it was."""

    @classmethod
    def load(cls, request: wire.Load, progress: Progress) -> LoadedRun:
        """Open what is asked for.

        Raises:
            MonosemError: it cannot be opened.
        """
        from engine.live.live_model import open_live

        run = RunFolder(Path(request.run))
        stamps, given = _stamps(run), (request.model, request.device, request.dtype)
        wanted = ReopenSettings(model=request.model, device=request.device, dtype=request.dtype)
        live = open_live(run, wanted, progress)
        return cls(live, run.path.resolve(), given, stamps)

    def meets(self, request: wire.Load) -> bool:
        """Whether this is what is asked for, and its files are as they were."""
        run = RunFolder(Path(request.run))
        asked = (request.model, request.device, request.dtype)
        same = all(wanted in (None, has) for wanted, has in zip(asked, self.given, strict=True))
        return same and run.path.resolve() == self.run and _stamps(run) == self.stamps


def _stamps(run: RunFolder) -> tuple[tuple[int, int] | None, ...]:
    found: list[tuple[int, int] | None] = []
    for path in (run.sae, run.features):
        try:
            state = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((state.st_mtime_ns, state.st_size))
    return tuple(found)
