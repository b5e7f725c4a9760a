"""`monosem train`: a model and a corpus, cached activations, or an array, to a trained, indexed and evaluated run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from engine.activations import BlockShuffle, BlockSource, ModelBlocks, ShardBlocks, whole_forwards
from engine.array_runs import array_blocks, array_provenance, array_settings, is_of_array, note_measure
from engine.arrays import Array, names_array, open_array
from engine.corpus.order import Split, has_held_out
from engine.devices import hardware, versions
from engine.evaluate import Evaluation, evaluate, note
from engine.forecast import training_plan
from engine.index import build_index
from engine.progress import Progress
from engine.resuming import agreeing, check_unchanged, has_begun
from engine.room import check_room
from engine.sae.registry import from_weights
from engine.subject import Subject, device_of, open_subject, pinned
from engine.training.loop import TrainLoop
from engine.training.settings import TrainSettings
from engine.training.trainer import SaeTrainer
from store.errors import MonosemError
from store.run import Provenance, RunFolder, RunRecord
from store.shards import ShardInfo, ShardReader
from store.spec import SaeSpec, known_fields
from store.weights import SaeWeights, load_sae, save_sae

EVAL_TOKENS = 500_000
"""Held-out tokens that a training is evaluated on at its end, at the most."""


@dataclass(frozen=True)
class _Source:
    """Where the activations come from, and what they are activations of."""

    blocks: BlockSource
    spec: SaeSpec
    """Without the autoencoder's own fields."""
    settings: TrainSettings
    """With the source's own model, site and corpus filled in."""
    provenance: Provenance
    stored: ShardInfo | Array | None = None
    """What they are read from; None where the model makes them."""


def train(run: RunFolder, given: Mapping[str, Any], progress: Progress, *, resume: bool) -> Evaluation | None:
    """Train one autoencoder in a run folder; gives its evaluation, or None where this call made none.

    Args:
        run: the folder; it may hold a model or activations made earlier, but no other training unless `resume`.
        given: the fields of `TrainSettings` that the user set.
        progress: who is told.
        resume: go on with the training that is in the folder, or make what a finished one lacks. Settings must agree
            with those it began with, and so must model and text.

    Raises:
        MonosemError: a setting is impossible, or the folder already holds a training.
        KeyboardInterrupt: stopped on request, after a checkpoint.
    """
    settings = wanted_settings(run, pinned(given), resume=resume)
    with run.locked():
        subject = None
        if resume and run.sae.is_file():
            progress.say(f"{run.path} is trained already")
            with run.working("training"):
                _tidy(run, settings)
        else:
            subject = None if settings.activations else open_subject(settings, progress)
            source = _stored_source(settings, progress) if subject is None else _model_source(subject, settings)
            settings = source.settings.resolved(source.blocks.d_in)
            plan = training_plan(settings, source.blocks.d_in, subject or source.stored, EVAL_TOKENS)
            check_room(plan, run.path, device_of(settings))
            _begin(run, settings, source, subject, progress, resume=resume)
            with run.working("training"):
                _fit(run, settings, source, progress, resume=resume)
                _tidy(run, settings)
        if not settings.index or (run.record().evaluation and (run.features.is_file() or is_of_array(settings))):
            return None
        if is_of_array(settings):
            progress.say("no index is made: an index needs a model and text")
            return note_measure(run, open_array(str(settings.activations)), EVAL_TOKENS, settings, progress)
        return _finish(run, subject or _reopen(run, settings, progress), settings, progress)


def trained_settings(run: RunFolder) -> TrainSettings:
    """The resolved settings that a run was trained with.

    Raises:
        MonosemError: the run holds no training.
    """
    config = run.record().config.get("train")
    if config is None:
        raise MonosemError(f"{run.path} holds no training", "Train it with monosem train.")
    return TrainSettings(**known_fields(TrainSettings, config))


def wanted_settings(run: RunFolder, given: Mapping[str, Any], *, resume: bool) -> TrainSettings:
    """The settings that were given, what follows from the activations filled in, or those of the training to go on.

    Raises:
        MonosemError: the run holds a training and `resume` is not asked for, or does not agree with it.
    """
    begun = has_begun(run, "train", given, resume=resume)
    if begun and not resume:
        raise MonosemError(
            f"{run.path} already holds a training", "Go on with it by --resume, or choose another --out."
        )
    if not begun:
        return TrainSettings(**_filled(given))
    wanted = dict(given)
    if "expansion" in wanted:
        wanted["d_sae"] = wanted.pop("expansion") * run.record().spec.d_in
    return agreeing(trained_settings(run), wanted, run, free={"device", "index", "index_tokens"})


def _filled(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with what follows from where the activations come from."""
    activations = given.get("activations")
    if not activations:
        return dict(given)
    return array_settings(given) if names_array(activations) else _of_shards(given)


def _of_shards(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with those filled in that the activations were made with. Model and text may lie elsewhere by now."""
    info = shard_reader(given["activations"]).info
    same = {name: getattr(info, name) for name in ("model", "data", "layer", "site", "context", "packing")}
    for name, value in given.items():
        if name not in ("model", "data") and same.get(name, value) != value:
            raise MonosemError(
                f"{given['activations']} holds activations of --{name} {same[name]}, not {value}",
                "Leave the flag out, or extract others.",
            )
    return same | dict(given)


def shard_reader(activations: str) -> ShardReader:
    """The shards in a run, or in a folder by themselves."""
    run = RunFolder(Path(activations))
    return ShardReader(run.activations if run.exists() else run.path)


def _model_source(subject: Subject, settings: TrainSettings) -> _Source:
    site = subject.site()
    resolved = settings.resolved(site.d_in)
    assert resolved.buffer is not None
    blocks = ModelBlocks(
        subject.lm,
        site,
        subject.stream("train", epochs=None),
        whole_forwards(resolved.buffer // subject.context, subject.context),
    )
    spec = SaeSpec(
        model=settings.model, layer=site.layer, site=site.name, d_in=site.d_in, excluded=subject.encoding.excluded
    )
    known = replace(settings, context=subject.context, layer=site.layer)
    return _Source(blocks, spec, known, subject.provenance())


def _stored_source(settings: TrainSettings, progress: Progress) -> _Source:
    return (_array_source if is_of_array(settings) else _cached_source)(settings, progress)


def _array_source(settings: TrainSettings, progress: Progress) -> _Source:
    array = open_array(str(settings.activations))
    blocks = array_blocks(array, settings, progress)
    provenance = array_provenance(array, array.digest(progress), settings)
    return _Source(blocks, SaeSpec(d_in=array.d_in, excluded="none"), settings, provenance, array)


def _cached_source(settings: TrainSettings, progress: Progress) -> _Source:
    reader = shard_reader(str(settings.activations))
    info = reader.info
    if reader.n_contexts < info.n_contexts:
        progress.say(f"{settings.activations} is unfinished: {reader.n_contexts} of {info.n_contexts} contexts")
    resolved = settings.resolved(info.d_in)
    assert resolved.buffer is not None
    spec = SaeSpec(model=settings.model, layer=info.layer, site=info.site, d_in=info.d_in, excluded=info.excluded)
    blocks = ShardBlocks(reader, whole_forwards(resolved.buffer // info.context, info.context))
    provenance = Provenance(
        versions=versions(),
        model=settings.model,
        model_digest=info.model_digest,
        corpus=settings.data,
        corpus_digest=info.corpus_digest,
        seed=settings.seed,
        hardware=hardware(device_of(settings)),
    )
    return _Source(blocks, spec, settings, provenance, info)


def _begin(
    run: RunFolder,
    settings: TrainSettings,
    source: _Source,
    subject: Subject | None,
    progress: Progress,
    *,
    resume: bool,
) -> None:
    """Write what the run is before any work is done."""
    spec = replace(source.spec, arch=settings.arch, d_sae=settings.d_sae or 0, k=settings.k, l1=settings.l1)
    if subject is not None and not has_held_out(subject.corpus):
        progress.say("fewer than 20 documents: nothing can be held out, so evaluation is on the training text")
    if not run.exists():
        run.create(RunRecord())
    elif resume and "train" in run.record().config:
        check_unchanged(run, source.provenance)
    config = run.record().config | {"train": asdict(settings)}
    run.update(spec=spec, config=config, provenance=source.provenance)


def _fit(run: RunFolder, settings: TrainSettings, source: _Source, progress: Progress, *, resume: bool) -> None:
    trainer_settings = settings.trainer_settings(source.blocks.d_in)
    trainer = SaeTrainer(trainer_settings, device_of(settings))
    shuffle = BlockShuffle(source.blocks, trainer_settings.batch, settings.seed, trainer_settings.tokens)
    loop = TrainLoop(run, trainer, shuffle, settings.checkpoint_every, progress)
    if resume:
        loop.resume()
    loop.finish()
    save_sae(run.sae, SaeWeights(run.record().spec, trainer.weights()))


def _tidy(run: RunFolder, settings: TrainSettings) -> None:
    """Behind the training: note its size, and remove what nobody will resume from."""
    for checkpoint in run.checkpoints.glob("step-*.h5"):
        checkpoint.unlink()
    record = run.record()
    run.update(results=replace(record.results, tokens=settings.trainer_settings(record.spec.d_in).tokens))


def _reopen(run: RunFolder, settings: TrainSettings, progress: Progress) -> Subject:
    subject = open_subject(settings, progress)
    check_unchanged(run, subject.provenance())
    return subject


def _finish(run: RunFolder, subject: Subject, settings: TrainSettings, progress: Progress) -> Evaluation | None:
    """Evaluate on held-out text, then index, whichever is still to be done."""
    evaluation = None
    if not run.record().evaluation:
        evaluation = evaluate_run(run, subject, "heldout", EVAL_TOKENS, progress)
    if not run.features.is_file():
        with run.working("indexing"):
            build_index(run, subject, settings.index_tokens, progress)
    return evaluation


def evaluate_run(run: RunFolder, subject: Subject, split: Split, tokens: int, progress: Progress) -> Evaluation:
    """Measure a run's autoencoder and note the figures in run.json. The caller holds the run's lock."""
    sae = from_weights(load_sae(run.sae), subject.lm.device)
    with run.working("evaluating"):
        evaluation = evaluate(subject, sae, split, tokens, progress)
        note(run, evaluation)
    return evaluation
