"""Explanations exported by Neuronpedia: JSON Lines, plain or gzipped, an explanation each.

Known fields are `modelId`, `layer`, `index` (a number, often as text), `description`, `typeName` and
`explanationModelName`; others, embeddings among them, are passed over. Lines with a bare NaN, which is no JSON, are
read all the same. Shapes and formats: Neuronpedia's exports of 2025 and 2026.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store.files.errors import MonosemError
from store.files.regular_file import read_stream
from store.files.typed_json import JsonError, decode, parse
from store.notes.explanations import LONGEST_AUTHOR, RULES, Explanation
from store.notes.statements import LONGEST, MOST_FEATURES, valid_text

LONGEST_LINE = 1 << 22
"""Bytes of a line: an embedding of some thousand numbers has a tenth of it."""
ENDINGS = (".jsonl", ".jsonl.gz")


@dataclass(frozen=True)
class _Row:
    index: Any
    description: str | None = None
    modelId: str | None = None
    layer: Any = None
    typeName: str | None = None
    explanationModelName: str | None = None


def is_export(path: Path) -> bool:
    """Return whether a file is one of these by its name."""
    return path.name.lower().endswith(ENDINGS)


def read_export(path: Path) -> list[Explanation]:
    """Return the explanations of a file, the last of each author about a feature; those without words are left out.

    Raises:
        MonosemError: it cannot be read, a line is damaged, or it is about several places of models; which, and where.
    """
    found: dict[tuple[int, str], Explanation] = {}
    source: tuple[str, str] | None = None
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        row = _row(line, where)
        here = row.modelId or "", str(row.layer or "")
        if source is not None and here != source:
            raise MonosemError(
                f"{where} is about {_short(*here)}, and those before about {_short(*source)}",
                "Import the explanations of one place in one model.",
            )
        source = here
        if text := valid_text(row.description or "").strip()[:LONGEST]:
            one = _explanation(_index(row.index, where), text, row, source)
            found[one.feature, one.author] = one
    if not found:
        raise MonosemError(f"{path} has no explanations", "It is JSON Lines with index, description, typeName, ….")
    return list(found.values())


def _explanation(feature: int, text: str, row: _Row, source: tuple[str, str]) -> Explanation:
    author = _line(row.explanationModelName or row.typeName or "")[:LONGEST_AUTHOR] or "Neuronpedia"
    made_from = " ".join(filter(None, ("Neuronpedia", *source, row.typeName)))
    return Explanation(
        feature=feature,
        author=author if author != RULES else f"{RULES} (Neuronpedia)",
        text=text,
        made_from=_line(made_from)[:LONGEST_AUTHOR],
    )


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with read_stream(path, follow=True) as file:
            # Only one line is held at a time, however much a small file unpacks to.
            stream = gzip.GzipFile(fileobj=file) if path.name.lower().endswith(".gz") else file
            while line := stream.readline(LONGEST_LINE + 1):
                if len(line) > LONGEST_LINE:
                    raise MonosemError(f"{path} has a line of more than {LONGEST_LINE >> 20} MiB")
                yield line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise MonosemError(f"{path}: not gzip data, or damaged", f"Check it: gzip --test {path.name}") from error
    except OSError as error:
        raise MonosemError(f"cannot read {path}: {error.strerror}") from error


def _row(line: bytes, where: str) -> _Row:
    try:
        return decode(_Row, parse(line), finite=False)
    except JsonError as error:
        raise MonosemError(
            f"{where}: {error}", "Neuronpedia's exports have index, description, typeName, …."
        ) from error


def _index(value: Any, where: str) -> int:
    text = str(value)
    number = int(text) if type(value) in (int, str) and text.isascii() and text.isdigit() and len(text) < 12 else -1
    if not 0 <= number < MOST_FEATURES:
        raise MonosemError(f"{where}: no feature has the number {text[:40]!r}")
    return number


def _line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in valid_text(text)).split())


def _short(model: str, layer: str) -> str:
    return _line(f"{model} {layer}")[:60] or "nothing that it names"
