"""`monosem train`: a model and a corpus, cached activations, or an array, to trained, indexed and evaluated runs.

Several autoencoders are trained on one pass: one forward feeds them all, and each has a run folder of its own, which
holds to the bit what it would hold had it been trained alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from engine.corpus.planted.generator import PlantedCorpus
from engine.corpus.reading_order import has_held_out
from engine.data.activations import BlockShuffle
from engine.data.arrays import open_array
from engine.data.ordinary_tokens import kept_limits
from engine.data.prefetch import prefetched, prefetching_pays
from engine.evaluation.array_quality import note_measure
from engine.evaluation.figures import Evaluation, note
from engine.evaluation.quality import Dictionary, evaluate_all
from engine.evaluation.size import Size, evaluation_size
from engine.evaluation.unigram import Unigram
from engine.indexing.array_index import ArrayRows, build_array_index
from engine.indexing.index_run import build_index
from engine.jobs.activation_source import Reader, Source, from_activations, open_source
from engine.jobs.deal import Deal, dealt
from engine.jobs.grid import variants
from engine.jobs.resume import agreeing, begin, check_unchanged, has_begun
from engine.jobs.subject import Subject, device_of, open_subject, pinned
from engine.jobs.train_settings import trainer_settings
from engine.jobs.trained_run import is_of_array, trained_settings
from engine.ranks.group import ALONE, Ranks
from engine.resources.limits import check_room
from engine.resources.plans import training_plan
from engine.runtime.free_memory import keep_freed_memory
from engine.runtime.progress import Progress
from engine.sae.registry import from_weights
from engine.sae.shard import ALL_FEATURES, FeatureShard
from engine.training.loop import TrainLoop
from engine.training.member import Member
from engine.training.sinks import Sinks, check_sinks, open_sinks
from engine.training.trainer import SaeTrainer, TrainerSettings
from store.files.errors import MonosemError, WorkFailed
from store.index.merge_run import clear_merged
from store.run.counted_noun import noun_of
from store.run.folder import RunFolder
from store.run.new_folders import run_name, runs_to_write
from store.run.ordinary import save_limits
from store.run.weights import SaeWeights, load_sae, save_sae
from store.settings.train import TrainGrid, TrainSettings


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
    runs = runs_to_write(out, root, names, [one.ending for one in wanted], resume=resume)
    return [Job(run, one.settings) for run, one in zip(runs, wanted, strict=True)]


def train(run: RunFolder, asked: TrainSettings, progress: Progress, *, resume: bool) -> Evaluation | None:
    """`train_all` of one; returns its evaluation, or None where this call made none."""
    return train_all([Job(run, asked)], progress, resume=resume)[0]


def train_all(
    jobs: Sequence[Job], progress: Progress, *, resume: bool, ranks: Ranks = ALONE
) -> list[Evaluation | None]:
    """Train autoencoders on one pass; return the evaluation of each, or None where this call made none.

    Args:
        jobs: what to train, and where to. What they read may differ, text and batches may not.
        progress: receives reports.
        resume: go on with the trainings that are in the folders, or make what finished ones lack. Settings must agree
            with those they began with, and so must model and text.
        ranks: this process's place among those that share forwards and trainings; the first one holds the locks.

    Raises:
        MonosemError: a setting is impossible, or a folder already holds a training.
        WorkFailed: a training failed; the others are finished first.
        KeyboardInterrupt: stopped on request, after a checkpoint of each.
    """
    keep_freed_memory()
    if not ranks.first:
        tasks, pending = ranks.told()
        return _work(tasks, pending, progress, resume=resume, ranks=ranks)
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
        ranks.shared(lambda: (tasks, pending))
        return _work(tasks, pending, progress, resume=resume, ranks=ranks)


def _work(
    tasks: Sequence[Job], pending: Sequence[Job], progress: Progress, *, resume: bool, ranks: Ranks
) -> list[Evaluation | None]:
    """Train what is pending, then make what any of the tasks lacks; return the evaluations made, on the first rank."""
    subject, failures = _trained(pending, progress, resume=resume, ranks=ranks) if pending else (None, {})
    unfinished: list[Job] = ranks.shared(
        lambda: [task for task in tasks if task.run.path not in failures and _is_unfinished(task)]
    )
    found = _finished(unfinished, subject, progress, ranks)
    for path, failure in failures.items():
        raise WorkFailed(f"{len(failures)} of {len(tasks)} trainings failed; {path}: {failure.what}", failure.hint)
    return [found.get(task.run.path) for task in tasks]


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
    return agreeing(
        trained_settings(run), asked, run, free={"device", "eval_tokens", "index", "index_tokens", "log_to"}
    )


@contextmanager
def _all(contexts: Iterable[AbstractContextManager[Any]]) -> Iterator[None]:
    """Enter contexts one after another, and leave them together."""
    with ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context)
        yield


def _trained(
    tasks: Sequence[Job], progress: Progress, *, resume: bool, ranks: Ranks
) -> tuple[Subject | None, Mapping[Path, WorkFailed]]:
    """Train; return the model and text, if they were opened, and the errors of failed runs."""
    source = open_source([task.settings for task in tasks], progress, ranks=ranks)
    deal = Deal.of([reader.spec.d_sae for reader in source.readers], ranks.number)
    if ranks.first:
        plan = training_plan(source.readers, source.origin, ranks.number, ranks.on_machine)
        check_room(plan, tasks[0].run.path, device_of(tasks[0].settings))
    if source.subject is not None and not has_held_out(source.subject.corpus, tasks[0].settings.held_out):
        progress.say("fewer than 20 texts: nothing can be held out, so evaluation is on the training text")
    if ranks.first:
        for task, reader in zip(tasks, source.readers, strict=True):
            begin(task.run, "train", reader.settings, reader.provenance, resume=resume, spec=reader.spec)
    ranks.gathered(None)
    with _all(task.run.working("training") for task in tasks if ranks.first):
        members = _fit(tasks, source, progress, resume=resume, ranks=ranks, deal=deal)
        failed = {one.run.path: (one.failure.what, one.failure.hint) for one in members if one.failure is not None}
        failures = {path: WorkFailed(*said) for of_rank in ranks.gathered(failed) for path, said in of_rank.items()}
    for task in tasks if ranks.first else ():
        if task.run.path in failures:
            task.run.update(status="failed", message=failures[task.run.path].what)
    return source.subject, failures


def _fit(
    tasks: Sequence[Job],
    source: Source,
    progress: Progress,
    *,
    resume: bool,
    ranks: Ranks,
    deal: Deal,
) -> list[Member]:
    """Train this rank's share of the tasks, or its features of the only one, beside the others."""
    share, shard = deal.shares[ranks.rank], FeatureShard(ranks) if deal.features else ALL_FEATURES
    members, kept = [], [(tasks[place], source.readers[place]) for place in share]
    for task, reader in kept:
        members.append(
            Member(task.run, SaeTrainer(_settings(reader, shard), device_of(reader.settings)), reader.columns)
        )
    others = [
        (task.run, reader.columns)
        for place, (task, reader) in enumerate(zip(tasks, source.readers, strict=True))
        if place not in share
    ]
    shared, batches = source.readers[0].settings, _settings(source.readers[0])
    device, noun = device_of(shared), noun_of(array=is_of_array(shared))
    with prefetched(source.blocks, wanted=prefetching_pays(device)) as blocks:
        shuffle = BlockShuffle(blocks, batches.batch, shared.order_seed, batches.tokens, device)
        loop = TrainLoop(members, shuffle, shared.checkpoint_every, progress, source.blocks, source.meter, noun)
        loop.ranks, loop.others, loop.common = ranks, others, batches
        if resume:
            loop.resume()
        to_log = [(member, reader) for member, (_, reader) in zip(members, kept, strict=True) if member.writes]
        with _all(_open_sinks(*one, progress) for one in to_log):
            loop.finish()
    for (task, _), member in zip(kept, members, strict=True):
        if member.failure is None:
            member.trainer.forget_gradients()
            weights = member.trainer.weights()
            if member.writes:
                _keep_limits(task.run, member, loop)
                save_sae(task.run.sae, SaeWeights(task.run.record().spec, weights))
                _tidy(task)
    return members


def _settings(reader: Reader, shard: FeatureShard = ALL_FEATURES) -> TrainerSettings:
    return trainer_settings(reader.settings, reader.spec.d_in, reader.spec.d_out, shard)


def _keep_limits(run: RunFolder, member: Member, loop: TrainLoop) -> None:
    """Keep what outliers are told by, for evaluation and index, and how many the training left out."""
    if loop.ordinary is not None and loop.ordinary.ordinary is not None:
        save_limits(run.ordinary, member.columns.join(loop.ordinary.ordinary.limits_2D))
    run.update(results=replace(run.record().results, outlier_tokens=loop.outliers))


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
    return task.settings.index and not (run.record().evaluation and run.features.is_file())


def _finished(
    tasks: Sequence[Job], subject: Subject | None, progress: Progress, ranks: Ranks
) -> dict[Path, Evaluation | None]:
    """Index and evaluate, and return the evaluations by run.

    Of several ranks each finishes some of the runs whole; a single one is indexed by all, and evaluated by the first.
    """
    if len(tasks) == 1:
        return dict(zip([tasks[0].run.path], _finish(tasks, subject, progress, ranks), strict=True))
    share = dealt([task.run.record().spec.d_sae for task in tasks], ranks.number)[ranks.rank]
    own = [tasks[place] for place in share]
    made = dict(zip((task.run.path for task in own), _finish(own, subject, progress), strict=True))
    return {path: evaluation for of_rank in ranks.gathered(made) for path, evaluation in of_rank.items()}


def _finish(
    tasks: Sequence[Job], subject: Subject | None, progress: Progress, ranks: Ranks = ALONE
) -> list[Evaluation | None]:
    """Index, so that the run can be browsed, then evaluate on what was held out; each where still to be done.

    Returns the evaluation of each, None where it was made earlier.
    """
    if not tasks:
        return []
    if is_of_array(tasks[0].settings):
        return [_finish_on_array(task, progress) if ranks.first else None for task in tasks]
    wanted = [
        replace(
            trained_settings(task.run),
            **{name: getattr(task.settings, name) for name in ("index_tokens", "eval_tokens", "device")},
        )
        for task in tasks
    ]
    if subject is None:
        subject = open_subject(wanted[0], progress)
        for task in tasks:
            check_unchanged(task.run, subject.provenance())
    subjects = [subject.on(settings) for settings in wanted]
    for task, own in zip(tasks, subjects, strict=True):
        if ranks.shared(partial(_lacks_index, task.run)):
            with task.run.working("indexing") if ranks.first else nullcontext():
                build_index(task.run, own, task.settings.index_tokens, progress, ranks=ranks)
    if not ranks.first:
        return [None] * len(tasks)
    missing = {task.run: own for task, own in zip(tasks, subjects, strict=True) if not task.run.record().evaluation}
    found = dict(zip(missing, evaluate_runs(missing, progress), strict=True))
    return [found.get(task.run) for task in tasks]


def _lacks_index(run: RunFolder) -> bool:
    return not run.features.is_file()


def _finish_on_array(task: Job, progress: Progress) -> Evaluation | None:
    run, settings = task.run, replace(trained_settings(task.run), eval_tokens=task.settings.eval_tokens)
    array, size = open_array(str(settings.activations)), evaluation_size(settings, run.record().spec, None)
    if not run.features.is_file():
        digest = array.digest(progress)
        if digest != run.record().provenance.array_digest:
            raise MonosemError(
                f"{array.spec} is not what {run.path} was trained on", "monosem index indexes it as it is now."
            )
        rows = ArrayRows.of(array, digest, task.settings.index_tokens, settings.order_seed)
        with run.working("indexing"):
            build_array_index(run, rows, device_of(task.settings), progress)
    if run.record().evaluation:
        return None
    return note_measure(run, array, size.tokens, task.settings, progress)


def evaluate_runs(runs: Mapping[RunFolder, Subject], progress: Progress) -> list[Evaluation]:
    """Measure runs with one model and text, each on its subject, and note the figures in run.json.

    Those on one site share passes. The caller holds the runs' locks.
    """
    groups: dict[Any, list[RunFolder]] = {}
    for run, subject in runs.items():
        groups.setdefault((subject.site(), subject.target(), size_of(run, subject)), []).append(run)
    found: dict[RunFolder, Evaluation] = {}
    unigram = Unigram(next(iter(runs.values())), progress) if len(groups) > 1 else None
    for (*_, size), members in groups.items():
        with _all(run.working("evaluating") for run in members):
            dictionaries = [
                Dictionary(runs[run], from_weights(load_sae(run.sae), runs[run].lm.device), kept_limits(run))
                for run in members
            ]
            found |= zip(members, evaluate_all(dictionaries, "heldout", size, progress, unigram), strict=True)
            for run in members:
                note(run, found[run])
    return [found[run] for run in runs]


def size_of(run: RunFolder, subject: Subject) -> Size:
    """Return how much a run is evaluated on."""
    settings = subject.settings
    assert isinstance(settings, TrainSettings)
    planted = isinstance(subject.corpus, PlantedCorpus)
    return evaluation_size(settings, run.record().spec, subject.lm, whole=planted)
