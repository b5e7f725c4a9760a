"""Find a language model's files: a folder, a run's own model, a short name, or a Hugging Face hub repository.

The result is a local folder, checked before any weights are read: safetensors only, complete, not truncated. Pickled
weights are neither fetched nor opened.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open

from engine.runtime.hub import HubFiles, one_line
from engine.runtime.progress import Progress
from store.files.errors import MonosemError
from store.files.regular_file import open_regular, read_whole
from store.files.typed_json import decode, parse
from store.run.folder import RunFolder

SHORT_NAMES = {
    "gpt2": "openai-community/gpt2",
    "llama": "meta-llama/Llama-3.2-3B",
    "gemma": "google/gemma-2-2b",
}
"""Short names of hub repositories."""

_NAMES = f"a model folder, a hub id like owner/name, or {', '.join(SHORT_NAMES)}"
GGUF = ".gguf"
WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")
_SMALL = ("*.json", "*.model", "*.txt", "*.jinja")
_WANTED = (WEIGHTS, "model-*-of-*.safetensors", *_SMALL)
_UNWANTED = ("*/*",)  # folders of a repository hold the same model in other formats
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


class TensorShape(NamedTuple):
    """A tensor in a file."""

    size: int
    """Parameters."""
    dtype: str
    """As the file names it: `F32`, `BF16`, …"""


@dataclass(frozen=True)
class ModelFiles:
    """A model on this disk."""

    folder: Path
    weights: tuple[Path, ...]
    """Its safetensors files, sorted by name."""
    has_tokenizer: bool
    revision: str
    """Commit of the hub repository; empty for a folder."""

    @property
    def source(self) -> dict[str, str]:
        """Arguments by which transformers reads a GGUF file; empty for a folder of safetensors."""
        return {"gguf_file": self.weights[0].name} if self.weights and self.weights[0].suffix == GGUF else {}

    @property
    def tokenizer_files(self) -> list[Path]:
        """The files that describe its tokenizer, in order of name; none of a GGUF file, which has it in its header."""
        names = () if self.source else ("*token*.json", *_TOKENIZER_FILES)
        return sorted({path for name in names for path in self.folder.glob(name) if path.is_file()})

    @cached_property
    def tensors(self) -> dict[str, TensorShape]:
        """Every tensor in the weight files by name, from their headers."""
        if self.source:
            from engine.model.gguf_file import gguf_sizes

            return {name: TensorShape(size, "BF16") for name, size in gguf_sizes(self.weights[0]).items()}
        found = {}
        for path in self.weights:
            with safe_open(path, framework="np") as file:
                for name in file.keys():  # noqa: SIM118
                    part = file.get_slice(name)
                    found[name] = TensorShape(prod(part.get_shape()), part.get_dtype())
        return found

    @cached_property
    def dtype(self) -> str:
        """The dtype of most parameters: `F32`, `BF16`, `F16`, …"""
        sizes = Counter[str]()
        for tensor in self.tensors.values():
            sizes[tensor.dtype] += tensor.size
        return max(sizes, key=lambda name: sizes[name], default="F32")

    @property
    def n_bytes(self) -> int:
        """Bytes of all weight files."""
        return sum(path.stat().st_size for path in self.weights)


@dataclass(frozen=True)
class _WeightsIndex:
    weight_map: dict[str, str]


def find_model(name: str, progress: Progress, *, needs_weights: bool = True) -> ModelFiles:
    """Find the model called `name`, fetching it from the hub if it is not on this disk.

    Without `needs_weights`, weights are neither fetched nor asked for; those that are there are found.

    A folder with a config.json takes precedence, then a run's own model, the short names, the hub.

    Raises:
        MonosemError: there is no such model, it cannot be fetched, or its files are unusable.
    """
    found = local_model(name, needs_weights=needs_weights)
    if found is None:
        fetched = _hub(name, needs_weights=needs_weights).fetch(progress)
        found = _inspect(fetched, revision=fetched.name, needs_weights=needs_weights)
    return found


def local_model(name: str, *, needs_weights: bool = True) -> ModelFiles | None:
    """Return the files of a model on this disk, its cache of the hub included; None if it would have to be fetched.

    Raises:
        MonosemError: there can be no such model, or its files are unusable.
    """
    folder = _local_folder(name)
    if folder is not None and (path := _gguf_in(folder)) is not None:
        return ModelFiles(path.parent, (path,), has_tokenizer=True, revision="")
    if folder is not None:
        return _inspect(folder, revision="", needs_weights=needs_weights)
    cached = _hub(name, needs_weights=needs_weights).cached()
    if cached is None or not _is_complete(cached):
        return None
    return _inspect(cached, revision=cached.name, needs_weights=needs_weights)


def _hub(name: str, *, needs_weights: bool) -> HubFiles:
    return HubFiles(
        SHORT_NAMES.get(name, name),
        _WANTED if needs_weights else _SMALL,
        _UNWANTED,
        tried=f"there is no folder {name}",
        names=f"Use {_NAMES}.",
        use="use FOLDER as the model",
    )


def _local_folder(name: str) -> Path | None:
    if not name.strip():
        raise MonosemError("the model's name is empty", f"Use {_NAMES}.")
    path = Path(name).expanduser()
    if (path / "config.json").is_file() or _gguf_in(path) is not None:
        return _without_links(path)
    run = RunFolder(path)
    if (run.model / "config.json").is_file():
        return _without_links(run.model)
    if name in SHORT_NAMES:
        return None
    if run.exists():
        model = run.record().spec.model
        raise MonosemError(
            f"the run {name} holds no language model of its own",
            f"Its features are those of {model}: use `model={model}`." if model else "Name its original model.",
        )
    if path.is_dir():
        raise MonosemError(f"{name} is not a model folder: it has no config.json")
    if path.exists():
        raise MonosemError(
            f"{name} is a file", "Give the folder that holds config.json and model.safetensors, or a .gguf file."
        )
    return None


def _without_links(path: Path) -> Path:
    """Return the place of a model; refuse links out of it if it is in a run, which may come from a stranger.

    Other folders may hold links, as the hub's cache does.
    """
    folder = path if path.is_dir() else path.parent
    if any(RunFolder(place).exists() for place in (folder, folder.parent)):
        for file in folder.iterdir():
            if file.is_symlink():
                os.close(open_regular(file))
    return path


def _gguf_in(path: Path) -> Path | None:
    """Return a GGUF file: `path` itself, or the only one in a folder without config.json.

    Raises:
        MonosemError: it is not one, or one part of several.
    """
    if path.is_dir() and not (path / "config.json").is_file():
        found = sorted(path.glob(f"*{GGUF}"))
        if len(found) > 1:
            raise MonosemError(f"{path} holds {len(found)} {GGUF} files", f"Name one: {found[0]}.")
        path = found[0] if found else path
    if path.suffix != GGUF or not path.is_file():
        return None
    if re.search(r"-\d+-of-\d+$", path.stem):
        raise MonosemError(f"{path} is one part of a model", "Join its parts with llama-gguf-split --merge.")
    with path.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise MonosemError(f"{path} is not a GGUF file", "Fetch or copy it again.")
    return path


def _is_complete(folder: Path) -> bool:
    """Return whether a model in the hub cache is usable as it is."""
    try:
        return _inspect(folder, revision="").has_tokenizer
    except MonosemError:
        return False


def _inspect(folder: Path, revision: str, *, needs_weights: bool = True) -> ModelFiles:
    """Check the files of a model folder.

    Raises:
        MonosemError: config.json, the weights or a part of them is missing, or a file is damaged.
    """
    if not (folder / "config.json").is_file():
        raise MonosemError(f"{folder} is not a model folder: it has no config.json")
    try:
        weights = _weight_files(folder)
    except MonosemError:
        if needs_weights:
            raise
        weights = ()
    for path in weights:
        _check_safetensors(path)
    has_tokenizer = any((folder / name).is_file() for name in _TOKENIZER_FILES)
    return ModelFiles(folder, weights, has_tokenizer, revision)


def _weight_files(folder: Path) -> tuple[Path, ...]:
    if (folder / WEIGHTS).is_file():
        return (folder / WEIGHTS,)
    if (folder / WEIGHTS_INDEX).is_file():
        return _shards(folder)
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise MonosemError(
            f"{folder} has only pickled weights ({pickles[0]}); monosem reads safetensors only",
            "A pickle can run any code. If you trust it, convert it: save_pretrained(folder) writes safetensors.",
        )
    raise MonosemError(f"{folder} holds no weights: it has no {WEIGHTS}", "monosem reads safetensors only.")


def _shards(folder: Path) -> tuple[Path, ...]:
    index = folder / WEIGHTS_INDEX
    try:
        names = set(decode(_WeightsIndex, parse(read_whole(index, follow=True))).weight_map.values())
        paths = tuple(folder / _plain(name) for name in sorted(names))
    except ValueError as error:
        raise MonosemError(f"{index} is damaged: {error}", "Fetch the model again.") from None
    missing = [path.name for path in paths if not path.is_file()]
    if missing or not paths:
        raise MonosemError(
            f"{folder} lacks {len(missing)} of its {len(paths)} weight files" + "".join(f", {m}" for m in missing[:1]),
            "Fetch the model again, or copy the whole folder.",
        )
    return paths


def _plain(name: str) -> str:
    """Return the name of a file in the model's folder; ValueError for one that leads out of it."""
    if name in ("", ".", "..") or Path(name).name != name:
        raise ValueError(f"{name} is outside of the folder")
    return name


def _check_safetensors(path: Path) -> None:
    try:
        with safe_open(path, framework="np"):
            pass
    except SafetensorError as error:
        raise MonosemError(
            f"{path} is damaged or truncated ({one_line(error)})", "Delete it, then fetch or copy it again."
        ) from None
    except OSError as error:
        raise MonosemError(f"cannot read {path}: {error.strerror or one_line(error)}") from error
