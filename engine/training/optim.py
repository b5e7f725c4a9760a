"""Adam over weights in either layout."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Adam(torch.optim.Adam):
    """torch's fused Adam (Kingma and Ba 2015), given transposed weights as the contiguous matrices they are views of.

    The fused step would otherwise copy each of four large tensors there and back. Adam works element by element, so
    the outcome is the same.
    """

    def _init_group(self, group: dict[str, Any], *lists: list[Tensor]) -> Any:
        found = super()._init_group(group, *lists)  # type: ignore[no-untyped-call]
        for tensors in lists:
            tensors[:] = [tensor.T if tensor.ndim == 2 and tensor.T.is_contiguous() else tensor for tensor in tensors]
        return found


def like(parameter: Tensor, values: Tensor) -> Tensor:
    """A copy of `values` in the parameter's own layout and place."""
    return torch.empty_like(parameter).copy_(values)
