"""`--dry-run`: what a command would take, by arithmetic and by a few real steps. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from engine.commands.extract import SHARD_BYTES
from engine.commands.extract import wanted_settings as extraction_settings
from engine.commands.train import Job
from engine.commands.train import wanted_settings as training_settings
from engine.commands.train_lm import wanted_settings as lm_settings
from engine.corpus.data_argument import open_corpus
from engine.data.activations import ModelBlocks, forward_contexts
from engine.jobs.activation_source import Source, open_source
from engine.jobs.subject import Subject, device_of, open_subject, pinned
from engine.jobs.train_settings import sae_settings
from engine.jobs.trained_run import reopen, trained_settings
from engine.resources.estimates import Plan
from engine.resources.limits import Room, room_for, shortages, written
from engine.resources.plans import extraction_plan, index_plan, lm_plan, training_plan
from engine.resources.timing import evaluation_rate, index_rate, lm_rate, source_rate, step_rate
from engine.runtime.devices import pick_device, products_in_bfloat16
from engine.runtime.progress import Progress
from engine.sae.registry import architecture, from_weights
from store.files.errors import MonosemError
from store.run.folder import RunFolder
from store.run.weights import load_sae
from store.settings.extract import ExtractSettings
from store.settings.lm import LmSettings
from store.settings.trained_run import IndexSettings


@dataclass(frozen=True)
class Forecast:
    """A plan, and how it fits."""

    plan: Plan
    room: Room
    refusals: list[MonosemError]
    """Why the work would be refused, an error each."""


def forecast_training(jobs: Sequence[Job], progress: Progress, *, resume: bool) -> Forecast:
    """`monosem train --dry-run`, of one autoencoder or of several on one pass."""
    wanted = [training_settings(job.run, pinned(job.settings), resume=resume) for job in jobs]
    device = device_of(wanted[0])
    source = open_source(wanted, progress)
    plan = training_plan(source.readers, source.origin)
    return _forecast(plan, jobs[0].run, device, progress, lambda: _timed_training(plan, source, device))


def _timed_training(plan: Plan, source: Source, device: torch.device) -> dict[str, float]:
    subject = source.subject
    blocks = source.blocks
    if isinstance(blocks, ModelBlocks) and subject is not None:
        blocks = replace(blocks, contexts_per_block=forward_contexts(subject.context))
    read, sample_ND = source_rate(blocks, device)
    seconds: dict[str, float] = {}
    for reader in source.readers:
        rows = reader.columns.of(sample_ND)
        steps = step_rate(reader.settings, *rows, device)
        for stage in plan.stages:
            if stage.name == "activations":
                seconds[stage.name] = stage.tokens / read
            elif stage.name == "training":
                reading = 0.0 if subject is not None or seconds else stage.tokens / read
                seconds[stage.name] = seconds.get(stage.name, 0.0) + reading + stage.tokens / steps
        if subject is not None and reader.settings.index:
            sae = architecture(reader.settings.arch)(sae_settings(reader.settings, reader.spec.d_in, reader.spec.d_out))
            mean_O = None if rows[1] is None else rows[1].mean(0).cpu()
            sae.initialise(rows[0].mean(0).cpu(), torch.Generator().manual_seed(0), mean_O)
            own = _timed_looking(plan, subject.on(reader.settings), sae.to(device).requires_grad_(False))
            for name, spent in own.items():
                seconds[name] = seconds.get(name, 0.0) + spent / len(source.readers)
    return seconds


def _timed_looking(plan: Plan, subject: Subject, sae: Any) -> dict[str, float]:
    seconds = {}
    for stage in plan.stages:
        if stage.name == "evaluation":
            seconds[stage.name] = stage.tokens / evaluation_rate(subject, sae)
        elif stage.name == "index":
            seconds[stage.name] = index_rate(subject, sae).seconds(stage.tokens)
    return seconds


def forecast_index(run: RunFolder, asked: IndexSettings, progress: Progress) -> Forecast:
    """`monosem index --dry-run`."""
    if run.record().provenance.array or not run.sae.is_file():
        raise MonosemError(f"{run.path} cannot be indexed", "That takes a trained autoencoder, its model and text.")
    subject, weights = reopen(run, asked, progress), load_sae(run.sae)
    device = subject.lm.device
    tokens = trained_settings(run).index_tokens if asked.tokens is None else asked.tokens
    plan = index_plan(weights.spec, subject, tokens, asked.memory)
    return _forecast(plan, run, device, progress, lambda: _timed_looking(plan, subject, from_weights(weights, device)))


def forecast_extraction(run: RunFolder, asked: ExtractSettings, progress: Progress, *, resume: bool) -> Forecast:
    """`monosem extract --dry-run`."""
    settings = extraction_settings(run, pinned(asked), resume=resume)
    subject = open_subject(settings, progress)
    site, device = subject.site(), subject.lm.device
    plan = extraction_plan(subject, site, settings.tokens, settings.keep, SHARD_BYTES)

    def timed() -> dict[str, float]:
        stream = subject.stream("train", epochs=None)
        read, _ = source_rate(ModelBlocks(subject.lm, [site], stream, forward_contexts(subject.context)), device)
        return {"activations": settings.tokens / read}

    return _forecast(plan, run, device, progress, timed)


def forecast_lm(run: RunFolder, asked: LmSettings, progress: Progress, *, resume: bool) -> Forecast:
    """`monosem lm --dry-run`."""
    settings = lm_settings(run, pinned(asked), resume=resume)
    corpus, device = open_corpus(settings.data), pick_device(settings.device)
    plan = lm_plan(settings, corpus, bf16=products_in_bfloat16(settings.dtype, device))
    (stage,) = plan.stages
    return _forecast(plan, run, device, progress, lambda: {stage.name: stage.tokens / lm_rate(settings, device)})


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
