"""Indexes of trained runs on a text of one's choice, beside their own: the common text of a comparison."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from engine.corpus.data_argument import open_corpus
from engine.indexing.index_run import build_index, planned_index
from engine.jobs.subject import Subject, pinned
from engine.jobs.trained_run import is_of_array, need_sae, reopen, trained_settings
from engine.resources.limits import check_room
from engine.resources.plans import index_plan
from engine.runtime.free_memory import keep_freed_memory
from engine.runtime.progress import Progress
from store.files.errors import MonosemError
from store.index.merge_run import clear_merged, features_coverage, segments_coverage
from store.index.segment import IndexPlan, discard
from store.index.segment_writer import checked_memory
from store.run.folder import RunFolder
from store.run.new_folders import filename
from store.run.weights import load_sae, sae_digest
from store.settings.subject import ReopenSettings
from store.settings.train import TrainSettings

ORDER_SEED = 0
"""Seed of the order of documents, the same for every run: the first tokens are then of the same documents."""
NAME_CHARACTERS, DIGEST_CHARACTERS = 40, 12


def index_on_text(run: RunFolder, asked: ReopenSettings, tokens: int, progress: Progress) -> RunFolder:
    """Index a run's features on a text, unless they are already, and return the folder of that index.

    The run's own index stays. Documents come in the same order for every run. Work that was stopped goes on where it
    stopped; an index of other weights is replaced.

    Args:
        run: a trained run.
        asked: the text, and what differs from the training otherwise.
        tokens: tokens to index.
        progress: receives reports.

    Raises:
        MonosemError: the run cannot be indexed, or the index does not fit on the disk or into memory.
    """
    need_sae(run)
    settings = trained_settings(run)
    if is_of_array(settings):
        raise MonosemError(f"{run.name} was trained on an array, so no text can be read through it")
    keep_freed_memory()
    with run.locked():
        corpus = open_corpus(str(pinned(asked).data), progress)
        place = run.on_text(text_name(corpus.spec, corpus.digest(), tokens))
        clear_merged(place)
        if _is_indexed(run, place, settings, corpus.digest()):
            progress.say(f"{run.name} is indexed on this text: {place.features}")
            return place
        subject = _in_common_order(reopen(run, asked, progress))
        plan = planned_index(run, subject, subject.stream("all"), tokens)
        check_room(
            index_plan(load_sae(run.sae).spec, subject, tokens, checked_memory(None)), run.path, subject.lm.device
        )
        _drop_other(place, plan)
        place.path.mkdir(parents=True, exist_ok=True)
        progress.say(f"indexing {run.name} on {corpus.spec}, beside its own index")
        build_index(run, subject, tokens, progress, place=place)
    return place


def text_name(spec: str, digest: str, tokens: int) -> str:
    """Return the name of a text of so many tokens, the same for every run."""
    of_text = hashlib.sha256(f"{digest} {tokens}".encode()).hexdigest()[:DIGEST_CHARACTERS]
    stem = filename(spec.rstrip("/").rpartition("/")[2])[-NAME_CHARACTERS:].lstrip(".")
    return f"{stem}-{tokens}-{of_text}"


def _in_common_order(subject: Subject) -> Subject:
    return subject.on(replace(subject.settings, seed=ORDER_SEED, data_seed=ORDER_SEED))


def _is_indexed(run: RunFolder, place: RunFolder, settings: TrainSettings, corpus_digest: str) -> bool:
    """Return whether a complete index of these weights on this text is there; its name tells how many tokens it has."""
    found = features_coverage(place.features)
    if found is None or not found.complete:
        return False
    plan = found.plan
    same_text = (plan.corpus_digest, plan.packing, plan.seed) == (corpus_digest, settings.packing, ORDER_SEED)
    return same_text and plan.sae_digest == sae_digest(run.sae)


def _drop_other(place: RunFolder, plan: IndexPlan) -> None:
    """Remove segments of another index."""
    begun = segments_coverage(place.index)
    if begun is not None and begun.plan != plan:
        discard(place.index)
