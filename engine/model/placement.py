"""A model spread over devices, by transformers' `device_map` and accelerate (the extra `spread`).

What does not fit on the GPUs lies in the machine's memory, and is copied to a GPU when it is computed. Inputs and
results of the model are on its first device, and so is the autoencoder; accelerate moves what
blocks pass to each other. Several processes of a machine spread a model each, over devices of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from engine.runtime.free_memory import free_memory

GPU_SHARE = 0.9
"""Share of a GPU's free memory for the model, the rest being for its activations; transformers takes as much of a
single GPU by itself."""
DeviceMap = Mapping[str, str | int]
"""Device, or "disk", by path of a module; "" for the whole model."""


def all_free_memory() -> int | None:
    """Return the bytes that are free on all GPUs and in the machine together; None where the latter is unknown."""
    here = free_memory()
    if here is None or not torch.cuda.is_available():
        return here
    return here + sum(torch.cuda.mem_get_info(number)[0] for number in range(torch.cuda.device_count()))


def memory_of_part(part: int, parts: int) -> dict[int | str, int] | None:
    """Return the bytes of each device that one of several processes on a machine may take, as `device_map` takes them.

    GPUs are dealt in turn, so the first of process p is GPU p mod their number, which torch calls the current one;
    processes beyond the number of GPUs share one. Memory is divided equally.

    Returns:
        Bytes by GPU and for "cpu"; None where there is one process, which takes all.
    """
    if parts == 1:
        return None
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    own = range(part, gpus, parts) if part < gpus else [part % gpus] if gpus else []
    share: dict[int | str, int] = {}
    for gpu in own:
        sharing = max(1, len(range(gpu, parts, gpus)))
        share[gpu] = int(GPU_SHARE * torch.cuda.mem_get_info(gpu)[0]) // sharing
    here = free_memory()
    return share if here is None else share | {"cpu": here // parts}


@contextmanager
def at_hand(module: nn.Module) -> Iterator[None]:
    """Within the block, a module's own weights are there, wherever they lie otherwise."""
    if not (hasattr(module, "_hf_hook") and any(weight.is_meta for weight in module.parameters(recurse=False))):
        yield
        return
    from accelerate.utils import align_module_device

    with align_module_device(module):
        yield


def bare(module: nn.Module) -> nn.Module:
    """Return a module without what accelerate has put around it; to be used on a copy."""
    if hasattr(module, "_hf_hook"):
        from accelerate.hooks import remove_hook_from_module

        remove_hook_from_module(module, recurse=True)
    return module


@dataclass(frozen=True)
class Placement:
    """Where the parts of a model lie."""

    device_map: DeviceMap | str = "auto"
    """As transformers takes it; "auto" fills the GPUs first, then the machine's memory."""
    folder: str | None = None
    """Folder for what is to lie on disk."""
    memory: Mapping[int | str, int] | None = None
    """Bytes that may be taken on each device, others being left alone; None for all that is free anywhere."""

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `from_pretrained`."""
        placed: Any = self.device_map if isinstance(self.device_map, str) else dict(self.device_map)
        memory = {} if self.memory is None else {"max_memory": dict(self.memory)}
        return {"device_map": placed, **memory, **({} if self.folder is None else {"offload_folder": self.folder})}
