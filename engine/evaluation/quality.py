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

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.corpus.planted.generator import PlantedCorpus
from engine.corpus.reading_order import Split
from engine.data.activations import captured_batches, forward_contexts
from engine.data.contexts import ContextBatch
from engine.evaluation.planted_concepts import ConceptMeans, ConceptScore, concept_means, concept_scores
from engine.jobs.subject import Subject
from engine.model.hooks import logits, rerouted
from engine.model.language_model import LanguageModel
from engine.model.sites import Site
from engine.runtime.progress import Progress
from engine.runtime.sizes import LOGIT_BYTES
from engine.sae.base import Sae, encoded_rows
from store.files.errors import MonosemError
from store.query.histogram import Histogram, density_histogram
from store.run.folder import RunFolder
from store.run.spec import known_fields

NO_TOKEN = -100
"""Marks positions without a next token."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The figures of an evaluation, with the names that `monosem eval --json` prints."""

    l0: float
    explained_variance: float
    mse: float
    ce_clean: float | None = None
    """None, like every other CE, without a model."""
    ce_sae: float | None = None
    ce_zero: float | None = None
    ce_mean: float | None = None
    ce_recovered_zero: float | None = None
    ce_recovered_mean: float | None = None
    alive: int
    dead: int
    d_sae: int
    tokens: int
    """Counted tokens of the evaluation set."""
    density_log10_histogram: Histogram
    data: str
    split: str
    """"heldout", or "all" for a corpus given for the evaluation or one too small to hold documents out."""
    concepts: list[ConceptScore] | None = None
    """Planted corpus only."""
    concept_means: list[ConceptMeans] | None = None

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Evaluation:
        """Read what `to_json` returned."""
        known = known_fields(cls, values)
        histogram = known["density_log10_histogram"]
        edges, counts = np.asarray(histogram["edges"]), np.asarray(histogram["counts"])
        known["density_log10_histogram"] = Histogram(edges, counts)
        for name, kind in (("concepts", ConceptScore), ("concept_means", ConceptMeans)):
            if name in known:
                known[name] = [kind(**one) for one in known[name]]
        return cls(**known)

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as JSON values."""
        histogram = self.density_log10_histogram
        edges, counts = histogram.edges.tolist(), histogram.counts.tolist()
        values = asdict(self) | {"density_log10_histogram": {"edges": edges, "counts": counts}}
        of_planted_text = ("concepts", "concept_means")
        return {name: value for name, value in values.items() if value is not None or name not in of_planted_text}


@dataclass(frozen=True)
class _Reconstruction:
    """Sums over the evaluation set that need only the site's activations."""

    tokens: int
    squared_error: float
    variance: float
    count_F: Tensor
    mean_O: Tensor


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

    sums = _reconstruct(batches(), sae, subject.corpus.spec)
    ce = _cross_entropies(subject, sites, sae, split, contexts, sums.mean_O, progress)
    recovered = {f"ce_recovered_{name}": _recovered(ce[name], ce) for name in ("zero", "mean")}
    found = {f"ce_{name}": value for name, value in ce.items()} | recovered
    evaluation = _evaluation(sums, found, subject.corpus.spec, split)
    if not isinstance(subject.corpus, PlantedCorpus):
        return evaluation
    concepts = concept_scores(subject, subject.corpus, sae, split, contexts, progress)
    return replace(evaluation, concepts=concepts, concept_means=concept_means(concepts))


def note(run: RunFolder, evaluation: Evaluation) -> None:
    """Record an evaluation in run.json. The caller holds the run's lock."""
    results = replace(
        run.record().results,
        explained_variance=evaluation.explained_variance,
        l0=evaluation.l0,
        alive=evaluation.alive,
        ce_recovered_zero=evaluation.ce_recovered_zero,
    )
    run.update(results=results, evaluation=evaluation.to_json())


def evaluate_rows(batches: Iterable[Tensor], sae: Sae, data: str, split: Split) -> Evaluation:
    """Measure an autoencoder on batches of activations [n, D]; figures that need a model are None.

    Raises:
        MonosemError: there are no activations.
    """
    return _evaluation(_reconstruct(batches, sae, data), {}, data, split)


def _evaluation(sums: _Reconstruction, ce: dict[str, Any], data: str, split: Split) -> Evaluation:
    alive, d_sae = int((sums.count_F > 0).sum()), len(sums.count_F)
    return Evaluation(
        l0=float(sums.count_F.sum()) / sums.tokens,
        explained_variance=1 - sums.squared_error / max(sums.variance, 1e-30),
        mse=sums.squared_error / (sums.tokens * len(sums.mean_O)),
        **ce,
        alive=alive,
        dead=d_sae - alive,
        d_sae=d_sae,
        tokens=sums.tokens,
        density_log10_histogram=density_histogram(sums.count_F.cpu().numpy() / sums.tokens),
        data=data,
        split=split,
    )


def _recovered(ablated: float, ce: dict[str, float]) -> float:
    gap = ablated - ce["clean"]
    return (ablated - ce["sae"]) / gap if gap else float("nan")


def _reconstruct(batches: Iterable[Tensor], sae: Sae, data: str) -> _Reconstruction:
    """Sum over rows of inputs, followed by a transcoder's targets."""
    device, d_in = sae.W_dec.device, sae.settings.d_in
    n, squared_error, squares = 0, 0.0, 0.0
    sum_O = np.zeros(len(sae.b_dec), np.float64)
    count_F = torch.zeros(sae.settings.d_sae, dtype=torch.int64, device=device)
    for batch_ND in batches:
        for some_ND in torch.split(batch_ND, encoded_rows(sae)):
            some_ND = some_ND.to(device).float()
            x_ND = some_ND[:, :d_in]
            y_NO = x_ND if sae.settings.d_out is None else some_ND[:, d_in:]
            acts = sae.encode(x_ND)
            squared_error += (y_NO - sae.decode(acts, x_ND)).square().sum().item()
            count_F += torch.bincount(acts.feature_BK[acts.act_BK > 0], minlength=len(count_F))
            exact_NO = y_NO.cpu().numpy().astype(np.float64)
            squares += float((exact_NO**2).sum())
            sum_O += exact_NO.sum(0)
            n += len(x_ND)
    if n == 0:
        raise MonosemError(f"{data} has no tokens to evaluate on", "Use other text as `data`.")
    mean_O = sum_O / n
    variance = squares - n * float((mean_O**2).sum())
    return _Reconstruction(n, squared_error, variance, count_F, torch.from_numpy(mean_O).float().to(device))


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
