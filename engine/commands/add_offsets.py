"""`monosem index --add-offsets`: the bytes of the original text that tokens cover, for an index made without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from engine.commands.text_index import ORDER_SEED
from engine.indexing.index_run import token_rows
from engine.jobs.subject import Subject, open_subject
from engine.jobs.trained_run import need_sae, settings_again
from engine.runtime.interrupt import stop_request
from engine.runtime.progress import Progress
from store.files.errors import MonosemError
from store.index.offsets_file import offsets_path, save_offsets
from store.index.reader import FeatureStore
from store.index.segment import IndexPlan
from store.index.text_spans import TokenSpans
from store.run.folder import RunFolder
from store.settings.subject import Packing
from store.settings.train import TrainSettings
from store.settings.trained_run import IndexSettings

AT_ONCE = 256
"""Contexts compared at once."""


def add_offsets(run: RunFolder, asked: IndexSettings, progress: Progress) -> list[Path]:
    """Write offsets.h5 beside a run's index and beside its indexes of other texts, where they lack such columns.

    The text is tokenized again, and every token compared with the index; nothing is written where one differs.

    Args:
        run: a run with an index.
        asked: the text, where it has moved, and the model.
        progress: receives reports.

    Returns:
        The files that are there now and were not.

    Raises:
        MonosemError: there is no index, it is of rows, or its text or tokenizer is gone or has changed.
    """
    need_sae(run)
    with run.locked():
        if not run.features.is_file():
            raise MonosemError(f"{run.path} has no finished index", f"Make it with: monosem index {run.path}")
        written = []
        for place in (run, *(one for one in run.texts_indexed() if one.features.is_file())):
            with FeatureStore.open(place.features) as store:
                if store.plan.of_array:
                    raise MonosemError(f"{place.features} is an index of rows, which have no text")
                if store.layout.text is not None:
                    progress.say(f"{place.features} knows what its tokens cover of the text already")
                    continue
                subject = _subject(run, _settings(run, asked, store.plan, own=place is run), store.plan, progress)
                _write(store, subject, progress)
                written.append(offsets_path(place.features))
        return written


def _settings(run: RunFolder, asked: IndexSettings, plan: IndexPlan, *, own: bool) -> TrainSettings:
    """Return the settings that an index was made by."""
    settings = settings_again(run, asked)
    if not own:
        settings = replace(settings, seed=ORDER_SEED, data_seed=ORDER_SEED)
    data = settings.data if own and "data" in asked.given else plan.data
    return replace(settings, data=data, context=plan.context, packing=cast("Packing", plan.packing))


def _subject(run: RunFolder, settings: TrainSettings, plan: IndexPlan, progress: Progress) -> Subject:
    subject = open_subject(settings, progress)
    if subject.corpus.digest() != plan.corpus_digest:
        raise MonosemError(
            f"{subject.corpus.spec} is not the text that {run.name} was indexed on: it has changed",
            "Name the old text with `data`, or index anew.",
        )
    if not subject.encoding.locates:
        raise MonosemError(
            f"the tokenizer of {subject.lm.name} does not tell where its tokens lie in a text",
            "Use a model whose folder holds a tokenizer.json.",
        )
    return subject


def _write(store: FeatureStore, subject: Subject, progress: Progress) -> None:
    stream, at, pieces, owners = subject.stream("all", located=True), 0, [], []
    length_C = store.layout.contexts.length
    with stop_request() as request, progress.task("offsets", store.n_contexts, "contexts") as bar:
        for batch in stream.batches(AT_ONCE, store.n_contexts):
            rows = token_rows(batch)
            stop = at + len(rows.token_N)
            same = np.array_equal(rows.length_C, length_C[batch.first : batch.first + len(rows.length_C)])
            if not same or not np.array_equal(rows.token_N, store.tokens(at, stop)):
                raise _different(store, at)
            pieces.append(rows.spans or TokenSpans.nothing(len(rows.token_N)))
            owners.append(rows.document_N)
            at = stop
            bar.advance(len(rows.length_C))
            if request.asked:
                raise KeyboardInterrupt
    if at != store.n_tokens:
        raise _different(store, at)
    spans, document_N = TokenSpans.joined(pieces), np.concatenate(owners)
    if not np.array_equal(
        np.flatnonzero(np.diff(document_N, prepend=document_N[:1] - 1)), store.layout.documents.start
    ):
        raise _different(store, 0)
    if not spans.texts:
        raise MonosemError(f"{store.path} is of token ids, which have no text")
    save_offsets(store.path, spans, document_N, store.layout.contexts.start)


def _different(store: FeatureStore, token: int) -> MonosemError:
    return MonosemError(
        f"the tokens of {store.path} are others from token {token:,} on than the text gives now",
        "Its tokenizer, its text or their order has changed: index anew.",
    )
