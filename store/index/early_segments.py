"""Segments that were sealed before those in front of them, by another process of several that build an index.

They are called after their first context, `index/early-000000001024.h5`, and get the next number as soon as nothing in
front of them is missing. Readers see numbered segments only, so what they see has no gaps.
"""

from __future__ import annotations

from pathlib import Path

from store.files.atomic import rename
from store.files.hdf5_arrays import reading
from store.index.index_file import IndexFile
from store.index.segment import covered, segment_path

_STEM = "early-"


def early_path(index: Path, first_context: int) -> Path:
    """Return the path of `index/early-000000001024.h5`."""
    return index / f"{_STEM}{first_context:012d}.h5"


def early_segments(index: Path) -> list[tuple[int, Path]]:
    """Return the first contexts and paths of early segments, in the order of the corpus."""
    found = ((path.stem.removeprefix(_STEM), path) for path in index.glob(f"{_STEM}*.h5"))
    return sorted((int(number), path) for number, path in found if number.isdecimal())


def number_early(index: Path) -> None:
    """Number the early segments that nothing is missing in front of, and remove those that are covered already."""
    early = early_segments(index)
    if not early:
        return
    done = covered(index)
    for first_context, path in early:
        if first_context > done.contexts:
            return
        if first_context < done.contexts:
            path.unlink()
        else:
            rename(path, segment_path(index, done.segments))
            done = covered(index)


def missing(index: Path, n_contexts: int) -> list[tuple[int, int]]:
    """Return the half-open ranges of contexts, of the first `n_contexts`, that no segment covers.

    Raises:
        MonosemError: a segment is damaged.
    """
    found, at = [], covered(index).contexts
    for first_context, path in early_segments(index):
        if first_context > at:
            found.append((at, first_context))
        with IndexFile.open(path, "segment") as file, reading(path):
            at = max(at, first_context + file.lengths["C"])
    if at < n_contexts:
        found.append((at, n_contexts))
    return found
