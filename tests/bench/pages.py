"""monosem's feature pages in a process of its own: what `monosem index` does, then every page read from the store.

    python -m tests.bench.pages RUN TOKENS

RUN is a trained run; its index is made anew. Prints one JSON line: seconds from the loaded model and opened text to the
last page, reading (seconds of them for the pages), examples (texts on the pages), bytes (of features.h5), more_reading
(seconds, not among the others, for reading them again with the texts of SAEDashboard's pages) and more_examples.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from engine.indexing.index_run import build_index
from engine.jobs.trained_run import reopen
from engine.runtime.free_memory import keep_freed_memory
from engine.runtime.progress import Silent
from monosem_tui.model.feature_card import AFTER, BEFORE, BINS, INTERVAL_EXAMPLES, INTERVALS, TOP_EXAMPLES
from store.index.reader import FeatureStore
from store.query.examples import sections
from store.query.histogram import activation_histogram
from store.run.folder import RunFolder
from store.settings.subject import ReopenSettings

SHOWN = {"top": TOP_EXAMPLES, "intervals": INTERVALS, "each": INTERVAL_EXAMPLES, "before": BEFORE, "after": AFTER}
"""The texts on a page of the terminal."""
MORE = {"top": 20, "intervals": 10, "each": 5, "before": 5, "after": 5}
"""The texts on a page of SAEDashboard."""


def main() -> None:
    """Index the run that the command line names, and read its pages."""
    run, tokens = RunFolder(Path(sys.argv[1])), int(sys.argv[2])
    keep_freed_memory()
    with run.locked():
        subject = reopen(run, ReopenSettings(), Silent())
        start = time.perf_counter()
        build_index(run, subject, tokens, Silent())
    indexed = time.perf_counter()
    with FeatureStore.open(run.path) as store:
        examples = sum(read(store, feature, SHOWN) for feature in range(store.d_sae))
    shown = time.perf_counter()
    with FeatureStore.open(run.path) as store:
        more_examples = sum(read(store, feature, MORE) for feature in range(store.d_sae))
    found = {
        "seconds": shown - start,
        "reading": shown - indexed,
        "examples": examples,
        "bytes": run.features.stat().st_size,
        "more_reading": time.perf_counter() - shown,
        "more_examples": more_examples,
    }
    sys.stdout.write("\n" + json.dumps(found) + "\n")


def read(store: FeatureStore, feature: int, texts: dict[str, int]) -> int:
    """Everything on a feature's page, tokens as their ids; gives the number of its texts."""
    found = sections(store, feature, **texts)
    activation_histogram(store, feature, BINS)
    store.logits(feature)
    store.neighbours(feature)
    return sum(len(section.examples) for section in found)


if __name__ == "__main__":
    main()
