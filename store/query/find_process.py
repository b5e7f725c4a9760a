"""A search for features in a process of its own, which can be ended at any moment.

Python's `re` holds the interpreter's lock and knows no time limit: whoever waits in the same process for a pattern such
as `(a+)+$` waits for ever, and can do nothing else. The process that searches reads its question from standard input,
says what it knows as lines of JSON, and ends when the one that asked has ended, whatever it is doing.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from store.files.errors import MonosemError, WorkFailed
from store.index.reader import FeatureStore
from store.query.find import Choice, FeatureScore, Found, SetScore
from store.query.pattern_search import Inquiry, Report, search_pattern
from store.query.scores import Tally

EVERY = 0.25
"""Seconds between two reports at least."""


class Asking:
    """A search that is under way. `reports` belongs into a thread; `cancel` may be called from anywhere.

    Example:
        >>> asking = Asking(Path("runs/demo"), Inquiry(r"\\b(sea|boat)\\b"))
        >>> for report in asking.reports():
        ...     print(report.found and report.found.results[0])
    """

    def __init__(self, path: Path, inquiry: Inquiry) -> None:
        """Begin to search the index at `path`, a run's folder or a features.h5."""
        package = str(Path(__file__).resolve().parents[2])
        # Without -P a module of the folder that one happens to be in could take the place of a real one.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "store.query.find_process", str(path.resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": package, "PYTHONFAULTHANDLER": ""},
        )
        self.cancelled = False
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended already; `reports` says so
            self._process.stdin.write(json.dumps(asdict(inquiry)).encode() + b"\n")
            self._process.stdin.flush()

    @property
    def pid(self) -> int:
        """The process that searches."""
        return self._process.pid

    def cancel(self) -> None:
        """End it; `reports` then ends without a word. Nothing happens where it has ended."""
        self.cancelled = True
        self._process.kill()

    def reports(self) -> Iterator[Report]:
        """What is known, better every time; the last one is finished, unless the search was cancelled.

        Raises:
            MonosemError: it is no regular expression, nothing matches, or the index cannot be read.
            WorkFailed: the process ended before its work did.
        """
        assert self._process.stdout is not None and self._process.stdin is not None
        last = Report()
        try:
            for line in self._process.stdout:
                if self.cancelled:
                    break
                last = _report(line, last)
                yield last
        finally:
            self._process.kill()
            code = self._process.wait()
            self._process.stdout.close()
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        if not (self.cancelled or last.finished):
            reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise WorkFailed(f"the search ended before its work did ({reason})", "`monosem find` may say more.")


# What the two processes tell each other


def _told(report: Report) -> dict[str, Any]:
    found = report.found
    if found is None:
        return {"matched": report.matched}
    union = found.union
    return {
        "words": report.words,
        "counts": [found.matched, found.scored, found.measured],
        "results": [[*one.choice, *one.tally, one.auroc, one.n_active] for one in found.results],
        "union": None if union is None else [union.choices, union.tally],
        "done": found.done,
        "finished": found.finished,
    }


def _report(line: bytes, before: Report) -> Report:
    said = json.loads(line)
    if "error" in said:
        raise MonosemError(*said["error"])
    if "counts" not in said:
        return replace(before, matched=said["matched"])
    results = tuple(
        FeatureScore(Choice(feature, threshold), Tally(hits, fired, matched), auroc, n_active)
        for feature, threshold, hits, fired, matched, auroc, n_active in said["results"]
    )
    union = said["union"] and SetScore(tuple(Choice(*one) for one in said["union"][0]), Tally(*said["union"][1]))
    matched, scored, measured = said["counts"]
    found = Found(matched, scored, measured, results, union, said["done"], said["finished"])
    return Report(1.0, tuple((i, n) for i, n in said["words"]), found)


# The process that searches


def main(path: Path) -> None:
    """Answer the question on standard input."""
    inquiry = Inquiry(**json.loads(sys.stdin.buffer.readline()))
    _end_with_standard_input()
    said = -EVERY
    try:
        with FeatureStore.open(path) as store:
            for report in search_pattern(store, inquiry):
                if time.monotonic() - said >= EVERY or report.finished:
                    said = time.monotonic()
                    _tell(_told(report))
    except MonosemError as error:
        _tell({"error": [error.what, error.hint]})


def _end_with_standard_input() -> None:
    """Let the kernel end this process when the one that asked is gone: no Python would run while `re` is at work."""
    if not (hasattr(fcntl, "F_SETOWN") and hasattr(os, "O_ASYNC")):
        return
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    with suppress(OSError):
        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([0], [], [], 0)[0]:
        sys.exit(1)


def _tell(said: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
