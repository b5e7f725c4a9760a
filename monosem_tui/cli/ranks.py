"""A command that several processes do: started by `--nproc`, or by torchrun."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from monosem_tui.cli import output

if TYPE_CHECKING:
    from engine.ranks.group import Ranks
    from engine.runtime.progress import Progress


def has_launched(nproc: int) -> bool:
    """Do the running command by several processes; False where this process is to do it, alone or as one of them."""
    from engine.ranks.group import LAUNCHED

    if nproc == 1 or LAUNCHED in os.environ:
        return False
    from engine.ranks.launcher import launch, threads_each

    threads = os.environ.get("OMP_NUM_THREADS", str(threads_each(nproc)))
    output.narrate(f"{nproc} processes, threads of each: {threads}")
    launch(nproc, "monosem_tui.cli", output.command_line, debug="--debug" in output.command_line)
    return True


@contextmanager
def sharing() -> Iterator[tuple[Ranks, Progress]]:
    """Within the block, be connected with the other processes of this command; only the first one reports."""
    from engine.ranks.group import joined
    from engine.runtime.progress import Silent
    from monosem_tui.cli.progress import ConsoleProgress

    with joined() as ranks:
        yield ranks, ConsoleProgress() if ranks.first else Silent()
