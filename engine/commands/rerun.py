"""`monosem index` and `monosem eval`: index or measure a trained run, on its own text or on other text."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from engine.commands.train import evaluate_runs, size_of
from engine.corpus.reading_order import Split, has_held_out
from engine.data.arrays import open_array
from engine.data.ordinary_tokens import kept_limits
from engine.evaluation.array_quality import measure_again
from engine.evaluation.figures import Evaluation
from engine.evaluation.quality import Dictionary, evaluate_all
from engine.evaluation.size import evaluation_size
from engine.indexing.array_index import ArrayRows, build_array_index
from engine.indexing.index_run import build_index, planned_index
from engine.jobs.array_source import check_row_width, refuse_of_text
from engine.jobs.resume import changed
from engine.jobs.subject import device_of, pinned
from engine.jobs.trained_run import CHANGEABLE, is_of_array, need_sae, reopen, settings_again, trained_settings
from engine.ranks.group import ALONE, Ranks
from engine.resources.estimates import Plan
from engine.resources.limits import check_room
from engine.resources.plans import array_index_plan, index_plan
from engine.runtime.free_memory import keep_freed_memory
from engine.runtime.progress import Progress
from engine.sae.registry import from_weights
from store.files.errors import MonosemError
from store.index.merge_run import clear_merged, features_coverage, segments_coverage
from store.index.segment import IndexPlan, discard
from store.index.segment_writer import checked_memory
from store.run.folder import RunFolder
from store.run.weights import load_sae
from store.settings.trained_run import EvaluateSettings, IndexSettings


def index_run(
    run: RunFolder, asked: IndexSettings, progress: Progress, *, resume: bool, overwrite: bool, ranks: Ranks = ALONE
) -> None:
    """Build features.h5 of a trained run.

    Args:
        run: a run with sae.h5.
        asked: how, where that differs from the training.
        progress: receives reports.
        resume: finish an index that was interrupted; one that is complete stays.
        overwrite: replace an index, finished or not.
        ranks: this process's place among those that share the work.

    Raises:
        MonosemError: there is an index already and neither was asked for, or the run cannot be indexed.
    """
    need_sae(run)
    keep_freed_memory()
    if not ranks.first:
        _help(run, asked, progress, ranks)
        return
    with run.locked():
        clear_merged(run)
        complete = _complete(run) if resume and not overwrite else None
        if not overwrite and complete is None:
            _check_free(run, resume=resume)
        on_array = is_of_array(trained_settings(run))
        work = (_index_of_array if on_array else _index_of_text)(run, asked, progress, ranks)
        if complete is not None and complete != work.plan:
            _check_free(run, resume=resume)
        check_room(work.needs, run.path, work.device)
        if overwrite and not resume:
            discard(run.index)
        with run.working("indexing"):
            if ranks.shared(lambda: complete is None):
                work.build()
            else:
                progress.say(f"{run.features} is complete already")
            run.update(config=run.record().config | {"index": work.used})


def _help(run: RunFolder, asked: IndexSettings, progress: Progress, ranks: Ranks) -> None:
    """Take a part of the index that the first rank begins; it has the lock, the plan and the digests."""
    settings, memory = trained_settings(run), checked_memory(asked.memory)
    tokens = settings.index_tokens if asked.tokens is None else asked.tokens
    if is_of_array(settings):
        device = device_of(replace(settings, device=asked.device or settings.device))
        rows = ArrayRows.of(open_array(str(settings.activations)), "", tokens, settings.order_seed)
        if ranks.told():
            build_array_index(run, rows, device, progress, memory=memory, ranks=ranks)
        return
    subject = reopen(run, asked, progress)
    if ranks.told():
        build_index(run, subject, tokens, progress, memory=memory, ranks=ranks)


class _Index(NamedTuple):
    """An index to be built."""

    plan: IndexPlan
    needs: Plan
    device: torch.device
    build: Callable[[], None]
    used: dict[str, Any]
    """Its settings as run.json keeps them."""


def _index_of_text(run: RunFolder, asked: IndexSettings, progress: Progress, ranks: Ranks) -> _Index:
    subject, memory = reopen(run, asked, progress), checked_memory(asked.memory)
    tokens = trained_settings(run).index_tokens if asked.tokens is None else asked.tokens
    used = {name: getattr(subject.settings, name) for name in CHANGEABLE} | {"tokens": tokens}
    return _Index(
        planned_index(run, subject, subject.stream("all"), tokens),
        index_plan(load_sae(run.sae).spec, subject, tokens, memory, ranks.on_machine),
        subject.lm.device,
        lambda: build_index(run, subject, tokens, progress, memory=memory, ranks=ranks),
        used,
    )


def _index_of_array(run: RunFolder, asked: IndexSettings, progress: Progress, ranks: Ranks) -> _Index:
    settings, spec = trained_settings(run), load_sae(run.sae).spec
    refuse_of_text(asked, str(settings.activations))
    settings = replace(settings, device=asked.device or settings.device)
    tokens = settings.index_tokens if asked.tokens is None else asked.tokens
    device, array = device_of(settings), open_array(str(settings.activations))
    check_row_width(array, spec.d_in, spec.d_out)
    digest = array.digest(progress)
    if digest != run.record().provenance.array_digest:
        progress.say(f"{array.spec} is not what the run was made on")
    rows, memory = ArrayRows.of(array, digest, tokens, settings.order_seed), checked_memory(asked.memory)
    return _Index(
        rows.plan(run),
        array_index_plan(spec, min(tokens, array.n), settings.device, memory, ranks.on_machine),
        device,
        lambda: build_array_index(run, rows, device, progress, memory=memory, ranks=ranks),
        {"activations": array.spec, "device": settings.device, "tokens": tokens},
    )


def _complete(run: RunFolder) -> IndexPlan | None:
    """Return the plan of a complete features.h5, as long as no other index has been begun."""
    features = features_coverage(run.features)
    return features.plan if features and features.complete and segments_coverage(run.index) is None else None


def _check_free(run: RunFolder, *, resume: bool) -> None:
    """Refuse to replace an index unasked. One that is partial (`monosem merge --partial`) may be finished."""
    features, segments = features_coverage(run.features), segments_coverage(run.index)
    if features is not None and (features.complete or segments is None or segments.plan != features.plan):
        begun = " `overwrite=True` with `resume=True` finishes the one begun." if segments else ""
        raise MonosemError(
            f"{run.path} has an index already", f"`overwrite=True` replaces it once the new one is done.{begun}"
        )
    if segments is not None and not resume:
        raise MonosemError(
            f"{run.path} holds an unfinished index", "`resume=True` finishes it, `overwrite=True` starts again."
        )


def evaluate_again(run: RunFolder, asked: EvaluateSettings, progress: Progress) -> Evaluation:
    """Measure a trained run: on all of the text or array that is given, else on what was held out.

    Only the latter is noted in run.json, whose figures are those that lists of runs compare; and only where model and
    text are, to the byte, what the run was trained with.
    """
    need_sae(run)
    asked, settings = pinned(asked), trained_settings(run)
    tokens = settings.eval_tokens if asked.tokens is None else asked.tokens
    if asked.activations is not None or is_of_array(settings):
        size = evaluation_size(replace(settings, eval_tokens=tokens), run.record().spec, None)
        return measure_again(run, settings, asked, size.tokens, progress)
    subject = reopen(run, asked, progress)
    subject = subject.on(replace(settings_again(run, asked), eval_tokens=tokens))

    def measured(split: Split) -> Evaluation:
        own = Dictionary(subject, from_weights(load_sae(run.sae), subject.lm.device), kept_limits(run))
        return evaluate_all([own], split, size_of(run, subject), progress)[0]

    if asked.data is not None or "import" in run.record().config:  # what was held out from an import is unknown
        return measured("all")
    if not has_held_out(subject.corpus, settings.held_out):
        progress.say("the corpus has fewer than 20 texts, so none were held out: this is its training text")
    strange = changed(run, subject.provenance())
    if subject.settings.weights != settings.weights:
        strange = f"{subject.lm.name} in {subject.settings.weights} weights"
    if strange:
        progress.say(f"{strange} is not what the run was trained with, so run.json keeps its figures")
    if strange or not os.access(run.path, os.W_OK):
        return measured("heldout")
    with run.locked():
        clear_merged(run)
        return evaluate_runs({run: subject}, progress)[0]
