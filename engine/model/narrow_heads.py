"""Attention for heads narrower than a CPU's vectors.

torch's attention on a CPU handles 16 numbers at a time, and heads narrower than that one number at a time. Queries,
keys and values padded with zeros give the same products; the padding is cut off the result. A forward pass of a model
with heads of 8 is a fifth faster: 98 000 → 121 000 tokens per second (docs/log.md). Remove this module when torch's
attention on heads of 8 is as fast without it.
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
    """Switch a model on a CPU to padded attention if it uses torch's attention and has narrow heads."""
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
    # In memory, positions come before heads: padding in that order copies contiguously.
    parts = (part.transpose(1, 2) for part in (query_BHTW, key_BHTW, value_BHTW))
    wide = [functional.pad(part, (0, WIDTH - width)).transpose(1, 2) for part in parts]
    out_BTHW, _ = sdpa_attention_forward(
        module, *wide, attention_mask, scaling=width**-0.5 if scaling is None else scaling, **others
    )
    return out_BTHW[..., :width], None
