"""completeness/LIST.json: the completeness of an index for a list of concepts, tied to that very features.h5."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from store.files.atomic import read_json, write_json
from store.files.errors import MonosemError, disk_errors
from store.files.regular_file import own_folder
from store.files.sealed_hdf5 import read_seal
from store.files.typed_json import JsonError, decode
from store.index.reader import FeatureStore
from store.notes.note_file import beside
from store.query.completeness import Completeness
from store.run.folder import COMPLETENESS
from store.run.new_folders import filename


@dataclass(frozen=True)
class _Kept:
    index_digest: str
    completeness: Completeness


def completeness_path(path: Path, name: str) -> Path:
    """Return where the completeness of a run folder or index for a list is kept.

    Raises:
        MonosemError: the folder is a link.
    """
    return own_folder(beside(path, COMPLETENESS)) / f"{filename(name)}.json"


def save_completeness(store: FeatureStore, found: Completeness) -> Path | None:
    """Keep the completeness of a features.h5 beside it, and return where; None for an index that is still written.

    Raises:
        MonosemError: it cannot be written there.
    """
    if not store.merged:
        return None
    path = completeness_path(store.path, found.name)
    with disk_errors(path):
        path.parent.mkdir(exist_ok=True)
    write_json(path, asdict(_Kept(read_seal(store.path).sha256, found)))
    return path


def load_completeness(path: Path) -> tuple[str, Completeness]:
    """Read a file of `save_completeness`: the digest of its index, and the figures.

    Raises:
        MonosemError: it is missing, damaged or senseless.
    """
    try:
        kept = decode(_Kept, read_json(path))
    except JsonError as error:
        raise MonosemError(f"{path} is damaged: {error}", "Remove it, and measure it again.") from error
    if problem := _problem(kept.completeness):
        raise MonosemError(f"{path} is damaged: {problem}", "Remove it, and measure it again.")
    return kept.index_digest, kept.completeness


def kept_completeness(store: FeatureStore) -> list[Completeness]:
    """Return what is kept of an index, list by list; what is damaged or of another index is left out."""
    folder = beside(store.path, COMPLETENESS)
    if not store.merged or folder.is_symlink() or not folder.is_dir():
        return []
    digest, found = read_seal(store.path).sha256, []
    for path in sorted(folder.glob("*.json")):
        try:
            of_index, one = load_completeness(path)
        except MonosemError:
            continue
        if of_index == digest:
            found.append(one)
    return found


def _problem(found: Completeness) -> str:
    """Return why figures cannot be, or ""."""
    for one in found.concepts:
        if not 0 <= one.tokens <= found.tokens or (one.judged and one.tokens < 1):
            return f"{one.concept.name} has {one.tokens} tokens of {found.tokens}"
        for detector in (one.one, one.several):
            if detector is None:
                continue
            if not 0 <= detector.hits <= min(detector.fired, detector.matched):
                return f"{one.concept.name} is hit more often than it is there"
            if not all(0 <= feature < found.features for feature in detector.features):
                return f"{one.concept.name} has a feature that there is not"
    return ""
