"""Finding a language model's files: a folder, a run's own model, a short name, or a repository of the Hugging Face hub.

Everything ends in a local folder, checked before a byte of weights is read: safetensors only, complete, not truncated.
Pickled weights are never fetched nor opened.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import NoReturn

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from safetensors import SafetensorError, safe_open

from engine.runtime.progress import Progress
from store.files.errors import MonosemError
from store.run.folder import RunFolder

SHORT_NAMES = {
    "gpt2": "openai-community/gpt2",
    "llama": "meta-llama/Llama-3.2-3B",
    "gemma": "google/gemma-2-2b",
}
"""Names that stand for a hub repository."""

_NAMES = f"a model folder, a hub id like owner/name, or {', '.join(SHORT_NAMES)}"
WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")
_WANTED = [WEIGHTS, "model-*-of-*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"]
_UNWANTED = ["*/*"]  # folders of a repository hold the same model once more in other formats
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


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
    def parameters(self) -> int:
        """Numbers in all weight files; nothing but their headers is read."""
        total = 0
        for path in self.weights:
            with safe_open(path, framework="pt") as file:
                total += sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
        return total


def find_model(name: str, progress: Progress) -> ModelFiles:
    """Locate the model called `name`, fetching it from the hub where it is not on this disk yet.

    A folder with a config.json comes first, then a run's own model, then the short names, then the hub.

    Raises:
        MonosemError: there is no such model, it cannot be fetched, or its files are not usable.
    """
    folder = _local_folder(name)
    if folder is not None:
        return _inspect(folder, revision="")
    repository = SHORT_NAMES.get(name, name)
    cached = _cached_snapshot(repository, name)
    if cached is None or not _is_complete(cached):
        cached = _fetch(repository, name, progress)
    return _inspect(cached, revision=cached.name)


def _local_folder(name: str) -> Path | None:
    if not name.strip():
        raise MonosemError("the model's name is empty", f"Use {_NAMES}.")
    path = Path(name).expanduser()
    if (path / "config.json").is_file():
        return path
    run = RunFolder(path)
    if (run.model / "config.json").is_file():
        return run.model
    if name in SHORT_NAMES:
        return None
    if run.exists():
        model = run.record().spec.model
        raise MonosemError(
            f"the run {name} holds no language model of its own",
            f"Its features are those of {model}: use `model={model}`." if model else "Name the model it was made from.",
        )
    if path.is_dir():
        raise MonosemError(f"{name} is no model folder: it has no config.json")
    if path.exists():
        raise MonosemError(f"{name} is a file", "Give the folder that holds config.json and model.safetensors.")
    return None


def _cached_snapshot(repository: str, name: str) -> Path | None:
    """The newest snapshot of the hub cache, if it is known to be whole."""
    try:
        found = snapshot_download(repository, local_files_only=True, allow_patterns=_WANTED, ignore_patterns=_UNWANTED)
    except HFValidationError:
        raise MonosemError(
            f"there is no folder {name}, and it is no hub id either",
            f"Use {_NAMES}.",
        ) from None
    except LocalEntryNotFoundError:
        return None
    return Path(found)


def _is_complete(folder: Path) -> bool:
    """Whether a model in the hub cache can be used without asking the hub for more."""
    try:
        return _inspect(folder, revision="").has_tokenizer
    except MonosemError:
        return False


def _fetch(repository: str, name: str, progress: Progress) -> Path:
    if not constants.HF_HUB_OFFLINE:
        progress.say(f"fetching {repository} from the hub into {constants.HF_HUB_CACHE}")
    try:
        return Path(snapshot_download(repository, allow_patterns=_WANTED, ignore_patterns=_UNWANTED))
    except GatedRepoError:
        raise MonosemError(
            f"{repository} is gated: its owner wants you to accept terms first",
            f"Accept them at https://huggingface.co/{repository}, then run `hf auth login` (or set HF_TOKEN).",
        ) from None
    except RepositoryNotFoundError:
        raise MonosemError(
            f"there is no folder {name}, and the hub has no model {repository} that you may read",
            "Check the spelling; for a private model run `hf auth login` first.",
        ) from None
    except Exception as error:  # the hub's client raises what its network stack raises
        _refuse_unreachable(repository, name, error)


def _refuse_unreachable(repository: str, name: str, error: Exception) -> NoReturn:
    if constants.HF_HUB_OFFLINE:
        why = "the hub is switched off (HF_HUB_OFFLINE)"
    elif isinstance(error, LocalEntryNotFoundError):
        why = "the hub cannot be reached"
    else:
        why = f"fetching it failed: {one_line(error)}"
    raise MonosemError(
        f"there is no folder {name}, {repository} is not in the hub cache, and {why}",
        f"Set HF_HOME to a cache that has it, or run `hf download {repository} --local-dir FOLDER` where there is "
        "internet and use `model=FOLDER`.",
    ) from error


def _inspect(folder: Path, revision: str) -> ModelFiles:
    """Check the files of a model folder.

    Raises:
        MonosemError: no config.json or no safetensors, a part is missing, or a file is damaged.
    """
    if not (folder / "config.json").is_file():
        raise MonosemError(f"{folder} is no model folder: it has no config.json")
    weights = _weight_files(folder)
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
            f"{folder} has pickled weights only ({pickles[0]}); monosem reads safetensors only",
            "A pickle can run any code. Convert it where you trust it: save_pretrained(folder) writes safetensors.",
        )
    raise MonosemError(f"{folder} holds no weights: it has no {WEIGHTS}", "monosem reads safetensors only.")


def _shards(folder: Path) -> tuple[Path, ...]:
    index = folder / WEIGHTS_INDEX
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        paths = tuple(folder / str(name) for name in sorted(names))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise MonosemError(f"{index} is damaged", "Fetch the model again.") from None
    missing = [path.name for path in paths if not path.is_file()]
    if missing or not paths:
        raise MonosemError(
            f"{folder} lacks {len(missing)} of its {len(paths)} weight files" + "".join(f", {m}" for m in missing[:1]),
            "Fetch the model again, or copy the whole folder.",
        )
    return paths


def _check_safetensors(path: Path) -> None:
    try:
        with safe_open(path, framework="pt"):
            pass
    except SafetensorError as error:
        raise MonosemError(
            f"{path} is damaged or truncated ({one_line(error)})", "Delete it, then fetch or copy it again."
        ) from None
    except OSError as error:
        raise MonosemError(f"cannot read {path}: {error.strerror or one_line(error)}") from error


def one_line(error: BaseException, limit: int = 160) -> str:
    """What another library's exception says, on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"
