"""Build the feature index: one pass of a corpus through model and autoencoder into segments, then a merge.

Shapes: N tokens, F = d_sae, B contexts, C contexts of a segment's rows, T positions or listed tokens.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from engine.data.activations import captured_batches
from engine.data.contexts import ContextBatch, ContextStream
from engine.data.ordinary_tokens import OrdinaryTokens, kept_limits, places_of
from engine.data.prefetch import one_ahead
from engine.indexing.encoder import encode_rows
from engine.indexing.logit_effects import logit_effects, neighbours
from engine.indexing.neurons import aligned_neurons
from engine.indexing.value_range import value_exponents
from engine.jobs.resume import differing
from engine.jobs.subject import Subject
from engine.jobs.trained_run import check_width
from engine.model.language_model import LanguageModel
from engine.model.sites import Site
from engine.model.vocabulary import vocabulary_of
from engine.runtime.interrupt import stop_request
from engine.runtime.progress import Progress
from engine.runtime.sizes import LISTED, SAMPLE_ROWS
from engine.sae.base import Sae
from engine.sae.registry import from_weights
from store.files.errors import MonosemError
from store.index.index_file import IndexFile
from store.index.merge import merge
from store.index.segment import (
    IndexPlan,
    StaticColumns,
    TokenRows,
    common_path,
    complete_segments,
    discard,
    read_plan,
    write_common,
)
from store.index.segment_writer import SegmentWriter, checked_memory
from store.run.folder import RunFolder
from store.run.ordinary import save_limits
from store.run.weights import load_sae, sae_digest
from store.settings.train import TrainSettings


def build_index(
    run: RunFolder, subject: Subject, tokens: int, progress: Progress, *, memory: int | None = None
) -> None:
    """Build features.h5 of a trained run over the first `tokens` tokens of a corpus, in seeded order.

    Tokens include BOS; contexts are taken whole.

    Continues after the segments that an interrupted call with the same settings finished; the result is the same to
    the byte, whatever the memory of either. The caller holds the run's lock.

    Args:
        run: a run with sae.h5.
        subject: the model, site and corpus.
        tokens: tokens to index.
        progress: receives reports.
        memory: bytes for collecting, sorting and merging, beyond the model; None for the default.

    Raises:
        MonosemError: the run has no sae.h5, `tokens` is not positive, or unfinished segments are from other settings.
    """
    memory = checked_memory(memory)
    weights = load_sae(run.sae)
    site = subject.site()
    target = subject.target()
    check_width(weights, site, target, subject.lm)
    stream = subject.stream("all")
    plan = planned_index(run, subject, stream, tokens)
    sae = from_weights(weights, subject.lm.device)
    if complete_segments(run.index):
        _check_same(read_plan(common_path(run.index)), plan, run)
    else:
        discard(run.index)
        exponent_F = value_exponents(subject.lm, site, subject.stream("all"), sae)
        columns = replace(_columns(subject.lm, target, sae, progress), exponent_F=exponent_F)
        write_common(run.index, plan, vocabulary_of(subject.lm, run.vocabulary, keep=True), weights, columns)
    del weights
    _sweep(run, subject, stream, plan, site, sae, memory, progress)
    progress.say("merging the index")
    merge(run.index, run.features, memory)
    discard(run.index)


def token_rows(batch: ContextBatch, outlier_N: NDArray[np.bool_] | None = None) -> TokenRows:
    """Return the tokens of a batch without padding; `outlier_N` is of the counted ones."""
    real_BT, marked_BT = batch.mask_BT, np.zeros_like(batch.mask_BT)
    marked_BT[batch.counted_BT] = False if outlier_N is None else outlier_N
    return TokenRows(
        token_N=batch.tokens_BT[real_BT],
        counted_N=batch.counted_BT[real_BT],
        document_N=batch.document_BT[real_BT],
        length_C=real_BT.sum(1).astype(np.int32),
        role_N=batch.role_BT[real_BT],
        outlier_N=marked_BT[real_BT],
    )


def _ordinary_tokens(run: RunFolder, subject: Subject) -> OrdinaryTokens:
    """Return what outliers of the input are told by: kept by the training, else measured on the first tokens, and kept.

    The target of a transcoder is not judged here: features follow from the input.
    """
    found = kept_limits(run)
    if found is None:
        spec, contexts = run.record().spec, -(-SAMPLE_ROWS // subject.context)
        batches = captured_batches(subject.lm, subject.sites(), subject.stream("all"), contexts)
        places = places_of(spec.d_in, spec.d_out)
        sample_ND = torch.cat([captured.acts_ND for captured in batches])
        settings = run.settings("train", TrainSettings) or TrainSettings()
        found = OrdinaryTokens.measured(sample_ND, places, settings.max_norm)
        save_limits(run.ordinary, found.limits_2D)
    return found.of_input()


def _sweep(
    run: RunFolder,
    subject: Subject,
    stream: ContextStream,
    plan: IndexPlan,
    site: Site,
    sae: Sae,
    memory: int,
    progress: Progress,
) -> None:
    with IndexFile.open(common_path(run.index), "common") as common:
        writer = SegmentWriter(run.index, sae.settings.d_sae, memory, common.exponent_F)
    with stop_request() as request, writer as filling:
        done, ordinary = filling.n_contexts, _ordinary_tokens(run, subject)
        stream.skip(done)
        with progress.task("indexing", plan.n_contexts, "contexts", done) as bar:
            coming = captured_batches(subject.lm, [site], stream, plan.n_contexts - done, whole=False)
            with closing(one_ahead(coming)) as batches:
                for captured in batches:
                    rows = token_rows(captured.batch, ordinary.outliers(captured.acts_ND).cpu().numpy())
                    filling.add(rows, encode_rows(sae, captured.acts_ND, rows.counted_N))
                    bar.advance(len(rows.length_C))
                    if request.asked:
                        raise KeyboardInterrupt
    if filling.clipped:
        progress.say(f"{filling.clipped} activations are too large for the index: stored as the largest that it holds")
    if filling.lost:
        progress.say(f"{filling.lost} activations are too small for the index (below 2⁻²⁴ of its unit): not stored")


def planned_index(run: RunFolder, subject: Subject, stream: ContextStream, tokens: int) -> IndexPlan:
    """Return the plan of the index that `build_index` would build.

    Raises:
        MonosemError: `tokens` is not positive.
    """
    if tokens < 1:
        raise MonosemError(f"an index needs at least one token, not {tokens}", "Raise `tokens` or `index_tokens`.")
    settings = subject.settings
    return IndexPlan(
        data=subject.corpus.spec,
        corpus_digest=subject.corpus.digest(),
        sae_digest=sae_digest(run.sae),
        packing=settings.packing,
        context=subject.context,
        seed=settings.seed,
        n_contexts=stream.look_ahead(tokens),
        model_digest=subject.lm.digest,
    )


def _check_same(found: IndexPlan, wanted: IndexPlan, run: RunFolder) -> None:
    others = differing(found, wanted)
    if others:
        raise MonosemError(
            f"{run.index} holds an unfinished index made with another {others}",
            f"Use the same settings to finish it, or remove {run.index}.",
        )


def _columns(lm: LanguageModel, target: Site, sae: Sae, progress: Progress) -> StaticColumns:
    table = logit_effects(lm, target, sae.W_dec, LISTED, progress=progress)
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
