"""Search for features in a child process, which can be killed at any moment.

Python's `re` holds the interpreter's lock and has no time limit: in the same process, a pattern such as `(a+)+$` would
block everything for ever. The child reads the inquiry from standard input, reports as lines of JSON, and ends when its
parent does.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from store.files.child_process import answer, ask, end_child, end_with_standard_input, exit_reason, start_child
from store.files.errors import MonosemError, WorkFailed
from store.index.reader import FeatureStore
from store.query.detectors import Choice
from store.query.find import FeatureScore, Found, SetScore
from store.query.pattern_search import Inquiry, Report, search_pattern
from store.query.scores import Tally

EVERY = 0.25
"""Least number of seconds between two reports."""


class Asking:
    """A running search. `reports` blocks, so call it in a thread; `cancel` may be called from any thread.

    Example:
        >>> asking = Asking(Path("runs/demo"), Inquiry(r"\\b(sea|boat)\\b"))
        >>> for report in asking.reports():
        ...     print(report.found and report.found.results[0])
    """

    def __init__(self, path: Path, inquiry: Inquiry) -> None:
        """Start searching the index at `path`, a run folder or a features.h5."""
        self._process = start_child("store.query.find_process", str(path.resolve()))
        self.cancelled = False
        ask(self._process, json.dumps(asdict(inquiry)))

    @property
    def pid(self) -> int:
        """Id of the child process."""
        return self._process.pid

    def cancel(self) -> None:
        """Kill the child; `reports` then ends without an error. Does nothing if it has ended."""
        self.cancelled = True
        self._process.kill()

    def reports(self) -> Iterator[Report]:
        """Yield reports, ever better; the last one is finished, unless the search was cancelled.

        Raises:
            MonosemError: it is not a regular expression, nothing matches, or the index cannot be read.
            WorkFailed: the child ended before the search did.
        """
        assert self._process.stdout is not None
        last = Report()
        try:
            for line in self._process.stdout:
                if self.cancelled:
                    break
                last = _report(line, last)
                yield last
        finally:
            code = end_child(self._process)
        if not (self.cancelled or last.finished):
            raise WorkFailed(
                f"the search ended before its work did ({exit_reason(code)})", "`monosem find` may show more."
            )


# Messages between the two processes


def _message(report: Report) -> dict[str, Any]:
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
    message = json.loads(line)
    if "error" in message:
        raise MonosemError(*message["error"])
    if "counts" not in message:
        return replace(before, matched=message["matched"])
    results = tuple(
        FeatureScore(Choice(feature, threshold), Tally(hits, fired, matched), auroc, n_active)
        for feature, threshold, hits, fired, matched, auroc, n_active in message["results"]
    )
    union = message["union"] and SetScore(
        tuple(Choice(*one) for one in message["union"][0]), Tally(*message["union"][1])
    )
    matched, scored, measured = message["counts"]
    found = Found(matched, scored, measured, results, union, message["done"], message["finished"])
    return Report(1.0, tuple((i, n) for i, n in message["words"]), found)


# The child process


def main(path: Path) -> None:
    """Answer the inquiry on standard input."""
    inquiry = Inquiry(**json.loads(sys.stdin.buffer.readline()))
    end_with_standard_input()
    sent = -EVERY
    try:
        with FeatureStore.open(path) as store:
            for report in search_pattern(store, inquiry):
                if time.monotonic() - sent >= EVERY or report.finished:
                    sent = time.monotonic()
                    answer(_message(report))
    except MonosemError as error:
        answer({"error": [error.what, error.hint]})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
