"""A corpus that every machine has: the standard library of the running Python, sources and language reference."""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import re
import sysconfig
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from engine.corpus.documents import Document, numbered
from store.files.errors import MonosemError

LEAST = 1_000_000
"""Fewest bytes of source accepted as a standard library."""

TOPICS = "pydoc_data/topics.py"
"""The language reference of pydoc: a dict of reST texts, each a document here."""

# Tests are long, repetitive, and missing from many installations. The other folders hold installed packages, caches,
# compiled modules and build settings, which differ between machines.
_LEFT_OUT_FOLDERS = {
    "test",
    "tests",
    "idle_test",
    "site-packages",
    "dist-packages",
    "__pycache__",
    "lib-dynload",
    "_bundled",
}
_LEFT_OUT_NAMES = re.compile(r"(_sysconfigdata.*|sitecustomize|usercustomize)\.py")

# Tables of code points, aliases and entities: neither code nor English. With the character maps of encodings/
# (_CHARACTER_MAP) they make up a tenth of all source.
_TABLES = {"html/entities.py", "stringprep.py", "encodings/aliases.py"}
_CHARACTER_MAP = re.compile(rb"^(de|en)coding_(table|map) ?=", re.MULTILINE)


@dataclass(frozen=True)
class StandardLibrary:
    """Source files in order of path, then topics in order of name; each is a document (long ones several).

    Modules missing from the installation (Debian splits the library into packages) are missing here too.
    """

    root: Path = field(default_factory=lambda: Path(sysconfig.get_path("stdlib")))
    spec: str = "stdlib"

    def documents(self) -> Iterator[Document]:
        """Yield all documents."""
        return numbered(self._texts(), self.spec)

    def describe(self) -> str:
        """Describe the Python version and the numbers of files and topics."""
        return (
            f"the standard library of Python {platform.python_version()}: {len(self._sources)} source files and "
            f"{len(self._topics)} topics of the language reference"
        )

    def digest(self) -> str:
        """Return SHA-256 over the documents' texts, each followed by a zero byte."""
        total = hashlib.sha256()
        for document in self.documents():
            total.update(document.text.encode() + b"\0")
        return total.hexdigest()

    @cached_property
    def _sources(self) -> list[Path]:
        found = [path for path in self._walk() if self._belongs(path)]
        size = sum(path.stat().st_size for path in found)
        if size < LEAST:
            raise MonosemError(
                f"only {size:,} bytes of Python source under {self.root}; the standard library has several million",
                "This Python keeps its library in an archive, or without sources: use a text file as `data`.",
            )
        return sorted(found, key=lambda path: path.relative_to(self.root).as_posix())

    @cached_property
    def _topics(self) -> dict[str, str]:
        try:
            with tokenize.open(self.root / TOPICS) as file:
                tree = ast.parse(file.read())
            return dict(ast.literal_eval(next(node.value for node in tree.body if isinstance(node, ast.Assign))))
        except (OSError, SyntaxError, ValueError, StopIteration):
            return {}

    def _walk(self) -> Iterator[Path]:
        for folder, inside, names in os.walk(self.root):
            inside[:] = [name for name in inside if name not in _LEFT_OUT_FOLDERS and not name.startswith("config-")]
            yield from (Path(folder, name) for name in names if name.endswith(".py"))

    def _belongs(self, path: Path) -> bool:
        place = path.relative_to(self.root)
        if _LEFT_OUT_NAMES.fullmatch(place.name) or place.as_posix() in _TABLES or place.as_posix() == TOPICS:
            return False
        return place.parts[0] != "encodings" or not _CHARACTER_MAP.search(path.read_bytes())

    def _texts(self) -> Iterator[str]:
        for path in self._sources:
            try:
                with tokenize.open(path) as file:
                    source = file.read()
            except (OSError, SyntaxError, UnicodeDecodeError):
                continue  # Python itself could not read it
            yield source
        yield from (self._topics[name] for name in sorted(self._topics))
