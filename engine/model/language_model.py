"""Load language models without output, and describe them to the rest of the engine."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub.utils.tqdm import disable_progress_bars
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from engine.model.model_files import SHORT_NAMES, ModelFiles, find_model
from engine.model.narrow_heads import widen_heads
from engine.model.token_ids import check_token_ids
from engine.runtime.free_memory import free_memory, gigabytes
from engine.runtime.hub import one_line
from engine.runtime.progress import Progress, Silent
from store.files.errors import MonosemError, WorkFailed

LARGE = 10**8
"""Bytes of a model from which loading it is announced."""

__all__ = ["SHORT_NAMES", "LanguageModel", "load_model"]


_REPEATED = re.compile(r"(layer|expert|head)s?$")
"""Settings that count parts of a model, each of which takes time to build, in config.json."""
MOST_REPEATED = 256
"""Parts that are built whatever the weights are."""
UNCHECKED = 1 << 26
"""Parameters of one tensor up to which the shapes in config.json are not compared with the size of the weights."""


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A causal language model, frozen and in evaluation mode, with its tokenizer."""

    name: str
    """The model's name as the user wrote it."""
    network: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None
    """None where the model's folder has no tokenizer."""
    device: torch.device
    revision: str = ""
    """Commit of the hub repository; empty for a local folder."""
    weight_files: tuple[Path, ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the safetensors files in order of name; empty for a model without files.

        For a single file it is the digest that the hub and `sha256sum` show. The first access reads all weights.
        """
        if not self.weight_files:
            return ""
        digest = hashlib.sha256()
        for path in sorted(self.weight_files, key=lambda file: file.name):
            with path.open("rb") as stream:
                while block := stream.read(1 << 22):
                    digest.update(block)
        return digest.hexdigest()

    @property
    def text_config(self) -> Any:
        """The configuration of the language part; for text-only models the whole configuration."""
        return self.network.config.get_text_config()

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return int(self.text_config.hidden_size)

    @property
    def n_layers(self) -> int:
        """Number of blocks."""
        return int(self.text_config.num_hidden_layers)

    @property
    def vocab_size(self) -> int:
        """Number of logits; may exceed the tokenizer's number of tokens."""
        return int(self.text_config.vocab_size)

    @property
    def max_context(self) -> int | None:
        """The longest context of the model in tokens; None if its configuration does not give it."""
        for key in ("max_position_embeddings", "n_positions"):
            limit = getattr(self.text_config, key, None)
            if isinstance(limit, int) and limit > 0:
                return limit
        return None

    @property
    def bos_id(self) -> int | None:
        """The token that begins every context; None if the model has none.

        The tokenizer takes precedence: Qwen's configuration names a BOS token that its tokenizer never uses.
        """
        return self._special("bos_token_id")

    @property
    def separator_id(self) -> int | None:
        """The token between documents: BOS, or else the end-of-text token."""
        return self._special("eos_token_id") if self.bos_id is None else self.bos_id

    def _special(self, key: str) -> int | None:
        found = getattr(self.text_config if self.tokenizer is None else self.tokenizer, key, None)
        if isinstance(found, list | tuple):  # configurations may list several end-of-text tokens
            found = found[0] if found else None
        return None if found is None else int(found)


def load_model(
    name: str, *, device: torch.device, dtype: torch.dtype, progress: Progress | None = None, for_plan: bool = False
) -> LanguageModel:
    """Load a model from a folder, a run, a short name or a hub id, without running code that comes with it.

    `for_plan`: weights that are not on this disk, or do not fit into memory, are not loaded, which leaves a network on
    the device "meta"; nor are they digested.

    Silences transformers and the hub's client for the rest of the process: standard output is for results, and the
    terminal may belong to the app.

    Raises:
        MonosemError: there is no such model, or it is unusable.
        WorkFailed: it does not fit into the device's memory.
    """
    with _silence():
        files = find_model(name, progress or Silent(), needs_weights=not for_plan)
        config = _checked_config(files)
        if for_plan and (not files.weights or _shortage(files, dtype, device)):
            return _shell(name, files, config, dtype, progress or Silent())
        size = _check_room(files, dtype, device)
        if size >= LARGE and progress is not None:
            progress.say(f"loading {name}: {gigabytes(size)}")
        network = _load_network(files, dtype)
        tokenizer = _load_tokenizer(files) if files.has_tokenizer else None
        network = _place(network, name, device)
        widen_heads(network, device)
    return LanguageModel(name, network, tokenizer, device, files.revision, () if for_plan else files.weights)


def _shell(name: str, files: ModelFiles, config: Any, dtype: torch.dtype, progress: Progress) -> LanguageModel:
    """Return a model of shapes alone."""
    why = "do not fit into memory" if files.weights else "are not here"
    progress.say(f"the weights of {name} {why}: its speed is estimated from config.json and one matrix product")
    with torch.device("meta"):
        network = AutoModelForCausalLM.from_config(config, dtype=dtype).eval().requires_grad_(requires_grad=False)
    tokenizer = _load_tokenizer(files) if files.has_tokenizer else None
    return LanguageModel(name, network, tokenizer, torch.device("meta"))


@contextmanager
def _silence() -> Iterator[None]:
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        disable_progress_bars()
        yield


def _checked_config(files: ModelFiles) -> Any:
    """Return the configuration.

    Refuse one that no causal language model can be built from, or that is larger than the weights, where there are any.
    """
    path = files.folder / "config.json"
    try:
        numbers = dict(_integers(json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise MonosemError(f"{path} cannot be used: {one_line(error)}") from error
    except ValueError as error:
        raise MonosemError(f"{path} is not a valid JSON file: {one_line(error)}") from error
    for name, value in numbers.items():
        if _REPEATED.search(name) and value > max(MOST_REPEATED, len(files.sizes)):
            raise _claims(path, f"{name} is {value:,}", f"{len(files.sizes):,} tensors")
    try:
        config = AutoConfig.from_pretrained(files.folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # configuration classes fail in many ways
        if "trust_remote_code" in str(error):
            raise MonosemError(
                f"{files.folder} needs program code of its own to load; monosem never runs code from a model",
                "Use a model whose architecture transformers knows.",
            ) from None
        if "does not recognize this architecture" in str(error):
            raise MonosemError(
                f"{path} names an architecture that transformers {transformers.__version__} does not know",
                "A newer transformers may know it.",
            ) from None
        raise MonosemError(f"{path} cannot be used: {one_line(error)}") from error
    if type(config) not in AutoModelForCausalLM._model_mapping:
        raise MonosemError(
            f"{files.folder} is a {config.model_type} model, which has no causal language-model head",
            "monosem needs a model that predicts the next token.",
        )
    largest = [1, 1, *sorted(abs(value) for value in numbers.values())][-2:]
    if prod(largest) > UNCHECKED and files.weights:
        try:
            with torch.device("meta"):
                shell = AutoModelForCausalLM.from_config(config)
            claimed = sum(parameter.numel() for parameter in shell.parameters())
        except Exception as error:  # shapes beyond every integer, among others
            raise MonosemError(f"{path} cannot be used: {one_line(error)}") from error
        if claimed > 8 * files.n_bytes:
            raise _claims(path, f"it describes {claimed:,} parameters", f"{files.n_bytes:,} bytes")
    return config


def _integers(value: Any) -> Iterator[tuple[str, int]]:
    """Yield the integers of a configuration and of those inside it, by name."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        if isinstance(inner, dict):
            yield from _integers(inner)
        elif isinstance(inner, int):
            yield name, inner


def _claims(path: Path, what: str, there: str) -> MonosemError:
    return MonosemError(f"{path}: {what}, and the weights are {there}", "Fetch or copy the model again.")


def _check_room(files: ModelFiles, dtype: torch.dtype, device: torch.device) -> int:
    """Return the bytes of a model. Refuse one that does not fit."""
    if short := _shortage(files, dtype, device):
        raise MonosemError(
            f"{files.folder} needs {short}", "Use `dtype=bfloat16`, a smaller model, or a machine with more memory."
        )
    return sum(files.sizes) * dtype.itemsize


def _shortage(files: ModelFiles, dtype: torch.dtype, device: torch.device) -> str:
    """Return how much memory a model needs and how much is free where it does not fit, else "".

    Weights for a GPU pass through host memory too.
    """
    needed = sum(files.sizes) * dtype.itemsize
    on_gpu = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
    for free, where in ((free_memory(), ""), (on_gpu, f" on {device}")):
        if free is not None and needed > free:
            return f"{gigabytes(needed)} of memory{where}, and {gigabytes(free)} are free"
    return ""


def _load_network(files: ModelFiles, dtype: torch.dtype) -> PreTrainedModel:
    try:
        network, info = AutoModelForCausalLM.from_pretrained(
            files.folder,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # so that the report names the tensor
            output_loading_info=True,
        )
    except Exception as error:  # any of hundreds of architectures, with files of any origin
        raise MonosemError(f"cannot load the model in {files.folder}: {one_line(error)}") from error
    _check_loaded(files, network, info)
    return network.eval().requires_grad_(False)


def _check_loaded(files: ModelFiles, network: PreTrainedModel, info: dict[str, Any]) -> None:
    """Refuse weights that do not fill the network: transformers would initialise the rest at random."""
    missing, mismatched = sorted(info["missing_keys"]), sorted(info["mismatched_keys"])
    head = next((name for name, part in network.named_modules() if part is network.get_output_embeddings()), "")
    if f"{head}.weight" in missing:
        raise MonosemError(
            f"{files.folder} holds a model without its language-model head ({head}.weight is missing)",
            "monosem needs a model that predicts the next token.",
        )
    if missing:
        raise MonosemError(
            f"{files.folder}: the weights lack {len(missing)} tensors that config.json asks for, first {missing[0]}",
            "Fetch or copy the model again, all files together.",
        )
    if mismatched:
        name, found, wanted = mismatched[0]
        raise MonosemError(
            f"{files.folder}: config.json wants {name} to be {list(wanted)}, but the weights have {list(found)}",
            "Fetch or copy the model again, all files together.",
        )


def _load_tokenizer(files: ModelFiles) -> PreTrainedTokenizerBase:
    check_token_ids(files.folder)
    try:
        return AutoTokenizer.from_pretrained(files.folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # JSON errors, KeyErrors, missing packages
        raise MonosemError(f"the tokenizer in {files.folder} cannot be read: {one_line(error)}") from error


def _place(network: PreTrainedModel, name: str, device: torch.device) -> PreTrainedModel:
    try:
        return network.to(device)
    except torch.OutOfMemoryError as error:
        raise WorkFailed(
            f"{name} does not fit into the memory of {device}",
            "Use `dtype=bfloat16`, a smaller model, or `device=cpu`.",
        ) from error
