"""A model's configuration, checked against its weight files, and the network that it describes, without weights."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from engine.model.gguf_file import gguf_integers
from engine.model.model_files import ModelFiles
from engine.runtime.hub import one_line
from store.files.errors import MonosemError

_REPEATED = re.compile(r"((layer|expert|head)s?|(block|expert|head|layer)_count)$")
"""Settings that count parts of a model, each of which takes time to build, in config.json and in GGUF files."""
MOST_REPEATED = 256
"""Parts that are built whatever the weights are."""


def read_config(files: ModelFiles) -> PreTrainedConfig:
    """Return a model's configuration.

    Raises:
        MonosemError: no causal language model can be built from it, or it counts more parts than there are weights.
    """
    path = files.weights[0] if files.source else files.folder / "config.json"
    _check_counts(path, _integers_of(files), len(files.tensors))
    try:
        config = AutoConfig.from_pretrained(
            files.folder, local_files_only=True, trust_remote_code=False, **gguf_source(files)
        )
    except MonosemError:
        raise
    except Exception as error:  # configuration classes fail in many ways
        raise _unusable(files, path, error) from error
    if type(config) not in AutoModelForCausalLM._model_mapping:
        raise MonosemError(
            f"{files.folder} is a {config.model_type} model, which has no causal language-model head",
            "monosem needs a model that predicts the next token.",
        )
    return config


def gguf_source(files: ModelFiles) -> dict[str, str]:
    """Return the arguments by which transformers reads a GGUF file, after a look into it; else none."""
    return files.source if files.source and files.tensors else {}


def _unusable(files: ModelFiles, path: Path, error: Exception) -> MonosemError:
    if "trust_remote_code" in str(error):
        return MonosemError(
            f"{files.folder} needs program code of its own to load; monosem never runs code from a model",
            "Use a model whose architecture transformers knows.",
        )
    if "does not recognize this architecture" in str(error):
        return MonosemError(
            f"{path} names an architecture that transformers {transformers.__version__} does not know",
            "A newer transformers may know it.",
        )
    return MonosemError(f"{path} cannot be used: {one_line(error)}")


def _check_counts(path: Path, numbers: dict[str, int], tensors: int) -> None:
    """Refuse a configuration that counts more parts than there are tensors."""
    for name, value in numbers.items():
        if _REPEATED.search(name) and value > max(MOST_REPEATED, tensors):
            raise _claims(path, f"{name} is {value:,}", f"{tensors:,} tensors")


def _integers_of(files: ModelFiles) -> dict[str, int]:
    """Return the whole numbers of a configuration by name; refuse a config.json that is not JSON."""
    if files.source:
        return gguf_integers(files.weights[0])
    path = files.folder / "config.json"
    try:
        return dict(_integers(json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise MonosemError(f"{path} cannot be used: {one_line(error)}") from error
    except ValueError as error:
        raise MonosemError(f"{path} is not a valid JSON file: {one_line(error)}") from error


def shell(files: ModelFiles, config: PreTrainedConfig, dtype: torch.dtype) -> PreTrainedModel:
    """Return the network that a configuration describes, on the meta device: modules and shapes, no numbers.

    Raises:
        MonosemError: it cannot be built, or is larger than the weights are.
    """
    path = files.weights[0] if files.source else files.folder / "config.json"
    try:
        with torch.device("meta"):
            network = AutoModelForCausalLM.from_config(config, dtype=dtype)
    except Exception as error:  # shapes beyond every integer, among others
        raise MonosemError(f"{path} cannot be used: {one_line(error)}") from error
    claimed = sum(parameter.numel() for parameter in network.parameters())
    if files.weights and claimed > 8 * files.n_bytes:
        raise _claims(path, f"it describes {claimed:,} parameters", f"{files.n_bytes:,} bytes")
    return network.eval().requires_grad_(False)


def _integers(value: Any) -> Iterator[tuple[str, int]]:
    """Yield the integers of a configuration and of those inside it, by name."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        if isinstance(inner, dict):
            yield from _integers(inner)
        elif isinstance(inner, int):
            yield name, inner


def _claims(path: Path, what: str, there: str) -> MonosemError:
    return MonosemError(f"{path}: {what}, and the weights are {there}", "Fetch or copy the model again.")
