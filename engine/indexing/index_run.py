"""Build the feature index: one pass of a corpus through model and autoencoder into segments, then a merge.

Shapes: N tokens, F = d_sae, B contexts, C contexts of a segment's rows, T positions or listed tokens.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from engine.data.activations import captured_batches, forward_contexts
from engine.data.contexts import ContextBatch, ContextStream
from engine.data.ordinary_tokens import OrdinaryTokens, kept_limits, places_of
from engine.data.prefetch import one_ahead
from engine.indexing.encoder import encode_rows
from engine.indexing.index_build import Encoded, Passage, has_begun_index, write_segments
from engine.indexing.logit_effects import logit_effects
from engine.indexing.neurons import aligned_neurons
from engine.indexing.value_range import value_exponents
from engine.jobs.subject import Subject
from engine.jobs.trained_run import check_width
from engine.model.language_model import LanguageModel
from engine.model.sites import Site
from engine.model.vocabulary import vocabulary_of
from engine.ranks.group import ALONE, Ranks
from engine.runtime.progress import Progress
from engine.runtime.sizes import LISTED, SAMPLE_ROWS
from engine.sae.base import Sae
from engine.sae.neighbours import neighbours
from engine.sae.registry import from_weights
from store.files.errors import MonosemError
from store.index.segment import (
    IndexPlan,
    StaticColumns,
    TokenRows,
    write_common,
)
from store.index.segment_writer import checked_memory
from store.index.static_columns import known_columns
from store.index.text_spans import TokenSpans
from store.run.folder import RunFolder
from store.run.ordinary import save_limits
from store.run.weights import load_sae, sae_digest
from store.settings.train import TrainSettings


def build_index(
    run: RunFolder,
    subject: Subject,
    tokens: int,
    progress: Progress,
    *,
    memory: int | None = None,
    place: RunFolder | None = None,
    ranks: Ranks = ALONE,
) -> None:
    """Build features.h5 of a trained run over the first `tokens` tokens of a corpus, in seeded order.

    Tokens include BOS; contexts are taken whole.

    Continues after the segments that an interrupted call with the same settings finished; the result is the same to
    the byte, whatever the memory of either and the ranks that share the forwards. The first rank holds the run's lock.

    Args:
        run: a run with sae.h5.
        subject: the model, site and corpus.
        tokens: tokens to index.
        progress: receives reports.
        memory: bytes for collecting, sorting and merging, beyond the model; None for the default. Ranks share them.
        place: folder that gets the index; None for the run itself.
        ranks: this process's place among those that build the index.

    Raises:
        MonosemError: the run has no sae.h5, `tokens` is not positive, or unfinished segments are from other settings.
    """
    memory, place = checked_memory(memory), place or run
    stream = subject.stream("all", located=True)
    n_contexts, text = _begun(run, place, subject, stream, tokens, progress, ranks)
    at_once = forward_contexts(subject.context)
    write_segments(place, n_contexts, text.between, memory, progress, at_once=at_once, ranks=ranks)


def _begun(
    run: RunFolder,
    place: RunFolder,
    subject: Subject,
    stream: ContextStream,
    tokens: int,
    progress: Progress,
    ranks: Ranks,
) -> tuple[int, _Text]:
    """Return the contexts of an index, and its text; the first rank writes what all segments have in common."""
    weights = load_sae(run.sae)
    site = subject.site()
    target = subject.target()
    check_width(weights, site, target, subject.lm)
    sae = from_weights(weights, subject.lm.device)

    def begin() -> tuple[int, OrdinaryTokens]:
        plan = planned_index(run, subject, stream, tokens)
        if not has_begun_index(place, plan):
            exponent_F = value_exponents(subject.lm, site, subject.stream("all"), sae)
            known = None if place is run else known_columns(run.features, plan)
            columns = replace(known or _columns(subject.lm, target, sae, progress), exponent_F=exponent_F)
            write_common(place.index, plan, vocabulary_of(subject.lm, run.vocabulary, keep=True), weights, columns)
        return plan.n_contexts, _ordinary_tokens(run, subject)

    n_contexts, ordinary = ranks.shared(begin)
    return n_contexts, _Text(subject.lm, site, stream, sae, ordinary)


@dataclass
class _Text:
    """A text that passes through model and autoencoder once, from its beginning."""

    lm: LanguageModel
    site: Site
    stream: ContextStream
    sae: Sae
    ordinary: OrdinaryTokens
    contexts: int = 0
    tokens: int = 0
    """Contexts, and tokens in them, that have been passed."""

    def between(self, first: int, stop: int) -> Passage:
        """Return the contexts from `first` to `stop` - 1, which come after those that were asked for before."""
        self.tokens += self.stream.pass_over(first - self.contexts)
        self.contexts = first
        return Passage(self.tokens, self._encoded(stop - first))

    def _encoded(self, contexts: int) -> Encoded:
        coming = captured_batches(self.lm, [self.site], self.stream, contexts, whole=False)
        with closing(one_ahead(coming)) as batches:
            for captured in batches:
                rows = token_rows(captured.batch, self.ordinary.outliers(captured.acts_ND).cpu().numpy())
                self.contexts += len(rows.length_C)
                self.tokens += len(rows.token_N)
                yield rows, encode_rows(self.sae, captured.acts_ND, rows.counted_N)


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
        spans=TokenSpans.joined(batch.spans_B) if batch.spans_B else None,
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
