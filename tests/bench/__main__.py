"""`make bench`: measure what docs/benchmarks.md states, and write it there, each part between marks of its own.

    python -m tests.bench [--quick] [terminal] [store] [dashboard] [steps] [end-to-end] [loss] [logits] [clamping]
                          [steering] [find] [compare] [map] [absorption] [distributed] [gemma]

Measures the parts that are named, or all. With --quick everything is tried at a small size and the page stays as it is.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import torch

from tests.bench import (
    absorption,
    clamping,
    comparison,
    concepts,
    dashboard,
    end_to_end,
    logits,
    loss,
    maps,
    rank_steps,
    real_model,
    steering,
    steps,
    store,
    terminal,
)
from tests.bench.page import PAGE, Table, origin, replaced
from tests.bench.peer import threads
from tests.bench.stories import Missing

PARTS: dict[str, tuple[Callable[[], Table], Callable[[], Table]]] = {
    "terminal": (terminal.measure, lambda: terminal.measure(terminal.QUICK)),
    "store": (store.measure, lambda: store.measure(store.QUICK)),
    "steps": (steps.measure, lambda: steps.measure(steps.QUICK)),
    "end-to-end": (end_to_end.measure, lambda: end_to_end.measure(end_to_end.QUICK)),
    "loss": (loss.measure, lambda: loss.measure(loss.QUICK)),
    "logits": (logits.measure, lambda: logits.measure(logits.QUICK)),
    "dashboard": (dashboard.measure, lambda: dashboard.measure(dashboard.QUICK)),
    "clamping": (clamping.measure, lambda: clamping.measure(clamping.QUICK)),
    "steering": (steering.measure, lambda: steering.measure(steering.QUICK)),
    "gemma": (real_model.measure, lambda: real_model.measure(real_model.QUICK)),
    "compare": (comparison.measure, lambda: comparison.measure(comparison.QUICK)),
    "map": (maps.measure, lambda: maps.measure(maps.QUICK)),
    "absorption": (absorption.measure, lambda: absorption.measure(absorption.QUICK)),
    "distributed": (rank_steps.measure, lambda: rank_steps.measure(rank_steps.QUICK)),
    "find": (concepts.measure, lambda: concepts.measure(concepts.QUICK)),
}
"""Each part's measurement, in earnest and at a small size."""


def run(part: str, *, quick: bool) -> None:
    """Measure one part and, unless `quick`, write it into the page at once: what fails later takes nothing along."""
    sys.stderr.write(f"measuring {part}\n")
    began = time.perf_counter()
    try:
        table = PARTS[part][quick]()
    except Missing as missing:
        sys.stdout.write(f"{part} was left as it is: {missing}\n")
        return
    measured = f"{origin(time.perf_counter() - began)}\n\n{table.markdown()}"
    sys.stdout.write(measured + "\n\n")
    if not quick:
        PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), part, measured), encoding="utf-8")


def main() -> None:
    """Measure the parts that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure docs/benchmarks.md anew.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; all if left out")
    parser.add_argument("--quick", action="store_true", help="try everything at a small size; the page stays as it is")
    given = parser.parse_args()
    for part in given.parts:
        if part not in PARTS:
            parser.error(f"no part is called {part}; there are {', '.join(PARTS)}")
    torch.set_num_threads(threads())
    for part in given.parts or PARTS:
        run(part, quick=given.quick)


if __name__ == "__main__":
    main()
