"""Every figure of an evaluation against the formulas of docs/formulas.md, written out in float64.

Shapes: N counted tokens, D = d_in, F = d_sae, T positions of a context, V vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.corpus.reading_order import Split
from engine.evaluation import cross_entropy as module
from engine.evaluation.figures import Evaluation
from engine.evaluation.quality import evaluate
from engine.jobs.subject import Subject
from engine.runtime.progress import Silent
from engine.sae import base
from engine.sae.registry import from_weights
from store.files.errors import MonosemError
from store.run.spec import SaeSpec
from store.run.weights import SaeWeights
from tests.engine.small import Texts, random_texts, subject_of, words
from tests.engine.tiny_models import tiny
from tests.engine.trained import (
    ALL,
    CONTEXT,
    F64,
    brute_force,
    contexts_of,
    decode_by_hand,
    double,
    encode_by_hand,
    llama_topk_packed,
    logits_by_hand,
    random_weights,
    small_forwards,
    small_subject,
)

CPU = torch.device("cpu")
Swap = Callable[[F64], F64]


def measured(subject: Subject, weights: SaeWeights, split: Split = "all", tokens: int = ALL) -> Evaluation:
    return evaluate(subject, from_weights(weights, CPU), split, tokens, Silent())


def losses(logits_TV: F64, tokens_T: NDArray[np.int32]) -> F64:
    """Return -log p of every token after the first."""
    picked: F64 = -log_softmax(logits_TV)[np.arange(len(tokens_T) - 1), tokens_T[1:]]
    return picked


class Passed(NamedTuple):
    """Of one context: -log p of every next token, whether it is predicted from a counted position, and all logits."""

    loss_T: F64
    counted_T: NDArray[np.bool_]
    logits_TV: F64


def passed(
    subject: Subject, split: Split, count: int | None, swap: Swap | None, *, everywhere: bool = False
) -> list[Passed]:
    """All contexts, the site's rows at counted positions, or at all, going through `swap`."""
    lm, settings = double(subject.lm), subject.settings
    found = []
    for one in contexts_of(subject, split, count):
        tokens_T, counted_T = one.tokens_BT[0], torch.from_numpy(one.counted_BT[0] | everywhere)

        def change(acts_BTD: torch.Tensor, counted_T: torch.Tensor = counted_T) -> torch.Tensor:
            assert swap is not None
            out = acts_BTD.clone()
            out[0, counted_T] = torch.from_numpy(swap(acts_BTD[0, counted_T].numpy()))
            return out

        place = (settings.site, int(settings.layer or 0))
        logits_TV = logits_by_hand(lm, tokens_T, place if swap else None, change if swap else None)
        found.append(Passed(losses(logits_TV, tokens_T), one.counted_BT[0, :-1], logits_TV[:-1]))
    return found


def mean_and_error(sums: list[float], counts: list[float]) -> tuple[float, float]:
    """A ratio of sums over contexts, and its standard error."""
    value = sum(sums) / sum(counts)
    squares = [(one - value * n) ** 2 for one, n in zip(sums, counts, strict=True)]
    return value, (len(sums) / (len(sums) - 1) * sum(squares)) ** 0.5 / abs(sum(counts))


def losses_by_hand(
    subject: Subject, weights: SaeWeights, split: Split, count: int | None, mean_D: F64
) -> dict[str, Any]:
    """Every figure of CE and KL with its standard error."""
    zero: Swap = np.zeros_like
    swaps: dict[str, tuple[Swap | None, bool]] = {
        "clean": (None, False),
        "sae": (lambda x: decode_by_hand(weights, encode_by_hand(weights, x), x), False),
        "zero": (zero, False),
        "mean": (lambda x: np.broadcast_to(mean_D, x.shape).copy(), False),
        "all": (zero, True),
    }
    runs = {name: passed(subject, split, count, swap, everywhere=all_) for name, (swap, all_) in swaps.items()}
    sums = {name: [float(one.loss_T.sum()) for one in run] for name, run in runs.items()}
    later = {name: [float(one.loss_T[one.counted_T].sum()) for one in run] for name, run in runs.items()}
    counts = [float(len(one.loss_T)) for one in runs["clean"]]

    def less(one: list[float], other: list[float]) -> list[float]:
        return [a - b for a, b in zip(one, other, strict=True)]

    log_p = {name: [log_softmax(one.logits_TV) for one in runs[name]] for name in ("clean", "sae")}
    kl = [float((np.exp(p) * (p - q)).sum()) for p, q in zip(log_p["clean"], log_p["sae"], strict=True)]
    both = {f"ce_{name}": mean_and_error(sums[name], counts) for name in ("clean", "sae", "zero", "mean")}
    both |= {"kl": mean_and_error(kl, counts), "delta_ce": mean_and_error(less(sums["sae"], sums["clean"]), counts)}
    for name in ("zero", "mean"):
        lost, gap = less(sums[name], sums["sae"]), less(sums[name], sums["clean"])
        both[f"ce_recovered_{name}"] = mean_and_error(lost, gap)
    lost, gap = less(later["all"], later["sae"]), less(later["all"], later["clean"])
    both["ce_recovered_saelens"] = mean_and_error(lost, gap)
    return {name: value for name, (value, _) in both.items()} | {
        f"{name}_se": error for name, (_, error) in both.items()
    }


def log_softmax(logits_TV: F64) -> F64:
    largest = logits_TV.max(1, keepdims=True)
    found: F64 = logits_TV - largest - np.log(np.exp(logits_TV - largest).sum(1, keepdims=True))
    return found


def outliers_by_hand(x_ND: F64, max_norm: float = 5.0) -> NDArray[np.bool_]:
    """As engine.data.ordinary_tokens defines them, by what is usual in these tokens themselves."""
    n, middle = len(x_ND), (len(x_ND) - 1) // 2
    if n < 64:
        return np.zeros(n, bool)
    distance_N = np.linalg.norm(x_ND - np.sort(x_ND, 0)[middle], axis=1)
    sorted_N = np.sort(distance_N)
    found_N: NDArray[np.bool_] = distance_N > max_norm * max(sorted_N[middle], 0.6 * sorted_N[98 * n // 100])
    return found_N


def by_hand(subject: Subject, weights: SaeWeights, split: Split, count: int | None) -> dict[str, Any]:
    """All figures, by the names of `Evaluation`."""
    truth = brute_force(subject, weights, split, count)
    x_ND, dense_NF = truth.x_ND[truth.counted_N], truth.dense_NF[truth.counted_N]
    mean_D = x_ND.mean(0)
    error_ND = (x_ND - decode_by_hand(weights, dense_NF, x_ND)) ** 2
    error, ordinary_N = error_ND.sum(), ~outliers_by_hand(x_ND)
    variance_ND = (x_ND[ordinary_N] - x_ND[ordinary_N].mean(0)) ** 2
    fires = (dense_NF > 0).any(0)
    found_ND = decode_by_hand(weights, dense_NF, x_ND)
    norm_N, found_norm_N = np.linalg.norm(x_ND, axis=1), np.linalg.norm(found_ND, axis=1)
    return {
        "cosine": ((x_ND * found_ND).sum(1) / (norm_N * found_norm_N)).mean(),
        "norm_ratio": (found_norm_N / norm_N).mean(),
        "explained_variance_ordinary": 1 - error_ND[ordinary_N].sum() / variance_ND.sum(),
        "explained_variance_standardised": (1 - error_ND[ordinary_N].sum(0) / variance_ND.sum(0)).mean(),
        "outlier_tokens": int((~ordinary_N).sum()),
        "fvu": error / ((x_ND - mean_D) ** 2).sum(),
        "ln_vocab": np.log(subject.lm.vocab_size),
        "detectable_density": 3 / len(x_ND),
        "l0": (dense_NF > 0).sum(1).mean(),
        "explained_variance": 1 - error / ((x_ND - mean_D) ** 2).sum(),
        "mse": error / x_ND.size,
        "alive": int(fires.sum()),
        "dead": int((~fires).sum()),
        "d_sae": dense_NF.shape[1],
        "tokens": len(x_ND),
        "density_F": (dense_NF > 0).mean(0),
    } | losses_by_hand(subject, weights, split, count, mean_D)


def assert_same(found: Evaluation, wanted: dict[str, Any]) -> None:
    density_F = wanted.pop("density_F")
    for name, value in wanted.items():
        assert getattr(found, name) == pytest.approx(value, rel=2e-4, abs=2e-6), name
    logs = np.log10(density_F[density_F > 0])
    histogram = found.density_log10_histogram
    assert histogram.counts.sum() == len(logs)
    assert histogram.edges[0] <= logs.min()
    assert histogram.edges[-1] == 0
    np.testing.assert_array_equal(histogram.counts, np.histogram(logs, histogram.edges)[0])


def gpt2_subject(**settings: Any) -> Subject:
    """No BOS: the first position of each context is left out, and keeps its activation when others are replaced."""
    return subject_of(tiny("gpt2"), random_texts(60, longest=30), "eos", context=CONTEXT, layer=1, **settings)


OFTEN = {("resid_post", arch, "heldout") for arch in ("topk", "relu", "batchtopk", "jumprelu")}
OFTEN |= {("resid_mid", "topk", "heldout"), ("mlp_act", "topk", "heldout"), ("resid_post", "topk", "train")}
"""Each site, architecture and split once."""


@pytest.mark.parametrize(
    ("site", "arch", "split"),
    [
        pytest.param(*one, marks=[] if one in OFTEN else [pytest.mark.slow])
        for one in product(
            ("resid_post", "resid_mid", "mlp_act"), ("topk", "relu", "batchtopk", "jumprelu"), ("heldout", "train")
        )
    ],
)
def test_every_figure(site: str, arch: str, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    small_forwards(monkeypatch)
    subject = small_subject(site=site)
    weights = random_weights(subject, arch=arch)
    assert_same(measured(subject, weights, split, 300), by_hand(subject, weights, split, contexts_for(subject, split)))


@pytest.mark.parametrize(("arch", "how"), [("topk", "layer_norm"), ("relu", "rms_norm")])
def test_every_figure_where_tokens_are_normalised(arch: str, how: str) -> None:
    subject = small_subject(site="resid_post")
    weights = random_weights(subject, arch=arch)
    weights = SaeWeights(replace(weights.spec, token_norm=how), weights.tensors)
    assert_same(measured(subject, weights), by_hand(subject, weights, "all", None))


@pytest.mark.parametrize("site", ["resid_pre", "attn_out", "mlp_out"])
def test_every_figure_without_bos_and_with_padding(site: str) -> None:
    """Contexts of one document each: what a padded batch gives is what each context gives on its own."""
    subject = gpt2_subject(site=site, packing="documents")
    weights = random_weights(subject)
    lengths = {one.tokens_BT.shape[1] for one in contexts_of(subject, "heldout")}
    assert len(lengths) > 1
    assert_same(measured(subject, weights, "heldout"), by_hand(subject, weights, "heldout", None))


def contexts_for(subject: Subject, split: Split, tokens: int = 300) -> int:
    """Number of whole contexts with at least that many tokens, BOS included."""
    lengths = [one.tokens_BT.shape[1] for one in contexts_of(subject, split)]
    return next((n for n in range(len(lengths) + 1) if sum(lengths[:n]) >= tokens), len(lengths))


@pytest.mark.parametrize("tokens", [1, CONTEXT, CONTEXT + 1, 100])
def test_tokens_take_whole_contexts(tokens: int) -> None:
    subject, weights = llama_topk_packed()
    contexts = contexts_of(subject, "all", contexts_for(subject, "all", tokens))
    assert measured(subject, weights, "all", tokens).tokens == sum(one.counted_BT.sum() for one in contexts)


def dictionary(subject: Subject, **tensors: F64) -> SaeWeights:
    """Weights made by hand, k so large that nothing is cut off."""
    d_in, d_sae = tensors["W_enc"].shape
    settings = subject.settings
    spec = SaeSpec(
        model=settings.model, layer=0, site=settings.site, arch="topk", d_in=d_in, d_sae=d_sae, k=d_sae, excluded="bos"
    )
    return SaeWeights(spec, {name: values.astype(np.float32) for name, values in tensors.items()})


def test_a_perfect_dictionary_explains_and_recovers_all() -> None:
    """relu(x) - relu(-x) is x: one feature for each direction of each axis."""
    subject = small_subject(site="resid_post")
    eye = np.eye(subject.site().d_in)
    both = np.concatenate([eye, -eye])
    weights = dictionary(subject, W_enc=both.T, b_enc=np.zeros(64), W_dec=both, b_dec=np.zeros(32))
    found = measured(subject, weights)
    assert found.explained_variance == pytest.approx(1, abs=1e-12)
    assert found.mse == pytest.approx(0, abs=1e-12)
    assert found.ce_sae == pytest.approx(found.ce_clean, rel=1e-7)
    assert found.ce_recovered_zero == pytest.approx(1, abs=1e-6)
    assert found.ce_recovered_mean == pytest.approx(1, abs=1e-6)
    assert found.l0 == 32
    assert (found.alive, found.dead) == (64, 0)


def silent(subject: Subject, b_dec: F64) -> SaeWeights:
    """A dictionary that reconstructs everything as `b_dec`."""
    zeros = np.zeros((32, 40))
    return dictionary(subject, W_enc=zeros, b_enc=np.zeros(40), W_dec=zeros.T, b_dec=b_dec)


def test_a_dictionary_of_zeros_is_zero_ablation() -> None:
    subject = small_subject(site="resid_post")
    x_ND = site_rows(subject)
    found = measured(subject, silent(subject, np.zeros(32)))
    spread = ((x_ND - x_ND.mean(0)) ** 2).sum()
    assert found.explained_variance == pytest.approx(1 - (x_ND**2).sum() / spread, abs=1e-6)
    assert found.explained_variance < 0
    assert found.ce_sae == found.ce_zero
    assert found.ce_recovered_zero == 0
    assert (found.l0, found.alive, found.dead) == (0, 0, 40)
    assert found.density_log10_histogram.counts.sum() == 0


def test_a_dictionary_that_knows_the_mean_only_is_mean_ablation() -> None:
    subject = small_subject(site="resid_post")
    found = measured(subject, silent(subject, site_rows(subject).mean(0)))
    assert found.explained_variance == pytest.approx(0, abs=1e-6)
    assert found.ce_sae == pytest.approx(found.ce_mean, rel=1e-6)
    assert found.ce_recovered_mean == pytest.approx(0, abs=1e-5)


def site_rows(subject: Subject) -> F64:
    truth = brute_force(subject, random_weights(subject), "all")
    return truth.x_ND[truth.counted_N]


def test_a_mean_far_from_zero_costs_no_accuracy() -> None:
    """Variance is a small difference of large sums when activations have a large mean."""
    subject = small_subject(site="resid_post")
    with torch.no_grad():
        subject.lm.network.get_input_embeddings().weight.add_(300)
    weights = random_weights(subject)
    truth = brute_force(subject, weights, "all")
    x_ND, dense_NF = truth.x_ND[truth.counted_N], truth.dense_NF[truth.counted_N]
    assert abs(x_ND.mean()) > 50 * (x_ND - x_ND.mean(0)).std()
    error = ((x_ND - decode_by_hand(weights, dense_NF, x_ND)) ** 2).sum()
    wanted = 1 - error / ((x_ND - x_ND.mean(0)) ** 2).sum()
    assert measured(subject, weights).explained_variance == pytest.approx(wanted, rel=1e-3)


def test_sizes_of_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = small_subject(site="resid_post", packing="documents")
    weights = random_weights(subject, arch="relu")
    whole = asdict(measured(subject, weights))
    small_forwards(monkeypatch, 40)
    monkeypatch.setattr(module, "LOGIT_BYTES", 4 * 67 * 5)  # five rows of the vocabulary
    monkeypatch.setattr(base, "ENCODE_BYTES", 4 * 40 * 3)  # three tokens
    pieces = asdict(measured(subject, weights))
    for name in ("alive", "dead", "d_sae", "tokens", "l0"):
        assert pieces.pop(name) == whole.pop(name)
    histograms = whole.pop("density_log10_histogram"), pieces.pop("density_log10_histogram")
    np.testing.assert_array_equal(*(one["counts"] for one in histograms))
    for name in [name for name, value in whole.items() if isinstance(value, str)]:
        assert pieces.pop(name) == whole.pop(name)
    assert pieces.keys() == whole.keys()
    shares = whole.pop("variance_shares"), pieces.pop("variance_shares")
    for one in shares:
        one.pop("few_share")  # from a centre that is measured on the first piece
    assert shares[1] == pytest.approx(shares[0], rel=1e-5)
    measured_whole = {name: value for name, value in whole.items() if value is not None}
    assert {name: value for name, value in pieces.items() if value is not None} == pytest.approx(
        measured_whole, rel=1e-5
    )


def test_the_unigram_guess_counts_the_training_split_once_more() -> None:
    subject, weights = llama_topk_packed()
    found, count_V = measured(subject, weights, "heldout"), np.ones(subject.lm.vocab_size)
    for one in contexts_of(subject, "train"):
        np.add.at(count_V, one.tokens_BT[0, 1:], 1)
    held = np.concatenate([one.tokens_BT[0, 1:] for one in contexts_of(subject, "heldout")])
    assert found.ce_unigram == pytest.approx(-np.log(count_V / count_V.sum())[held].mean())
    assert found.ce_tokens == len(held)
    assert measured(subject, weights, "all").ce_unigram is None, "there is no training split of other text"


def split_corpora() -> tuple[Texts, Texts, Texts]:
    """A corpus; the same with other training text; the same with other held-out text."""
    texts, others = random_texts(60, longest=30), random_texts(60, longest=30, seed=9)
    held = [number % 20 == 19 for number in range(60)]

    def mixed(pick_held: Texts, pick_train: Texts) -> Texts:
        both = zip(held, pick_held.texts, pick_train.texts, strict=True)
        return Texts(tuple(a if is_held else b for is_held, a, b in both))

    return texts, mixed(texts, others), mixed(others, texts)


def test_held_out_figures_depend_on_held_out_text_alone() -> None:
    subject, weights = llama_topk_packed()
    plain, other_train, other_held = (replace(subject, corpus=corpus) for corpus in split_corpora())
    found = measured(plain, weights, "heldout").to_json()
    guess = {"ce_unigram", "ce_unigram_se"}  # by the frequencies of the training text
    other = measured(other_train, weights, "heldout").to_json()
    assert {name for name in found if other[name] != found[name]} == guess
    assert measured(other_held, weights, "heldout").mse != found["mse"]
    assert measured(other_held, weights, "train").to_json() == measured(plain, weights, "train").to_json()


def test_the_splits_share_no_document_and_together_are_all() -> None:
    """One word a document, so that tokens name documents."""
    corpus = Texts(tuple(words([number]) for number in range(60)))
    subject = subject_of(tiny("llama"), corpus, context=CONTEXT, site="resid_post")
    weights = random_weights(subject)
    counted = [measured(subject, weights, split).tokens for split in ("train", "heldout", "all")]
    assert counted == [57, 3, 60]
    held = {int(token) for one in contexts_of(subject, "heldout") for token in one.tokens_BT[one.counted_BT]}
    assert held == {19 + 3, 39 + 3, 59 + 3}


def test_what_the_json_says() -> None:
    subject, weights = llama_topk_packed()
    found = measured(subject, weights, "heldout")
    values = json.loads(json.dumps(found.to_json(), allow_nan=False))
    wanted = "l0 explained_variance mse ce_clean ce_sae ce_zero ce_mean ce_recovered_zero ce_recovered_mean alive dead"
    later = "fvu kl cosine norm_ratio delta_ce ln_vocab ce_unigram explained_variance_ordinary detectable_density"
    last = "explained_variance_standardised outlier_tokens ce_recovered_saelens d_sae tokens density_log10_histogram"
    assert {*wanted.split(), *later.split(), *last.split(), "data", "split"} <= set(values)
    assert set(values["density_log10_histogram"]) == {"edges", "counts"}
    assert (values["data"], values["split"]) == ("texts", "heldout")
    assert values["alive"] + values["dead"] == values["d_sae"] == 40


def test_an_evaluation_of_an_earlier_version_is_read() -> None:
    """Figures that came later are None."""
    subject, weights = llama_topk_packed()
    values = measured(subject, weights, "heldout").to_json()
    later = [name for name in values if name.endswith("_se")] + "fvu kl cosine norm_ratio delta_ce ln_vocab".split()
    found = Evaluation.from_json({name: value for name, value in values.items() if name not in later})
    assert (found.fvu, found.ce_sae_se, found.ce_sae) == (None, None, values["ce_sae"])


def test_text_without_a_token_that_counts_is_refused() -> None:
    subject, weights = llama_topk_packed()
    with pytest.raises(MonosemError) as caught:
        measured(replace(subject, corpus=Texts(("",) * 30)), weights)
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_the_model_is_left_as_it_was() -> None:
    """No hook remains, and no weight changes."""
    subject, weights = llama_topk_packed()
    tokens = torch.arange(3, 12)[None]
    before = subject.lm.network(tokens).logits
    measured(subject, weights, "heldout")
    assert torch.equal(subject.lm.network(tokens).logits, before)
