"""The gain of the norm that a module reads."""

from __future__ import annotations

import pytest
import torch

from engine.model.hooks import capture_all
from engine.model.norms import gain_before
from engine.model.sites import resolve_site
from tests.engine.tiny_models import tiny, tokens


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma2", "gemma3_text", "gemma3"])
def test_over_its_gain_what_an_mlp_reads_has_length_root_width(family: str) -> None:
    lm = tiny(family)
    site = resolve_site(lm, "mlp_in", 1)
    gain_M = gain_before(lm, site.module)
    assert gain_M is not None and not torch.allclose(gain_M, torch.ones(()), atol=0.1)
    (acts_BTM,) = capture_all(lm, [site], tokens(), torch.ones(2, 9, dtype=torch.bool))
    root_M = (acts_BTM / gain_M).square().mean(-1).sqrt()
    torch.testing.assert_close(root_M, torch.ones(2, 9), rtol=1e-3, atol=1e-3)


def test_what_follows_no_norm_and_norms_that_do_more_have_none() -> None:
    assert gain_before(tiny("gpt2"), resolve_site(tiny("gpt2"), "mlp_in", 1).module) is None
    assert gain_before(tiny("llama"), resolve_site(tiny("llama"), "mlp_out", 1).module + ".down_proj") is None
