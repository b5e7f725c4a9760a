"""Texts under clamps against transformers' own generate, and against uncached forward passes by hand in float64.

Shapes: N tokens of a response, T positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.live.clamp_sweep import sweep
from engine.live.decoder import Chooser
from engine.live.generation import Generation, divergence, shown_text
from engine.live.live_model import LiveModel
from engine.live.prompts import Prompt, plain_prompt
from engine.runtime.progress import Silent
from engine.sae.token_norm import TokenNorm
from store.files.errors import MonosemError
from store.live.clamp import Clamp, parse_clamp
from store.live.model_outputs import perplexity
from store.live.sampling import Sampling
from tests.engine.architectures import each_architecture, each_token_norm, each_transcoding
from tests.engine.live_models import D_SAE, live_model, log_softmax, logits_by_hand
from tests.engine.small import BOS, words

PROMPT = words([5, 9, 33, 12, 40, 7, 7, 21])
NEW = 12
SAMPLED = Sampling(temperature=1.3, top_p=0.9, top_k=30, seed=5)


def clamps(*written: str) -> list[Clamp]:
    return [parse_clamp(one) for one in written]


def run(session: Generation) -> Generation:
    while session.step() is not None:
        pass
    return session


def written(live: LiveModel, clamp: Sequence[str] = (), sampling: Sampling = SAMPLED, new: int = NEW) -> Generation:
    return run(Generation(live, plain_prompt(live, PROMPT), clamps(*clamp), replace(sampling, max_new=new)))


def generated(live: LiveModel, prompt: Prompt, sampling: Sampling, new: int) -> list[int]:
    """Tokens by transformers' generate."""
    torch.manual_seed(sampling.seed)
    how = {"do_sample": False} if not sampling.temperature else {"do_sample": True, "temperature": sampling.temperature}
    if sampling.temperature:
        how |= {"top_p": sampling.top_p, "top_k": sampling.top_k}
    ids = torch.tensor([prompt.tokens])
    mask = torch.ones_like(ids)
    out = live.lm.network.generate(ids, attention_mask=mask, max_new_tokens=new, pad_token_id=0, **how)
    return out[0, ids.shape[1] :].tolist()


SAMPLINGS = [
    Sampling(),
    Sampling(temperature=1.0, seed=3),
    Sampling(temperature=0.7, seed=4),
    Sampling(temperature=1.5, top_k=7, seed=5),
    Sampling(temperature=2.0, top_p=0.8, seed=6),
    SAMPLED,
]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_without_clamps_both_texts_are_what_transformers_writes(family: str, sampling: Sampling) -> None:
    live = live_model(family=family)
    session = written(live, (), sampling, 30)  # beyond gemma2's window of 16
    assert session.base.tokens == generated(live, session.prompt, sampling, 30)
    assert session.clamped.tokens == session.base.tokens
    assert session.clamped.logprobs == session.base.logprobs == session.own_logprobs
    assert session.kl == [0.0] * 30
    alone = run(Generation(live, session.prompt, (), replace(sampling, max_new=30), compare=False))
    assert alone.base.tokens == session.base.tokens
    assert alone.clamped is alone.base


MODES = {
    "set": ["3=1.5"],
    "set below 0": ["3=-1"],
    "max": ["3=max*2"],
    "scale": ["3=*2", "4=*0"],
    "add": ["3=+1", "4=+-0.5"],
    "ablate": ["1=off", "3=off", "4=off"],
    "prompt": ["3=2@prompt"],
    "response": ["3=2@response"],
    "range": ["3=2@3:11"],
    "from": ["3=2@10:"],
    "condition": ["3=2@if:4>0.5", "5=off@if:6>0"],
    "all at once": ["3=2@response@:14@if:4>0.1@if:5>0.1", "7=max*1"],
    "the last one decides": ["3=2", "3=off@response", "3=1@if:4>0.5"],
}
LAYOUTS = {
    "llama": ("llama", "resid_post", 0, "bos"),
    "gpt2 without BOS": ("gpt2", "mlp_act", 1, "eos"),
    "the stream itself": ("gpt2", "resid_mid", 0, "bos"),
    "gemma2": ("gemma2", "mlp_out", 0, "bos"),
}


def check_by_hand(live: LiveModel, session: Generation, clamped_with: list[Clamp]) -> None:
    """Log-probabilities of both texts and the divergence, from forward passes over the whole texts."""
    start = len(session.prompt.tokens) - 1
    for text, force, found in (
        (session.base, [], session.base.logprobs),
        (session.clamped, clamped_with, session.clamped.logprobs),
        (session.clamped, [], session.own_logprobs),
    ):
        tokens = [*session.prompt.tokens, *text.tokens]
        log_probs = log_softmax(logits_by_hand(live, force, session.prompt, tokens))[start:-1]
        np.testing.assert_allclose(found, log_probs[np.arange(len(text.tokens)), text.tokens], atol=2e-4)
    tokens = [*session.prompt.tokens, *session.clamped.tokens]
    p, q = (log_softmax(logits_by_hand(live, c, session.prompt, tokens))[start:-1] for c in (clamped_with, []))
    np.testing.assert_allclose(session.kl, (np.exp(p) * (p - q)).sum(1), atol=1e-3)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_mode_and_limit_is_the_uncached_forward_by_hand(layout: str, mode: str) -> None:
    live = live_model("relu", *LAYOUTS[layout])
    # What is written by hand knows no sliding windows: gemma2's text stays within one.
    session = written(live, MODES[mode], new=7 if layout == "gemma2" else NEW)
    check_by_hand(live, session, clamps(*MODES[mode]))


@each_architecture
@pytest.mark.parametrize("mode", ["set", "scale", "ablate", "all at once"])
def test_every_architecture(arch: str, mode: str) -> None:
    live = live_model(arch)
    session = written(live, MODES[mode])
    check_by_hand(live, session, clamps(*MODES[mode]))


@each_token_norm
@pytest.mark.parametrize("mode", ["set", "scale", "ablate", "all at once"])
@pytest.mark.parametrize("arch", ["relu", "topk", "gated"])
def test_a_clamp_is_in_units_of_each_token(arch: str, mode: str, how: TokenNorm) -> None:
    """x' = x + unit(x) · Δf · W_dec, where tokens are normalised: the rest of the token, its mean too, stays."""
    live = live_model(arch, token_norm=how)
    session = written(live, MODES[mode])
    assert max(session.kl) > 1e-3
    check_by_hand(live, session, clamps(*MODES[mode]))


@pytest.mark.parametrize("how", ["none", "layer_norm"])
def test_a_skip_connection_takes_no_part_in_a_clamp(how: TokenNorm) -> None:
    places = {"site_out": "mlp_out", "layer_out": 1}
    live = live_model("topk", "llama", "mlp_in", 0, "bos", **places, token_norm=how, skip=True)
    session = written(live, MODES["set"])
    check_by_hand(live, session, clamps(*MODES["set"]))


@each_transcoding
@pytest.mark.parametrize("mode", ["set", "ablate", "condition"])
def test_transcoders_read_at_the_source_and_change_the_target(arch: str, mode: str) -> None:
    live = live_model(arch, "llama", "mlp_in", 0, "bos", site_out="mlp_out", layer_out=1)
    session = written(live, MODES[mode])
    check_by_hand(live, session, clamps(*MODES[mode]))


def test_the_clamps_of_these_tests_change_texts() -> None:
    """Else most of the above would say nothing."""
    live = live_model("relu")
    sessions = {mode: written(live, force) for mode, force in MODES.items()}
    for mode, session in sessions.items():
        assert max(session.kl) > 1e-3, mode
    assert sum(session.clamped.tokens != session.base.tokens for session in sessions.values()) > len(MODES) / 2


@each_token_norm
def test_set_to_what_it_is_changes_nothing_where_tokens_are_normalised(how: TokenNorm) -> None:
    check_set_to_what_it_is(live_model("topk", token_norm=how))


@each_architecture
def test_set_to_what_it_is_changes_nothing(arch: str) -> None:
    check_set_to_what_it_is(live_model(arch))


def check_set_to_what_it_is(live: LiveModel) -> None:
    prompt = plain_prompt(live, PROMPT)
    for feature in range(D_SAE):
        probe = Generation(live, prompt, clamps(f"{feature}=*1"), Sampling(max_new=1))
        probe.step()
        (act,) = probe.acts[0]
        assert act.clamped == act.natural
        last = len(prompt.tokens) - 1
        session = Generation(live, prompt, clamps(f"{feature}={act.natural!r}@{last}:{last + 1}"), Sampling(max_new=1))
        session.step()
        assert session.kl[0] < 1e-9
        assert abs(session.clamped.logprobs[0] - session.base.logprobs[0]) < 1e-5


@each_architecture
def test_live_activations_are_the_dictionarys(arch: str) -> None:
    """At each position that a token was drawn from: what the feature would be, and what it was made."""
    from engine.model.hooks import capture
    from tests.engine.live_models import acts_by_hand

    live = live_model(arch)
    session = written(live, ["3=2@response", "4=*1"])
    tokens = torch.tensor([[*session.prompt.tokens, *session.clamped.tokens]])
    # The clamp is behind the site's own input, so what is read is what the model computes before it.
    x_TD = capture(live.lm, live.source, tokens)[0].double().numpy()
    acts_TF = acts_by_hand(live, x_TD)[len(session.prompt.tokens) - 1 : -1]
    found = np.array([[one.natural for one in acts] for acts in session.acts])
    np.testing.assert_allclose(found, acts_TF[:, [3, 4]], atol=1e-4)
    changed = np.array([[one.clamped for one in acts] for acts in session.acts])
    assert changed[0, 0] == found[0, 0]  # the prompt's last token
    counted = np.array(session.clamped.tokens[:-1]) != BOS
    np.testing.assert_array_equal(changed[1:, 0], np.where(counted, 2, found[1:, 0]))
    np.testing.assert_array_equal(changed[:, 1], found[:, 1])


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_a_changed_clamp_acts_from_the_next_token_on(family: str) -> None:
    """As one forward pass would have it with each position under the clamps that were in force when it was read."""
    live = live_model("relu", family)
    session = Generation(live, plain_prompt(live, PROMPT), clamps("3=2"), replace(SAMPLED, max_new=NEW))
    for _ in range(5):
        session.step()
    session.change(clamps("5=1.5"))
    run(session)
    turn = len(session.prompt.tokens) + 4  # the fifth token is read under the new clamp, for it predicts the sixth
    check_by_hand(live, session, clamps(f"3=2@:{turn}", f"5=1.5@{turn}:"))
    unchanged = written(live, ["3=2"])
    assert session.clamped.tokens[:5] == unchanged.clamped.tokens[:5]
    assert session.kl[:5] == pytest.approx(unchanged.kl[:5], abs=1e-6)
    assert abs(session.kl[5] - unchanged.kl[5]) > 1e-3
    assert session.base.tokens == unchanged.base.tokens


@pytest.mark.parametrize("sampling", [Sampling(), SAMPLED], ids=str)
@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_going_back_writes_the_same_again(family: str, sampling: Sampling) -> None:
    live = live_model("relu", family)
    whole = written(live, ["3=2"], sampling, 24)
    for token in (0, 1, 7, 23, 24):
        session = written(live, ["3=2"], sampling, 24)
        session.back(token)
        assert len(session.clamped.tokens) == len(session.kl) == len(session.acts) == token
        run(session)
        assert session.base.tokens == whole.base.tokens
        assert session.clamped.tokens == whole.clamped.tokens
        np.testing.assert_allclose(session.kl, whole.kl, atol=1e-4)
    with pytest.raises(MonosemError, match="no token 25"):
        session.back(25)


def test_a_branch_obeys_other_clamps_and_another_seed() -> None:
    live = live_model("relu")
    session = written(live, ["3=2"])
    before = list(session.clamped.tokens)
    session.back(4)
    session.change(clamps("3=2", "5=max*2"))
    run(session)
    turn = len(session.prompt.tokens) + 3
    check_by_hand(live, session, clamps("3=2", f"5=max*2@{turn}:"))
    assert session.clamped.tokens[:4] == before[:4]
    session.back(4, seed=77)
    other = list(run(session).base.tokens)
    assert other[:4] == written(live).base.tokens[:4]
    assert other != written(live).base.tokens
    session.back(4, seed=77)
    assert run(session).base.tokens == other


def test_going_back_before_the_texts_part_and_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """To where both still agree, two rows are enough again."""
    live = live_model("relu")
    session = Generation(
        live, plain_prompt(live, ""), (), replace(SAMPLED, max_new=NEW)
    )  # BOS alone: back to 0 empties the memory
    for _ in range(4):
        session.step()
    session.change(clamps("3=3"))
    run(session)
    assert session.base.tokens != session.clamped.tokens
    first = next(i for i, (a, b) in enumerate(zip(session.base.tokens, session.clamped.tokens, strict=True)) if a != b)
    for token in (first, 2, 0):
        session.back(token)
        assert session.base.tokens == session.clamped.tokens
        run(session)
        turn = max(len(session.prompt.tokens) + token - 1, 0)
        check_by_hand(live, session, clamps(f"3=3@{min(turn, 4)}:"))


def test_a_text_ends_where_the_model_ends_it() -> None:
    live = live_model("relu")
    free = written(live, ["3=2"], Sampling(temperature=1.0, seed=1), 30)
    ending = next(token for token in free.base.tokens[3:] if token not in free.clamped.tokens[:15])
    live.lm.network.generation_config.eos_token_id = [ending]
    session = written(live, ["3=2"], Sampling(temperature=1.0, seed=1), 30)
    assert session.base.tokens == free.base.tokens[: free.base.tokens.index(ending) + 1]
    assert len(session.base.tokens) < 15
    assert session.base.end == "eos"
    assert shown_text(live, session.base) == live.vocabulary.text(session.base.tokens[:-1])
    assert session.base.tokens == generated(live, session.prompt, Sampling(temperature=1.0, seed=1), 30)
    # The other text goes on by itself, and is not disturbed.
    stop = free.clamped.tokens.index(ending) + 1 if ending in free.clamped.tokens else 30
    assert session.clamped.tokens == free.clamped.tokens[:stop]
    np.testing.assert_allclose(session.kl, free.kl[:stop], atol=1e-4)


def test_a_text_ends_with_the_models_context() -> None:
    live = live_model("relu")
    session = written(live, ["3=2"], SAMPLED, 500)
    assert live.lm.max_context == 64
    assert len(session.prompt.tokens) + len(session.clamped.tokens) == 65  # nothing is read behind the last one
    assert session.clamped.end == session.base.end == "context"
    assert session.step() is None
    check_by_hand(live, session, clamps("3=2"))


def test_prompts_that_cannot_be_continued() -> None:
    live = live_model()
    with pytest.raises(MonosemError, match=r"has 65 tokens, and llama was made for contexts of up to 64"):
        plain_prompt(live, words([1] * 64))
    assert len(plain_prompt(live, words([1] * 63)).tokens) == 64
    with pytest.raises(MonosemError, match="the prompt is empty"):
        plain_prompt(live_model("relu", "gpt2", "resid_post", 0, "eos"), "")


@pytest.mark.parametrize(
    ("clamp", "why"),
    [("20=1", "no feature 20"), ("3=1@if:20>1", "no feature 20"), ("3=1@user", "@user is a turn of a chat")],
)
def test_clamps_that_do_not_fit(clamp: str, why: str) -> None:
    live = live_model()
    session = Generation(live, plain_prompt(live, PROMPT), clamps("3=2"), Sampling(max_new=3))
    for attempt in (
        lambda: session.change(clamps(clamp)),
        lambda: Generation(live, session.prompt, clamps(clamp), Sampling(max_new=3)),
    ):
        with pytest.raises(MonosemError, match=why):
            attempt()
    assert session.clamps == tuple(clamps("3=2"))


def test_samplings_that_make_no_sense() -> None:
    for wrong in ({"temperature": -1}, {"top_p": 0}, {"top_p": 1.1}, {"top_k": -1}, {"seed": -1}, {"max_new": 0}):
        with pytest.raises(MonosemError):
            Sampling(**wrong).check()


def test_a_seed_is_a_stream_and_can_be_gone_back_in() -> None:
    logits = torch.linspace(0, 3, 50)
    chooser = Chooser(Sampling(temperature=1.0, seed=9), torch.device("cpu"))
    state = chooser.state()
    drawn = [chooser.pick(logits) for _ in range(20)]
    chooser.restore(state)
    assert [chooser.pick(logits) for _ in range(20)] == drawn
    assert len(set(drawn)) > 5


def test_divergence_and_perplexity() -> None:
    p, q = torch.tensor([0.5, 0.5, 0.0]).log(), torch.tensor([0.25, 0.5, 0.25]).log()
    assert divergence(p, q) == pytest.approx(0.5 * np.log(2))
    assert divergence(q, p) == np.inf
    assert divergence(p, p) == 0
    assert perplexity([np.log(0.5), np.log(0.125)]) == pytest.approx(4)
    assert perplexity([]) is None
    assert perplexity([-1.0, np.nan]) is None
    assert perplexity([-1.0, -np.inf]) is None
    assert perplexity([-1000.0]) is None, "it overflows"


@pytest.mark.parametrize("sampling", [Sampling(), SAMPLED], ids=str)
def test_a_sweep_is_each_strength_by_itself(sampling: Sampling) -> None:
    live = live_model("topk")
    prompt = plain_prompt(live, PROMPT)
    strengths, others = clamps("3=0@response", "3=2@response", "3=max*3@response"), clamps("5=*0.5")
    found = sweep(live, prompt, strengths, others, replace(sampling, max_new=NEW), Silent())
    assert list(found.base.tokens) == written(live, (), sampling).base.tokens
    for one, strength in zip(found.strengths, strengths, strict=True):
        alone = written(live, ["5=*0.5", str(strength)], sampling)
        assert one.clamp == str(strength)
        assert list(one.text.tokens) == alone.clamped.tokens
        np.testing.assert_allclose(one.text.logprobs, alone.clamped.logprobs, atol=1e-4)
        np.testing.assert_allclose(one.kl, alone.kl, atol=1e-4)
        np.testing.assert_allclose(one.own_logprobs, alone.own_logprobs, atol=1e-4)


@pytest.mark.parametrize("mode", ["set", "all at once"])
def test_a_clamped_text_alone_is_the_same_text(mode: str) -> None:
    live = live_model("topk")
    both = written(live, MODES[mode])
    alone = run(Generation(live, both.prompt, clamps(*MODES[mode]), replace(SAMPLED, max_new=NEW), compare=False))
    assert alone.base is alone.clamped
    assert alone.clamped.tokens == both.clamped.tokens
    np.testing.assert_allclose(alone.clamped.logprobs, both.clamped.logprobs, atol=1e-4)
    assert alone.kl == []
