"""The quality of an autoencoder on text: explained variance, L0, density, cross-entropy recovered.

Shapes: B contexts, T positions, N counted tokens, D = d_in, O = d_out, F = d_sae, V vocabulary.

Definitions:

- explained variance: 1 - Σ‖x - x̂‖² / Σ‖x - mean(x)‖² over the whole evaluation set; mse: Σ‖x - x̂‖² / (N · D).
- a feature is dead if it never fires on the evaluation set.
- CE: mean negative log-likelihood in nats of every next token within a context, without padding. For `ce_sae`,
  `ce_zero` and `ce_mean`, the site's activations at counted positions are replaced by the reconstruction, by zero, or
  by their mean over the evaluation set; other positions (BOS) keep theirs. CE recovered: (CE_abl - CE_sae) /
  (CE_abl - CE_clean).
- for a transcoder, x and the replaced activations are those of the site it predicts; its input is not changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from engine.corpus.planted.generator import PlantedCorpus
from engine.corpus.reading_order import Split
from engine.data.activations import captured_batches, forward_contexts
from engine.data.contexts import ContextBatch
from engine.evaluation.figures import Evaluation
from engine.evaluation.planted_concepts import concept_means, concept_scores
from engine.evaluation.reconstruction import reconstruct
from engine.jobs.subject import Subject
from engine.model.hooks import logits, rerouted
from engine.model.language_model import LanguageModel
from engine.model.sites import Site
from engine.runtime.progress import Progress
from engine.runtime.sizes import LOGIT_BYTES
from engine.sae.base import Sae, encoded_rows

NO_TOKEN = -100
"""Marks positions without a next token."""


def evaluate(subject: Subject, sae: Sae, split: Split, tokens: int, progress: Progress) -> Evaluation:
    """Measure an autoencoder on whole contexts holding the first `tokens` tokens of a split, in seeded order.

    Raises:
        MonosemError: the split has no token that counts.
    """
    sites = subject.sites()
    contexts = subject.stream(split).skip_tokens(tokens)

    def batches() -> Iterator[Tensor]:
        with progress.task("reconstruction", contexts, "contexts") as bar:
            for captured in captured_batches(subject.lm, sites, subject.stream(split), contexts):
                yield captured.acts_ND
                bar.advance(len(captured.batch.tokens_BT))

    data = subject.corpus.spec
    (sums,) = reconstruct(batches(), [sae], data)
    ce = _cross_entropies(subject, sites, sae, split, contexts, sums.mean_O, progress)
    found: dict[str, Any] = {f"ce_{name}": value for name, value in ce.items()}
    found |= {f"ce_recovered_{name}": _recovered(ce[name], ce) for name in ("zero", "mean")}
    found |= {"delta_ce": ce["sae"] - ce["clean"], "ln_vocab": math.log(subject.lm.vocab_size)}
    evaluation = Evaluation(**sums.figures(), **found, data=data, split=split)
    if not isinstance(subject.corpus, PlantedCorpus):
        return evaluation
    concepts = concept_scores(subject, subject.corpus, sae, split, contexts, progress)
    return replace(evaluation, concepts=concepts, concept_means=concept_means(concepts))


def evaluate_rows(batches: Iterable[Tensor], sae: Sae, data: str, split: Split) -> Evaluation:
    """Measure an autoencoder on batches of activations [n, D]; figures that need a model are None.

    Raises:
        MonosemError: there are no activations.
    """
    (sums,) = reconstruct(batches, [sae], data)
    return Evaluation(**sums.figures(), data=data, split=split)


def _recovered(ablated: float, ce: dict[str, float]) -> float:
    gap = ablated - ce["clean"]
    return (ablated - ce["sae"]) / gap if gap else float("nan")


def _cross_entropies(
    subject: Subject, sites: list[Site], sae: Sae, split: Split, contexts: int, mean_O: Tensor, progress: Progress
) -> dict[str, float]:
    """Return the mean next-token loss in nats: clean, and with the last site's activations replaced in three ways."""
    lm = subject.lm
    fitting = LOGIT_BYTES // (4 * lm.vocab_size * subject.context)
    size = max(1, min(fitting, forward_contexts(subject.context)))
    substitutes: dict[str, Callable[[Tensor], Tensor]] = {
        "sae": lambda x_ND: torch.cat([sae(some_ND) for some_ND in torch.split(x_ND, encoded_rows(sae))]),
        "zero": lambda x_ND: torch.zeros_like(mean_O).expand(len(x_ND), -1),
        "mean": lambda x_ND: mean_O.expand(len(x_ND), -1),
    }
    totals = dict.fromkeys(("clean", *substitutes), 0.0)
    predicted = 0
    with progress.task("cross-entropy", contexts, "contexts") as bar:
        for batch in subject.stream(split).batches(size, contexts):
            tokens_BT, mask_BT = batch.tensors(lm.device)
            totals["clean"] += _next_token_loss(lm, tokens_BT, mask_BT)
            for name, substitute in substitutes.items():
                with rerouted(lm, sites[0], sites[-1], _at_counted(batch, substitute, lm)):
                    totals[name] += _next_token_loss(lm, tokens_BT, mask_BT)
            predicted += int(batch.mask_BT[:, 1:].sum())
            bar.advance(len(batch.tokens_BT))
    return {name: total / max(predicted, 1) for name, total in totals.items()}


def _at_counted(
    batch: ContextBatch, substitute: Callable[[Tensor], Tensor], lm: LanguageModel
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function that replaces activations at counted positions by `substitute` of the input there [N, D]."""
    counted_BT = torch.from_numpy(batch.counted_BT).to(lm.device)

    def put(read_BTD: Tensor, acts_BTO: Tensor) -> Tensor:
        changed_BTO = acts_BTO.clone()
        changed_BTO[counted_BT] = substitute(read_BTD[counted_BT].float()).to(acts_BTO.dtype)
        return changed_BTO

    return put


@torch.no_grad()
def _next_token_loss(lm: LanguageModel, tokens_BT: Tensor, mask_BT: Tensor | None) -> float:
    """Return the sum of -log p over every next token of the batch."""
    following_BT = torch.full_like(tokens_BT, NO_TOKEN)
    following_BT[:, :-1] = tokens_BT[:, 1:]
    if mask_BT is not None:
        following_BT[:, :-1][~mask_BT[:, 1:]] = NO_TOKEN
    logits_NV = logits(lm, tokens_BT, mask_BT).flatten(0, 1)
    rows = max(1, LOGIT_BYTES // (4 * logits_NV.shape[1]))
    total = 0.0
    # In parts, so that only some logits of a large vocabulary are copied to float32 at a time.
    parts = zip(torch.split(logits_NV, rows), torch.split(following_BT.flatten(), rows), strict=True)
    for some_NV, following_N in parts:
        loss_N = functional.cross_entropy(some_NV.float(), following_N, ignore_index=NO_TOKEN, reduction="none")
        total += float(loss_N.cpu().double().sum())
    return total
