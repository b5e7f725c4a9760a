"""Processes that explain features by rules, several at a time; each reads the same index.

A child reads numbers of features from standard input, a line each, and answers with a line of JSON; `kinds` has it
measure the kinds of all features. It ends when its standard input does.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Any

from store.files.child_process import answer, ask, end_child, start_child
from store.files.errors import MonosemError, WorkFailed
from store.files.typed_json import decode, parse
from store.index.reader import FeatureStore
from store.notes.explanations import Explanation
from store.rules.kind_file import measured_kinds
from store.rules.neuron_firings import open_firings
from store.rules.rule_author import RuleAuthor

KINDS_ASKED = "kinds"
FEW = 24
"""Features up to which they are explained in this process: a child takes seconds to begin."""


def explanations(
    path: Path, features: Sequence[int], seed: int, processes: int, neurons: Path | None = None
) -> Iterator[Explanation]:
    """Yield the explanations of some features by rules; with several processes in the order in which they are found.

    Args:
        path: a run folder or a features.h5.
        features: their numbers.
        seed: decides which documents are in which half, and which are drawn again.
        processes: how many work at a time.
        neurons: the file of neurons that are meant instead of the features.

    Raises:
        MonosemError: the index cannot be read, or its documents cannot be cut into halves.
        WorkFailed: a child ended before its work did.
    """
    if processes < 2 or len(features) <= FEW:
        with FeatureStore.open(path) as store, open_firings(store, neurons) as firings:
            author = RuleAuthor(store, seed, firings)
            for feature in features:
                yield author.explanation(feature)
        return
    children = [_child(path, seed, neurons) for _ in range(min(processes, len(features)))]
    try:
        yield from _answers(children, list(reversed(features)))
    finally:
        for child in children:
            end_child(child)


class RuleWorker:
    """A child that explains one feature after another; the first answer takes seconds, the others are quick.

    To be used by one thread at a time.
    """

    def __init__(self, path: Path, seed: int) -> None:
        """Start a child for the index at `path`, a run folder or a features.h5."""
        self._child = _child(path, seed)

    def explanation(self, feature: int) -> Explanation:
        """Return the explanation of a feature by rules.

        Raises:
            MonosemError: the index cannot be read, or its documents cannot be cut into halves.
            WorkFailed: the child has ended.
        """
        ask(self._child, str(feature))
        return decode(Explanation, _answer(self._child))

    def measure_kinds(self) -> None:
        """Have the kinds of all features measured and kept, unless they are.

        Raises:
            MonosemError: the index cannot be read or halved, or kinds.h5 cannot be written.
            WorkFailed: the child has ended.
        """
        ask(self._child, KINDS_ASKED)
        _answer(self._child)

    def close(self) -> None:
        """End the child, whatever it is doing."""
        end_child(self._child)


def _child(path: Path, seed: int, neurons: Path | None = None) -> subprocess.Popen[bytes]:
    arguments = [str(path.resolve()), str(seed), *([str(neurons.resolve())] if neurons else [])]
    return start_child("store.rules.rule_process", *arguments, OMP_NUM_THREADS="1")


def _answers(children: Sequence[subprocess.Popen[bytes]], waiting: list[int]) -> Iterator[Explanation]:
    """Yield answers as they come; a child is asked for the next feature once it has answered. Empties `waiting`."""
    with DefaultSelector() as selector:
        for child in children:
            assert child.stdout is not None
            selector.register(child.stdout, EVENT_READ, child)
            ask(child, str(waiting.pop()))
        under_way = len(children)
        while under_way:
            for key, _ in selector.select():
                explanation = decode(Explanation, _answer(key.data))
                if waiting:
                    ask(key.data, str(waiting.pop()))
                else:
                    selector.unregister(key.fileobj)
                    under_way -= 1
                yield explanation


def _answer(child: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert child.stdout is not None
    line = child.stdout.readline()
    if not line.endswith(b"\n"):
        raise WorkFailed(f"a process that explains features has ended (exit code {child.wait()})", "Run it again.")
    found: dict[str, Any] = parse(line)
    if "error" in found:
        raise MonosemError(*found["error"])
    return found


# The child process


def main(path: Path, seed: int, neurons: Path | None = None) -> None:
    """Answer the questions on standard input."""
    author: RuleAuthor | None = None
    try:
        with FeatureStore.open(path) as store, open_firings(store, neurons) as firings:
            while line := sys.stdin.readline():
                if line.strip() == KINDS_ASKED:
                    measured_kinds(path, seed)
                    answer({})
                    continue
                author = author or RuleAuthor(store, seed, firings)
                answer(asdict(author.explanation(int(line))))
    except MonosemError as error:
        answer({"error": [error.what, error.hint]})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *map(Path, sys.argv[3:]))
