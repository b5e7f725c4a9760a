"""`monosem train`: a model and a corpus, cached activations, or an array, to trained, indexed and evaluated runs.

Several autoencoders are trained on one pass: one forward feeds them all, and each has a run folder of its own, which
holds to the bit what it would hold had it been trained alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from engine.corpus.reading_order import Split, has_held_out
from engine.data.activations import BlockShuffle
from engine.data.arrays import open_array
from engine.data.prefetch import prefetched, prefetching_pays
from engine.evaluation.array_quality import note_measure
from engine.evaluation.figures import Evaluation, note
from engine.evaluation.quality import evaluate
from engine.indexing.index_run import build_index
from engine.jobs.activation_source import Reader, Source, from_activations, open_source
from engine.jobs.grid import variants
from engine.jobs.resume import agreeing, begin, check_unchanged, has_begun
from engine.jobs.subject import Subject, device_of, open_subject, pinned
from engine.jobs.train_settings import trainer_settings
from engine.jobs.trained_run import is_of_array, trained_settings
from engine.resources.limits import check_room
from engine.resources.plans import training_plan
from engine.runtime.free_memory import keep_freed_memory
from engine.runtime.progress import Progress
from engine.sae.registry import from_weights
from engine.training.loop import Member, TrainLoop
from engine.training.sinks import Sinks, check_sinks, open_sinks
from engine.training.trainer import SaeTrainer
from store.files.errors import MonosemError, WorkFailed
from store.index.merge_run import clear_merged
from store.run.folder import RunFolder
from store.run.new_folders import filename, run_name, runs_to_write
from store.run.weights import SaeWeights, load_sae, save_sae
from store.settings.train import TrainGrid, TrainSettings

EVAL_TOKENS = 500_000
"""Most held-out tokens that a training is evaluated on at its end."""


@dataclass(frozen=True)
class Job:
    """One autoencoder to be trained."""

    run: RunFolder
    """It may hold a model or activations made earlier, but no other training unless it is to be resumed."""
    settings: TrainSettings
    """As asked for: to be resumed, only what is given must agree with what it began with."""


def planned(grid: TrainGrid, out: str | Path | None, root: Path, *, resume: bool) -> list[Job]:
    """Return every combination of a grid with its folder: `out`, else a name that says what it is of, under `root`."""
    wanted = variants(grid)
    names = [run_name(one.settings, one.marks) for one in wanted]
    endings = [filename("".join(f"-{mark}" for mark in one.marks.values())) for one in wanted]
    runs = runs_to_write(out, root, names, endings, resume=resume)
    return [Job(run, one.settings) for run, one in zip(runs, wanted, strict=True)]


def train(run: RunFolder, asked: TrainSettings, progress: Progress, *, resume: bool) -> Evaluation | None:
    """`train_all` of one; returns its evaluation, or None where this call made none."""
    return train_all([Job(run, asked)], progress, resume=resume)[0]


def train_all(jobs: Sequence[Job], progress: Progress, *, resume: bool) -> list[Evaluation | None]:
    """Train autoencoders on one pass; return the evaluation of each, or None where this call made none.

    Args:
        jobs: what to train, and where to. What they read may differ, text and batches may not.
        progress: receives reports.
        resume: go on with the trainings that are in the folders, or make what finished ones lack. Settings must agree
            with those they began with, and so must model and text.

    Raises:
        MonosemError: a setting is impossible, or a folder already holds a training.
        WorkFailed: a training failed; the others are finished first.
        KeyboardInterrupt: stopped on request, after a checkpoint of each.
    """
    keep_freed_memory()
    tasks = [Job(job.run, wanted_settings(job.run, pinned(job.settings), resume=resume)) for job in jobs]
    for task in tasks:
        check_sinks(task.settings.log_to)
    with _all(task.run.locked() for task in tasks):
        pending = [task for task in tasks if not (resume and task.run.sae.is_file())]
        for task in tasks:
            if task not in pending:
                progress.say(f"{task.run.path} is trained already")
                with task.run.working("training"):
                    _tidy(task)
        subject, failures = _trained(pending, progress, resume=resume) if pending else (None, {})
        found: list[Evaluation | None] = []
        for task in tasks:
            evaluation = None
            if task.run.path not in failures and _is_unfinished(task):
                evaluation, subject = _finish(task, subject, progress)
            found.append(evaluation)
        for path, failure in failures.items():
            raise WorkFailed(f"{len(failures)} of {len(tasks)} trainings failed; {path}: {failure.what}", failure.hint)
        return found


def wanted_settings(run: RunFolder, asked: TrainSettings, *, resume: bool) -> TrainSettings:
    """Return the given settings, completed from the activations, or those of the training to resume.

    Raises:
        MonosemError: the run holds a training and `resume` is not asked for, or does not agree with it.
    """
    if run.exists() and "import" in run.record().config:
        raise MonosemError(
            f"{run.path} was imported, not trained here", "monosem index and monosem eval work on it; train elsewhere."
        )
    begun = has_begun(run, "train", asked, resume=resume)
    if begun and not resume:
        raise MonosemError(
            f"{run.path} already holds a training", "Go on with it by `resume=True`, or choose another `out`."
        )
    if not begun:
        return from_activations(asked)
    if asked.expansion is not None:
        asked = asked.changed(expansion=None, d_sae=asked.expansion * run.record().spec.d_in)
    return agreeing(trained_settings(run), asked, run, free={"device", "index", "index_tokens", "log_to"})


@contextmanager
def _all(contexts: Iterable[AbstractContextManager[Any]]) -> Iterator[None]:
    """Enter contexts one after another, and leave them together."""
    with ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context)
        yield


def _trained(
    tasks: Sequence[Job], progress: Progress, *, resume: bool
) -> tuple[Subject | None, Mapping[Any, WorkFailed]]:
    """Train; return the model and text, if they were opened, and the errors of failed runs."""
    source = open_source([task.settings for task in tasks], progress)
    plan = training_plan(source.readers, source.origin, EVAL_TOKENS)
    check_room(plan, tasks[0].run.path, device_of(tasks[0].settings))
    if source.subject is not None and not has_held_out(source.subject.corpus):
        progress.say("fewer than 20 documents: nothing can be held out, so evaluation is on the training text")
    for task, reader in zip(tasks, source.readers, strict=True):
        begin(task.run, "train", reader.settings, reader.provenance, resume=resume, spec=reader.spec)
    with _all(task.run.working("training") for task in tasks):
        members = _fit(tasks, source, progress, resume=resume)
    failures = {}
    for member in members:
        if member.failure is not None:
            member.run.update(status="failed", message=member.failure.what)
            failures[member.run.path] = member.failure
    return source.subject, failures


def _fit(tasks: Sequence[Job], source: Source, progress: Progress, *, resume: bool) -> list[Member]:
    members = []
    for task, reader in zip(tasks, source.readers, strict=True):
        wanted = trainer_settings(reader.settings, reader.spec.d_in, reader.spec.d_out)
        members.append(Member(task.run, SaeTrainer(wanted, device_of(reader.settings)), reader.columns))
    shared, batches = source.readers[0].settings, members[0].trainer.settings
    device = device_of(shared)
    with prefetched(source.blocks, wanted=prefetching_pays(device)) as blocks:
        shuffle = BlockShuffle(blocks, batches.batch, shared.order_seed, batches.tokens, device)
        loop = TrainLoop(members, shuffle, shared.checkpoint_every, progress, source.meter)
        if resume:
            loop.resume()
        with _all(_open_sinks(*one, progress) for one in zip(members, source.readers, strict=True)):
            loop.finish()
    for task, member in zip(tasks, members, strict=True):
        if member.failure is None:
            save_sae(task.run.sae, SaeWeights(task.run.record().spec, member.trainer.weights()))
            _tidy(task)
    return members


def _open_sinks(member: Member, reader: Reader, progress: Progress) -> AbstractContextManager[Sinks]:
    """Open the sinks that a training's log lines go to, for as long as the context lasts."""
    tokens = member.trainer.step_count * member.trainer.settings.batch
    member.sinks = open_sinks(reader.settings.log_to, member.run, asdict(reader.settings), tokens, progress)
    return closing(member.sinks)


def _tidy(task: Job) -> None:
    """After the training: record its size, and remove checkpoints that are not needed any more."""
    run = task.run
    for checkpoint in run.checkpoints.glob("step-*.h5"):
        checkpoint.unlink()
    clear_merged(run)
    record = run.record()
    tokens = trainer_settings(trained_settings(run), record.spec.d_in, record.spec.d_out).tokens
    run.update(results=replace(record.results, tokens=tokens))


def _is_unfinished(task: Job) -> bool:
    """Return whether an evaluation or an index is wanted and missing."""
    run = task.run
    there = run.record().evaluation and (run.features.is_file() or is_of_array(task.settings))
    return task.settings.index and not there


def _finish(task: Job, subject: Subject | None, progress: Progress) -> tuple[Evaluation | None, Subject | None]:
    """Evaluate on held-out text, then index, where still to be done; return the evaluation and the opened subject."""
    run = task.run
    if is_of_array(task.settings):
        progress.say("no index is made: an index needs a model and text")
        return note_measure(run, open_array(str(task.settings.activations)), EVAL_TOKENS, task.settings, progress), None
    settings = replace(trained_settings(run), index_tokens=task.settings.index_tokens, device=task.settings.device)
    if subject is None:
        subject = open_subject(settings, progress)
        check_unchanged(run, subject.provenance())
    own, evaluation = subject.on(settings), None
    if not run.record().evaluation:
        evaluation = evaluate_run(run, own, "heldout", EVAL_TOKENS, progress)
    if not run.features.is_file():
        with run.working("indexing"):
            build_index(run, own, settings.index_tokens, progress)
    return evaluation, subject


def evaluate_run(run: RunFolder, subject: Subject, split: Split, tokens: int, progress: Progress) -> Evaluation:
    """Measure a run's autoencoder and note the figures in run.json. The caller holds the run's lock."""
    sae = from_weights(load_sae(run.sae), subject.lm.device)
    with run.working("evaluating"):
        evaluation = evaluate(subject, sae, split, tokens, progress)
        note(run, evaluation)
    return evaluation
