"""The words of a run that its filters may name: labels, tags, maps."""

from __future__ import annotations

from collections import Counter

from monosem_tui.model.open_run import OpenRun
from monosem_tui.pages.filter_hints import FilterWords
from store.map.map_file import map_names


def filter_words(run: OpenRun, feature: int | None, *, pairs: bool = False) -> FilterWords:
    """Return the words of a run; `feature` is the one under the cursor, `pairs` whether pairs are filtered."""
    notes = run.notes.values()
    tags = Counter(tag for note in notes for tag in note.tags)
    return FilterWords(
        labels=sorted({note.label for note in notes if note.label}),
        tags=dict(tags.most_common()),
        maps=map_names(run.store.path) if run.store.merged else (),
        feature=feature,
        pairs=pairs,
    )
