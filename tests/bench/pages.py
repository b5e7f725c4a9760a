"""monosem's feature pages in a process of its own: what `monosem index` does, then every page read from the store.

    python -m tests.bench.pages RUN TOKENS

RUN is a trained run; its index is made anew. Prints one JSON line: seconds from the loaded model and opened text to the
last page, reading (seconds of them for the pages), activations (entries of the index), bytes (of features.h5), and
examples (texts that the pages show).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch

from engine.index import build_index
from engine.progress import Silent
from engine.revisit import reopen
from monosem_tui.text.card import read_card
from store.reader import FeatureStore
from store.run import RunFolder
from tests.bench.peer import threads


def main() -> None:
    """Index the run that the command line names, and read its pages."""
    run, tokens = RunFolder(Path(sys.argv[1])), int(sys.argv[2])
    torch.set_num_threads(threads())
    with run.locked():
        subject = reopen(run, {}, Silent())
        start = time.perf_counter()
        build_index(run, subject, tokens, Silent())
    indexed = time.perf_counter()
    with FeatureStore.open(run.path) as store:
        cards = [read_card(store, {}, feature) for feature in range(store.d_sae)]
    end = time.perf_counter()
    found = {
        "seconds": end - start,
        "reading": end - indexed,
        "activations": sum(card.count for card in cards),
        "bytes": run.features.stat().st_size,
        "examples": sum(len(section.examples) for card in cards for section in card.sections),
    }
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
