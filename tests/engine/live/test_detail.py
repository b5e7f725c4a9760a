"""Candidates and activations of a written text against uncached forward passes by hand in float64.

Shapes: N tokens of a response, T positions, V vocabulary.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.live import kept_states
from engine.live.candidates import LEAST, MOVED, SHOWN, candidates
from engine.live.generation import Generation
from engine.live.live_model import LiveModel
from engine.live.prompts import plain_prompt
from engine.model.hooks import capture
from store.live.clamp import parse_clamp
from store.live.model_outputs import NextTokens
from store.live.sampling import Sampling
from tests.engine.architectures import F64, each_architecture
from tests.engine.live_models import D_SAE, acts_by_hand, live_model, log_softmax, logits_by_hand
from tests.engine.small import BOS, words

PROMPT = words([5, 9, 33, 12, 40, 7, 7, 21])
SAMPLED = Sampling(temperature=1.3, seed=5, max_new=10)


def begun(live: LiveModel, *clamps: str) -> Generation:
    return Generation(live, plain_prompt(live, PROMPT), [parse_clamp(one) for one in clamps], SAMPLED, detail=True)


def finished(session: Generation) -> list[NextTokens]:
    found = []
    while (step := session.step()) is not None:
        assert step.candidates is not None
        found.append(step.candidates)
    return found


def check(found: NextTokens, p_V: F64, q_V: F64) -> None:
    """As many of the largest of each kind as are shown, whichever of two equal ones; and right log-probabilities."""
    at = list(found.tokens)
    assert len(set(at)) == len(at)
    np.testing.assert_allclose(found.clamped, p_V[at], atol=1e-3)
    np.testing.assert_allclose(found.own, q_V[at], atol=1e-3)
    p, q = np.exp(p_V), np.exp(q_V)
    for values, most in ((p, SHOWN), (q, SHOWN), (np.abs(p - q), MOVED)):
        largest = np.sort(values[values > 2 * LEAST])[::-1][:most]
        np.testing.assert_allclose(np.sort(values[at])[::-1][: len(largest)], largest, atol=1e-5)


@pytest.mark.parametrize("sifted", [False, True])
@pytest.mark.parametrize("layout", [("llama", "resid_post", 0, "bos"), ("gpt2", "mlp_act", 1, "eos")], ids=str)
def test_candidates_are_those_of_the_models_logits(
    layout: tuple[str, str, int, str], sifted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sifted:
        monkeypatch.setattr("engine.live.candidates.WHOLE", 3)
    live = live_model("relu", *layout)
    session = begun(live, "3=2@response", "4=*2")
    found = finished(session)
    start, tokens = len(session.prompt.tokens) - 1, [*session.prompt.tokens, *session.clamped.tokens]
    p_NV, q_NV = (
        log_softmax(logits_by_hand(live, clamps, session.prompt, tokens))[start:-1] for clamps in (session.clamps, [])
    )
    assert len(found) == len(p_NV)
    for one, p_V, q_V in zip(found, p_NV, q_NV, strict=True):
        check(one, p_V, q_V)
    assert max(session.kl) > 1e-3


@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 60, 6000]), st.sampled_from([0.1, 3.0, 30.0]))
def test_candidates_of_any_two_distributions(seed: int, size: int, scale: float) -> None:
    p_V, q_V = torch.log_softmax(scale * torch.randn(2, size, generator=torch.Generator().manual_seed(seed)), -1)
    check(candidates(p_V, q_V), p_V.double().numpy(), q_V.double().numpy())


def test_a_token_that_is_ruled_out_has_no_probability() -> None:
    found = candidates(torch.tensor([0.5, 0.5, 0.0]).log(), torch.tensor([0.0, 0.5, 0.5]).log())
    assert sorted(found.tokens) == [0, 1, 2]
    assert found.own[found.tokens.index(0)] == -np.inf
    flat_V = torch.zeros(20_000).log_softmax(-1)
    assert candidates(flat_V, flat_V).tokens == ()


@each_architecture
def test_any_features_activations_on_both_texts(arch: str) -> None:
    """Those of the dictionary on the tokens themselves, whatever is clamped there; BOS does not count."""
    live = live_model(arch)
    session = begun(live, "3=9@response")
    finished(session)
    assert session.base.tokens != session.clamped.tokens
    first = len(session.prompt.tokens)
    for row, text in enumerate((session.base, session.clamped)):
        ids = torch.tensor([[*session.prompt.tokens, *text.tokens]])
        # The clamp acts behind the site's own input, so that is what the model computes without it.
        x_TD = capture(live.lm, live.source, ids)[0].double().numpy()
        expected_NF = acts_by_hand(live, x_TD)[first:-1]  # the last token has not been read
        found_NF = np.array([session.text_acts(feature)[row] for feature in range(D_SAE)]).T
        counted = np.array(text.tokens[:-1]) != BOS
        assert np.isnan(found_NF[~counted]).all()
        np.testing.assert_allclose(found_NF[counted], expected_NF[counted], atol=1e-4)


def test_activations_after_a_way_back_and_of_the_last_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    live = live_model("topk")
    whole = begun(live, "3=2")
    finished(whole)
    known = whole.text_acts(3)
    session = begun(live, "3=2")
    for _ in range(5):
        session.step()
    assert [len(one) for one in session.text_acts(3)] == [4, 4]
    session.back(2)
    assert [len(one) for one in session.text_acts(3)] == [1, 1]
    finished(session)
    for one, other in zip(session.text_acts(3), known, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
        np.testing.assert_allclose(session.text_acts(3, 4)[0], known[0][4:], atol=1e-5)
    monkeypatch.setattr(kept_states, "MOST", 3)
    monkeypatch.setattr(kept_states, "SLACK", 2)
    short = begun(live, "3=2")
    finished(short)
    found = np.array(short.text_acts(3)[1])
    assert 3 <= (~np.isnan(found)).sum() <= 5
    kept = ~np.isnan(found)
    assert kept[-3:].all()
    np.testing.assert_allclose(found[kept], np.array(known[1])[kept], atol=1e-5)


@each_architecture
def test_features_of_the_prompt_are_the_dictionarys(arch: str) -> None:
    live = live_model(arch)
    session = begun(live, "3=2@response")
    assert session.prompt_features(D_SAE) == ()  # not read yet
    session.step()
    found = session.prompt_features(D_SAE)
    ids = torch.tensor([list(session.prompt.tokens)])
    acts_TF = acts_by_hand(live, capture(live.lm, live.source, ids)[0].double().numpy())[1:]  # BOS does not count
    best_F = acts_TF.max(0)
    assert {one.feature for one in found} == set(np.flatnonzero(best_F > 1e-5).tolist())
    for one in found:
        assert one.activation == pytest.approx(best_F[one.feature], abs=1e-4)
        assert one.token == session.prompt.tokens[1 + acts_TF[:, one.feature].argmax()]
    assert live.max_F is not None
    heights = [one.activation / float(live.max_F[one.feature]) for one in found]
    assert heights == sorted(heights, reverse=True)
    assert session.prompt_features(2) == found[:2]


def test_without_detail_nothing_is_kept() -> None:
    live = live_model()
    session = Generation(live, plain_prompt(live, PROMPT), [parse_clamp("3=2")], replace(SAMPLED, max_new=2))
    step = session.step()
    assert step is not None
    assert step.candidates is None
