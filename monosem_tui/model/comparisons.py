"""Comparisons that hold the open run: found beside it and beside others, checked against the indexes that there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from monosem_tui.draw.safe_text import printable
from monosem_tui.model.open_run import OpenRun, open_run
from store.comparison.figures import Comparison, Side, SideSummary
from store.comparison.file import FOLDER, load_comparison
from store.files.errors import MonosemError
from store.files.regular_file import stamp
from store.files.sealed_hdf5 import read_seal
from store.index.reader import FeatureStore
from store.notes.note_file import beside
from store.run.feature_source import BASELINES, FeatureSource, baseline_folder
from store.run.feature_source import FOLDER as BASELINE_FOLDER
from store.run.folder import RunFolder
from store.run.new_folders import filename


@dataclass(frozen=True, eq=False)
class HeldComparison:
    """A comparison of the open run with another."""

    path: Path
    comparison: Comparison
    mine: int
    """The side of the open run, 0 or 1."""

    @property
    def text(self) -> str:
        """Name of the text that both were indexed on for it; empty for their own."""
        return self.comparison.summary.text

    @property
    def name(self) -> str:
        """Name of the other run, and of the text if it is not their own; printable."""
        name = printable(self.told(theirs=True).name)
        return f"{name} on {printable(self.text)}" if self.text else name

    def side(self, *, theirs: bool = False) -> Side:
        """Return the features of the open run, or of the other."""
        return self.comparison.sides[self.mine ^ theirs]

    def told(self, *, theirs: bool = False) -> SideSummary:
        """Return the figures of the open run as a whole, or of the other."""
        return self.comparison.summary.sides[self.mine ^ theirs]


@dataclass(frozen=True)
class FoundComparisons:
    """Comparisons that can be shown, and what is wrong with others."""

    held: tuple[HeldComparison, ...] = ()
    """By the other run's name."""
    troubles: tuple[str, ...] = ()
    """Sentences about files that are passed over."""


class ComparisonWatch:
    """Looks for comparisons of one run. `poll` may be slow: call it in a thread."""

    def __init__(self, run: OpenRun, root: Path) -> None:
        self._run, self._root = run, root
        self._known: dict[Path, tuple[tuple[int, ...], HeldComparison | str]] = {}

    def poll(self) -> FoundComparisons:
        """Return the comparisons that there are; files that have not changed are not read again."""
        files = list(self._files())
        self._known = {path: self._look(path, own=own) for path, own in files}
        newest: dict[str, tuple[int, HeldComparison]] = {}
        for changed, found in self._known.values():
            if isinstance(found, HeldComparison):
                key, at = found.told(theirs=True).digest or found.name, changed[1] if changed else 0
                if key not in newest or newest[key][0] < at:
                    newest[key] = at, found
        held = sorted((found for _, found in newest.values()), key=lambda one: one.name)
        return FoundComparisons(
            tuple(held), tuple(said for _, said in self._known.values() if isinstance(said, str) and said)
        )

    def _files(self) -> Iterator[tuple[Path, bool]]:
        """Yield files of comparisons, and whether they lie beside the open run."""
        own = beside(self._run.path, FOLDER)
        yield from ((path, True) for path in _inside(own))
        wanted = filename(_compared_name(self._run.path))
        for folder in dict.fromkeys((self._root.resolve(), self._run.path.parent)):
            for entry in _entries(folder):
                kept = entry if entry.name.endswith(f".{FOLDER}") else entry / FOLDER
                if kept.resolve() != own.resolve():
                    yield from ((path, False) for path in _inside(kept) if path.stem.startswith(wanted))

    def _look(self, path: Path, *, own: bool) -> tuple[tuple[int, ...], HeldComparison | str]:
        changed = stamp(path)
        if path in self._known and self._known[path][0] == changed:
            return self._known[path]
        try:
            return changed, self._held(path, load_comparison(path), own=own)
        except MonosemError as error:
            return changed, printable(error.what)

    def _held(self, path: Path, comparison: Comparison, *, own: bool) -> HeldComparison | str:
        """Return a comparison if this very index is one of its sides, else why not; empty if it is of other runs."""
        mine = 0 if own else 1
        told, other = comparison.summary.sides[mine], comparison.summary.sides[1 - mine]
        digest = _digest_at(self._run.path, comparison.summary.text)
        if told.features == self._run.store.d_sae and (not told.digest or not digest or told.digest == digest):
            return HeldComparison(path, comparison, mine)
        if not own and told.name != _compared_name(self._run.path):
            return ""
        return f"the comparison with {printable(other.name)} is of an earlier index of {self._run.name}: compare again"


def _index_at(place: Path, text: str) -> Path:
    """Return the index of a run folder, or of an index file, on a text; on the run's own for an empty name.

    Raises:
        MonosemError: the name is none of a folder, or the folder is a link.
    """
    if not text:
        return place if place.is_file() else RunFolder(place).features
    if not _is_plain(text):
        raise MonosemError(f"{printable(text)} is not the name of a text")
    return RunFolder(place).on_text(text).features


def _digest_at(place: Path, text: str) -> str:
    """Return the seal of an index; empty for an index in segments, and where the file has vanished."""
    try:
        path = _index_at(place, text)
        return read_seal(path).sha256 if path.is_file() else ""
    except MonosemError:
        return ""


def _is_plain(name: str) -> bool:
    """Return whether a name is that of one file or folder, and leads nowhere else."""
    return bool(name) and "\0" not in name and name not in (".", "..") and Path(name).name == name


def _compared_name(path: Path) -> str:
    """Return the name that comparisons have for a run: `demo`, `demo:random`."""
    if path.parent.name == BASELINE_FOLDER and path.name in BASELINES:
        return f"{path.parents[1].name}:{path.name}"
    return path.name if path.is_dir() else path.stem


def _entries(folder: Path) -> Iterable[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return ()


def _inside(folder: Path) -> list[Path]:
    """Return the comparisons in a folder; none if it is a link."""
    return [] if folder.is_symlink() else [path for path in _entries(folder) if path.suffix == ".h5"]


def open_other(held: HeldComparison, roots: Sequence[Path]) -> OpenRun:
    """Open the other run of a comparison, found by its name, or by the seal of its index under another name.

    Raises:
        MonosemError: it has vanished, is being indexed, or is not the one that was compared; in one sentence.
    """
    told = held.told(theirs=True)
    if FeatureSource.parse(told.name).baseline == "neurons":
        raise MonosemError(f"{held.name} have no text of their own: figures are all there is")
    named = [place for place in _named(held, roots) if place.exists()]
    for place in named:
        if not told.digest or _digest_at(place, held.text) == told.digest:
            return _opened(place, held)
    for place in (entry for root in roots for entry in _entries(root)):
        if told.digest and _digest_at(place, held.text) == told.digest:
            return _opened(place, held)
    if not named:
        raise MonosemError(f"{held.name} is not in {printable(str(roots[0]))} any more")
    if not _digest_at(named[0], held.text):
        raise MonosemError(f"{held.name} is being indexed, or has no index any more")
    raise MonosemError(f"{held.name} was indexed anew since: its features are not those compared; compare again")


def _opened(place: Path, held: HeldComparison) -> OpenRun:
    run = open_run(place, _index_at(place, held.text) if held.text else None)
    if run.store.d_sae != held.told(theirs=True).features:
        run.store.close()
        raise MonosemError(f"{run.name} has other features than those compared; compare again")
    return run


def _named(held: HeldComparison, roots: Sequence[Path]) -> Iterator[Path]:
    """Yield where the other run should be: where its comparison lies, or under the name that the comparison says."""
    if held.mine == 1:
        folder = held.path.parent
        is_file = folder.name.endswith(f".{FOLDER}")
        yield folder.with_name(folder.name.removesuffix(FOLDER) + "h5") if is_file else folder.parent
        return
    source = FeatureSource.parse(held.told(theirs=True).name)
    if not _is_plain(source.run):
        return
    for root in roots:
        if source.baseline is None:
            yield from (root / source.run, root / f"{source.run}.h5")
        else:
            yield baseline_folder(RunFolder(root / source.run), source.baseline)


class ComparedRuns:
    """The runs of comparisons, opened when first needed. `of` and `store` may be slow: call them in a thread."""

    def __init__(self, run: OpenRun, roots: Sequence[Path]) -> None:
        """Prepare to open.

        Args:
            run: the open run.
            roots: folders in which other runs are looked for.
        """
        self._run, self._roots = run, roots
        self._opened: dict[tuple[Path, str], OpenRun] = {}
        self._stores: dict[str, FeatureStore] = {}

    def store(self, held: HeldComparison) -> FeatureStore:
        """Return the open run's index on the text of a comparison.

        Raises:
            MonosemError: it cannot be read.
        """
        if not held.text:
            return self._run.store
        if held.text not in self._stores:
            self._stores[held.text] = FeatureStore.open(_index_at(self._run.path, held.text))
        return self._stores[held.text]

    def of(self, held: HeldComparison) -> OpenRun:
        """Return the other run.

        Raises:
            MonosemError: as `open_other` does.
        """
        kept = self.known(held)
        if kept is None:
            kept = self._opened[_identity(held)] = open_other(held, self._roots)
        return kept

    def known(self, held: HeldComparison) -> OpenRun | None:
        """Return the other run if it is open already."""
        return self._opened.get(_identity(held))

    def close(self) -> None:
        """Close them all."""
        for store in (*self._stores.values(), *(run.store for run in self._opened.values())):
            store.close()
        self._stores.clear()
        self._opened.clear()


def _identity(held: HeldComparison) -> tuple[Path, str]:
    return held.path, held.told(theirs=True).digest
