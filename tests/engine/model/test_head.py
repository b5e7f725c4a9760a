"""A model's body and head apart, and passes that begin at a site: the same as the whole model, in every family."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.model.head import Head
from engine.model.hooks import logits, replaced
from engine.model.sites import resolve_site
from engine.model.skipped_blocks import SkippedBlocks
from tests.engine.tiny_models import FAMILIES, LAYERS, VOCAB, tiny

TOKENS_BT = torch.arange(24).reshape(2, 12) * 5 % 50 + 3
MASK_BT = torch.arange(12) < torch.tensor([[12], [7]])


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_of_some_rows_are_those_of_the_whole_model(family: str) -> None:
    lm = tiny(family)
    head = Head(lm)
    hidden_BTD = head.hidden(TOKENS_BT, MASK_BT)
    whole_BTV = logits(lm, TOKENS_BT, MASK_BT)
    assert head.width == hidden_BTD.shape[2] < VOCAB
    parts = [head.logits(rows_ND) for rows_ND in hidden_BTD.flatten(0, 1).split(5)]
    torch.testing.assert_close(torch.cat(parts), whole_BTV.flatten(0, 1), rtol=1e-5, atol=1e-6)
    assert torch.equal(logits(lm, TOKENS_BT, MASK_BT), whole_BTV), "the model is left as it was"


def test_what_the_head_does_besides_its_matrix_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gemma 2 bends logits towards a limit."""
    lm = tiny("gemma2")
    monkeypatch.setattr(lm.network.config, "final_logit_softcapping", 0.05)  # tests share the configuration
    found = Head(lm).logits(1000 * Head(lm).hidden(TOKENS_BT)[0])
    assert 0.04 < found.abs().max() <= 0.05


def test_a_model_without_a_body_keeps_its_logits() -> None:
    lm = tiny("llama")
    lm.network.base_model_prefix = "nothing"
    head = Head(lm)
    assert head.width == VOCAB
    assert torch.equal(head.logits(head.hidden(TOKENS_BT)[0]), logits(lm, TOKENS_BT)[0])


@pytest.mark.parametrize(
    ("site", "layer", "skipped"),
    [("resid_post", 0, 1), ("resid_post", 1, 2), ("resid_pre", 1, 1), ("mlp_out", 1, 1), ("mlp_out", 0, 0)],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_pass_from_the_site_on_is_a_whole_pass(family: str, site: str, layer: int, skipped: int) -> None:
    lm = tiny(family)
    head, place = Head(lm), resolve_site(lm, site, layer)
    skip = SkippedBlocks(lm, place, head)
    assert len(skip) == skipped <= LAYERS
    with skip.remembered():
        clean_BTD = head.hidden(TOKENS_BT, MASK_BT)
    with replaced(lm, place, lambda acts_BTD: acts_BTD.flip(2)):
        whole_BTD = head.hidden(TOKENS_BT, MASK_BT)
        with skip.skipped():
            assert torch.equal(head.hidden(TOKENS_BT, MASK_BT), whole_BTD)
    with skip.skipped():
        assert torch.equal(head.hidden(TOKENS_BT, MASK_BT), clean_BTD), "what is remembered is not changed"
    assert not torch.equal(whole_BTD, clean_BTD)


def test_blocks_that_later_ones_read_besides_the_stream_are_not_skipped() -> None:
    lm = tiny("llama")
    blocks = lm.network.get_submodule("model.layers")
    seen: list[torch.Tensor] = []

    def keep(_module: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        seen.append(args[0])

    def add(_module: nn.Module, _args: object, output: torch.Tensor) -> torch.Tensor:
        return output + seen.pop()

    blocks[0].mlp.register_forward_pre_hook(keep)
    blocks[1].register_forward_hook(add)
    assert len(SkippedBlocks(lm, resolve_site(lm, "resid_pre", 1), Head(lm))) == 0
