"""Inspection against the index of the same contexts, and ablation against whole forward passes by hand in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.data.contexts import EncodedContext
from engine.indexing.index_run import build_index
from engine.jobs.subject import Subject
from engine.live.inspection import contexts_of, inspect_contexts, typed_document
from engine.live.live_model import LiveModel
from engine.model.hooks import capture
from engine.runtime.progress import Silent
from engine.sae.registry import from_weights
from engine.sae.token_norm import TokenNorm
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.live.model_outputs import ReadToken
from store.run.weights import SaeWeights
from tests.engine.architectures import arrays, each_architecture, each_token_norm, each_transcoding, unit_by_hand
from tests.engine.by_hand import run_by_hand
from tests.engine.live_models import acts_by_hand, live_model, log_softmax
from tests.engine.small import BOS, EOS, FIRST_WORD, words
from tests.engine.trained import (
    ALL,
    double,
    gpt2_relu_documents,
    in_double,
    llama_topk_packed,
    run_with,
)

TEXT = words([5, 9, 33, 12, 40, 7, 7, 21, 3, 50, 51, 52, 53])


def flat(contexts: Sequence[Sequence[ReadToken]]) -> list[ReadToken]:
    return [token for context in contexts for token in context]


def read(live: LiveModel, text: str = TEXT, top: int = 6, *, ablate: bool = False) -> list[ReadToken]:
    return flat(inspect_contexts(live, contexts_of(live, typed_document(text)), top, Silent(), ablate=ablate))


def live_of(subject: Subject, weights: SaeWeights) -> LiveModel:
    sae = from_weights(weights, torch.device("cpu"))
    return LiveModel(subject.lm, subject.encoding, sae, subject.site(), subject.target(), subject.context)


@pytest.mark.parametrize("case", [llama_topk_packed, gpt2_relu_documents])
def test_activations_are_the_indexs_for_the_same_contexts(case: object, tmp_path: Path) -> None:
    subject, weights = case()  # type: ignore[operator]
    run = run_with(weights, tmp_path / "run")
    build_index(run, subject, ALL, Silent())
    live = live_of(subject, weights)
    with FeatureStore.open(run.path) as store:
        spans = [store.context_of(0)]
        while (behind := spans[-1].start + spans[-1].length) < store.n_tokens:
            spans.append(store.context_of(behind))
        tokens = [store.tokens(one.start, one.start + one.length) for one in spans]
        contexts = [EncodedContext(ids, np.zeros(len(ids), np.int64), np.zeros(len(ids), np.uint8)) for ids in tokens]
        found = flat(inspect_contexts(live, contexts, 10**6, Silent()))
        assert len(found) == store.n_tokens
        rows = store.rows(0, store.n_tokens)
    firing = 0
    for place, token in enumerate(found):
        here = slice(rows.indptr[place], rows.indptr[place + 1])
        indexed = dict(zip(rows.feature[here].tolist(), rows.act[here].tolist(), strict=True))
        shown = {one.feature: one.activation for one in token.firings}
        assert shown == pytest.approx(indexed, rel=6e-4, abs=1e-6)
        assert token.active == len(indexed)
        assert [one.activation for one in token.firings] == sorted(shown.values(), reverse=True)
        firing += len(indexed)
    assert firing > 100
    assert any(not token.counted for token in found)


@each_architecture
def test_the_strongest_features_of_every_architecture(arch: str) -> None:
    live = live_model(arch)
    found = read(live, top=3)
    (context,) = contexts_of(live, typed_document(TEXT))
    assert context.ids[0] == BOS
    x_TD = capture(live.lm, live.source, torch.from_numpy(context.ids)[None].long())[0].double().numpy()
    acts_TF = acts_by_hand(live, x_TD)
    for place, token in enumerate(found):
        wanted = acts_TF[place] * (place > 0)
        order = [int(f) for f in np.argsort(-wanted)[:3] if wanted[f] > 0]
        assert [one.feature for one in token.firings] == order
        np.testing.assert_allclose([one.activation for one in token.firings], wanted[order], rtol=1e-4, atol=1e-4)
        assert token.active == (wanted > 0).sum()
        assert all(one.loss_change is None for one in token.firings)


@each_token_norm
def test_activations_of_a_dictionary_that_normalises_tokens(how: TokenNorm, tmp_path: Path) -> None:
    subject, weights = llama_topk_packed()
    weights = SaeWeights(replace(weights.spec, token_norm=how), weights.tensors)
    test_activations_are_the_indexs_for_the_same_contexts(lambda: (subject, weights), tmp_path)


def losses_by_hand(live: LiveModel, tokens: list[int], place: int, added: np.ndarray) -> float:
    """The loss of the token after `place` when something is added there, and only there."""
    target = (live.target.name, int(live.target.layer or 0))
    ids = torch.tensor([tokens])

    def change(acts_BTO: torch.Tensor) -> torch.Tensor:
        changed = acts_BTO.clone()
        changed[0, place] += torch.from_numpy(added)
        return changed

    with in_double():
        _, logits = run_by_hand(double(live.lm), ids, target, change)
    return float(-log_softmax(logits[0].numpy())[place, tokens[place + 1]])


def check_ablation(live: LiveModel) -> None:
    found = read(live, top=4, ablate=True)
    (context,) = contexts_of(live, typed_document(TEXT))
    tokens, W_dec = context.ids.tolist(), arrays(live.sae)["W_dec"]
    x_TD = capture(live.lm, live.source, torch.from_numpy(context.ids)[None].long())[0].double().numpy()
    biggest = 0.0
    for place, token in enumerate(found[:-1]):
        clean = losses_by_hand(live, tokens, place, np.zeros(W_dec.shape[1]))
        assert token.next_loss == pytest.approx(clean, abs=1e-4)
        for one in token.firings:
            unit = 1.0 if live.sae.settings.d_out else unit_by_hand(live.sae.settings.token_norm, x_TD[place])
            loss = losses_by_hand(live, tokens, place, -unit * one.activation * W_dec[one.feature])
            assert one.loss_change == pytest.approx(loss - clean, abs=2e-4)
            biggest = max(biggest, abs(loss - clean))
    assert biggest > 0.01
    last = found[-1]
    assert last.next_loss is None
    assert all(one.loss_change is None for one in last.firings)


@each_architecture
def test_ablation_is_subtracting_f_times_W_dec_by_hand(arch: str) -> None:
    check_ablation(live_model(arch))


@pytest.mark.parametrize(("family", "site"), [("gpt2", "resid_mid"), ("gemma", "mlp_act"), ("gpt_neox", "attn_out")])
def test_ablation_at_other_sites(family: str, site: str) -> None:
    check_ablation(live_model("relu", family, site, 1))


@each_token_norm
@pytest.mark.parametrize("arch", ["relu", "topk"])
def test_ablation_where_tokens_are_normalised(arch: str, how: TokenNorm) -> None:
    check_ablation(live_model(arch, token_norm=how))


@each_transcoding
def test_ablation_of_a_transcoder_is_at_what_it_explains(arch: str) -> None:
    check_ablation(live_model(arch, "llama", "mlp_in", 0, "bos", site_out="mlp_out", layer_out=1))


def test_ablation_beside_a_skip_connection_and_normalised_input() -> None:
    places = {"site_out": "mlp_out", "layer_out": 1}
    check_ablation(live_model("topk", "llama", "mlp_in", 0, "bos", **places, token_norm="layer_norm", skip=True))


def test_a_long_text_is_cut_into_contexts_as_a_document_is() -> None:
    live = live_model()
    ids = list(range(3, 43))
    contexts = contexts_of(live, typed_document(words([one - 3 for one in ids])))
    assert [one.ids.tolist() for one in contexts] == [[BOS, *ids[0:15]], [BOS, *ids[15:30]], [BOS, *ids[30:]]]
    whole = inspect_contexts(live, contexts, 5, Silent(), ablate=True)
    for context, tokens in zip(contexts, whole, strict=True):
        alone = inspect_contexts(live, [context], 5, Silent(), ablate=True)[0]
        for one, other in zip(tokens, alone, strict=True):
            assert [f.feature for f in one.firings] == [f.feature for f in other.firings]
            np.testing.assert_allclose(
                [f.activation for f in one.firings], [f.activation for f in other.firings], rtol=1e-4, atol=1e-5
            )
    bare = live_model("relu", "gpt2", "resid_post", 0, "eos")
    contexts = contexts_of(bare, typed_document(words([0] * 20)))
    assert [len(one.ids) for one in contexts] == [16, 4]
    assert [token.counted for token in flat(inspect_contexts(bare, contexts, 5, Silent()))] == [
        *([False] + [True] * 15),
        *([False] + [True] * 3),
    ]


def test_nothing_to_inspect() -> None:
    live = live_model()
    with pytest.raises(MonosemError, match="no text"):
        contexts_of(live, typed_document(""))
    with pytest.raises(MonosemError, match="no text"):
        contexts_of(live, typed_document(" "))  # no token for this tokenizer
    with pytest.raises(MonosemError, match="at least one feature"):
        inspect_contexts(live, contexts_of(live, typed_document(TEXT)), 0, Silent())


TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ 'w8 ' if m.role == 'user' else 'w7 ' }}{{ m.content }} </s>{% endfor %}"
)


def test_a_typed_chat_is_read_in_the_template() -> None:
    live = live_model("relu", "llama", "resid_post", 0, "bos", "eos")
    live.encoding.tokenizer.chat_template = TEMPLATE
    spoken = [FIRST_WORD + 8, FIRST_WORD + 5, EOS]
    for text, ids, roles in (
        ("w5", [BOS, *spoken], [None, None, "user", None]),
        (
            '[{"role": "user", "content": "w5"}, {"role": "assistant", "content": "w4"}]',
            [BOS, *spoken, FIRST_WORD + 7, FIRST_WORD + 4, EOS],
            [None, None, "user", None, None, "assistant", None],
        ),
    ):
        contexts = contexts_of(live, typed_document(text, chat=True))
        found = flat(inspect_contexts(live, contexts, 3, Silent()))
        assert ([one.token for one in found], [one.role for one in found]) == (ids, roles)
