"""The feature index against brute force: the model by hand, context by context in float64, and a dense dictionary.

Shapes: N tokens, F features, Q quantiles, V vocabulary.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.data import activations
from engine.indexing import index_build
from engine.indexing import index_run as module
from engine.indexing.index_run import build_index, encode_rows
from engine.jobs.subject import Subject
from engine.runtime.progress import Silent
from engine.sae import base
from engine.sae.registry import from_weights
from store.files.errors import MonosemError, WorkFailed
from store.index.columns import QUANTILES
from store.index.merge import merge
from store.index.reader import FeatureStore
from store.index.segment import SegmentBuilder, SegmentCoverage, covered
from store.query.histogram import activation_histogram, density_histogram
from store.run.folder import RunFolder
from store.run.ordinary import load_limits, save_limits
from store.run.weights import SaeWeights
from store.verify.run_check import verify_file
from tests.engine.small import BOS, EOS, FIRST_WORD, Texts
from tests.engine.tiny_models import VOCAB
from tests.engine.trained import (
    ALL,
    CONTEXT,
    F64,
    Truth,
    brute_force,
    contexts_of,
    gpt2_relu_documents,
    llama_topk_packed,
    random_weights,
    run_with,
    small_forwards,
    small_subject,
)


class Indexed(NamedTuple):
    """An index and what it was made of."""

    run: RunFolder
    subject: Subject
    weights: SaeWeights
    truth: Truth
    covered: SegmentCoverage
    """Results of the merge."""


CASES = {"llama_topk_packed": llama_topk_packed, "gpt2_relu_documents": gpt2_relu_documents}


@pytest.fixture(scope="module", params=CASES)
def indexed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    """An index of several segments over a whole corpus."""
    subject, weights = CASES[request.param]()
    run = run_with(weights, tmp_path_factory.mktemp("index") / "run")
    with pytest.MonkeyPatch.context() as patch:
        small_forwards(patch)
        patch.setattr(SegmentBuilder, "most_tokens", 14 * CONTEXT)  # no whole number of forwards of 4 contexts: 12 is
        merged: list[SegmentCoverage] = []
        patch.setattr(index_build, "merge", lambda index, *args: (merged.append(covered(index)), merge(index, *args)))
        build_index(run, subject, ALL, Silent())
    return Indexed(run, subject, weights, brute_force(subject, weights, "all"), merged[0])


def test_the_truth_is_worth_comparing_with(indexed: Indexed) -> None:
    """No activation is so near to its threshold that rounding decides, and features differ in how often they fire."""
    dense_NF = indexed.truth.dense_NF
    assert dense_NF[dense_NF > 0].min() > 1e-5
    counts = (dense_NF > 0).sum(0)
    assert counts.min() < 5 < 100 < counts.max()
    assert 0 < (~indexed.truth.counted_N).sum() < len(dense_NF) / 2


def test_the_corpus_is_that_of_the_stream(indexed: Indexed) -> None:
    truth = indexed.truth
    with h5py.File(indexed.run.features) as file:
        corpus = file["corpus"]
        np.testing.assert_array_equal(corpus["tokens"], truth.token_N)
        np.testing.assert_array_equal(corpus["counted"], truth.counted_N)
        start = np.cumsum(truth.length_C) - truth.length_C
        np.testing.assert_array_equal(corpus["contexts/start"], start)
        np.testing.assert_array_equal(corpus["contexts/length"], truth.length_C)
        np.testing.assert_array_equal(corpus["contexts/document"], truth.document_N[start])
        edges = [n for n, one in enumerate(truth.document_N) if n == 0 or one != truth.document_N[n - 1]]
        np.testing.assert_array_equal(corpus["documents/start"], edges)
        np.testing.assert_array_equal(corpus["documents/id"], truth.document_N[edges])
        assert file.attrs["n_tokens"] == len(truth.token_N)
        assert file.attrs["n_counted"] == truth.counted_N.sum()
        assert file.attrs["clipped"] == 0


def test_outliers_of_the_input_are_marked(tmp_path: Path) -> None:
    subject, weights = llama_topk_packed()
    truth = brute_force(subject, weights, "all")
    centre_D = truth.x_ND.mean(0)
    distance_N = np.where(truth.counted_N, np.linalg.norm(truth.x_ND - centre_D, axis=1), 0)
    *_, sixth, fifth = np.unique(distance_N)[:-4]
    run = run_with(weights, tmp_path / "run")
    weight_D = np.full_like(centre_D, 2 / (sixth + fifth))
    save_limits(run.ordinary, np.stack([centre_D, weight_D]).astype(np.float32))
    build_index(run, subject, ALL, Silent())
    with FeatureStore.open(run.path) as store:
        assert store.layout.outliers.tolist() == np.flatnonzero(distance_N >= fifth).tolist()
    assert verify_file(run.features).ok


def test_without_limits_they_are_measured_and_kept(indexed: Indexed) -> None:
    assert load_limits(indexed.run.ordinary, indexed.truth.x_ND.shape[1]) is not None
    with h5py.File(indexed.run.features) as file:
        assert "outliers" not in file["corpus"]


def assert_rounded(found: NDArray[Any], wanted: F64) -> None:
    """Equal up to half a unit in the last of float16's 11 bits, and float32's noise in the model."""
    np.testing.assert_allclose(found.astype(np.float64), wanted, rtol=6e-4, atol=2e-6)


def stored(indexed: Indexed) -> F64:
    """The forward order as a dense matrix [N, F]."""
    dense_NF = np.zeros(indexed.truth.dense_NF.shape)
    with h5py.File(indexed.run.features) as file:
        rows = np.repeat(np.arange(len(dense_NF)), np.diff(file["forward/indptr"]))
        dense_NF[rows, file["forward/feature"][()]] = file["forward/act"]
    return dense_NF


def test_forward_order(indexed: Indexed) -> None:
    """Every activation, by token and then by feature: exactly where it should be, as float16 has it."""
    dense_NF = indexed.truth.dense_NF
    token, feature = np.nonzero(dense_NF)
    with h5py.File(indexed.run.features) as file:
        forward = file["forward"]
        np.testing.assert_array_equal(np.diff(forward["indptr"]), (dense_NF > 0).sum(1))
        np.testing.assert_array_equal(forward["feature"], feature)
        assert forward["act"].dtype == np.float16
        assert_rounded(forward["act"][()], dense_NF[token, feature])


def test_inverted_order(indexed: Indexed) -> None:
    """Per feature exactly the tokens it fires on, falling by activation, ties by token."""
    dense_NF = indexed.truth.dense_NF
    with h5py.File(indexed.run.features) as file:
        inverted = {name: item[()] for name, item in file["inverted"].items()}
    assert inverted["indptr"][-1] == len(inverted["token"]) == np.count_nonzero(dense_NF)
    for feature in range(dense_NF.shape[1]):
        at = slice(*inverted["indptr"][feature : feature + 2])
        token, act = inverted["token"][at].astype(np.int64), inverted["act"][at].astype(np.float64)
        assert sorted(token) == np.flatnonzero(dense_NF[:, feature]).tolist()
        assert_rounded(act, dense_NF[token, feature])
        assert list(zip(-act, token, strict=True)) == sorted(zip(-act, token, strict=True))


def test_positions_left_out_fire_nowhere(indexed: Indexed) -> None:
    """Their rows are empty, though the dictionary would fire there."""
    truth = indexed.truth
    with h5py.File(indexed.run.features) as file:
        per_token = np.diff(file["forward/indptr"])
    assert (per_token[~truth.counted_N] == 0).all()
    if indexed.subject.encoding.excluded == "bos":
        assert (truth.token_N[~truth.counted_N] == BOS).all()
    else:
        np.testing.assert_array_equal(np.flatnonzero(~truth.counted_N), np.cumsum(truth.length_C) - truth.length_C)
    raw = from_weights(indexed.weights, torch.device("cpu")).encode(torch.from_numpy(truth.x_ND).float())
    assert (raw.act_BK > 0).any(1)[torch.from_numpy(~truth.counted_N)].any()


def test_columns_that_follow_from_activations(indexed: Indexed) -> None:
    truth = indexed.truth
    with h5py.File(indexed.run.features) as file:
        column = {name: file[f"feature/{name}"][()] for name in ("count", "max", "sum", "quantiles", "top_token")}
    stored_NF = stored(indexed)
    np.testing.assert_array_equal(column["count"], (truth.dense_NF > 0).sum(0))
    np.testing.assert_allclose(column["max"], truth.dense_NF.max(0), rtol=1e-3)
    np.testing.assert_allclose(column["sum"], truth.dense_NF.sum(0), rtol=1e-3)
    np.testing.assert_array_equal(column["max"], stored_NF.max(0))
    np.testing.assert_allclose(column["sum"], stored_NF.sum(0))
    for feature, act_N in enumerate(stored_NF.T):
        falling = sorted(act_N[act_N > 0], reverse=True)
        wanted = [falling[round((1 - q) * (len(falling) - 1))] if falling else 0 for q in QUANTILES]
        np.testing.assert_array_equal(column["quantiles"][feature], np.array(wanted, np.float32))
        totals = np.bincount(truth.token_N, weights=act_N, minlength=VOCAB)
        assert column["top_token"][feature] == (totals.argmax() if falling else -1)


def test_what_a_reader_shows(indexed: Indexed) -> None:
    truth = indexed.truth
    dense_NF, n_counted = truth.dense_NF, truth.counted_N.sum()
    with FeatureStore.open(indexed.run.path) as store:
        assert (store.n_tokens, store.n_counted) == (len(dense_NF), n_counted)
        assert store.complete
        density_F = (dense_NF > 0).sum(0) / n_counted
        np.testing.assert_allclose(store.columns.density_F, density_F, rtol=1e-12)
        mean_F = np.array([act[act > 0].mean() if act.any() else 0 for act in dense_NF.T])
        np.testing.assert_allclose(store.columns.mean_F, mean_F, rtol=1e-3)
        found = density_histogram(store.columns.density_F)
        logs = np.log10(density_F[density_F > 0])
        np.testing.assert_array_equal(found.counts, np.histogram(logs, found.edges)[0])
        assert found.edges[0] <= logs.min()
    stored_NF = stored(indexed)
    for feature in (int(density_F.argmax()), int(density_F.argmin())):
        with FeatureStore.open(indexed.run.path) as store:
            histogram = activation_histogram(store, feature, bins=7)
        act = stored_NF[stored_NF[:, feature] > 0, feature]
        np.testing.assert_allclose(histogram.edges, np.arange(8) * (act.max(initial=0) or 1) / 7)
        bins = zip(histogram.edges[:-1], [*histogram.edges[1:-1], np.inf], strict=True)
        assert histogram.counts.tolist() == [sum(low <= one < high for one in act) for low, high in bins]


def effects_by_hand(indexed: Indexed) -> F64:
    """Direct effects on the logits [F, V] in float64, by the formula of docs/formulas.md."""
    network = indexed.subject.lm.load().network
    parameter = {name: value.double().numpy() for name, value in network.state_dict().items()}
    rows = indexed.weights.tensors["W_dec"].astype(np.float64)
    if indexed.weights.spec.site == "mlp_act":
        rows = rows @ parameter["transformer.h.1.mlp.c_proj.weight"]
        rows = rows - rows.mean(1, keepdims=True)  # GPT-2's final norm centres
        effects = (rows * parameter["transformer.ln_f.weight"]) @ parameter["lm_head.weight"].T
    else:
        effects = (rows * parameter["model.norm.weight"]) @ parameter["lm_head.weight"].T
    centred: F64 = effects - effects.mean(1, keepdims=True)
    return centred


def test_columns_that_follow_from_the_weights(indexed: Indexed) -> None:
    rows = indexed.weights.tensors["W_dec"].astype(np.float64)
    norms = np.sqrt((rows**2).sum(1))
    cosine = rows @ rows.T / norms[:, None] / norms
    np.fill_diagonal(cosine, -2)
    effects = effects_by_hand(indexed)
    with h5py.File(indexed.run.features) as file:
        feature = {name: item[()] for name, item in file["feature"].items()}
        for name, values in indexed.weights.tensors.items():
            np.testing.assert_array_equal(file["sae"][name], values)
    np.testing.assert_allclose(feature["decoder_norm"], norms, rtol=1e-5)
    for name, value, truth in (
        ("neighbour", "cosine", cosine),
        ("logit_top", "value", effects),
        ("logit_bottom", "value", -effects),
    ):
        wanted = np.argsort(-truth, axis=1)[:, :10]
        sign = -1 if name == "logit_bottom" else 1
        np.testing.assert_array_equal(feature[f"{name}_id"], wanted)
        found = sign * feature[f"{name}_{value}"]
        np.testing.assert_allclose(found, np.take_along_axis(truth, wanted, 1), rtol=1e-4, atol=1e-5)
    assert (feature["logit_histogram"].sum(1) == effects.shape[1]).all()
    for row, counts in zip(effects, feature["logit_histogram"], strict=True):
        cumulative = np.cumsum(np.histogram(row, len(counts))[0])
        assert np.abs(np.cumsum(counts.astype(int)) - cumulative).max() <= 1  # rounding, where a value is at an edge
    np.testing.assert_allclose(feature["neuron_cosine"], cosines_by_hand(indexed, feature["neuron_id"]), atol=1e-5)


def cosines_by_hand(indexed: Indexed, neuron_FT: NDArray[np.int32]) -> F64:
    """Cosines of each feature with the ten neurons that have the largest, which must be those of `neuron_FT`."""
    rows = indexed.weights.tensors["W_dec"].astype(np.float64)
    unit = rows / np.sqrt((rows**2).sum(1, keepdims=True))
    if indexed.weights.spec.site != "mlp_act":
        matrix = indexed.subject.lm.network.get_submodule(f"model.layers.{indexed.weights.spec.layer}.mlp.down_proj")
        directions = matrix.get_parameter("weight").double().numpy().T
        unit = unit @ (directions / np.sqrt((directions**2).sum(1, keepdims=True))).T
    order = np.argsort(-np.abs(unit), axis=1)[:, :10]
    np.testing.assert_array_equal(neuron_FT, order)
    return np.take_along_axis(unit, order, 1)


def test_vocabulary_and_plan_say_what_was_indexed(indexed: Indexed) -> None:
    subject = indexed.subject
    with FeatureStore.open(indexed.run.features) as store:
        ids = np.array([EOS, FIRST_WORD, FIRST_WORD + 2])
        closing = "</s>" if subject.encoding.excluded == "first" else " </s>"  # a special token is its literal text
        assert store.vocabulary.text(ids) == f"{closing} w0 w2"
        plan = store.plan
    assert (plan.data, plan.corpus_digest) == (subject.corpus.spec, subject.corpus.digest())
    assert (plan.context, plan.packing, plan.seed) == (CONTEXT, subject.settings.packing, subject.settings.seed)
    assert plan.n_contexts == len(indexed.truth.length_C)


def test_several_segments_were_merged_and_cleared_away(indexed: Indexed) -> None:
    n_contexts = len(indexed.truth.length_C)
    assert indexed.covered.segments >= n_contexts // 20
    assert indexed.covered[1:] == (n_contexts, len(indexed.truth.token_N))
    assert not indexed.run.index.exists()
    assert verify_file(indexed.run.features).ok


@pytest.mark.parametrize("tokens", [1, CONTEXT, CONTEXT + 1, 100, 300, ALL])
def test_tokens_are_counted_with_bos_and_contexts_taken_whole(
    tokens: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_forwards(monkeypatch)
    subject, weights = llama_topk_packed()
    run = run_with(weights, tmp_path / "run")
    build_index(run, subject, tokens, Silent())
    lengths = [one.tokens_BT.shape[1] for one in contexts_of(subject, "all")]
    wanted = 0
    while sum(lengths[:wanted]) < tokens and wanted < len(lengths):
        wanted += 1
    with FeatureStore.open(run.path) as store:
        assert store.n_contexts == store.plan.n_contexts == wanted
        assert store.n_tokens == sum(lengths[:wanted])


@pytest.mark.parametrize("exponents", [True, False])
def test_activations_beyond_float16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, exponents: bool) -> None:
    """Exponents make room for them; what does not fit in spite of them is clipped, counted and reported."""
    said: list[str] = []

    class Told(Silent):
        def say(self, text: str) -> None:
            said.append(text)

    subject = small_subject(site="resid_post")
    weights = random_weights(subject, arch="relu")
    for name in ("W_enc", "b_enc"):
        weights.tensors[name] *= 5e4
    run = run_with(weights, tmp_path / "run")
    if not exponents:
        monkeypatch.setattr(module, "value_exponents", lambda *_: None)
    build_index(run, subject, ALL, Told())
    dense_NF = brute_force(subject, weights, "all").dense_NF
    above = int((dense_NF > 65_504).sum())
    assert above
    if exponents:
        with FeatureStore.open(run.path) as store:
            np.testing.assert_allclose(store.columns.max_F, dense_NF.max(0), rtol=2**-10)
            assert store.totals.count_F.sum() == (dense_NF > 0).sum()
        assert not any("too large" in line for line in said)
        return
    with h5py.File(run.features) as file:
        assert file.attrs["clipped"] == above
        assert file["forward/act"][()].max() == 65_504
        np.testing.assert_array_equal(np.diff(file["inverted/indptr"]), (dense_NF > 0).sum(0))
    assert f"{above} activations are too large for the index: stored as the largest that it holds" in said


def test_a_model_that_overflows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject, weights = llama_topk_packed()
    whole = activations.capture_all
    monkeypatch.setattr(activations, "capture_all", lambda *args: [acts * np.inf for acts in whole(*args)])
    with pytest.raises(WorkFailed, match="activations are NaN or infinite"):
        build_index(run_with(weights, tmp_path / "run"), subject, ALL, Silent())


def test_encoding_in_pieces_is_encoding_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, weights = llama_topk_packed()
    truth = brute_force(subject, weights, "all", 20)
    sae = from_weights(weights, torch.device("cpu"))
    x_ND = torch.from_numpy(truth.x_ND[truth.counted_N]).float()
    whole = encode_rows(sae, x_ND, truth.counted_N)
    monkeypatch.setattr(base, "ENCODE_BYTES", 4 * 40 * 7)
    pieces = encode_rows(sae, x_ND, truth.counted_N)
    np.testing.assert_array_equal(pieces.indptr, whole.indptr)
    np.testing.assert_array_equal(np.diff(whole.indptr), (truth.dense_NF > 0).sum(1))
    order = [
        np.lexsort((one.feature, np.repeat(np.arange(len(truth.token_N)), np.diff(one.indptr))))
        for one in (whole, pieces)
    ]
    np.testing.assert_array_equal(pieces.feature[order[1]], whole.feature[order[0]])
    np.testing.assert_allclose(pieces.act[order[1]], whole.act[order[0]], rtol=1e-5)


def test_a_text_without_a_token_that_counts_is_refused(tmp_path: Path) -> None:
    subject = replace(small_subject(site="resid_post"), corpus=Texts(("",) * 30))
    run = run_with(random_weights(subject), tmp_path / "run")
    with pytest.raises(MonosemError, match="no token that counts"):
        build_index(run, subject, ALL, Silent())


def test_a_dictionary_that_never_fires(tmp_path: Path) -> None:
    subject = small_subject(site="resid_post")
    weights = random_weights(subject)
    weights.tensors["b_enc"][:] = -1e6
    run = run_with(weights, tmp_path / "run")
    build_index(run, subject, ALL, Silent())
    with FeatureStore.open(run.path) as store:
        assert not store.columns.count_F.any()
        assert (store.columns.top_token_F == -1).all()
        assert len(store.postings(3).act) == 0
    assert verify_file(run.features).ok


def test_another_width_is_refused(tmp_path: Path) -> None:
    """An autoencoder of the stream cannot read the MLP's hidden layer."""
    stream, hidden = small_subject(site="resid_post"), small_subject(site="mlp_act")
    run = run_with(random_weights(stream), tmp_path / "run")
    with pytest.raises(MonosemError, match="reads 32 values, but mlp_act of llama has 48"):
        build_index(run, hidden, ALL, Silent())
    assert not run.index.exists()


@pytest.mark.parametrize("tokens", [0, -5])
def test_no_tokens_are_refused(tokens: int, tmp_path: Path) -> None:
    subject, weights = llama_topk_packed()
    run = run_with(weights, tmp_path / "run")
    with pytest.raises(MonosemError, match=f"not {tokens}"):
        build_index(run, subject, tokens, Silent())
    assert not run.index.exists()


@pytest.mark.parametrize("case", CASES)
def test_how_it_is_cut_into_segments_changes_nothing(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One segment or many: the file is the same to the byte."""
    small_forwards(monkeypatch)
    found: list[bytes] = []
    for contexts in (4, 8, 1000):
        monkeypatch.setattr(SegmentBuilder, "most_tokens", contexts * CONTEXT)
        subject, weights = CASES[case]()
        run = run_with(weights, tmp_path / str(contexts))
        build_index(run, subject, ALL, Silent())
        found.append(run.features.read_bytes())
    assert len(set(found)) == 1
