"""Plans of each command, from its settings and the opened model and text, by engine.resources.estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import torch

from engine.corpus.data_argument import Files
from engine.corpus.documents import Corpus
from engine.corpus.files import size_of
from engine.corpus.reading_order import HELD_OUT_EVERY
from engine.data.arrays import Array
from engine.evaluation.size import MOST, evaluation_size
from engine.jobs.activation_source import Reader
from engine.jobs.deal import Deal
from engine.jobs.subject import Subject
from engine.model.sites import Site
from engine.resources.estimates import (
    LmWork,
    ModelWork,
    Need,
    Plan,
    SaeWork,
    Stage,
    index_disk,
    index_needs,
    looking_needs,
    training_disk,
    training_needs,
)
from engine.resources.traffic import feature_bytes, rows_bytes
from engine.runtime.free_memory import resident
from engine.runtime.sizes import WINDOW_BYTES
from engine.sae.base import SaeSettings
from engine.sae.registry import architecture
from store.index.segment_writer import checked_memory, default_memory
from store.run.counted_noun import ROW, noun_of
from store.run.shards import DTYPES, ShardInfo
from store.run.spec import SaeSpec
from store.settings.lm import LmSettings

PACKED = (".zst", ".gz", ".parquet")
LIBRARY_BYTES = 100_000_000
"""Growth of a process when work begins, kept until its end (docs/benchmarks.md)."""
UNPACKED_TIMES = 4
"""Approximate size of text relative to its compressed file."""
SAMPLED, MARGIN = 100, 1.1
"""Documents from which a corpus's tokens are estimated, and the margin because they may differ from the rest."""


def training_plan(
    readers: Sequence[Reader], source: Subject | ShardInfo | Array, ranks: int = 1, on_machine: int = 1
) -> Plan:
    """Return what training needs, for autoencoders that share one pass.

    Memory is that of the fullest of `ranks` processes, of which `on_machine` are on one machine.

    A training from shards loads model and text only at its end; they are neither opened for the plan nor counted.
    """
    subject = source if isinstance(source, Subject) else None
    settings = readers[0].settings
    assert settings.batch is not None and settings.buffer is not None
    saes = [_sae_work(reader.spec, settings.batch) for reader in readers]
    width = max(part.stop or reader.spec.d_in for reader in readers for part in reader.columns if part is not None)
    narrow = _width(source.dtype) if not isinstance(source, Subject) else source.lm.network.dtype.itemsize
    buffer, steps = min(settings.buffer, settings.tokens), settings.tokens // settings.batch * settings.batch
    disk = [need for sae in saes for need in training_disk(sae)]
    dealing = Deal.of([reader.spec.d_sae for reader in readers], ranks)
    here = [replace(saes[place], ranks=ranks if dealing.features else 1) for place in dealing.fullest]
    host, work = [], list(training_needs(here, buffer, narrow * width))
    traffic = 0 if subject is None else rows_bytes(settings.batch, narrow * width, ranks)
    if dealing.features:
        k_aux = readers[0].settings.k or SaeSettings.k_aux
        traffic += feature_bytes(settings.arch, here[0], ranks, 0 if architecture(settings.arch).resamples else k_aux)
    stages = [Stage("training", steps)]
    index_tokens = settings.index_tokens
    if subject is not None:
        model = model_work(subject)
        stages.insert(0, Stage("activations", steps))
        work += [model.forward, *_weights(subject, "evaluating" if settings.index else "")]
        host.append(_text(subject.corpus))
        if settings.index:
            there = tokens_in(subject)
            index_tokens = min(index_tokens, there or index_tokens)
            sizes = [evaluation_size(reader.settings, reader.spec, subject.lm) for reader in readers]
            most = there // HELD_OUT_EVERY + 1 if there else MOST
            held_out = min(most, max(size.tokens for size in sizes))
            # Of the evaluation's time, what reconstruction takes on all its tokens is no more than CE takes.
            ce_tokens = sum(min(most, 2 * size.ce_tokens) for size in sizes)
            stages += [Stage("evaluation", ce_tokens), Stage("index", index_tokens * len(saes))]
            # They are evaluated and indexed one after another: the largest needs the most.
            largest_sae = max(saes, key=lambda sae: sae.parameters)
            work += looking_needs(largest_sae, model, held_out, "evaluating")
            work += [*looking_needs(largest_sae, model, index_tokens, "indexing"), model.effects(largest_sae.d_sae)]
            host += index_needs(largest_sae, index_tokens, default_memory(), ranks if len(readers) == 1 else 1)
    if settings.index:
        if isinstance(source, Array):
            index_tokens = min(index_tokens, source.n)
            stages.append(Stage("index", index_tokens * len(saes)))
            host += index_needs(max(saes, key=lambda sae: sae.parameters), index_tokens, default_memory())
        disk += [need for sae in saes for need in index_disk(sae, index_tokens)]
    plan = _plan("train", _merged(disk), host, work, stages, settings.device)
    noun = noun_of(array=isinstance(source, Array))
    return replace(plan, noun=noun, ranks=on_machine, traffic=traffic, in_one=ranks == 1)


def _sae_work(spec: SaeSpec, batch: int = 0) -> SaeWork:
    copies = architecture(spec.arch).dense_copies
    return SaeWork(dense_copies=copies, d_in=spec.d_in, d_out=spec.d_out, d_sae=spec.d_sae, k=spec.k, batch=batch)


def _merged(needs: Sequence[Need]) -> list[Need]:
    """Merge needs of the same name."""
    found: dict[str, Need] = {}
    for need in needs:
        before = found.get(need.what, replace(need, n_bytes=0, kept=0))
        n_bytes, kept = before.n_bytes + need.n_bytes, before.kept + need.kept
        found[need.what] = replace(need, n_bytes=n_bytes, kept=kept)
    return list(found.values())


def index_plan(spec: SaeSpec, subject: Subject, tokens: int, memory: int | None = None, ranks: int = 1) -> Plan:
    """Return what indexing needs, with `memory` bytes for the index itself, shared by `ranks` processes."""
    sae, model = _sae_work(spec), model_work(subject)
    tokens = min(tokens, tokens_in(subject) or tokens)
    host = [_text(subject.corpus), *index_needs(sae, tokens, checked_memory(memory), ranks)]
    work = [model.forward, *_weights(subject), *looking_needs(sae, model, tokens, "indexing")]
    work.append(model.effects(sae.d_sae))
    disk = [Need(need.what, need.n_bytes, "`tokens`", kept=need.kept) for need in index_disk(sae, tokens)]
    plan = _plan("index", disk, host, work, [Stage("index", tokens)], subject.settings.device)
    return replace(plan, ranks=ranks)


def array_index_plan(spec: SaeSpec, rows: int, device: str, memory: int | None = None, ranks: int = 1) -> Plan:
    """Return what indexing rows of an array needs, with `memory` bytes for it, shared by `ranks` processes."""
    sae = _sae_work(spec)
    work = list(looking_needs(sae, None, rows, "indexing"))
    disk = [Need(need.what, need.n_bytes, "`tokens`", kept=need.kept) for need in index_disk(sae, rows)]
    host = list(index_needs(sae, rows, checked_memory(memory), ranks))
    return replace(_plan("index", disk, host, work, [Stage("index", rows)], device), noun=ROW, ranks=ranks)


def extraction_plan(subject: Subject, site: Site, tokens: int, keep: str, shard_bytes: int, ranks: int = 1) -> Plan:
    """Return what an extraction by `ranks` processes needs: a shard in pieces, and the same concatenated.

    A row on disk is its D values, token 4, context 8 and position 4 bytes.
    """
    acts = site.d_in * _width(keep)
    host = [Need("a shard, twice", 2 * min(tokens * acts, shard_bytes), "`keep`"), _text(subject.corpus)]
    disk = [Need("activations", tokens * (acts + 16), "`tokens`, `keep`", kept=tokens * (acts + 16))]
    work, stages = [model_work(subject).forward, *_weights(subject)], [Stage("activations", tokens)]
    return replace(_plan("extract", disk, host, work, stages, subject.settings.device), ranks=ranks)


def lm_plan(settings: LmSettings, corpus: Corpus, *, bf16: bool) -> Plan:
    """Return what training a language model needs."""
    work = LmWork(settings, 2 if bf16 else 4)
    stages = [Stage("training the model", settings.steps * settings.batch_tokens)]
    return _plan("lm", list(work.disk()), [_text(corpus)], list(work.needs()), stages, settings.device)


def model_work(subject: Subject) -> ModelWork:
    """Return the sizes of the subject's language model."""
    lm = subject.lm
    row_bytes = lm.network.dtype.itemsize
    return ModelWork(d_model=lm.d_model, vocab=lm.vocab_size, context=subject.context, row_bytes=row_bytes)


def _weights(subject: Subject, whole_in: str = "") -> list[Need]:
    """Weights still to be loaded: up to the site, and in the phase `whole_in`, if there is one, the rest."""
    part, whole = (subject.lm.missing(upto) for upto in ([site.module for site in subject.sites()], ()))
    rest = Need("layers after the site", whole - part, "`model`", whole_in)
    return [Need("the language model", part, "`model`"), *([rest] if whole_in else [])]


def _text(corpus: Corpus) -> Need:
    return Need("text held for shuffling", min(text_bytes(corpus), WINDOW_BYTES), "`data`")


def text_bytes(corpus: Corpus) -> int:
    """Return the approximate size of a corpus's text; where it is unknown, the most that is held at once."""
    size = _size(corpus) if isinstance(corpus, Files) else None
    return WINDOW_BYTES if size is None else size


def _size(files: Files) -> int | None:
    """Return the approximate size of the text of files; None where a server does not say how large they are."""
    sizes = [(size_of(path), UNPACKED_TIMES if path.suffix in PACKED else 1) for path in files.paths]
    known = [size * times for size, times in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def tokens_in(subject: Subject) -> int | None:
    """Estimate a corpus's tokens from its first documents; None where its size, or the tokenizer, is unknown."""
    size = _size(subject.corpus) if isinstance(subject.corpus, Files) else None
    if size is None or subject.lm.tokenizer is None:
        return None
    documents = list(islice(subject.corpus.documents(), SAMPLED))
    read = sum(len(document.text.encode()) for document in documents)
    found = sum(len(encoded.ids) for encoded in subject.encoding.documents(documents))
    return max(1, round(MARGIN * size * found / max(read, 1)))


def _plan(command: str, disk: list[Need], host: list[Need], work: list[Need], stages: list[Stage], device: str) -> Plan:
    """Put `work` into the device's memory, or into the host's for a CPU."""
    on_device = device.startswith(("cuda", "mps")) or (device == "auto" and torch.cuda.is_available())
    taken = Need("Python, libraries and what is loaded", resident(), present=True)
    host = [Need("libraries coming into use", LIBRARY_BYTES), *host]
    here = [taken, *host] if on_device else [taken, *host, *work]
    return Plan(command, tuple(disk), tuple(here), tuple(work) if on_device else (), tuple(stages))


def _width(dtype: str) -> int:
    """Return the bytes of a stored value; float64 is read as float32, and "auto" is one of 16 bits."""
    return {"float64": 4, "auto": 2}.get(dtype) or np.dtype(DTYPES[dtype]).itemsize
