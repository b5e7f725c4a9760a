"""Proof that a run's files are what was written: digests, and the two orders of the index against each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from store.crosscheck import index_problem
from store.errors import MonosemError
from store.hdf5 import damaged_datasets, open_sealed, read_seal, seal_holds
from store.run import RunFolder


@dataclass(frozen=True)
class Finding:
    """The verdict on one file."""

    path: Path
    ok: bool
    detail: str
    """What is wrong and what is still readable; for a sound file, what was checked."""


def verify_run(run: RunFolder) -> list[Finding]:
    """Check every sealed file of a run. Reads all of them, whole."""
    sealed = [run.sae, run.features, *sorted(run.index.glob("*.h5"))]
    sealed += [*sorted(run.checkpoints.rglob("*.h5")), *sorted(run.activations.glob("*.h5"))]
    return [_record(run), *(verify_file(path) for path in sealed if path.exists())]


def verify_file(path: Path) -> Finding:
    """Check one sealed file: length, every byte, every dataset, and for an index that its two orders agree."""
    try:
        seal = read_seal(path)
    except MonosemError as error:
        return Finding(path, False, error.what)
    if not seal_holds(path):
        return Finding(path, False, _damage(path, seal.kind))
    if seal.kind in ("features", "segment"):
        with open_sealed(path, seal.kind) as file:
            problem = index_problem(file)
            if problem:
                return Finding(path, False, problem)
            return Finding(path, True, f"digests hold, both orders hold the same {len(file['forward/act']):,} entries")
    return Finding(path, True, "digests hold")


def _damage(path: Path, kind: str) -> str:
    try:
        with open_sealed(path, kind) as file:
            damaged = damaged_datasets(file)
    except (MonosemError, OSError, RuntimeError):
        return "damaged: nothing in it can be read"
    if not damaged:
        return "damaged outside its datasets (names, attributes or layout); the datasets are readable"
    return f"damaged in {', '.join(damaged)}; the other datasets are readable"


def _record(run: RunFolder) -> Finding:
    try:
        run.record()
    except MonosemError as error:
        return Finding(run.run_json, False, error.what)
    return Finding(run.run_json, True, "readable")
