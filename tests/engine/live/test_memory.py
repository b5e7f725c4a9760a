"""Models that remember otherwise than by keys and values write what `generate` writes; clamps in unusual blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.live.decoder import Decoder
from engine.live.generation import Generation
from engine.live.live_model import LiveModel
from engine.live.memory import Memory
from engine.live.prompts import Prompt
from engine.live.row_clamps import RowClamps, clamped
from engine.model.hooks import capture
from engine.model.language_model import LanguageModel
from store.files.errors import MonosemError
from store.live.clamp import parse_clamp
from store.live.sampling import Sampling
from tests.engine.live_models import live_model
from tests.engine.model_zoo import zoo_model

RUNNING = ("mamba", "jamba", "qwen3_5")
OTHERS = ("mamba2", "falcon_mamba", "xlstm", "bamba", "qwen3_next", "lfm2", "olmo_hybrid", "nemotron_h")
GREEDY = Sampling(temperature=0, max_new=10)
each_kind = pytest.mark.parametrize(
    "kind", [*RUNNING, *(pytest.param(kind, marks=pytest.mark.slow) for kind in OTHERS)]
)


def live(kind: str) -> LiveModel:
    return live_model("relu", kind)


def prompt(*tokens: int) -> Prompt:
    return Prompt("", tokens)


def own_text(lm: LanguageModel, tokens: tuple[int, ...]) -> list[int]:
    torch.manual_seed(0)
    out: Tensor = lm.network.generate(torch.tensor([tokens]), max_new_tokens=10, do_sample=False)
    return out[0, len(tokens) :].tolist()


@each_kind
def test_texts_are_those_of_generate(kind: str) -> None:
    given = (1, 9, 20, 33, 7)
    model = live(kind)
    generation = Generation(model, prompt(*given), [parse_clamp("3=+4")], GREEDY)
    while generation.step() is not None:
        pass
    assert generation.base.tokens == own_text(model.lm, given)
    assert generation.clamped.tokens != generation.base.tokens


@each_kind
def test_rows_forked_on_the_way_read_on_as_one_pass_would(kind: str) -> None:
    model = live(kind)
    tokens_RT = torch.tensor([[1, 9, 20, 33, 7, 15, 40], [1, 22, 5, 31, 8, 44, 3]])
    decoder, rows = Decoder(model), [1, 0, 1]
    decoder.feed(tokens_RT[:, :4].tolist(), [None, None])
    decoder.select(rows)
    found = [decoder.feed(tokens_RT[rows, at : at + 1].tolist(), [None] * 3) for at in (4, 5, 6)]
    with torch.no_grad():
        whole = model.lm.network(input_ids=tokens_RT[rows], use_cache=False).logits
    torch.testing.assert_close(torch.stack(found, 1), whole[:, 4:], rtol=1e-4, atol=1e-4)
    with pytest.raises(MonosemError, match="keeps a running state"):
        decoder.crop(2)


@pytest.mark.parametrize(
    ("kind", "why"),
    [("recurrent_gemma", "keeps its memory of the tokens before to itself"), ("rwkv", "off those of one pass")],
)
def test_other_memories_are_refused_before_the_first_token(kind: str, why: str) -> None:
    with pytest.raises(MonosemError, match=f"{kind} cannot write text here: .*{why}") as refused:
        Generation(live(kind), prompt(1, 2, 3), [], GREEDY)
    assert "train, index, eval, inspect" in str(refused.value)


def test_a_model_that_swallows_its_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = zoo_model("mamba")
    own = lm.network.forward

    def forgetful(input_ids: Tensor, cache_params: object = None, **others: object) -> object:
        return own(input_ids=input_ids, **others)

    monkeypatch.setattr(lm.network, "forward", forgetful)
    with pytest.raises(MonosemError, match="off those of one pass"):
        Memory(lm)

    def nameless(input_ids: Tensor, **others: object) -> object:
        return own(input_ids=input_ids)

    monkeypatch.setattr(lm.network, "forward", nameless)
    with pytest.raises(MonosemError, match="no memory of the tokens before"):
        Memory(lm)


@pytest.mark.parametrize(
    ("kind", "site"),
    [
        ("gptj", "attn_out"),
        ("falcon", "mlp_out"),
        ("gpt_oss", "mlp_out"),
        ("granite", "attn_out"),
        ("opt", "resid_mid"),
    ],
)
def test_a_clamp_adds_its_change_and_nothing_else(kind: str, site: str) -> None:
    model = live_model("relu", kind, site, 1)
    tokens_RT = torch.tensor([[1, 9, 20, 33, 7], [1, 9, 20, 33, 7]])
    before = capture(model.lm, model.source, tokens_RT)
    rows = [None, RowClamps(model, [parse_clamp("3=+4")], prompt(1, 9, 20, 33, 7).layout)]
    with clamped(model, rows, 0, np.ones((2, 5), bool)):
        after = capture(model.lm, model.source, tokens_RT)
    assert torch.equal(after[0], before[0])
    torch.testing.assert_close(after[1], before[1] + 4 * model.sae.W_dec[3], rtol=1e-5, atol=1e-6)
