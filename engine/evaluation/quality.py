"""The quality of autoencoders on text or rows; docs/formulas.md defines the figures.

Shapes: N counted tokens, D width of a row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from torch import Tensor

from engine.corpus.planted.generator import PlantedCorpus
from engine.corpus.reading_order import Split
from engine.data.activations import Columns, captured_batches
from engine.data.ordinary_tokens import OrdinaryTokens
from engine.evaluation.cross_entropy import Measured, cross_entropies
from engine.evaluation.figures import Evaluation
from engine.evaluation.planted_absorption import class_absorption
from engine.evaluation.planted_concepts import concept_means, concept_scores
from engine.evaluation.planted_pass import gather
from engine.evaluation.reconstruction import Reconstruction, reconstruct
from engine.evaluation.size import Size
from engine.evaluation.unigram import Unigram
from engine.jobs.activation_source import laid_out
from engine.jobs.subject import Subject
from engine.runtime.progress import Progress
from engine.sae.base import Sae


class Dictionary(NamedTuple):
    """An autoencoder, and the subject with the settings that name its sites."""

    subject: Subject
    sae: Sae
    ordinary: OrdinaryTokens | None = None
    """Tells outliers; None to measure what is ordinary on the first tokens."""


def evaluate(
    subject: Subject, sae: Sae, split: Split, tokens: int, progress: Progress, ordinary: OrdinaryTokens | None = None
) -> Evaluation:
    """`evaluate_all` of one, every figure on `tokens` tokens."""
    return evaluate_all([Dictionary(subject, sae, ordinary)], split, Size(tokens, tokens), progress)[0]


def evaluate_all(
    dictionaries: Sequence[Dictionary], split: Split, size: Size, progress: Progress, unigram: Unigram | None = None
) -> list[Evaluation]:
    """Measure autoencoders on whole contexts holding the first tokens of a split, in seeded order.

    They share model, text and order, and every pass that does not depend on the autoencoder.

    Raises:
        MonosemError: the split has no token that counts.
    """
    subject = dictionaries[0].subject
    sites = [one.subject.sites() for one in dictionaries]
    columns, places = laid_out(sites)
    stream = subject.stream(split)
    ce_contexts = stream.look_ahead(size.ce_tokens)
    contexts = max(ce_contexts, stream.look_ahead(size.tokens))

    def batches() -> Iterator[Tensor]:
        with progress.task("reconstruction", contexts, "contexts") as bar:
            for captured in captured_batches(subject.lm, places, stream, contexts, whole=False):
                yield captured.acts_ND
                bar.advance(len(captured.batch.tokens_BT))

    data = subject.corpus.spec
    sums = [Reconstruction(one.sae, of_row, one.ordinary) for one, of_row in zip(dictionaries, columns, strict=True)]
    reconstruct(batches(), sums, data)
    measured = [Measured(one.sae, own, its.mean_O) for one, own, its in zip(dictionaries, sites, sums, strict=True)]
    if unigram is None and split == "heldout":
        unigram = Unigram(subject, progress)
    losses = cross_entropies(subject, measured, split, ce_contexts, unigram, progress)
    same: dict[str, Any] = {"data": data, "split": split, "documents": subject.corpus.describe()}
    same["ln_vocab"] = math.log(subject.lm.vocab_size)
    if split == "heldout":
        same |= {"held_out": subject.settings.held_out, "duplicates": stream.duplicates}
    found = [Evaluation(**its.figures(), **ce, **same) for its, ce in zip(sums, losses, strict=True)]
    if not isinstance(subject.corpus, PlantedCorpus):
        return found
    for place, one in enumerate(dictionaries):
        gathered = gather(one.subject, subject.corpus, one.sae, split, contexts, progress)
        progress.say("detecting concepts by features and by neurons")
        concepts = concept_scores(gathered, one.sae)
        absorption = class_absorption(gathered.features, one.sae)
        found[place] = replace(
            found[place], concepts=concepts, concept_means=concept_means(concepts), absorption=absorption
        )
    return found


def evaluate_rows(
    batches: Iterable[Tensor], sae: Sae, data: str, split: Split, ordinary: OrdinaryTokens | None = None
) -> Evaluation:
    """Measure an autoencoder on batches of activations [n, D], a transcoder's target beside its input.

    Figures that need a model are None.

    Raises:
        MonosemError: there are no activations.
    """
    d_in = sae.settings.d_in
    columns = Columns(slice(0, d_in), slice(d_in, None) if sae.settings.d_out else None)
    sums = Reconstruction(sae, columns, ordinary)
    reconstruct(batches, [sums], data)
    return Evaluation(**sums.figures(), data=data, split=split)
