"""Load the weights of a network: all of it, or only the blocks up to a site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import safe_open
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from engine.model.gguf_file import gguf_arguments
from engine.model.model_files import ModelFiles
from engine.model.narrow_heads import widen_heads
from engine.model.placement import Placement, all_free_memory
from engine.runtime.free_memory import free_memory, gigabytes
from engine.runtime.hub import one_line
from store.files.errors import MonosemError, WorkFailed

HEADS = ("lm_head.weight", "embed_out.weight")
"""Names that the unembedding has in weight files."""


@dataclass(frozen=True)
class Cut:
    """The end of a network that is not loaded: the blocks from one on, and an unembedding of its own."""

    blocks: str
    """Path of the list of blocks."""
    kept: int
    headless: bool
    """Whether the unembedding, a matrix of its own, is left out too."""

    def applied(self, network: PreTrainedModel) -> None:
        """Remove the end of a network."""
        del network.get_submodule(self.blocks)[self.kept :]
        if self.headless:
            network.set_output_embeddings(nn.Identity())

    def skips(self, name: str) -> bool:
        """Return whether a tensor of the weight files belongs to what is removed, as far as its name tells."""
        if self.headless and name.endswith(HEADS):
            return True
        parts = name.split(".")
        lists = {self.blocks.rpartition(".")[2], "blk"}  # the latter in GGUF files
        at = next((at for at, part in enumerate(parts, 1) if part in lists), len(parts))
        return at < len(parts) and parts[at].isdecimal() and int(parts[at]) >= self.kept


def cut_after(network: PreTrainedModel, paths: Sequence[str]) -> Cut | None:
    """Return the cut after which nothing contributes to these modules; None where all blocks may."""
    n_layers = getattr(network.config.get_text_config(), "num_hidden_layers", 0)
    found = [cut for path in paths if (cut := _cut(network, path, n_layers)) is not None]
    if not found or len(found) < len(paths) or len({cut.blocks for cut in found}) > 1:
        return None
    cut = max(found, key=lambda one: one.kept)
    return cut if cut.kept < n_layers else None


def _cut(network: PreTrainedModel, path: str, n_layers: int) -> Cut | None:
    found = enclosing_block(network, path, n_layers)
    return None if found is None else Cut(found[0], found[1] + 1, headless=not is_tied(network))


def enclosing_block(network: PreTrainedModel, path: str, n_layers: int) -> tuple[str, int] | None:
    """Return the path of the list of blocks that a module lies in, and the block's number; None outside of all."""
    parts = path.split(".")
    for end in range(1, len(parts)):
        blocks = ".".join(parts[:end])
        module = network.get_submodule(blocks)
        if isinstance(module, nn.ModuleList) and len(module) == n_layers:
            return blocks, int(parts[end])
    return None


def is_tied(network: PreTrainedModel) -> bool:
    """Return whether the unembedding is the embedding itself."""
    head, first = network.get_output_embeddings(), network.get_input_embeddings()
    return getattr(head, "weight", None) is getattr(first, "weight", None)


def load_network(
    files: ModelFiles,
    config: PreTrainedConfig,
    dtype: torch.dtype,
    device: torch.device,
    cut: Cut | None,
    placement: Placement | None = None,
) -> PreTrainedModel:
    """Return a network with its weights, frozen and in evaluation mode, on a device or placed on several.

    Raises:
        MonosemError: the weights are unusable, or do not fill the network.
        WorkFailed: it does not fit into the device's memory.
    """
    cls = AutoModelForCausalLM._model_mapping[type(config)]
    cls = cls[0] if isinstance(cls, tuple) else cls
    try:
        network, info = (cls if cut is None else _shortened(cls, cut)).from_pretrained(
            files.folder,
            config=config,
            dtype=dtype,
            local_files_only=True,
            **(gguf_arguments(files.weights[0]) if files.source else {"use_safetensors": True}),
            ignore_mismatched_sizes=True,  # so that the report names the tensor
            output_loading_info=True,
            **(placement.arguments() if placement else {}),
        )
    except Exception as error:  # any of hundreds of architectures, with files of any origin
        raise MonosemError(f"cannot load the model in {files.folder}: {one_line(error)}") from error
    _check_loaded(files, network, info)
    try:
        network = network if placement else network.to(device)
    except torch.OutOfMemoryError as error:
        raise WorkFailed(
            f"{files.folder} does not fit into the memory of {device}",
            "Use `dtype=bfloat16`, a smaller model, or `device=cpu`.",
        ) from error
    widen_heads(network, device)
    return network.eval().requires_grad_(False)


def _shortened(cls: type[PreTrainedModel], cut: Cut) -> type[PreTrainedModel]:
    """Return a model class whose networks end at a cut.

    The configuration stays whole: lists with an entry per layer, and layers that share with those before the last n,
    would mean something else in a shorter one.
    """

    def __init__(self: PreTrainedModel, *args: Any, **kwargs: Any) -> None:
        cls.__init__(self, *args, **kwargs)
        cut.applied(self)

    return type(cls.__name__, (cls,), {"__init__": __init__, "__module__": cls.__module__})


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


def check_room(name: str, needed: int, device: torch.device | None) -> None:
    """Refuse a model that does not fit; weights for a GPU pass through host memory too. None for all devices together.

    Raises:
        MonosemError: less memory than that is free.
    """
    on_gpu = torch.cuda.mem_get_info(device)[0] if device is not None and device.type == "cuda" else None
    for free, where in ((free_memory() if device else all_free_memory(), ""), (on_gpu, f" on {device}")):
        if free is not None and needed > free:
            raise MonosemError(
                f"{name} needs {gigabytes(needed)} of memory{where}, and {gigabytes(free)} are free",
                "Use `dtype=bfloat16`, a smaller model, or a machine with more memory.",
            )


def stored_unembedding(files: ModelFiles) -> torch.Tensor | None:
    """Return the unembedding as it lies in the weight files; None if its name there is not a usual one."""
    names = [name for name in files.tensors if name.endswith(HEADS)]
    for path in files.weights if len(names) == 1 else ():
        with safe_open(path, framework="pt") as file:
            if names[0] in file.keys():  # noqa: SIM118
                tensor_VM: torch.Tensor = file.get_tensor(names[0])
                return tensor_VM
    return None
