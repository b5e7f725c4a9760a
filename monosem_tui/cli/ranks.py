"""A command that several processes do: started by `--nproc`, or by torchrun."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monosem_tui.cli import output

if TYPE_CHECKING:
    from engine.ranks.group import Ranks
    from engine.runtime.progress import Progress

Nproc = Annotated[
    int,
    typer.Option("--nproc", metavar="N", min=1, help="Share the work among N processes of this machine."),
]
words: ContextVar[tuple[str, ...]] = ContextVar("words", default=())
"""The command line that is running."""


def has_launched(nproc: int) -> bool:
    """Do the running command by several processes; False where this process is to do it, alone or as one of them."""
    from engine.ranks.group import LAUNCHED

    if nproc == 1 or LAUNCHED in os.environ:
        return False
    from engine.ranks.launcher import launch, threads_each

    threads = os.environ.get("OMP_NUM_THREADS", str(threads_each(nproc)))
    output.narrate(f"{nproc} processes, threads of each: {threads}")
    launch(nproc, "monosem_tui.cli", words.get(), debug="--debug" in words.get())
    return True


@contextmanager
def sharing() -> Iterator[tuple[Ranks, Progress]]:
    """Within the block, be connected with the other processes of this command; only the first one reports."""
    from engine.ranks.group import joined
    from engine.runtime.progress import Silent
    from monosem_tui.cli.progress import ConsoleProgress

    with joined() as ranks:
        yield ranks, ConsoleProgress() if ranks.first else Silent()


def is_told() -> bool:
    """Return whether this process's launcher says how it ended."""
    return "MONOSEM_RANK" in os.environ and "TORCHELASTIC_ERROR_FILE" in os.environ


def complain(what: str, hint: str = "") -> None:
    """Print an error and a hint; a process that `--nproc` started leaves them for its launcher, which prints one."""
    if not is_told():
        output.complain(what, hint)
        return
    told = {"message": what, "hint": hint, "timestamp": int(time.time())}
    Path(os.environ["TORCHELASTIC_ERROR_FILE"]).write_text(json.dumps(told), encoding="utf-8")
