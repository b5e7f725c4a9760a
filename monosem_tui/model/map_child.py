"""`monosem map` in a child process: started from the screen, which shows how far it is, and ended with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from monosem_tui.draw.numbers import compact
from monosem_tui.draw.safe_text import printable
from store.files.child_process import end_child, exit_reason, start_child
from store.files.errors import MonosemError, WorkFailed
from store.files.typed_json import decode, parse
from store.settings.map import Likeness


@dataclass(frozen=True)
class MapStage:
    """The state of the work."""

    task: str = ""
    done: int = 0
    total: int | None = None
    unit: str = ""
    name: str = ""
    """Name of the map, once it is made."""
    seconds: float = 0.0
    error: list[str] | None = None

    def words(self) -> str:
        """Return `laying out: 120 of 500 epochs`."""
        if self.total is None:
            return printable(self.task)
        return f"{printable(self.task)}: {compact(self.done)} of {compact(self.total)} {printable(self.unit)}"


class MapChild:
    """The work in progress. `stages` blocks, so call it in a thread; `cancel` may be called from any thread."""

    def __init__(self, path: Path, by: Likeness) -> None:
        """Start to lay out the features of a run folder or a features.h5."""
        self._process = start_child("engine.commands.map_process", str(path.resolve()), by)
        self._cancelled = False

    @property
    def pid(self) -> int:
        """Id of the child process."""
        return self._process.pid

    def cancel(self) -> None:
        """Kill the child; nothing that it has not finished is there. Does nothing if it has ended."""
        self._cancelled = True
        self._process.kill()

    def stages(self) -> Iterator[MapStage]:
        """Yield how far the work is; the last stage has the map's name, unless the work was cancelled.

        Raises:
            MonosemError: the map cannot be made.
            WorkFailed: the child ended before its work did.
        """
        assert self._process.stdout is not None
        stage = MapStage()
        try:
            for line in self._process.stdout:
                stage = decode(MapStage, parse(line))
                if stage.error:
                    raise MonosemError(" · ".join(filter(None, stage.error)))
                yield stage
        finally:
            code = end_child(self._process)
        if not (self._cancelled or stage.name):
            raise WorkFailed(f"the map was not finished ({exit_reason(code)})", "`monosem map` may show more.")
