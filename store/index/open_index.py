"""Open the files of a feature index, features.h5 or the segments written so far, and notice new segments."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from store.files.errors import MonosemError
from store.files.hdf5_arrays import reading
from store.index.corpus_layout import CorpusLayout
from store.index.growth import same_file, settled
from store.index.index_file import IndexFile, check_consecutive, open_segment
from store.index.index_part import ColumnTotals, IndexPart
from store.index.segment import IndexPlan, common_path, complete_segments, segment_path
from store.run.folder import RunFolder
from store.run.spec import SaeSpec


class OpenIndex:
    """The open files of an index. Use it as a context manager, or close it."""

    def __init__(self, path: Path, common: IndexFile, parts: list[IndexPart], run: RunFolder | None = None) -> None:
        self.path = path
        self._run = run
        self._common = common
        self._files = [common.file, *(part.file.file for part in parts if part.file is not common)]
        with reading(path):
            self.plan, self.spec = described(common)
            check_consecutive([(part.first_token, part.n_tokens) for part in parts])
        self._parts = parts
        self.layout = CorpusLayout(path, parts)
        """Contexts and documents, and which tokens count."""
        self._before: ColumnTotals | None = None

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a run folder or a features.h5; a link that is named itself is followed (see `store.files.regular_file`).

        Raises:
            MonosemError: there is nothing to browse yet, or a file is damaged, truncated or of a newer schema.
        """
        if path.is_file():
            return cls(path, file := IndexFile.open(path.resolve(), "features"), [_part(file)])
        return settled(path, lambda: cls._open_run(RunFolder(path)))

    @classmethod
    def _open_run(cls, run: RunFolder) -> Self:
        if run.features.is_file():
            return cls._open_merged(run)
        run.check_links()
        found = complete_segments(run.index)
        if not found:
            raise MonosemError(f"{run.path} has no feature index yet", f"Make it with: monosem index {run.path}")
        common = IndexFile.open(common_path(run.index), "common")
        return cls(run.index, common, _segments(run, range(found), common), run)

    @classmethod
    def _open_merged(cls, run: RunFolder) -> Self:
        file = IndexFile.open(run.features, "features")
        return cls(run.features, file, [_part(file)], run)

    @property
    def merged(self) -> bool:
        """Whether this is a features.h5, which never grows."""
        return self._common is self._parts[0].file

    def grown(self) -> Self | None:
        """Return a newer store if the run's index has grown, else None. This store stays valid.

        The newer store shares the segments that are open already and opens only new ones: close the last store, or
        none and let them be collected. `store.index.growth.Watch` notices when to call this.

        Raises:
            MonosemError: a new file cannot be opened.
        """
        if self._run is None or self.merged:
            return None
        run = self._run
        return settled(run.path, lambda: self._grown(run))

    def _grown(self, run: RunFolder) -> Self | None:
        if run.features.is_file():
            return self._open_merged(run)
        found = complete_segments(run.index)
        if not found or not same_file(self._common.file, common_path(run.index)):
            return self._open_run(run) if found else None
        known = len(self._parts)
        if found <= known:
            return None
        parts = _segments(run, range(known, found), self._common)
        newer = type(self)(run.index, self._common, [*self._parts, *parts], run)
        newer._before = self.__dict__.get("totals")
        if "vocabulary" in self.__dict__:
            newer.__dict__["vocabulary"] = self.__dict__["vocabulary"]
        return newer

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()

    @property
    def parts(self) -> tuple[IndexPart, ...]:
        """The files of the index, in the order of their tokens; read them inside `reading()`."""
        return tuple(self._parts)

    def reading(self) -> AbstractContextManager[None]:
        """Return a context that turns HDF5's errors into a `MonosemError` that names the file."""
        return reading(self.path)

    def check_lengths(self) -> None:
        """Check that no file was cut or overwritten while open: HDF5 reads zeros after the end of a file.

        Raises:
            MonosemError: a file's length has changed since it was opened.
        """
        for file in self._files:
            if os.fstat(file.id.get_vfd_handle()).st_size != file.id.get_filesize():
                raise MonosemError(f"{file.filename} has changed while it was open", "Open the run again.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def described(common: IndexFile) -> tuple[IndexPlan, SaeSpec]:
    """Return the plan of an index and the description of its autoencoder; ValueError and others where there is none."""
    spec = SaeSpec.from_json(common.file["sae"].attrs["spec"])
    spec.check_lengths(common.lengths)
    return IndexPlan.from_json(common.file.attrs["plan"]), spec


def _part(file: IndexFile) -> IndexPart:
    with reading(Path(file.file.filename)):
        return IndexPart(file)


def _segments(run: RunFolder, numbers: range, common: IndexFile) -> list[IndexPart]:
    return [_part(open_segment(segment_path(run.index, number), common)) for number in numbers]
