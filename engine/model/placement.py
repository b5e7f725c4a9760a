"""A model spread over devices, by transformers' `device_map` and accelerate (the extra `spread`).

What does not fit on the GPUs lies in the machine's memory, and is copied to a GPU when it is computed. Inputs and
results of the model are on its first device, and so is the autoencoder; accelerate moves what
blocks pass to each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from engine.runtime.free_memory import free_memory

DeviceMap = Mapping[str, str | int]
"""Device, or "disk", by path of a module; "" for the whole model."""


def all_free_memory() -> int | None:
    """Return the bytes that are free on all GPUs and in the machine together; None where the latter is unknown."""
    here = free_memory()
    if here is None or not torch.cuda.is_available():
        return here
    return here + sum(torch.cuda.mem_get_info(number)[0] for number in range(torch.cuda.device_count()))


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

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `from_pretrained`."""
        placed: Any = self.device_map if isinstance(self.device_map, str) else dict(self.device_map)
        return {"device_map": placed, **({} if self.folder is None else {"offload_folder": self.folder})}
