"""Work that is killed wherever it touches the disk for good: at its n-th fsync, rename or removal, for every n.

What dies is a forked process, by os._exit: nothing is closed, flushed or tidied up, in any of its threads.
"""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable
from typing import Any

import pytest

FATAL = ("fsync", "replace", "rename", "unlink", "rmdir")
"""Functions of `os` after which a later process sees something else on the disk."""
DONE, FAILED, DIED = 0, 1, 9


def forked(work: Callable[[], object]) -> int:
    """Do it in a process of its own; gives DONE, FAILED or DIED."""
    child = os.fork()
    if not child:
        code = FAILED
        try:
            work()
            code = DONE
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def dying_at(n: int, work: Callable[[], object], report: Callable[[int], object] = id) -> Callable[[], None]:
    """`work` by a process that is gone right before the n-th of the FATAL calls, counted from 0; reports how many."""

    def run() -> None:
        calls, lock = 0, threading.Lock()

        def counted(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                nonlocal calls
                with lock:
                    if calls == n:
                        os._exit(DIED)
                    calls += 1
                return function(*args, **kwargs)

            return call

        with pytest.MonkeyPatch.context() as patch:
            for name in FATAL:
                patch.setattr(os, name, counted(getattr(os, name)))
            work()
        report(calls)

    return run


def places(work: Callable[[], object]) -> int:
    """Do it in a process of its own; return at how many places `deaths` would kill it."""
    read, write = os.pipe()
    assert forked(dying_at(-1, work, lambda calls: os.write(write, str(calls).encode()))) == DONE
    os.close(write)
    with os.fdopen(read) as stream:
        return int(stream.read())


def deaths(work: Callable[[], object], after_each: Callable[[], None], every: int = 1) -> int:
    """Kill `work` at every place in turn, or every n-th, and look at what each death leaves; return how many places."""
    n = tried = 0
    while (end := forked(dying_at(n, work))) == DIED:
        after_each()
        n, tried = n + every, tried + 1
    assert end == DONE
    return tried
