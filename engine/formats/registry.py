"""All formats, and the format of a file or folder. To add a format, write a module and add an entry here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from engine.formats.circuit_tracer import CircuitTracer
from engine.formats.dictionary_learning import DictionaryLearning
from engine.formats.foreign_sae import Foreign, Importer
from engine.formats.gemma_scope import GemmaScope
from engine.formats.gemma_scope_2 import GemmaScope2
from engine.formats.llama_scope import LlamaScope
from engine.formats.named_tensors import Given, read_named, unknown
from engine.formats.open_sae import OpenSae
from engine.formats.openai import OpenAi
from engine.formats.plain_linear import PlainLinear
from engine.formats.qwen_scope import QwenScope
from engine.formats.refusals import Refused
from engine.formats.saelens import SaeLens
from engine.formats.sparsify import Sparsify
from engine.formats.untrusted_files import read_object
from store.files.errors import MonosemError

IMPORTERS: tuple[Importer, ...] = (
    SaeLens(),
    Sparsify(),
    LlamaScope(),
    OpenSae(),
    PlainLinear(),
    DictionaryLearning(),
    GemmaScope(),
    GemmaScope2(),
    QwenScope(),
    CircuitTracer(),
    OpenAi(),
    Refused(),
)
CONFIGS = ("cfg.json", "config.json", "hyperparams.json")
"""Configuration files next to weights."""
DEPTH = 5
"""Levels of folders to search."""
_DIGITS = re.compile(r"(\d+)")
MOST = 20_000
"""Files and folders to look at."""


def importer_of(path: Path) -> Importer | None:
    """Return the format of a file or folder; None if it has none."""
    return next((one for one in IMPORTERS if one.recognise(path)), None)


def found_under(path: Path) -> list[Path]:
    """Return the autoencoders in a folder, itself included, in order of name."""
    if importer_of(path) is not None:
        return [path]
    if not path.is_dir():
        return []
    found: list[Path] = []
    try:
        for number, (inner, is_known) in enumerate(_inside(path, DEPTH)):
            if number == MOST:
                raise MonosemError(f"{path} holds more than {MOST} files", "Name the folder of the autoencoder itself.")
            found += [inner] if is_known else []
    except OSError as error:
        raise MonosemError(f"cannot read {error.filename}: {error.strerror}") from error
    return found


def _by_number(path: Path) -> list[str | int]:
    """Return a key that sorts layer_2 before layer_10."""
    return [int(part) if number % 2 else part for number, part in enumerate(_DIGITS.split(path.name))]


def _inside(folder: Path, depth: int) -> Iterator[tuple[Path, bool]]:
    """Yield what is visible in a folder, and whether it is an autoencoder; linked folders are not entered."""
    for inner in sorted(folder.iterdir(), key=_by_number):
        if not inner.name.startswith("."):
            is_known = importer_of(inner) is not None
            yield inner, is_known
            if not is_known and depth > 1 and inner.is_dir() and not inner.is_symlink():
                yield from _inside(inner, depth - 1)


def read(path: Path, given: Given | None = None) -> Foreign:
    """Read an autoencoder of any format, or by the names that the user gives its tensors.

    Raises:
        MonosemError: there is none, its format is unknown, or it cannot be used.
    """
    if not path.exists():
        raise MonosemError(f"there is no {path}", "Give a file, a folder, or hf:OWNER/NAME/PATH for one on the hub.")
    if given is not None:
        return read_named(path, given)
    importer = importer_of(path)
    if importer is None:
        for name in CONFIGS:
            if (path / name).is_file():
                read_object(path / name)  # a damaged configuration is the better error
        raise unknown(path)
    return importer.read(path)
