"""Plans of each command, made from its settings and the opened model and text with `engine.resources.estimates`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import torch

from engine.corpus.data_argument import Files
from engine.corpus.documents import Corpus
from engine.corpus.reading_order import HELD_OUT_EVERY, WINDOW_BYTES
from engine.data.arrays import Array
from engine.jobs.activation_source import Reader
from engine.jobs.subject import Subject
from engine.model.sites import Site
from engine.resources.estimates import (
    LmWork,
    ModelWork,
    Need,
    Plan,
    SaeWork,
    Stage,
    extraction_disk,
    extraction_needs,
    index_disk,
    index_needs,
    looking_needs,
    training_disk,
    training_needs,
)
from engine.runtime.free_memory import resident
from store.index.segment_writer import checked_memory, default_memory
from store.run.shards import DTYPES, ShardInfo
from store.run.spec import SaeSpec
from store.settings.lm import LmSettings

PACKED = (".zst", ".gz", ".parquet")
LIBRARY_BYTES = 100_000_000
"""What a process grows by when work begins, and does not give back in between (docs/benchmarks.md)."""
UNPACKED_TIMES = 4
"""How much larger text is than a packed file of it, about."""
SAMPLED, MARGIN = 100, 1.1
"""Documents that the number of tokens is judged by, and what is added because they may not be like the rest."""


def training_plan(readers: Sequence[Reader], source: Subject | ShardInfo | Array, eval_tokens: int) -> Plan:
    """What `monosem train` takes, for autoencoders that share one pass.

    A training from shards loads model and text at its end only; they are not opened for the plan, and not counted.
    """
    subject = source if isinstance(source, Subject) else None
    settings, saes = readers[0].settings, [_sae_work(reader) for reader in readers]
    assert settings.batch is not None and settings.buffer is not None
    width = max(part.stop or reader.spec.d_in for reader in readers for part in reader.columns if part is not None)
    narrow = _width(source.dtype) if not isinstance(source, Subject) else source.lm.network.dtype.itemsize
    buffer, steps = min(settings.buffer, settings.tokens), settings.tokens // settings.batch * settings.batch
    disk = [need for sae in saes for need in training_disk(sae)]
    host, work = [], list(training_needs(saes, buffer, narrow * width))
    stages = [Stage("training", steps, sum(steps * sae.step_flops for sae in saes))]
    index_tokens = settings.index_tokens
    if subject is not None:
        models = [model_work(subject, subject.on(reader.settings).sites()[-1]) for reader in readers]
        stages.insert(0, Stage("activations", steps, steps * max(model.site_flops for model in models)))
        work.append(Need("a forward", models[0].forward_bytes, "`context`"))
        host.append(Need("text held for shuffling", min(text_bytes(subject.corpus), WINDOW_BYTES), "`data`"))
        if settings.index:
            there = tokens_in(subject)
            index_tokens = min(index_tokens, there or index_tokens)
            held_out = min(eval_tokens, there // HELD_OUT_EVERY + 1 if there else eval_tokens)
            pairs = list(zip(saes, models, strict=True))
            stages.append(_together([_evaluation_stage(sae, model, held_out) for sae, model in pairs]))
            stages.append(_together([_index_stage(sae, model, index_tokens) for sae, model in pairs]))
            # They are looked at one after the other, so what the largest takes is what all take.
            largest_sae, model = max(pairs, key=lambda pair: pair[0].parameters)
            work += looking_needs(largest_sae, model, held_out, "evaluating")
            work += looking_needs(largest_sae, model, index_tokens, "indexing")
            host += index_needs(largest_sae, index_tokens, default_memory())
    if settings.index and not isinstance(source, Array):
        disk += [need for sae in saes for need in index_disk(sae, index_tokens)]
    return _plan("train", _merged(disk), host, work, stages, settings.device)


def _sae_work(reader: Reader) -> SaeWork:
    spec, batch = reader.spec, reader.settings.batch
    assert batch is not None
    return SaeWork(arch=spec.arch, d_in=spec.d_in, d_out=spec.d_out, d_sae=spec.d_sae, k=spec.k, batch=batch)


def _together(stages: Sequence[Stage]) -> Stage:
    """The same stage for each of several autoencoders, as one."""
    return Stage(stages[0].name, sum(stage.tokens for stage in stages), sum(stage.flops for stage in stages))


def _merged(needs: Sequence[Need]) -> list[Need]:
    """Needs of one name as one."""
    found: dict[str, Need] = {}
    for need in needs:
        before = found.get(need.what, replace(need, n_bytes=0, kept=0))
        n_bytes, kept = before.n_bytes + need.n_bytes, before.kept + need.kept
        found[need.what] = replace(need, n_bytes=n_bytes, kept=kept)
    return list(found.values())


def index_plan(spec: SaeSpec, subject: Subject, tokens: int, memory: int | None = None) -> Plan:
    """What `monosem index` takes, with so much memory for the index itself."""
    sae = SaeWork(arch=spec.arch, d_in=spec.d_in, d_out=spec.d_out, d_sae=spec.d_sae, k=spec.k, batch=0)
    model = model_work(subject, subject.site())
    tokens = min(tokens, tokens_in(subject) or tokens)
    host = [
        Need("text held for shuffling", min(text_bytes(subject.corpus), WINDOW_BYTES), "`data`"),
        *index_needs(sae, tokens, checked_memory(memory)),
    ]
    work = [Need("a forward", model.forward_bytes, "`context`"), *looking_needs(sae, model, tokens, "indexing")]
    stages = [_index_stage(sae, model, tokens)]
    disk = [Need(need.what, need.n_bytes, "`tokens`", kept=need.kept) for need in index_disk(sae, tokens)]
    return _plan("index", disk, host, work, stages, subject.settings.device)


def extraction_plan(subject: Subject, site: Site, tokens: int, keep: str, shard_bytes: int) -> Plan:
    """What `monosem extract` takes."""
    model, width = model_work(subject, site), _width(keep)
    host = list(extraction_needs(tokens, site.d_in, width, text_bytes(subject.corpus), shard_bytes))
    work = [Need("a forward", model.forward_bytes, "`context`")]
    stages = [Stage("activations", tokens, tokens * model.site_flops)]
    disk = list(extraction_disk(tokens, site.d_in, width))
    return _plan("extract", disk, host, work, stages, subject.settings.device)


def lm_work(settings: LmSettings, bf16: bool) -> LmWork:
    """The network that `monosem lm` trains."""
    return LmWork(
        vocab=settings.vocab,
        context=settings.context,
        layers=settings.layers,
        d_model=settings.d_model,
        d_mlp=settings.d_mlp or 4 * settings.d_model,
        batch_tokens=settings.batch_tokens,
        tokens=settings.steps * settings.batch_tokens,
        row_bytes=2 if bf16 else 4,
    )


def lm_plan(settings: LmSettings, corpus: Corpus, *, bf16: bool) -> Plan:
    """What `monosem lm` takes."""
    work = lm_work(settings, bf16)
    *needs, text = work.needs(text_bytes(corpus))
    stages = [Stage("training the model", work.tokens, work.flops)]
    return _plan("lm", list(work.disk()), [text], needs, stages, settings.device)


def model_work(subject: Subject, site: Site) -> ModelWork:
    """What is to be reckoned with of a language model."""
    lm = subject.lm
    parameters = list(lm.network.parameters())
    return ModelWork(
        parameters=sum(p.numel() for p in parameters),
        n_bytes=sum(p.nbytes for p in parameters),
        share=1.0 if site.layer is None else (site.layer + 1) / lm.n_layers,
        d_model=lm.d_model,
        vocab=lm.vocab_size,
        context=subject.context,
        row_bytes=lm.network.dtype.itemsize,
    )


def text_bytes(corpus: Corpus) -> int:
    """Size of a corpus on disk, unpacked about; where nobody knows it, as much as is ever held at once."""
    if not isinstance(corpus, Files):
        return WINDOW_BYTES
    return sum(path.stat().st_size * (UNPACKED_TIMES if path.suffix in PACKED else 1) for path in corpus.paths)


def tokens_in(subject: Subject) -> int | None:
    """Tokens of a corpus, about, by those of its first documents; None where nobody knows its size."""
    if not isinstance(subject.corpus, Files):
        return None
    texts = [document.text for document in islice(subject.corpus.documents(), SAMPLED)]
    read = sum(len(text.encode()) for text in texts)
    found = sum(len(ids) + 1 for ids in subject.encoding.encode(texts))
    return max(1, round(MARGIN * text_bytes(subject.corpus) * found / max(read, 1)))


def _evaluation_stage(sae: SaeWork, model: ModelWork, tokens: int) -> Stage:
    """Once up to the site, then four times through the whole model: clean, and with three substitutes."""
    a_token = model.site_flops + 4 * model.flops + 2 * (sae.encode_flops + 2 * sae.n_active * sae.d_in)
    return Stage("evaluation", tokens, tokens * a_token)


def _index_stage(sae: SaeWork, model: ModelWork, tokens: int) -> Stage:
    return Stage("index", tokens, tokens * (model.site_flops + sae.encode_flops))


def _plan(command: str, disk: list[Need], host: list[Need], work: list[Need], stages: list[Stage], device: str) -> Plan:
    """Work is done in the device's memory, or in the machine's where the processor does it."""
    on_device = device.startswith(("cuda", "mps")) or (device == "auto" and torch.cuda.is_available())
    taken = Need("Python, libraries and what is loaded", resident(), present=True)
    host = [Need("libraries coming into use", LIBRARY_BYTES), *host]
    here = [taken, *host] if on_device else [taken, *host, *work]
    return Plan(command, tuple(disk), tuple(here), tuple(work) if on_device else (), tuple(stages))


def _width(dtype: str) -> int:
    """Bytes of a stored value; float64 is read as float32."""
    return 4 if dtype == "float64" else np.dtype(DTYPES[dtype]).itemsize
