"""Attention with narrow heads: the same numbers as with torch's own, padding and masks included."""

from __future__ import annotations

import pytest
import torch

from engine.model.hooks import logits
from engine.model.narrow_heads import NAME, widen_heads
from tests.engine.tiny_models import tiny, tokens

CPU = torch.device("cpu")


def implementation(family: str) -> str:
    return str(tiny(family).network.config.get_text_config()._attn_implementation)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "gpt_neox", "qwen3"])
def test_logits_are_the_same(family: str) -> None:
    lm, tokens_BT = tiny(family), tokens()
    mask_BT = torch.ones_like(tokens_BT, dtype=torch.bool)
    mask_BT[0, :4] = False
    mask_BT[1, -3:] = False
    before = [logits(lm, tokens_BT), logits(lm, tokens_BT, mask_BT)]
    narrow = lm.network.config.get_text_config()._attn_implementation == "sdpa"
    try:
        widen_heads(lm.network, CPU)
        used = implementation(family)
        assert used == (NAME if narrow else used)
        torch.testing.assert_close(logits(lm, tokens_BT), before[0], rtol=1e-4, atol=1e-5)
        real_BTV = logits(lm, tokens_BT, mask_BT)[mask_BT]
        torch.testing.assert_close(real_BTV, before[1][mask_BT], rtol=1e-4, atol=1e-5)
    finally:
        if narrow:
            lm.network.set_attn_implementation("sdpa")


def test_elsewhere_nothing_changes() -> None:
    lm = tiny("llama")
    before = implementation("llama")
    widen_heads(lm.network, torch.device("meta"))
    assert implementation("llama") == before
