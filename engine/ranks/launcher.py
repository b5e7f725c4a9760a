"""Start a command in several processes of this machine, by torch's elastic launcher, and say how they ended."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from store.files.child_process import PACKAGE, exit_reason
from store.files.cores import usable_cores
from store.files.errors import MonosemError, WorkFailed

RANK_OF_OURS = "MONOSEM_RANK"
"""Variable by which a rank knows that its launcher prints its error, which it leaves in a file."""
ERROR_FILE = "TORCHELASTIC_ERROR_FILE"
"""Variable with the path of that file, which torchrun sets."""
LOOK, GRACE = 0.1, 15
"""Seconds between two looks at the ranks, and for them to end once asked to; then they are killed."""
LOOPBACK = {"linux": "lo", "darwin": "lo0"}
_GOES_ON = "`resume=True` goes on from what is finished."


def launch(number: int, module: str, arguments: Sequence[str], *, debug: bool = False) -> None:
    """Run `python -m module arguments` as ranks 0 … `number` - 1 of this machine, until all have ended.

    Rank 0 prints where this process prints; what the others print is dropped unless `debug`.

    Raises:
        MonosemError: a rank's own error, with its exit code; one that was killed is `WorkFailed`.
        KeyboardInterrupt: this process was asked to stop, and has stopped all ranks.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    dropped = {} if debug else {rank: Std.ALL for rank in range(1, number)}
    with TemporaryDirectory(prefix="monosem-ranks-") as logs, _environment(number), _unlogged(debug), _signals():
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=number,
            run_id=uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            monitor_interval=LOOK,
            shutdown_timeout=GRACE,
            logs_specs=DefaultLogsSpecs(log_dir=logs, redirects=dropped),
        )
        try:
            # Without -P a module in the current folder could shadow a real one.
            elastic_launch(config, sys.executable)("-P", "-m", module, *arguments)
        except ChildFailedError as error:
            raise first_error(error.failures, number) from None
        except SignalException:
            raise KeyboardInterrupt from None


def threads_each(number: int) -> int:
    """Return the threads of each of several processes, so that together they are as many as this machine's cores."""
    return max(1, usable_cores() // number)


def first_error(failures: Mapping[int, Any], number: int) -> MonosemError:
    """Return the error by which ranks ended, from torch's `ProcessFailure` of each: one that has a cause of its own.

    Ranks that only stopped because another was gone have left no file and were not killed.
    """
    for _, failure in sorted(failures.items(), key=lambda item: (item[1].timestamp, item[0])):
        data = failure.error_file_data
        if "hint" in data:
            kind = MonosemError if failure.exitcode == MonosemError.exit_code else WorkFailed
            return kind(str(failure.message), str(data["hint"]))
    # The launcher asks those that are left to end by SIGTERM.
    for rank, failure in sorted(failures.items(), key=lambda item: (item[1].exitcode == -signal.SIGTERM, item[0])):
        if failure.exitcode < 0:
            said = f"process {rank + 1} of {number} was ended by {exit_reason(failure.exitcode)}, so the others stopped"
            return WorkFailed(said, _GOES_ON)
    return WorkFailed(f"one of {number} processes ended before its work was done", _GOES_ON)


@contextmanager
def _environment(number: int) -> Iterator[None]:
    """Set the variables that ranks inherit; those that the user has set stay."""
    wanted = {
        "OMP_NUM_THREADS": str(threads_each(number)),
        "RAYON_NUM_THREADS": str(threads_each(number)),
        "TORCH_CPP_LOG_LEVEL": "ERROR",
    }
    if sys.platform in LOOPBACK:
        wanted["GLOO_SOCKET_IFNAME"] = LOOPBACK[sys.platform]
    before = dict(os.environ)
    os.environ.update({**wanted, **before, RANK_OF_OURS: "1", "PYTHONPATH": str(PACKAGE), "PYTHONFAULTHANDLER": ""})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _unlogged(debug: bool) -> Iterator[None]:
    """Keep torch's launcher from logging to the terminal; with `debug` it may."""
    before = logging.root.manager.disable
    logging.disable(before if debug else logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _signals() -> Iterator[None]:
    """Put back the handlers of signals that torch's launcher takes."""
    taken = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    before = {one: signal.getsignal(one) for one in taken}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for one, handler in before.items():
                signal.signal(one, handler)
