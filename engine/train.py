"""`monosem train`: a model and a corpus, or cached activations, to a trained, indexed and evaluated run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from engine.activations import BlockShuffle, BlockSource, ModelBlocks, ShardBlocks
from engine.corpus.order import Split, has_held_out
from engine.evaluate import Evaluation, evaluate
from engine.index import build_index
from engine.progress import Progress
from engine.sae.registry import from_weights
from engine.subject import Subject, device_of, open_subject, pinned
from engine.training.loop import TrainLoop
from engine.training.settings import TrainSettings
from engine.training.trainer import SaeTrainer
from store.errors import MonosemError
from store.run import Results, RunFolder, RunRecord
from store.shards import ShardReader
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


def train(run: RunFolder, given: Mapping[str, Any], progress: Progress, *, resume: bool) -> Evaluation | None:
    """Train one autoencoder in a run folder; gives its evaluation, or None where the index was not wanted.

    Args:
        run: the folder; it may hold a model or activations made earlier, but no other training unless `resume`.
        given: the fields of `TrainSettings` that the user set.
        progress: who is told.
        resume: go on with the training that is in the folder. Settings must agree with those it began with.

    Raises:
        MonosemError: a setting is impossible, or the folder already holds a training.
        KeyboardInterrupt: stopped on request, after a checkpoint.
    """
    settings = _settings(run, pinned(given), resume=resume)
    with run.locked():
        if resume and run.sae.is_file():
            progress.say(f"{run.path} is trained already")
            return _finish(run, settings, progress) if settings.index and not run.features.is_file() else None
        subject = None if settings.activations else open_subject(settings, progress)
        source = _cached_source(settings) if subject is None else _model_source(subject, settings)
        settings = source.settings.resolved(source.blocks.d_in)
        _begin(run, settings, source, subject, progress)
        with run.working("training"):
            _fit(run, settings, source, progress, resume=resume)
        return _finish(run, settings, progress, subject) if settings.index else None


def trained_settings(run: RunFolder) -> TrainSettings:
    """The resolved settings that a run was trained with.

    Raises:
        MonosemError: the run holds no training.
    """
    config = run.record().config.get("train")
    if config is None:
        raise MonosemError(f"{run.path} holds no training", "Train it with monosem train.")
    return TrainSettings(**known_fields(TrainSettings, config))


def _settings(run: RunFolder, given: Mapping[str, Any], *, resume: bool) -> TrainSettings:
    begun = run.exists() and "train" in run.record().config
    if not resume:
        if begun:
            raise MonosemError(
                f"{run.path} already holds a training", "Go on with it by --resume, or choose another --out."
            )
        return TrainSettings(**given)
    if not begun:
        raise MonosemError(f"{run.path} holds no training to resume", "Leave --resume out to begin one.")
    stored = trained_settings(run)
    for name, value in given.items():
        if getattr(stored, name) != value and name not in ("device", "index", "index_tokens", "expansion"):
            flag = "--" + name.replace("_", "-")
            raise MonosemError(
                f"{run.path} was begun with {flag} {getattr(stored, name)}, not {value}",
                "Leave the flag out to resume, or choose another --out.",
            )
    changeable = {name: value for name, value in given.items() if name in ("device", "index", "index_tokens")}
    return replace(stored, **changeable)


def _model_source(subject: Subject, settings: TrainSettings) -> _Source:
    site = subject.site()
    resolved = settings.resolved(site.d_in)
    assert resolved.buffer is not None
    blocks = ModelBlocks(
        subject.lm, site, subject.stream("train", epochs=None), max(1, resolved.buffer // subject.context)
    )
    spec = SaeSpec(
        model=settings.model, layer=site.layer, site=site.name, d_in=site.d_in, excluded=subject.encoding.excluded
    )
    return _Source(blocks, spec, replace(settings, context=subject.context))


def _cached_source(settings: TrainSettings) -> _Source:
    folder = Path(str(settings.activations))
    reader = ShardReader(RunFolder(folder).activations if RunFolder(folder).exists() else folder)
    info = reader.info
    resolved = settings.resolved(info.d_in)
    assert resolved.buffer is not None
    spec = SaeSpec(model=info.model, layer=info.layer, site=info.site, d_in=info.d_in, excluded=info.excluded)
    same = {name: getattr(info, name) for name in ("model", "layer", "site", "data", "context", "packing")}
    blocks = ShardBlocks(reader, max(1, resolved.buffer // info.context))
    return _Source(blocks, spec, replace(settings, **same))


def _begin(
    run: RunFolder, settings: TrainSettings, source: _Source, subject: Subject | None, progress: Progress
) -> None:
    """Write what the run is before any work is done."""
    spec = replace(source.spec, arch=settings.arch, d_sae=settings.d_sae or 0, k=settings.k, l1=settings.l1)
    if not run.exists():
        run.create(RunRecord())
    record = run.record()
    changes: dict[str, Any] = {"spec": spec, "config": record.config | {"train": asdict(settings)}}
    if subject is not None:
        changes["provenance"] = subject.provenance()
        if not has_held_out(subject.corpus):
            progress.say("fewer than 20 documents: nothing can be held out, so evaluation is on the training text")
    run.update(**changes)


def _fit(run: RunFolder, settings: TrainSettings, source: _Source, progress: Progress, *, resume: bool) -> None:
    trainer_settings = settings.trainer_settings(source.blocks.d_in)
    trainer = SaeTrainer(trainer_settings, device_of(settings))
    shuffle = BlockShuffle(source.blocks, trainer_settings.batch, settings.seed)
    loop = TrainLoop(run, trainer, shuffle, settings.checkpoint_every, progress)
    if resume:
        loop.resume()
    loop.finish()
    save_sae(run.sae, SaeWeights(run.record().spec, trainer.weights()))
    for checkpoint in run.checkpoints.glob("step-*.h5"):
        checkpoint.unlink()
    run.update(results=Results(tokens=trainer_settings.steps * trainer_settings.batch))


def _finish(run: RunFolder, settings: TrainSettings, progress: Progress, subject: Subject | None = None) -> Evaluation:
    """Evaluate on held-out text, then index."""
    subject = subject or open_subject(settings, progress)
    evaluation = evaluate_run(run, subject, "heldout", EVAL_TOKENS, progress)
    with run.working("indexing"):
        build_index(run, subject, settings.index_tokens, progress)
    return evaluation


def evaluate_run(run: RunFolder, subject: Subject, split: Split, tokens: int, progress: Progress) -> Evaluation:
    """Measure a run's autoencoder and note the figures in run.json. The caller holds the run's lock."""
    sae = from_weights(load_sae(run.sae), subject.lm.device)
    with run.working("evaluating"):
        evaluation = evaluate(subject, sae, split, tokens, progress)
        run.update(
            results=replace(
                run.record().results,
                explained_variance=evaluation.explained_variance,
                l0=evaluation.l0,
                alive=evaluation.alive,
                ce_recovered_zero=evaluation.ce_recovered_zero,
            ),
            evaluation=evaluation.to_json(),
        )
    return evaluation
