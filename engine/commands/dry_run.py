"""`--dry-run`: what a command would take, by arithmetic and by a few real steps. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from engine.commands.extract import SHARD_BYTES
from engine.commands.extract import wanted_settings as extraction_settings
from engine.commands.train import Job
from engine.commands.train import wanted_settings as training_settings
from engine.commands.train_lm import wanted_settings as lm_settings
from engine.corpus.data_argument import open_corpus
from engine.data.arrays import open_array
from engine.evaluation.size import evaluation_size
from engine.jobs.activation_source import Reader, Source, laid_out, open_source
from engine.jobs.array_source import check_row_width, refuse_of_text
from engine.jobs.deal import Deal
from engine.jobs.subject import Subject, device_of, open_subject, pinned
from engine.jobs.trained_run import is_of_array, need_sae, reopen, trained_settings
from engine.resources.estimates import Plan
from engine.resources.limits import Room, room_for, shortages, written
from engine.resources.plans import array_index_plan, extraction_plan, index_plan, lm_plan, training_plan
from engine.resources.timing import (
    ROWS,
    SECONDS,
    ModelSeconds,
    SaeSeconds,
    block_seconds,
    lm_seconds,
    model_seconds,
    sae_seconds,
    step_seconds,
)
from engine.runtime.devices import pick_device, products_in_bfloat16
from engine.runtime.progress import Progress
from engine.sae.registry import from_weights
from store.files.errors import MonosemError
from store.run.folder import RunFolder
from store.run.weights import load_sae
from store.settings.extract import ExtractSettings
from store.settings.lm import LmSettings
from store.settings.train import TrainSettings
from store.settings.trained_run import IndexSettings

ABLATIONS = 3
"""Passes of an evaluation that depend on the site alone: zero, mean, zero at every position."""


@dataclass(frozen=True)
class Forecast:
    """A plan, and how it fits."""

    plan: Plan
    room: Room
    refusals: list[MonosemError]
    """Why the work would be refused, an error each."""


def forecast_training(jobs: Sequence[Job], progress: Progress, *, resume: bool, ranks: int = 1) -> Forecast:
    """`monosem train --dry-run`, of one autoencoder or of several on one pass, by processes of this machine."""
    wanted = [training_settings(job.run, pinned(job.settings), resume=resume) for job in jobs]
    device = device_of(wanted[0])
    source = open_source(wanted, progress, for_plan=True)
    plan = training_plan(source.readers, source.origin, ranks, ranks)
    deal = Deal.of([reader.spec.d_sae for reader in source.readers], ranks)
    return _forecast(plan, jobs[0].run, device, progress, lambda: _timed_training(plan, source, device, deal))


def _timed_training(plan: Plan, source: Source, device: torch.device, deal: Deal) -> dict[str, float]:
    """Return the seconds of each stage, of the rank with most to do; ranks take turns at the model's forwards."""
    subject, all_readers, ranks = source.subject, source.readers, len(deal.shares)
    readers = [all_readers[place] for place in deal.fullest]
    each = len(all_readers)
    tokens = {stage.name: stage.tokens for stage in plan.stages}
    seconds = dict.fromkeys(tokens, 0.0)
    limit = max(SECONDS / len(readers), 0.5)
    model = None
    if subject is not None:
        _, sites = laid_out([subject.on(reader.settings).sites() for reader in all_readers])
        model = model_seconds(subject, sites, device, whole=readers[0].settings.index)
        seconds["activations"] = tokens["activations"] * (model.text + model.site / ranks)
        sample_ND = model.sample_ND
    else:
        buffer = readers[0].settings.buffer
        assert buffer is not None
        read, sample_ND = block_seconds(source.blocks, min(buffer, tokens["training"]))
        seconds["training"] = tokens["training"] * read
    groups = len({(reader.spec.layer, reader.spec.site, reader.spec.site_out) for reader in readers})
    for reader in readers:
        batch = reader.settings.batch
        assert batch is not None
        settings = narrowed(reader.settings, ranks) if deal.features else reader.settings
        step, sae, x_ND = step_seconds(settings, *reader.columns.of(sample_ND), device, limit)
        seconds["training"] += tokens["training"] / batch * step
        if model is not None and subject is not None and reader.settings.index:
            own = sae_seconds(subject.lm, sae, x_ND, limit)
            if deal.features:  # of all features: each rank encodes a part of the text
                own = replace(own, encode=own.encode * ranks, forward=own.forward * ranks, static=own.static * ranks**2)
            shared = ranks if deal.features else 1
            seconds["index"] += _index_seconds(tokens["index"] / each / shared, model, own)
            seconds["evaluation"] += _evaluation_seconds(subject, reader, len(readers) / groups, model, own)
        elif "index" in tokens:
            own = sae_seconds(None, sae, x_ND.to(device), limit)
            seconds["index"] += _array_index_seconds(tokens["index"] / each, own)
    return seconds


def narrowed(settings: TrainSettings, ranks: int) -> TrainSettings:
    """Return the settings of a training with the features, and the active ones, of one of several ranks."""
    assert settings.d_sae is not None
    k = None if settings.k is None else -(-settings.k // ranks)
    return replace(settings, d_sae=-(-settings.d_sae // ranks), k=k)


def _evaluation_seconds(
    subject: Subject, reader: Reader, sharing: float, model: ModelSeconds, sae: SaeSeconds
) -> float:
    """Return the seconds of an evaluation; `sharing` autoencoders of one site share what does not depend on them."""
    size = evaluation_size(reader.settings, reader.spec, subject.lm)
    ablated = ABLATIONS / sharing
    passes = model.blocks / sharing + (1 + ablated) * (model.blocks - model.site) + sae.forward
    losses = (1 + ablated + 1 / sharing) * model.head
    return size.tokens * ((model.text + model.site) / sharing + sae.forward) + size.ce_tokens * (passes + losses)


def _index_seconds(tokens: float, model: ModelSeconds, sae: SaeSeconds) -> float:
    return sae.static + tokens * (model.text + model.site + sae.encode + sae.entries)


def forecast_index(run: RunFolder, asked: IndexSettings, progress: Progress, *, ranks: int = 1) -> Forecast:
    """`monosem index --dry-run`, of one process or of several on this machine."""
    need_sae(run)
    if is_of_array(trained_settings(run)):
        return _forecast_array_index(run, asked, progress, ranks)
    subject, weights = reopen(run, asked, progress, for_plan=True), load_sae(run.sae)
    device = device_of(subject.settings)
    tokens = trained_settings(run).index_tokens if asked.tokens is None else asked.tokens
    plan = index_plan(weights.spec, subject, tokens, asked.memory, ranks)

    def timed() -> dict[str, float]:
        model = model_seconds(subject, subject.sites(), device, whole=False)
        x_ND = model.sample_ND[:, : weights.spec.d_in]
        sae = sae_seconds(subject.lm, from_weights(weights, device), x_ND)
        return {"index": _index_seconds(plan.stages[0].tokens, model, sae)}

    return _forecast(plan, run, device, progress, timed)


def _forecast_array_index(run: RunFolder, asked: IndexSettings, progress: Progress, ranks: int) -> Forecast:
    settings, weights = trained_settings(run), load_sae(run.sae)
    refuse_of_text(asked, str(settings.activations))
    array, device = open_array(str(settings.activations)), pick_device(asked.device or settings.device)
    check_row_width(array, weights.spec.d_in, weights.spec.d_out)
    tokens = min(settings.index_tokens if asked.tokens is None else asked.tokens, array.n)
    plan = array_index_plan(weights.spec, tokens, asked.device or settings.device, asked.memory, ranks)

    def timed() -> dict[str, float]:
        (sample_ND,) = array.checked([(0, min(array.n, ROWS))])
        x_ND = sample_ND[:, : weights.spec.d_in].float().to(device)
        return {"index": _array_index_seconds(tokens, sae_seconds(None, from_weights(weights, device), x_ND))}

    return _forecast(plan, run, device, progress, timed)


def _array_index_seconds(rows: float, sae: SaeSeconds) -> float:
    return sae.static + rows * (sae.encode + sae.entries)


def forecast_extraction(
    run: RunFolder, asked: ExtractSettings, progress: Progress, *, resume: bool, ranks: int = 1
) -> Forecast:
    """`monosem extract --dry-run`, of one process or of several on this machine."""
    settings = extraction_settings(run, pinned(asked), resume=resume)
    subject = open_subject(settings, progress, for_plan=True)
    site, device = subject.site(), device_of(settings)
    plan = extraction_plan(subject, site, settings.tokens, settings.keep, SHARD_BYTES, ranks)

    def timed() -> dict[str, float]:
        model = model_seconds(subject, [site], device, whole=False)
        return {"activations": settings.tokens * (model.text + model.site)}

    return _forecast(plan, run, device, progress, timed)


def forecast_lm(run: RunFolder, asked: LmSettings, progress: Progress, *, resume: bool) -> Forecast:
    """`monosem lm --dry-run`."""
    settings = lm_settings(run, pinned(asked), resume=resume)
    corpus, device = open_corpus(settings.data), pick_device(settings.device)
    plan = lm_plan(settings, corpus, bf16=products_in_bfloat16(settings.dtype, device))
    (stage,) = plan.stages
    return _forecast(plan, run, device, progress, lambda: {stage.name: stage.tokens * lm_seconds(settings, device)})


def _forecast(
    plan: Plan, run: RunFolder, device: torch.device, progress: Progress, timed: Callable[[], Mapping[str, float]]
) -> Forecast:
    """Compare a plan with the room there is. Where it fits, add the seconds of each stage that `timed` returns."""
    room = room_for(run.path, device)
    refusals = shortages(plan, room, written(run.path))
    if not refusals:
        progress.say("trying a few steps")
        seconds = timed()
        stages = (replace(stage, seconds=seconds.get(stage.name)) for stage in plan.stages)
        plan = replace(plan, stages=tuple(stages))
    return Forecast(plan, room, refusals)
