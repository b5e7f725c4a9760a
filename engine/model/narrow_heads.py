"""Attention for heads narrower than the processor's vectors.

torch's attention on a CPU works on 16 numbers at a time; with fewer in a head it falls back to one by one. Zeros
behind queries, keys and values change no product, and are taken off the result again. On a model with heads of 8 a
forward pass is a fifth faster for it (docs/log.md).
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

NAME = "sdpa_widened"
WIDTH = 16


def widen_heads(network: PreTrainedModel, device: torch.device) -> None:
    """Let a model on a CPU use it, where its attention is torch's and its heads are narrow."""
    config = network.config.get_text_config()
    heads = getattr(config, "num_attention_heads", None)
    width = getattr(config, "head_dim", None) or (config.hidden_size // heads if heads else WIDTH)
    if device.type != "cpu" or width >= WIDTH or config._attn_implementation != "sdpa":
        return
    AttentionInterface.register(NAME, _widened)
    AttentionMaskInterface.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    network.set_attn_implementation(NAME)


def _widened(
    module: torch.nn.Module,
    query_BHTW: torch.Tensor,
    key_BHTW: torch.Tensor,
    value_BHTW: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    width = query_BHTW.shape[-1]
    # In memory positions come before heads: widened in that order, one stretch is copied after the other.
    parts = (part.transpose(1, 2) for part in (query_BHTW, key_BHTW, value_BHTW))
    wide = [functional.pad(part, (0, WIDTH - width)).transpose(1, 2) for part in parts]
    out_BTHW, _ = sdpa_attention_forward(
        module, *wide, attention_mask, scaling=width**-0.5 if scaling is None else scaling, **others
    )
    return out_BTHW[..., :width], None
