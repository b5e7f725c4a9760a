"""`--dry-run`: what a command would take, by arithmetic and by a few real steps. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from engine.activations import BlockSource, ModelBlocks, ShardBlocks, forward_contexts
from engine.array_runs import is_of_array
from engine.arrays import Array, ArrayBlocks, open_array
from engine.corpus.opening import open_corpus
from engine.devices import pick_device, products_in_bfloat16
from engine.extract import SHARD_BYTES
from engine.extract import wanted_settings as extraction_settings
from engine.forecast import extraction_plan, index_plan, lm_plan, training_plan
from engine.lm.train import wanted_settings as lm_settings
from engine.planning import Plan, Stage
from engine.probing import PROBED_ROWS, evaluation_rate, index_rate, lm_rate, source_rate, step_rate
from engine.progress import Progress
from engine.revisit import reopen
from engine.room import Room, room_for, shortages, written
from engine.sae.registry import architecture, from_weights
from engine.subject import Subject, device_of, open_subject, pinned
from engine.train import EVAL_TOKENS, shard_reader, trained_settings
from engine.train import wanted_settings as training_settings
from engine.training.settings import TrainSettings
from store.errors import MonosemError
from store.run import RunFolder
from store.shards import ShardInfo
from store.weights import load_sae


@dataclass(frozen=True)
class Forecast:
    """A plan, and how it fits."""

    plan: Plan
    room: Room
    refusals: list[MonosemError]
    """Why the work would be refused, an error each."""


def forecast_training(run: RunFolder, given: Mapping[str, Any], progress: Progress, *, resume: bool) -> Forecast:
    """`monosem train --dry-run`."""
    settings = training_settings(run, pinned(given), resume=resume)
    device = device_of(settings)
    source: Subject | ShardInfo | Array
    blocks: BlockSource
    if is_of_array(settings):
        source = array = open_array(str(settings.activations))
        d_in, blocks = array.d_in, ArrayBlocks(array, PROBED_ROWS, settings.seed)
    elif settings.activations:
        reader = shard_reader(settings.activations)
        source, d_in = reader.info, reader.info.d_in
        blocks = ShardBlocks(reader, forward_contexts(reader.info.context))
    else:
        source = subject = open_subject(settings, progress)
        site = subject.site()
        d_in = site.d_in
        stream = subject.stream("train", epochs=None)
        blocks = ModelBlocks(subject.lm, site, stream, forward_contexts(subject.context))
    settings = settings.resolved(d_in)
    plan = training_plan(settings, d_in, source, EVAL_TOKENS)
    found = _forecast(plan, run, device)
    if found.refusals:
        return found
    progress.say("trying a few steps")
    return replace(found, plan=_timed_training(plan, settings, source, blocks, device))


def _timed_training(
    plan: Plan, settings: TrainSettings, source: Subject | ShardInfo | Array, blocks: BlockSource, device: torch.device
) -> Plan:
    read, sample_ND = source_rate(blocks, device)
    steps = step_rate(settings, sample_ND, device)
    seconds = {}
    for stage in plan.stages:
        if stage.name == "activations":
            seconds[stage.name] = stage.tokens / read
        elif stage.name == "training":
            reading = 0.0 if isinstance(source, Subject) else stage.tokens / read
            seconds[stage.name] = reading + stage.tokens / steps
    if isinstance(source, Subject) and settings.index:
        sae = architecture(settings.arch)(settings.sae_settings(sample_ND.shape[1])).to(device)
        sae.initialise(sample_ND.mean(0).cpu(), torch.Generator().manual_seed(0))
        seconds |= _timed_looking(plan, source, sae.requires_grad_(False))
    return _with_seconds(plan, seconds)


def _timed_looking(plan: Plan, subject: Subject, sae: Any) -> dict[str, float]:
    seconds = {}
    for stage in plan.stages:
        if stage.name == "evaluation":
            seconds[stage.name] = stage.tokens / evaluation_rate(subject, sae)
        elif stage.name == "index":
            seconds[stage.name] = index_rate(subject, sae).seconds(stage.tokens)
    return seconds


def forecast_index(run: RunFolder, given: Mapping[str, Any], progress: Progress) -> Forecast:
    """`monosem index --dry-run`."""
    if run.record().provenance.array or not run.sae.is_file():
        raise MonosemError(f"{run.path} cannot be indexed", "That takes a trained autoencoder, its model and text.")
    subject = reopen(run, given, progress)
    weights = load_sae(run.sae)
    plan = index_plan(weights.spec, subject, given.get("tokens", trained_settings(run).index_tokens))
    found = _forecast(plan, run, subject.lm.device)
    if found.refusals:
        return found
    progress.say("trying a few steps")
    return replace(
        found, plan=_with_seconds(plan, _timed_looking(plan, subject, from_weights(weights, subject.lm.device)))
    )


def forecast_extraction(run: RunFolder, given: Mapping[str, Any], progress: Progress, *, resume: bool) -> Forecast:
    """`monosem extract --dry-run`."""
    settings = extraction_settings(run, pinned(given), resume=resume)
    subject = open_subject(settings, progress)
    site, device = subject.site(), subject.lm.device
    plan = extraction_plan(subject, site, settings.tokens, settings.keep, SHARD_BYTES)
    found = _forecast(plan, run, device)
    if found.refusals:
        return found
    progress.say("trying a few steps")
    stream = subject.stream("train", epochs=None)
    read, _ = source_rate(ModelBlocks(subject.lm, site, stream, forward_contexts(subject.context)), device)
    return replace(found, plan=_with_seconds(plan, {"activations": settings.tokens / read}))


def forecast_lm(run: RunFolder, given: Mapping[str, Any], progress: Progress, *, resume: bool) -> Forecast:
    """`monosem lm --dry-run`."""
    settings = lm_settings(run, pinned(given), resume=resume)
    corpus, device = open_corpus(settings.data), pick_device(settings.device)
    found = _forecast(lm_plan(settings, corpus, bf16=products_in_bfloat16(settings.dtype, device)), run, device)
    if found.refusals:
        return found
    progress.say("trying a few steps")
    (stage,) = found.plan.stages
    return replace(found, plan=_with_seconds(found.plan, {stage.name: stage.tokens / lm_rate(settings, device)}))


def _forecast(plan: Plan, run: RunFolder, device: torch.device) -> Forecast:
    room = room_for(run.path, device)
    return Forecast(plan, room, shortages(plan, room, written(run.path)))


def _with_seconds(plan: Plan, seconds: Mapping[str, float]) -> Plan:
    def timed(stage: Stage) -> Stage:
        return replace(stage, seconds=seconds.get(stage.name, stage.seconds))

    return replace(plan, stages=tuple(timed(stage) for stage in plan.stages))
