"""Three small runs of the same documents, cut by different tokenizers, compared with each other; and an app on one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.commands.compare import ComparedSource, compare_runs
from engine.runtime.progress import Silent
from store.notes.note_file import Notes
from store.settings.compare import CompareSettings
from tests.store.cut_texts import index_texts

WORDS = "the sea boat water dog cat she he said big red house sun park".split()
RUNS: dict[str, tuple[bytes, ...]] = {
    "one": (b"sea", b"dog", b"she", b"house", b"park"),
    "two": (b"dog", b"sea", b"she", b"red", b"park", b"sea boat"),
    "three": (b"she", b"sea", b"dog"),
}
"""Words that the first features of each run fire on; two more features of each fire at random."""
SHARED_BY_ALL = {0, 1, 2}
"""Features of `one` whose words all runs have."""
ONLY_ONE = 3
"""The feature of `one` whose word no other run has."""
LABEL = "the sea"
HOSTILE = "her\x1b[31m and [b]she[/b]\u202e"
SETTINGS = CompareSettings(shifts=1, resamplings=10)


def documents() -> list[bytes]:
    """Random words."""
    drawn = np.random.default_rng(3)
    return [" ".join(drawn.choice(WORDS, 40)).encode() for _ in range(50)]


def build_compared(root: Path) -> Path:
    """Write three runs into `root`, compare each pair, and return the folder of `one`.

    Feature 0 of `one` has a label, and feature 2 of `two` one that only a hostile hand would write.
    """
    for seed, (name, words) in enumerate(RUNS.items()):
        index_texts(root / name, documents(), seed, n_features=len(words) + 2, density=0.1, words=words)
    sources = [ComparedSource(root / name, name) for name in RUNS]
    assert len(list(compare_runs(sources, SETTINGS, Silent()))) == 3
    Notes(root / "one" / "notes.jsonl").set(0, "label", LABEL)
    Notes(root / "two" / "notes.jsonl").set(2, "label", HOSTILE)
    return root / "one"
