"""Open the corpus that a `data` setting names."""

from __future__ import annotations

import dataclasses
import glob
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from engine.corpus import hub_dataset as hub
from engine.corpus import jsonl, parquet, text
from engine.corpus.conversations import Content
from engine.corpus.documents import Corpus, Document, is_address, numbered
from engine.corpus.files import check_readable, digest_of, is_folder, reading
from engine.corpus.planted.generator import PlantedCorpus, is_planted
from engine.corpus.remote_files import (
    RemoteFile,
    TextFile,
    digest_of_remote,
    matching_files,
    path_and_query,
    recognised_by,
)
from engine.corpus.stdlib import StandardLibrary
from engine.runtime.progress import Progress, Silent
from store.files.errors import MonosemError


class Format(NamedTuple):
    """A kind of file and its reader."""

    texts: Callable[[TextFile, str], Iterator[Content]]
    """Yields the contents of the named field of a file."""
    note: Callable[[TextFile, str], str]
    """Describes how a file is read; appended to its name."""
    fields: bool
    """Whether texts are in named fields."""


FORMATS = {
    ".txt": Format(text.texts, text.note, fields=False),
    ".jsonl": Format(jsonl.texts, jsonl.note, fields=True),
    ".jsonl.zst": Format(jsonl.packed_texts, jsonl.note, fields=True),
    ".jsonl.gz": Format(jsonl.gzipped_texts, jsonl.note, fields=True),
    ".json.gz": Format(jsonl.gzipped_texts, jsonl.note, fields=True),
    ".parquet": Format(parquet.texts, parquet.note, fields=True),
}
"""Formats by file suffix. To add one, write a module with these two functions and add a line here."""

DEFAULT_FIELD = "text"

_FIELD = re.compile(rf"(?P<path>.+?(?:{'|'.join(map(re.escape, FORMATS))})):(?P<field>.+)", re.IGNORECASE | re.DOTALL)
_MAGIC = re.compile(r"[*?\[]")
_KINDS = f"stdlib, planted, a file or glob of {', '.join(FORMATS)} (with :FIELD), its address, or {hub.SHAPE}"


@dataclass(frozen=True)
class Files:
    """Text files, on a disk or at an address, read one after another."""

    spec: str
    paths: tuple[TextFile, ...]
    field: str = DEFAULT_FIELD
    progress: Progress = dataclasses.field(default_factory=Silent, compare=False)
    """Receives reports of reading the files for their digest."""

    def documents(self) -> Iterator[Document]:
        """Yield the documents of all files."""
        return numbered((text for path in self.paths for text in _format(path).texts(path, self.field)), self.spec)

    def describe(self) -> str:
        """Describe the files and how documents are separated in them; of remote ones, also what they are known by."""
        return f"{self._separation()}; {recognised_by(self._remote)}" if self._remote else self._separation()

    @property
    def _remote(self) -> list[RemoteFile]:
        return [path for path in self.paths if isinstance(path, RemoteFile)]

    def _separation(self) -> str:
        if len(self.paths) == 1:
            path = self.paths[0]
            return path.name + _format(path).note(path, self.field)
        kinds = Counter(_suffix(path) for path in self.paths)
        counts = ", ".join(f"{count} file{'s' * (count > 1)} of {kind}" for kind, count in kinds.items())
        field = f", field {self.field}" if any(FORMATS[kind].fields for kind in kinds) else ""
        separated = f"; text files: documents separated by {text.END_OF_TEXT}, or by blank lines in files without it"
        return counts + field + (separated if ".txt" in kinds else "")

    def digest(self) -> str:
        """Return SHA-256 over the files' bytes, as `cat FILES | sha256sum` prints it.

        Remote ones are not read for it: it then is over their addresses, sizes and marks of their versions.
        """
        if self._remote:
            return digest_of_remote(self._remote)
        return digest_of([path for path in self.paths if isinstance(path, Path)], self.progress)


def open_corpus(spec: str, progress: Progress | None = None) -> Corpus:
    """Open the corpus that `spec` names.

    `stdlib`, `planted[:DOCUMENTS]`, a file or glob, on a disk or at an address, with an optional `:FIELD`, or
    `hf:NAME[:CONFIG][@SPLIT]`.

    Errors: MonosemError if it does not exist, cannot be read, or is of an unknown kind.
    """
    if spec == "stdlib":
        return StandardLibrary()
    if is_planted(spec):
        return PlantedCorpus.parse(spec)
    if spec.startswith(hub.PREFIX) and not is_address(spec):
        return hub.HubDataset.parse(spec)
    paths, field = (_at_address if is_address(spec) else _on_disk)(spec)
    for path in paths:
        if field and not _format(path).fields:
            raise MonosemError(f"{path} is plain text and has no field {field!r}", f"Leave the :{field} out.")
    for path in paths[:1] if is_address(spec) else paths:
        check_readable(path)  # An unreadable file is reported now, not after hours; a request for each is too many.
    return Files(spec, tuple(paths), field or DEFAULT_FIELD, progress or Silent())


def _on_disk(spec: str) -> tuple[Sequence[TextFile], str | None]:
    """Return the files that a path or glob names, and the field."""
    paths, field = _matching(spec), None
    named = _FIELD.fullmatch(spec)
    if not paths and named:
        paths, field = _matching(named["path"]), named["field"]
    if not paths:
        raise _nothing(named["path"] if named else spec)
    return paths, field


def _at_address(spec: str) -> tuple[Sequence[TextFile], str | None]:
    """Return the files at an address, and the field, which comes before a web address's query."""
    path, query = path_and_query(spec)
    named = _FIELD.fullmatch(path)
    address, field = (named["path"], named["field"]) if named else (path, None)
    files = matching_files(address + query)
    if not files:
        raise _nothing(address + query)
    for one in files:
        _format(one)
    return files, field


def _matching(pattern: str) -> list[Path]:
    """Return the file of that name, or the files a glob matches, sorted, without hidden files as in a shell."""
    path = Path(pattern).expanduser() if pattern.startswith("~/") else Path(pattern)
    with reading(path):
        if path.is_dir():
            raise is_folder(path)
        if path.exists():
            found = [path]
        else:
            names = glob.glob(str(path), recursive=True)  # noqa: PTH207 - Path.glob takes hidden files too
            found = sorted((Path(name) for name in names if not Path(name).is_dir()), key=Path.as_posix)
    for one in found:
        _format(one)
    return found


def _nothing(spec: str) -> MonosemError:
    if _MAGIC.search(spec):
        return MonosemError(f"no file matches {spec}", "Put a glob in quotes; ** descends into folders.")
    return MonosemError(f"no such file: {spec}", f"`data` may be {_KINDS}.")


def _suffix(path: TextFile) -> str:
    name = path.name.lower()
    known = [suffix for suffix in FORMATS if name.endswith(suffix)]
    if not known:
        raise MonosemError(f"cannot tell how to read {path}", f"Its name must end in one of {', '.join(FORMATS)}.")
    return known[0]


def _format(path: TextFile) -> Format:
    return FORMATS[_suffix(path)]
