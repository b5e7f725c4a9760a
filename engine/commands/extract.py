"""`monosem extract`: activations of a site into HDF5 shards, each complete or absent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from engine.data.activations import Captured, Meter, captured_batches, probed, to_array, whole_forwards
from engine.data.contexts import ContextStream
from engine.jobs.resume import agreeing, begin, differing, has_begun
from engine.jobs.subject import Subject, open_subject, pinned, spec_of
from engine.jobs.trained_run import as_begun
from engine.model.sites import Site
from engine.ranks.group import ALONE, Ranks
from engine.resources.limits import check_room
from engine.resources.plans import extraction_plan
from engine.runtime.devices import dtype_name
from engine.runtime.progress import Progress, Task
from engine.runtime.sizes import FORWARD_TOKENS
from store.files.errors import MonosemError
from store.run.folder import RunFolder, RunRecord
from store.run.shards import DTYPES, ShardInfo, ShardRows, joined_rows, present_shards, shard_info, write_shard
from store.settings.extract import ExtractSettings

MOST = torch.finfo(torch.float16).max
SUITED = 2.0**-10, MOST / 16
"""Least root mean square, and greatest value, of a first look for which float16 is chosen: below, bfloat16 is as exact;
above, an outlier may pass what float16 holds."""
SHARD_BYTES = 1 << 28
"""Activations a shard, about: few enough files, little enough to hold in memory and to lose when killed."""


def extract(
    run: RunFolder, asked: ExtractSettings, progress: Progress, *, resume: bool, ranks: Ranks = ALONE
) -> ShardInfo:
    """Write the activations of the training split into `run.activations`; return what the shards hold.

    Covers `tokens` activations in the order in which streamed training would see them, over several epochs if need be,
    so that training from the shards on as many tokens is the same training (to the bit where they are kept in the
    model's own dtype).

    Args:
        run: the folder.
        asked: what to extract.
        progress: receives reports.
        resume: make the shards that are missing. Settings that are given must agree with those it began with.
        ranks: this process's place among those that share the shards; the first one holds the run's lock.

    Raises:
        MonosemError: a setting is impossible, or the folder already holds activations and `resume` is not asked for.
    """
    settings = wanted_settings(run, pinned(asked), resume=resume)
    if settings.keep not in ("auto", *DTYPES):
        raise MonosemError(
            f"activations cannot be kept as {settings.keep}", f"Choose one of: auto, {', '.join(DTYPES)}."
        )
    if not ranks.first:
        return _help(run, settings, progress, ranks)
    with run.locked():
        done = present_shards(run.activations)
        if done and not resume:
            raise MonosemError(
                f"{run.activations} already holds activations", "Go on by `resume=True`, or choose another `out`."
            )
        subject = open_subject(settings, progress)
        site = subject.site()
        kept = shard_info(run.activations, done[0]).dtype if done else None
        settings = replace(settings, keep=_kept_dtype(subject, site, settings.keep, kept, progress))
        info = _info(subject, site, settings)
        _check_same(run, info, done)
        plan = extraction_plan(subject, site, settings.tokens, settings.keep, SHARD_BYTES, ranks.on_machine)
        check_room(plan, run.path, subject.lm.device)
        _begin(run, subject, site, replace(settings, context=subject.context, layer=site.layer))
        if settings.tokens < FORWARD_TOKENS:
            progress.say(f"{FORWARD_TOKENS} tokens pass through the model: shards do not depend on how many are kept")
        with run.working("extracting"):
            _write(run, subject, site, *ranks.shared(lambda: (info, done)), progress, ranks)
    return info


def _help(run: RunFolder, settings: ExtractSettings, progress: Progress, ranks: Ranks) -> ShardInfo:
    """Make a part of the shards; the first rank has the lock, and has resolved the settings."""
    subject = open_subject(settings, progress)
    info: ShardInfo
    info, done = ranks.told()
    _write(run, subject, subject.site(), info, done, progress, ranks)
    return info


def wanted_settings(run: RunFolder, asked: ExtractSettings, *, resume: bool) -> ExtractSettings:
    """Return the given settings, or those of the extraction to resume.

    Raises:
        MonosemError: `resume` is asked for and does not agree with it.
    """
    begun = has_begun(run, "extract", asked, resume=resume) and resume
    stored = run.settings("extract", ExtractSettings) if begun else None
    free = {"device", "keep"} if asked.keep == "auto" else {"device"}
    return asked if stored is None else agreeing(as_begun(run, stored), asked, run, free=free)


def _kept_dtype(subject: Subject, site: Site, asked: str, kept: str | None, progress: Progress) -> str:
    """Return the dtype to keep activations in: `asked`, or for "auto" that of the shards there, else one that suits.

    That is the model's own where it has 16 bits. Else it is float16, or bfloat16, with float32's range at 8 bits, where
    a look at about 1 000 tokens finds values that float16 does not hold well.

    Raises:
        MonosemError: float16 is asked for, and would clip.
    """
    own = dtype_name(subject.lm.network.dtype)
    if asked == "auto" and (kept or own in ("float16", "bfloat16")):
        return kept or own
    if asked not in ("auto", "float16") or kept or own == "float16":
        return asked
    x_ND = probed(subject.lm, site, subject.stream("train", epochs=None))
    typical, largest = (x_ND.square().mean().sqrt().item(), x_ND.abs().max().item()) if len(x_ND) else (1.0, 1.0)
    if SUITED[0] <= typical and largest <= SUITED[1]:
        return "float16"
    range_text = f"the site's values are about {typical:.2g} and reach {largest:.2g}"
    if asked == "auto":
        progress.say(f"{range_text}: kept as bfloat16, as float16 holds 6e-5 to 65 504 at full precision")
        return "bfloat16"
    if typical < SUITED[0]:
        progress.say(f"{range_text}: float16 loses bits below 6e-5; bfloat16 does not")
    return "float16"


def _info(subject: Subject, site: Site, settings: ExtractSettings) -> ShardInfo:
    context = subject.context
    width = np.dtype(DTYPES[settings.keep]).itemsize
    return ShardInfo(
        model=settings.model,
        model_digest=subject.lm.digest,
        layer=site.layer,
        site=site.name,
        d_in=site.d_in,
        dtype=settings.keep,
        data=subject.corpus.spec,
        corpus_digest=subject.corpus.digest(),
        context=context,
        packing=settings.packing,
        seed=settings.seed,
        excluded=subject.encoding.excluded,
        held_out=settings.held_out,
        weights=settings.weights,
        contexts_per_shard=whole_forwards(SHARD_BYTES // (width * site.d_in * context), context),
        n_contexts=subject.stream("train", epochs=None).skip_tokens(settings.tokens, counted=True),
    )


def _check_same(run: RunFolder, info: ShardInfo, done: Sequence[int]) -> None:
    others = next(filter(None, (differing(shard_info(run.activations, number), info) for number in done)), "")
    if others:
        raise MonosemError(
            f"{run.activations} was begun with another {others}",
            "Give the same settings to finish it, or choose another `out`.",
        )


def _begin(run: RunFolder, subject: Subject, site: Site, settings: ExtractSettings) -> None:
    """Note the extraction; a run that was trained keeps its own spec and provenance."""
    record = run.record() if run.exists() else RunRecord()
    spec, provenance = record.spec, record.provenance
    if "train" not in record.config:
        spec, provenance = spec_of(settings.model, subject.encoding, site), subject.provenance()
    begin(run, "extract", settings, provenance, resume=False, spec=spec)


def _write(
    run: RunFolder, subject: Subject, site: Site, info: ShardInfo, done: Sequence[int], progress: Progress, ranks: Ranks
) -> None:
    """Write the shards that are not `done`, of several ranks every so many-th: those that readers see grow evenly."""
    per, stream = info.contexts_per_shard, subject.stream("train", epochs=None)
    sizes = [min(per, info.n_contexts - first) for first in range(0, info.n_contexts, per)]
    own = [number for number in range(len(sizes)) if number not in done][ranks.rank :: ranks.number]
    before = sum(sizes[number] for number in done) if ranks.alone else 0
    total = info.n_contexts if ranks.alone else sum(sizes[number] for number in own)
    at = 0
    with progress.task(ranks.titled("extracting"), total, "contexts", before) as bar:
        for number in own:
            stream.skip((number - at) * per)
            rows = _shard(subject, site, stream, sizes[number], info.dtype, bar)
            write_shard(run.activations, number, info, rows)
            bar.advance(0, shards=number + 1)
            at = number + 1
    ranks.gathered(None)


def _shard(subject: Subject, site: Site, stream: ContextStream, contexts: int, dtype: str, bar: Task) -> ShardRows:
    meter = Meter(contexts, report=bar.advance)
    return joined_rows([_rows(one, dtype) for one in captured_batches(subject.lm, [site], stream, contexts, meter)])


def _rows(captured: Captured, dtype: str) -> ShardRows:
    batch = captured.batch
    context_N, position_N = np.nonzero(batch.counted_BT)
    acts_ND = captured.acts_ND
    if dtype == "float16" and (largest := acts_ND.float().abs().max().item() if len(acts_ND) else 0.0) > MOST:
        raise MonosemError(
            f"the site's values reach {largest:.6g}, and float16 holds up to 65 504", "Use `keep=bfloat16` or float32."
        )
    return ShardRows(
        acts_ND=to_array(acts_ND, dtype),
        token_N=batch.tokens_BT[batch.counted_BT],
        context_N=context_N + batch.first,
        position_N=position_N.astype(np.int32),
    )
