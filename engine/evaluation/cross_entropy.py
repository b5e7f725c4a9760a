"""Next-token loss of a model with a site's activations replaced: by reconstructions, by zero, by their mean.

CE is the mean negative log-likelihood in nats of every next token within a context, without padding. Activations are
replaced at counted positions; other positions (BOS) keep theirs. For a transcoder they are those of the site that it
predicts; its input is not changed. CE recovered is (CE_abl - CE_sae) / (CE_abl - CE_clean). KL is that of the next
token's distribution from the clean one, a mean over the same positions.

SAELens (`ce_loss_score` of `sae_lens.evals`, with special tokens ignored) keeps BOS under reconstruction as well, but
its zero-ablation is at every position, BOS included, and its means leave out the token after BOS.

The passes of several autoencoders share the clean one, and those on one site the ablations. A pass begins at the site
(engine.model.skipped_blocks), and the head is applied to some rows at a time (engine.model.head).

Shapes: B contexts of a batch, C of all, T positions, N predicted tokens, D = d_in, O = d_out, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.corpus.reading_order import Split
from engine.data.activations import forward_contexts
from engine.data.contexts import ContextBatch
from engine.evaluation.estimate import Sums, ratio
from engine.evaluation.unigram import Unigram
from engine.jobs.subject import Subject
from engine.model.head import Head
from engine.model.hooks import rerouted
from engine.model.language_model import LanguageModel
from engine.model.sites import Site
from engine.model.skipped_blocks import SkippedBlocks
from engine.runtime.progress import Progress
from engine.runtime.sizes import HIDDEN_BYTES, LOGIT_BYTES, LOSS_BYTES
from engine.sae.base import Sae, encoded_rows

NO_TOKEN = -100
"""Marks positions without a next token."""
STEPS = 16
"""Least batches of a measurement, so that its progress is seen."""


class Measured(NamedTuple):
    """An autoencoder to measure, and what stands for the mean of what it reconstructs."""

    sae: Sae
    sites: Sequence[Site]
    """The site read, and a transcoder's target."""
    mean_O: Tensor


@dataclass(eq=False)
class _Pass:
    """A pass of the model, and its sums of each context so far."""

    source: Site | None = None
    """None for the clean pass."""
    target: Site | None = None
    substitute: Callable[[Tensor], Tensor] | None = None
    """Returns rows [N, O] for the source's [N, D]."""
    everywhere: bool = False
    """Replaces at every position, counted or not."""
    compares: bool = False
    """Whether KL from the clean pass is wanted."""
    parts: list[tuple[Sums, Sums, Sums]] = field(default_factory=list)

    def sums(self) -> tuple[Sums, Sums, Sums]:
        """Return, of each context, the loss, the loss of tokens predicted from counted positions, and KL."""
        loss_C, counted_C, kl_C = (np.concatenate(parts) for parts in zip(*self.parts, strict=True))
        return loss_C, counted_C, kl_C


def cross_entropies(
    subject: Subject,
    measured: Sequence[Measured],
    split: Split,
    contexts: int,
    unigram: Unigram | None,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Return the figures of each autoencoder on the first contexts of a split, by the names of `Evaluation`."""
    lm = subject.lm
    head, clean = Head(lm), _Pass()
    ablations = {one.sites[-1]: _ablations(one) for one in measured}
    own = [_Pass(one.sites[0], one.sites[-1], _reconstructions(one.sae), compares=True) for one in measured]
    passes = [clean, *(one for three in ablations.values() for one in three.values()), *own]
    skips = {one.source: SkippedBlocks(lm, one.source, head) for one in passes if one.source is not None}
    counts: list[tuple[Sums, Sums]] = []
    row_bytes = len(passes) * subject.context * head.width * lm.network.dtype.itemsize
    size = max(1, min(HIDDEN_BYTES // row_bytes, forward_contexts(subject.context), contexts // STEPS))
    with progress.task("cross-entropy", contexts, "contexts") as bar:
        for batch in subject.stream(split).batches(size, contexts):
            _run(lm, head, skips, passes, batch)
            counts.append(_counted(batch, unigram))
            bar.advance(len(batch.tokens_BT))
    n_C, unigram_C = (np.concatenate(parts) for parts in zip(*counts, strict=True))
    shared = ratio(clean.sums()[0], n_C).named("ce_clean") | {"ce_tokens": int(n_C.sum())}
    if unigram is not None:
        shared |= ratio(unigram_C, n_C).named("ce_unigram")
    return [
        shared | _figures(clean, mine, ablations[one.sites[-1]], n_C) for one, mine in zip(measured, own, strict=True)
    ]


def _figures(clean: _Pass, own: _Pass, ablations: dict[str, _Pass], n_C: Sums) -> dict[str, Any]:
    clean_C, clean_counted_C, _ = clean.sums()
    sae_C, sae_counted_C, kl_C = own.sums()
    found = ratio(sae_C, n_C).named("ce_sae") | ratio(sae_C - clean_C, n_C).named("delta_ce")
    found |= ratio(kl_C, n_C).named("kl")
    for name in ("zero", "mean"):
        ablated_C, _, _ = ablations[name].sums()
        found |= ratio(ablated_C, n_C).named(f"ce_{name}")
        found |= ratio(ablated_C - sae_C, ablated_C - clean_C).named(f"ce_recovered_{name}")
    _, ablated_C, _ = ablations["everywhere"].sums()
    return found | ratio(ablated_C - sae_counted_C, ablated_C - clean_counted_C).named("ce_recovered_saelens")


def _ablations(one: Measured) -> dict[str, _Pass]:
    zero_O = torch.zeros_like(one.mean_O)
    target = one.sites[-1]
    return {
        "zero": _Pass(target, target, lambda x_ND: zero_O.expand(len(x_ND), -1)),
        "mean": _Pass(target, target, lambda x_ND: one.mean_O.expand(len(x_ND), -1)),
        "everywhere": _Pass(target, target, lambda x_ND: zero_O.expand(len(x_ND), -1), everywhere=True),
    }


def _reconstructions(sae: Sae) -> Callable[[Tensor], Tensor]:
    return lambda x_ND: torch.cat([sae(some_ND) for some_ND in torch.split(x_ND, encoded_rows(sae))])


def _run(
    lm: LanguageModel, head: Head, skips: dict[Site, SkippedBlocks], passes: Sequence[_Pass], batch: ContextBatch
) -> None:
    """Add a batch to the sums of every pass; the first is the clean one."""
    tokens_BT, mask_BT = batch.tensors(lm.device)
    following_BT = torch.full_like(tokens_BT, NO_TOKEN)
    following_BT[:, :-1] = tokens_BT[:, 1:]
    if mask_BT is not None:
        following_BT[:, :-1][~mask_BT[:, 1:]] = NO_TOKEN
    counted_BT = torch.from_numpy(batch.counted_BT).to(lm.device)
    predicts_BT = following_BT != NO_TOKEN
    with ExitStack() as stack:
        for skip in skips.values():
            stack.enter_context(skip.remembered())
        hidden = [head.hidden(tokens_BT, mask_BT)[predicts_BT]]
    for one in passes[1:]:
        assert one.source is not None and one.target is not None
        with skips[one.source].skipped(), rerouted(lm, one.source, one.target, _put(one, counted_BT)):
            hidden.append(head.hidden(tokens_BT, mask_BT)[predicts_BT])
    losses = _losses(head, passes, hidden, following_BT[predicts_BT], lm)
    context_N = predicts_BT.nonzero()[:, 0].cpu()
    counted_N = counted_BT[predicts_BT].cpu()
    for one, (loss_N, kl_N) in zip(passes, losses, strict=True):
        weights = (loss_N, loss_N * counted_N, kl_N)
        loss_B, loss_counted_B, kl_B = (
            torch.bincount(context_N, weights_N, minlength=len(tokens_BT)).numpy() for weights_N in weights
        )
        one.parts.append((loss_B, loss_counted_B, kl_B))


def _put(one: _Pass, counted_BT: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function that replaces activations by the substitute of the input at the same positions."""
    at_BT = torch.ones_like(counted_BT) if one.everywhere else counted_BT

    def put(read_BTD: Tensor, acts_BTO: Tensor) -> Tensor:
        assert one.substitute is not None
        changed_BTO = acts_BTO.clone()
        changed_BTO[at_BT] = one.substitute(read_BTD[at_BT].float()).to(acts_BTO.dtype)
        return changed_BTO

    return put


@torch.no_grad()
def _losses(
    head: Head, passes: Sequence[_Pass], hidden: Sequence[Tensor], following_N: Tensor, lm: LanguageModel
) -> list[tuple[Tensor, Tensor]]:
    """Return the loss and the KL from the clean pass of every predicted token [N]; 0 where KL is not wanted."""
    found = [torch.zeros(2, len(following_N), dtype=torch.float64) for _ in passes]
    rows, few = rows_at_once(lm)
    for start in range(0, len(following_N), rows):
        clean_NV = head.logits(hidden[0][start : start + rows])
        for number, one in enumerate(passes):
            own_NV = clean_NV if number == 0 else head.logits(hidden[number][start : start + rows])
            for at in range(0, len(own_NV), few):
                log_p_NV = functional.log_softmax(own_NV[at : at + few], 1, dtype=torch.float32)
                here = slice(start + at, start + at + len(log_p_NV))
                found[number][0, here] = -log_p_NV.gather(1, following_N[here, None])[:, 0].double().cpu()
                if one.compares:
                    clean_log_p_NV = functional.log_softmax(clean_NV[at : at + few], 1, dtype=torch.float32)
                    kl_N = (clean_log_p_NV.exp() * (clean_log_p_NV - log_p_NV)).sum(1)
                    found[number][1, here] = kl_N.double().cpu()
    return [(both_2N[0], both_2N[1]) for both_2N in found]


def rows_at_once(lm: LanguageModel) -> tuple[int, int]:
    """Return how many rows of logits are made at once, and of how many the loss is taken at once.

    The latter are so few on a CPU that they stay in its cache: elementwise work on a large vocabulary is bound by
    memory.
    """
    rows = max(1, LOGIT_BYTES // (4 * lm.vocab_size))
    return rows, rows if lm.device.type != "cpu" else max(1, LOSS_BYTES // (4 * lm.vocab_size))


def _counted(batch: ContextBatch, unigram: Unigram | None) -> tuple[Sums, Sums]:
    """Return, of each context, the number of its predicted tokens and their unigram loss."""
    predicted_BT = batch.mask_BT[:, 1:]
    loss_BT = np.zeros(predicted_BT.shape) if unigram is None else unigram.loss(batch.tokens_BT[:, 1:])
    return predicted_BT.sum(1).astype(np.float64), (loss_BT * predicted_BT).sum(1)
