"""Regular expressions from strangers, scored in a child process that is killed when one takes too long.

Python's `re` has no time limit, and expressions that a language model wrote may take for ever. The child reads a line
of JSON for each question, answers with another, and ends when its parent does.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from store.files.child_process import (
    answer,
    ask,
    end_child,
    end_with_standard_input,
    outlive_standard_input,
    start_child,
)
from store.files.errors import MonosemError
from store.files.typed_json import decode
from store.index.reader import FeatureStore
from store.query.pattern_score import PatternScore, score_pattern

LIMIT, LIMIT_PER_TOKEN = 20.0, 30e-6
"""Seconds that an expression may take, and those added for each token of the corpus."""


class PatternTooSlow(MonosemError):
    """An expression was given up."""


class PatternScorer:
    """Scores regular expressions as descriptions of features. To be closed, or used as a context."""

    def __init__(self, path: Path, n_tokens: int, limit: float = LIMIT) -> None:
        """Score expressions on the index at `path`, a run folder or a features.h5, of so many tokens."""
        self._path, self._limit = path, limit + LIMIT_PER_TOKEN * n_tokens
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PatternScorer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def score(self, feature: int, pattern: str, seed: int = 0) -> PatternScore | None:
        """Return the figures of an expression, as `store.query.pattern_score.score_pattern` does.

        Raises:
            MonosemError: it is not a regular expression, or there is no such feature.
            PatternTooSlow: it took too long, or ended the process.
        """
        process = self._process = self._process or self._started()
        assert process.stdout is not None
        line = b""
        ask(process, json.dumps([feature, pattern, seed]))
        if select.select([process.stdout], [], [], self._limit)[0]:
            line = process.stdout.readline()
        if not line.endswith(b"\n"):
            self.close()
            raise PatternTooSlow("its pattern takes too long to be matched")
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise MonosemError(*found["error"])
        return None if found["score"] is None else decode(PatternScore, found["score"])

    def close(self) -> None:
        """End the child, whatever it is doing."""
        process, self._process = self._process, None
        if process is not None:
            end_child(process)

    def _started(self) -> subprocess.Popen[bytes]:
        return start_child("store.query.pattern_process", str(self._path.resolve()))


# The child process


def main(path: Path) -> None:
    """Answer questions from standard input until it ends."""
    with FeatureStore.open(path) as store:
        while line := sys.stdin.buffer.readline():
            feature, pattern, seed = json.loads(line)
            end_with_standard_input()
            try:
                score = score_pattern(store, feature, pattern, seed)
                found: dict[str, Any] = {"score": None if score is None else asdict(score)}
            except MonosemError as error:
                found = {"error": [error.what, error.hint]}
            outlive_standard_input()
            answer(found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
