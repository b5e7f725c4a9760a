"""Quantised weights: the matrices of a model's blocks in int8 or int4, by torchao (the extra `weights`).

Activations stay in the dtype to compute in, and so do embedding, unembedding and norms. A matrix is computed from its
integers at every product, so results differ from those of the whole weights; docs/benchmarks.md says by how much.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from engine.runtime.free_memory import gigabytes
from engine.runtime.hub import one_line
from engine.runtime.progress import Progress
from store.files.errors import MonosemError
from store.settings.subject import Weights


def check_kernels(weights: Weights, device: torch.device) -> None:
    """Refuse weights for which torchao has no kernels on this kind of device.

    Raises:
        MonosemError: it has none.
    """
    if weights == "int4" and device.type != "cuda":
        raise MonosemError(f"int4 weights need a GPU: torchao has no kernels for {device.type}", "Use `weights=int8`.")


def quantise(network: PreTrainedModel, weights: Weights, device: torch.device, progress: Progress) -> None:
    """Quantise the linear layers of a network in place, each on the device it is moved to.

    Raises:
        MonosemError: it has none, or torchao cannot do it on this device.
    """
    head = network.get_output_embeddings()
    layers = [module for module in network.modules() if isinstance(module, nn.Linear) and module is not head]
    if not layers:
        raise MonosemError(
            f"a {network.config.model_type} model has no linear layers that torchao quantises", "Leave `weights` out."
        )
    before = sum(layer.weight.numel() * layer.weight.itemsize for layer in layers)
    try:
        for layer in layers:
            _quantised(layer, weights, device)
    except Exception as error:  # torchao's kernels refuse devices, shapes and dtypes in ways of their own
        raise MonosemError(
            f"{weights} weights cannot be had on {device}: {one_line(error)}", "Use `weights=int8`, or leave it out."
        ) from error
    after = sum(stored_bytes(layer.weight) for layer in layers)
    progress.say(f"{weights}: {len(layers)} matrices, {gigabytes(before)} before and {gigabytes(after)} now")


def _quantised(layer: nn.Linear, weights: Weights, device: torch.device) -> None:
    from torchao.quantization import Int4WeightOnlyConfig, Int8WeightOnlyConfig, quantize_

    config: Any = Int8WeightOnlyConfig() if weights == "int8" else Int4WeightOnlyConfig()
    quantize_(layer, config, filter_fn=lambda module, _name: module is layer, device=device)


def plain(weight: Tensor) -> Tensor:
    """Return a matrix as numbers, where it is quantised."""
    return weight if type(weight) in (nn.Parameter, Tensor) else weight.dequantize()


def stored_bytes(weight: Tensor) -> int:
    """Return the bytes that a matrix takes, quantised or not."""
    if type(weight) in (nn.Parameter, Tensor):
        return weight.numel() * weight.itemsize
    names, _ = weight.__tensor_flatten__()  # type: ignore[attr-defined]
    return sum(stored_bytes(getattr(weight, name)) for name in names)
