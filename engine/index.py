"""The feature index: one sweep of a corpus through model and autoencoder into segments, then a merge.

Shapes: N tokens, D = d_in, F = d_sae, K entries kept a token, B contexts, T positions.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from engine.activations import Captured, captured_batches, whole_forwards
from engine.contexts import ContextBatch
from engine.logit_effects import logit_effects, neighbours
from engine.models import LanguageModel
from engine.neurons import aligned_neurons
from engine.progress import Progress
from engine.sae.base import Sae, encoded_rows
from engine.sae.registry import from_weights
from engine.sites import Site
from engine.subject import Subject
from engine.vocab import numbered_vocabulary, token_bytes
from store.errors import MonosemError
from store.merge import merge
from store.run import RunFolder
from store.segment import (
    IndexPlan,
    SegmentBuilder,
    SparseRows,
    StaticColumns,
    TokenRows,
    common_path,
    complete_segments,
    read_plan,
    segment_path,
    write_common,
)
from store.vocab import Vocabulary
from store.weights import SaeWeights, load_sae

SEGMENT_TOKENS = 1 << 17
"""Tokens a segment: at 32 active features its sort needs about 300 MB."""
LISTED = 10
"""Tokens, neighbours and neurons kept a feature."""


def build_index(run: RunFolder, subject: Subject, tokens: int, progress: Progress) -> None:
    """Make features.h5 of a trained run over the first `tokens` tokens of a corpus, in seeded order.

    Tokens are counted with BOS; contexts are taken whole.

    Goes on behind the segments that an earlier, killed call with the same settings has finished; the result is the
    same to the byte. The caller holds the run's lock.

    Raises:
        MonosemError: the run has no sae.h5, `tokens` is not positive, or unfinished segments come from other settings.
    """
    weights = load_sae(run.sae)
    site = subject.site()
    target = subject.target()
    check_width(weights, site, target, subject.lm)
    plan = _plan(run, subject, tokens)
    sae = from_weights(weights, subject.lm.device)
    if complete_segments(run.index):
        _check_same(read_plan(common_path(run.index)), plan, run)
    else:
        write_common(run.index, plan, _vocabulary(subject.lm), weights, _columns(subject.lm, target, sae))
    _sweep(run, subject, plan, site, sae, progress)
    progress.say("merging the index")
    merge(run.index, run.features)
    shutil.rmtree(run.index)


def check_width(weights: SaeWeights, site: Site, target: Site, lm: LanguageModel) -> None:
    """Refuse an autoencoder that was made for activations of another width."""
    spec = weights.spec
    widths = [("reads", spec.d_in, site), ("explains", spec.d_out or spec.d_in, target)]
    for does, width, place in widths:
        if width != place.d_in:
            raise MonosemError(
                f"the autoencoder {does} {width} values, but {place.name} of {lm.name} has {place.d_in}",
                "Use the model, layer and site it was trained on.",
            )


def encode_rows(sae: Sae, acts_ND: torch.Tensor, counted_N: np.ndarray) -> SparseRows:
    """Active features of consecutive tokens; `acts_ND` holds the counted ones of them."""
    counts, features, acts = [], [], []
    for some_ND in torch.split(acts_ND, encoded_rows(sae)):
        found = sae.encode(some_ND.float())
        active_BK = found.act_BK > 0
        counts.append(active_BK.sum(1).cpu().numpy())
        features.append(found.feature_BK[active_BK].cpu().numpy())
        acts.append(found.act_BK[active_BK].cpu().numpy())
    per_token = np.zeros(len(counted_N), np.int64)
    per_token[counted_N] = np.concatenate([np.zeros(0, np.int64), *counts])
    return SparseRows(
        np.concatenate([np.zeros(1, np.int64), np.cumsum(per_token)]),
        np.concatenate([np.zeros(0, np.int64), *features]),
        np.concatenate([np.zeros(0, np.float32), *acts]),
    )


def token_rows(batch: ContextBatch) -> TokenRows:
    """The tokens of a batch, padding left out."""
    real_BT = batch.mask_BT
    return TokenRows(
        token_N=batch.tokens_BT[real_BT],
        counted_N=batch.counted_BT[real_BT],
        document_N=batch.document_BT[real_BT],
        length_C=real_BT.sum(1).astype(np.int32),
    )


def _sweep(run: RunFolder, subject: Subject, plan: IndexPlan, site: Site, sae: Sae, progress: Progress) -> None:
    stream = subject.stream("all")
    done = complete_segments(run.index)
    first_token = _tokens_before(run.index, done)
    stream.skip(done * plan.contexts_per_segment)
    task = progress.task("indexing", plan.n_contexts, "contexts", done * plan.contexts_per_segment)
    with task as bar:
        for number in range(done, plan.n_segments):
            first_context = number * plan.contexts_per_segment
            wanted = min(plan.contexts_per_segment, plan.n_contexts - first_context)
            builder = SegmentBuilder(sae.settings.d_sae)
            for captured in captured_batches(subject.lm, [site], stream, wanted):
                _add(builder, sae, captured)
                bar.advance(len(captured.batch.tokens_BT))
            n_tokens = builder.n_tokens
            builder.seal(segment_path(run.index, number), first_token, first_context)
            first_token += n_tokens
            if builder.clipped:
                progress.say(f"{builder.clipped} activations above 65 504 are stored as 65 504")


def _add(builder: SegmentBuilder, sae: Sae, captured: Captured) -> None:
    rows = token_rows(captured.batch)
    builder.add(rows, encode_rows(sae, captured.acts_ND, rows.counted_N))


def _tokens_before(index: Path, segments: int) -> int:
    from store.hdf5 import open_sealed

    if not segments:
        return 0
    with open_sealed(segment_path(index, segments - 1), "segment") as file:
        return int(file.attrs["first_token"]) + int(file.attrs["n_tokens"])


def _plan(run: RunFolder, subject: Subject, tokens: int) -> IndexPlan:
    if tokens < 1:
        raise MonosemError(f"an index needs at least one token, not {tokens}", "Raise --tokens or --index-tokens.")
    settings = subject.settings
    return IndexPlan(
        data=subject.corpus.spec,
        corpus_digest=subject.corpus.digest(),
        sae_digest=hashlib.sha256(run.sae.read_bytes()).hexdigest(),
        packing=settings.packing,
        context=subject.context,
        seed=settings.seed,
        n_contexts=subject.stream("all").skip_tokens(tokens),
        contexts_per_segment=whole_forwards(SEGMENT_TOKENS // subject.context, subject.context),
        model_digest=subject.lm.digest,
    )


def _check_same(found: IndexPlan, wanted: IndexPlan, run: RunFolder) -> None:
    differing = [name for name, value in asdict(wanted).items() if asdict(found)[name] != value]
    if differing:
        raise MonosemError(
            f"{run.index} holds an unfinished index made with another {', '.join(differing)}",
            f"Give the same settings to finish it, or remove {run.index}.",
        )


def _vocabulary(lm: LanguageModel) -> Vocabulary:
    if lm.tokenizer is None:
        return Vocabulary.from_tokens(numbered_vocabulary(lm.vocab_size))
    return Vocabulary.from_tokens(token_bytes(lm.tokenizer))


def _columns(lm: LanguageModel, target: Site, sae: Sae) -> StaticColumns:
    table = logit_effects(lm, target, sae.W_dec, LISTED)
    near_id, near_cosine = neighbours(sae.W_dec, LISTED)
    neuron_id, neuron_cosine = aligned_neurons(lm, target, sae.W_dec, LISTED) or (None, None)
    return StaticColumns(
        decoder_norm_F=sae.W_dec.norm(dim=1).cpu().numpy(),
        logit_top_id_FT=table.top_id_FT,
        logit_top_value_FT=table.top_value_FT,
        logit_bottom_id_FT=table.bottom_id_FT,
        logit_bottom_value_FT=table.bottom_value_FT,
        neighbour_id_FT=near_id,
        neighbour_cosine_FT=near_cosine,
        logit_histogram_FB=table.histogram_FB,
        neuron_id_FT=neuron_id,
        neuron_cosine_FT=neuron_cosine,
    )
