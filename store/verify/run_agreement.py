"""Check the files of a run against each other: widths, the segments of an index, and links out of the run."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from store.files.errors import MonosemError
from store.files.hdf5_arrays import reading
from store.files.regular_file import open_regular
from store.index.index_file import IndexFile, check_consecutive, open_segment
from store.index.index_part import IndexPart
from store.index.segment import common_path
from store.rules.kind_file import index_digest, load_kinds
from store.run.folder import RunFolder
from store.run.ordinary import load_limits
from store.run.spec import SaeSpec
from store.run.weights import load_sae


def disagreements(run: RunFolder, sound: Collection[Path]) -> Iterator[tuple[Path, str]]:
    """Yield each file that does not fit the others, and why.

    Args:
        run: the run.
        sound: its files that are sound by themselves; others are not compared.
    """
    segments = list(takewhile(sound.__contains__, sorted(run.index.glob("seg-*.h5"))))
    checks: list[tuple[Path, Callable[[], None]]] = []
    if run.run_json in sound and (spec := run.record().spec).d_sae:
        checks += [
            (run.sae, lambda: _check_spec(load_sae(run.sae).spec, spec)),
            (run.ordinary, lambda: _check_limits(run.ordinary, spec)),
            (run.features, lambda: _check_index(run.features, "features", spec)),
            (common_path(run.index), lambda: _check_index(common_path(run.index), "common", spec)),
        ]
        if run.features in sound:
            digest = index_digest(run.features)
            checks.append((run.kinds, lambda: _check_kinds(run.kinds, spec.d_sae, digest)))
    if common_path(run.index) in sound and segments:
        checks.append((segments[-1], lambda: _check_segments(common_path(run.index), segments)))
    for path, check in checks:
        if path in sound:
            try:
                with reading(path):
                    check()
            except MonosemError as error:
                yield path, error.what
    for path in (run.events, run.notes, run.explanations):
        with suppress(FileNotFoundError):
            try:
                os.close(open_regular(path))
            except MonosemError as error:
                yield path, error.what


def _check_spec(spec: SaeSpec, stated: SaeSpec) -> None:
    for name in ("d_in", "d_sae", "d_out"):
        if (found := getattr(spec, name)) != (wanted := getattr(stated, name)):
            raise ValueError(f"its {name} is {found} where run.json says {wanted}")


def _check_limits(path: Path, spec: SaeSpec) -> None:
    load_limits(path, spec.d_in + (spec.d_out or 0))


def _check_kinds(path: Path, d_sae: int, digest: str) -> None:
    load_kinds(path, d_sae, digest)


def _check_index(path: Path, kind: str, spec: SaeSpec) -> None:
    with IndexFile.open(path, kind) as file:
        _check_spec(SaeSpec.from_json(file.file["sae"].attrs["spec"]), spec)


def _check_segments(common: Path, segments: list[Path]) -> None:
    """Check that segments are of one index and follow each other from the first token on."""
    spans = []
    with IndexFile.open(common, "common") as index:
        for path in segments:
            with open_segment(path, index) as file, reading(path):
                part = IndexPart(file)
                spans.append((part.first_token, part.n_tokens))
    check_consecutive(spans)
