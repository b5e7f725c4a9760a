"""This process's place among those that share a piece of work, and what they tell each other."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from store.files.errors import WorkFailed

T = TypeVar("T")
Span = tuple[int, int]
"""A half-open range of contexts."""
LAUNCHED = "TORCHELASTIC_RUN_ID"
"""Variable that torchrun sets for every process that it starts."""
PATIENCE = timedelta(days=30)
"""Wait for a rank that is at work. One that is gone is noticed at once: its connections close."""
PARENT_DEATH = 1
"""Linux's number of the prctl that sends a signal when the parent ends (PR_SET_PDEATHSIG)."""


@dataclass(frozen=True)
class Ranks:
    """One of the processes that share a piece of work; by default the only one."""

    rank: int = 0
    number: int = 1
    """Processes in all."""
    local: int = 0
    """Rank among the processes of this machine."""
    on_machine: int = 1
    """Processes on this machine."""

    @property
    def first(self) -> bool:
        """Whether it plans, merges and reports: rank 0."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there is no other."""
        return self.number == 1

    def shared(self, make: Callable[[], T]) -> T:
        """Return what `make` returns to the first rank; the others wait for it and do not call it.

        Raises:
            KeyboardInterrupt: another rank is gone, so this one stops too.
        """
        if self.alone:
            return make()
        import torch
        from torch import distributed

        box: list[Any] = [make() if self.first else None]
        with stopping_together():
            distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        value: T = box[0]
        return value

    def told(self) -> Any:
        """Return what the first rank shares next; for the others.

        Raises:
            KeyboardInterrupt: another rank is gone, so this one stops too.
        """
        return self.shared(lambda: None)

    def gathered(self, value: T) -> list[T]:
        """Return the values of all ranks in their order, once each has given its own.

        Raises:
            KeyboardInterrupt: another rank is gone, so this one stops too.
        """
        if self.alone:
            return [value]
        from torch import distributed

        found: list[Any] = [None] * self.number
        with stopping_together():
            distributed.all_gather_object(found, value)
        return found

    def largest(self, values: Sequence[int]) -> list[int]:
        """Return the largest of all ranks' values at each place.

        Raises:
            KeyboardInterrupt: another rank is gone, so this one stops too.
        """
        if self.alone:
            return list(values)
        import torch
        from torch import distributed

        found = torch.tensor(values, dtype=torch.int64)
        with stopping_together():
            distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return [int(value) for value in found.tolist()]

    def part(self, spans: Sequence[Span], at_once: int) -> list[Span]:
        """Return this rank's part of some spans, cut only where whole pieces of `at_once` contexts end.

        Parts follow each other in the order of the ranks, and their sizes differ by at most a piece.
        """
        pieces = [-(-(stop - first) // at_once) for first, stop in spans]
        low, high = (sum(pieces) * rank // self.number for rank in (self.rank, self.rank + 1))
        found, before = [], 0
        for (first, stop), count in zip(spans, pieces, strict=True):
            start, end = max(low - before, 0), min(high - before, count)
            if start < end:
                found.append((first + start * at_once, min(first + end * at_once, stop)))
            before += count
        return found

    def titled(self, title: str) -> str:
        """Return the title of this rank's part of some work."""
        return title if self.alone else f"{title}, process {self.rank + 1} of {self.number}"


ALONE = Ranks()


def ranks_here(environ: Mapping[str, str] = os.environ) -> Ranks:
    """Return this process's place, from the variables that torchrun sets; without them it is alone."""
    if LAUNCHED not in environ:
        return ALONE
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    return Ranks(*(int(environ[name]) for name in names))


@contextmanager
def joined() -> Iterator[Ranks]:
    """Within the block, be connected with the other ranks: by gloo, on GPUs of their own by nccl too.

    Raises:
        WorkFailed: they do not find each other.
    """
    ranks = ranks_here()
    if ranks.alone:
        yield ranks
        return
    from torch import distributed

    _end_with_launcher()
    try:
        distributed.init_process_group(_backend(ranks), timeout=PATIENCE)
    except RuntimeError as error:
        raise WorkFailed(
            f"process {ranks.rank + 1} of {ranks.number} does not reach the others: {str(error).splitlines()[0]}",
            "GLOO_SOCKET_IFNAME names the network interface between them.",
        ) from error
    try:
        yield ranks
        with stopping_together():  # a rank that leaves while others still talk to it is aborted now and then
            distributed.barrier()
    finally:
        distributed.destroy_process_group()


def _backend(ranks: Ranks) -> str:
    """Return torch's name of the backend, and take the GPU of this rank, if there are GPUs."""
    import torch
    from torch import distributed

    if not torch.cuda.is_available():
        return "gloo"
    gpus = torch.cuda.device_count()
    torch.cuda.set_device(ranks.local % gpus)
    own = gpus >= ranks.on_machine and distributed.is_nccl_available()  # nccl refuses two ranks on one GPU
    return "cpu:gloo,cuda:nccl" if own else "gloo"


def _end_with_launcher() -> None:
    """Let the kernel end this process when the one that started it is gone: it is in a session of its own."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH, signal.SIGTERM)


@contextmanager
def stopping_together() -> Iterator[None]:
    """Take a connection that breaks for a request to stop: whoever is gone has said why, or its launcher does."""
    try:
        yield
    except RuntimeError as error:
        raise KeyboardInterrupt from error
