"""Autoencoders and runs to index and measure, model folders to read, and what a dictionary does written out by hand.

Shapes: N tokens, D = d_in, F = d_sae, C contexts, T positions, V vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.corpus.reading_order import Split
from engine.data import activations
from engine.data.contexts import ContextBatch
from engine.jobs.subject import Subject
from engine.model.language_model import LanguageModel
from store.run.folder import RunFolder, RunRecord
from store.run.spec import SaeSpec
from store.run.weights import SaeWeights, save_sae
from tests.engine.architectures import normalised_by_hand, turned_back_by_hand
from tests.engine.by_hand import Change, Place, run_by_hand
from tests.engine.small import Texts, random_texts, subject_of, words_tokenizer
from tests.engine.tiny_models import tiny

F64 = NDArray[np.float64]
CONTEXT = 16
ALL = 10**9
"""More tokens than there are."""


@dataclass(frozen=True)
class Truth:
    """A stretch of corpus as a dictionary sees it, one context after another."""

    token_N: NDArray[np.int64]
    counted_N: NDArray[np.bool_]
    document_N: NDArray[np.int64]
    length_C: NDArray[np.int64]
    x_ND: F64
    """The site's activations at every position."""
    dense_NF: F64
    """Feature activations; 0 at positions that do not count."""


@contextmanager
def in_double() -> Iterator[None]:
    """Make float64 the default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def double(lm: LanguageModel) -> LanguageModel:
    """The same model in float64."""
    return replace(lm.load(), network=copy.deepcopy(lm.network).double())


def contexts_of(subject: Subject, split: Split, count: int | None = None) -> list[ContextBatch]:
    """Contexts of a stream, each on its own and so without padding."""
    return list(subject.stream(split).batches(1, count))


def site_by_hand(lm: LanguageModel, place: Place, tokens_T: NDArray[np.int32]) -> F64:
    """One context's activations [T, D]; `lm` is in float64."""
    with in_double():
        seen, _ = run_by_hand(lm, torch.from_numpy(tokens_T)[None].long())
    return seen[place][0].numpy()


def logits_by_hand(
    lm: LanguageModel, tokens_T: NDArray[np.int32], place: Place | None = None, change: Change | None = None
) -> F64:
    """One context's logits [T, V], the place changed on the way if wished; `lm` is in float64."""
    with in_double():
        _, logits = run_by_hand(lm, torch.from_numpy(tokens_T)[None].long(), place, change)
    return logits[0].numpy()


def encode_by_hand(weights: SaeWeights, x_ND: F64) -> F64:
    """Dense activations [N, F] by the formulas of docs/formulas.md."""
    w = {name: values.astype(np.float64) for name, values in weights.tensors.items()}
    pre_NF = (normalised_by_hand(weights.spec.token_norm, x_ND) - w["b_dec"]) @ w["W_enc"] + w["b_enc"]
    if weights.spec.arch == "topk":
        assert weights.spec.k is not None
        ranks_NF = np.argsort(np.argsort(-pre_NF, axis=1), axis=1)
        pre_NF = np.where(ranks_NF < weights.spec.k, pre_NF, 0)
    if "threshold" in w:
        pre_NF = np.where(pre_NF > w["threshold"], pre_NF, 0)
    return np.maximum(pre_NF, 0)


def decode_by_hand(weights: SaeWeights, dense_NF: F64, x_ND: F64) -> F64:
    """Reconstructions [N, D] of the tokens x."""
    out_ND = dense_NF @ weights.tensors["W_dec"].astype(np.float64) + weights.tensors["b_dec"].astype(np.float64)
    return turned_back_by_hand(weights.spec.token_norm, out_ND, x_ND)


def brute_force(subject: Subject, weights: SaeWeights, split: Split, count: int | None = None) -> Truth:
    """Model and autoencoder over the first contexts of a split, one context at a time, in float64."""
    lm, place = double(subject.lm), (weights.spec.site, int(weights.spec.layer or 0))
    contexts = contexts_of(subject, split, count)
    x_ND = np.concatenate([site_by_hand(lm, place, one.tokens_BT[0]) for one in contexts])
    counted_N = np.concatenate([one.counted_BT[0] for one in contexts])
    return Truth(
        token_N=np.concatenate([one.tokens_BT[0] for one in contexts]).astype(np.int64),
        counted_N=counted_N,
        document_N=np.concatenate([one.document_BT[0] for one in contexts]),
        length_C=np.array([one.tokens_BT.shape[1] for one in contexts]),
        x_ND=x_ND,
        dense_NF=np.where(counted_N[:, None], encode_by_hand(weights, x_ND), 0),
    )


def random_weights(subject: Subject, d_sae: int = 40, arch: str = "topk", k: int = 5, seed: int = 0) -> SaeWeights:
    """A dictionary of random directions, of very different densities; decoder rows are not of length 1."""
    rng = np.random.default_rng(seed)
    d_in, settings = subject.site().d_in, subject.settings
    rows_FD = rng.standard_normal((d_sae, d_in)) / d_in**0.5
    tensors = {
        "W_enc": rows_FD.T * rng.uniform(0.5, 2, d_sae),
        "b_enc": rng.uniform(-2, 0.2, d_sae),
        "W_dec": rows_FD * rng.uniform(0.5, 2, (d_sae, 1)) + 0.1 * rng.standard_normal((d_sae, d_in)),
        "b_dec": 0.1 * rng.standard_normal(d_in),
    }
    if arch in ("batchtopk", "jumprelu"):
        tensors["threshold"] = rng.uniform(0.1, 1, 1 if arch == "batchtopk" else d_sae)
    spec = SaeSpec(
        model=settings.model,
        layer=settings.layer,
        site=settings.site,
        arch=arch,
        d_in=d_in,
        d_sae=d_sae,
        k=k if arch == "topk" else None,
        l1=5.0 if arch == "relu" else None,
        excluded=subject.encoding.excluded,
    )
    return SaeWeights(spec, {name: values.astype(np.float32) for name, values in tensors.items()})


def run_with(weights: SaeWeights, path: Path) -> RunFolder:
    """A run folder that holds an autoencoder, and no index."""
    run = RunFolder(path)
    path.mkdir(parents=True)
    run.create(RunRecord(spec=weights.spec))
    save_sae(run.sae, weights)
    return run


def small_forwards(monkeypatch: Any, tokens: int = 64) -> None:
    """Have so few tokens go through the model at once that small corpora take many forwards."""
    monkeypatch.setattr(activations, "FORWARD_TOKENS", tokens)


def model_folder(path: Path, family: str = "llama", *roles: str, scale: float = 1.0) -> Path:
    """A tiny model with its words tokenizer as a Hugging Face folder; `scale` multiplies its embedding."""
    network = tiny(family).network
    with torch.no_grad():
        network.get_input_embeddings().weight.mul_(scale)
    network.save_pretrained(path)
    words_tokenizer(*(roles or ("bos",))).save_pretrained(path)
    return path


def text_file(path: Path, texts: Texts) -> Path:
    """The texts as a corpus in a file."""
    path.write_text("<|endoftext|>".join(texts.texts), encoding="utf-8")
    return path


def small_subject(**settings: Any) -> Subject:
    """A tiny LLaMA on random texts, layer 0."""
    lm = tiny("llama", tokenizer=words_tokenizer("bos"))
    return subject_of(lm, random_texts(60, longest=30), context=CONTEXT, **settings)


def llama_topk_packed() -> tuple[Subject, SaeWeights]:
    """The default of most tests: packed contexts with BOS."""
    subject = small_subject(site="resid_post")
    return subject, random_weights(subject)


def gpt2_relu_documents() -> tuple[Subject, SaeWeights]:
    """Contexts of one document each, padded in the forward; the MLP's hidden layer; no BOS, so first positions go."""
    lm, texts = tiny("gpt2", tokenizer=words_tokenizer("eos")), random_texts(60, longest=30)
    subject = subject_of(lm, texts, "eos", context=CONTEXT, layer=1, packing="documents", site="mlp_act")
    return subject, random_weights(subject, arch="relu")
