"""Sources of a training's activations: the running model, shards, or an array. One source feeds all trainings.

Shapes: N tokens, D width of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from engine.data.activations import Columns, Meter, ModelBlocks, ShardBlocks, whole_forwards
from engine.data.arrays import Array, names_array, open_array
from engine.data.ordinary_tokens import OrdinaryBlocks
from engine.data.rank_blocks import SharedBlocks
from engine.jobs.array_source import array_blocks, array_provenance, array_settings
from engine.jobs.subject import Subject, device_of, open_subject, spec_of
from engine.jobs.train_settings import resolved
from engine.jobs.trained_run import is_of_array
from engine.model.sites import Site
from engine.ranks.group import ALONE, Ranks
from engine.runtime.devices import made_on
from engine.runtime.progress import Progress
from store.files.errors import MonosemError
from store.run.folder import Provenance, RunFolder
from store.run.shards import ShardInfo, ShardReader
from store.run.spec import SaeSpec
from store.settings.subject import FULL
from store.settings.train import TrainSettings

SHARED = (
    *("tokens", "batch", "buffer", "context", "packing", "order_seed", "held_out", "model", "data", "activations"),
    "max_norm",
)
"""Settings that trainings on one pass have in common."""


@dataclass(frozen=True)
class Reader:
    """One training's part of a source."""

    columns: Columns
    spec: SaeSpec
    """One training and the columns it reads."""
    settings: TrainSettings
    """Resolved."""
    provenance: Provenance


@dataclass(frozen=True)
class Source:
    """Activations, and who reads what of them."""

    blocks: OrdinaryBlocks
    readers: list[Reader]
    origin: Subject | ShardInfo | Array
    """Description of the activations."""
    meter: Meter | None = None
    """Measures the model's time; None where activations were stored."""

    @property
    def subject(self) -> Subject | None:
        """The model and text; None where activations were stored."""
        return self.origin if isinstance(self.origin, Subject) else None


def open_source(
    wanted: Sequence[TrainSettings], progress: Progress, *, for_plan: bool = False, ranks: Ranks = ALONE
) -> Source:
    """Open what trainings are to read, and resolve their settings; `for_plan` as in `load_model`.

    Several ranks share the model's forwards; each reads all that is stored.

    Raises:
        MonosemError: it cannot be opened or does not fit, a setting is impossible, or they cannot share one pass.
    """
    if not wanted[0].activations:
        source = _model_source(wanted, open_subject(wanted[0], progress, for_plan=for_plan), ranks)
    else:
        source = (_array_source if is_of_array(wanted[0]) else _shard_source)(wanted, progress)
    first, *others = (reader.settings for reader in source.readers)
    for other in others:
        for name in SHARED:
            if getattr(other, name) != getattr(first, name):
                raise MonosemError(
                    f"trainings with {name.replace('_', ' ')} {getattr(first, name)} and {getattr(other, name)} "
                    "cannot share one pass",
                    "Train them one by one.",
                )
    return source


def from_activations(asked: TrainSettings) -> TrainSettings:
    """Return the settings with those filled in that follow from where the activations come from."""
    if not asked.activations:
        return asked
    return array_settings(asked) if names_array(asked.activations) else _of_shards(asked, asked.activations)


def shard_reader(activations: str) -> ShardReader:
    """Open the shards in a run, or in a folder by themselves."""
    run = RunFolder(Path(activations))
    return ShardReader(run.activations if run.exists() else run.path)


def _of_shards(asked: TrainSettings, activations: str) -> TrainSettings:
    """Fill in the settings that the activations were made with. Model and text may lie elsewhere by now."""
    info = shard_reader(activations).info
    if asked.site_out:
        raise MonosemError(
            f"{activations} holds one site, and a transcoder needs two at once", "Train it from `model`."
        )
    kept = "model", "data", "layer", "site", "context", "packing", "held_out", "weights"
    same = {name: getattr(info, name) for name in kept}
    for name in asked.given:
        value = getattr(asked, name)
        if name not in ("model", "data") and same.get(name, value) != value:
            raise MonosemError(
                f"{activations} holds activations of `{name}={same[name]}`, not {value}",
                f"Leave `{name}` out, or extract others.",
            )
    return asked.changed(**{name: value for name, value in same.items() if name not in asked.given})


def _model_source(wanted: Sequence[TrainSettings], subject: Subject, ranks: Ranks) -> Source:
    subjects = [subject.on(settings) for settings in wanted]
    sites_of = [one.sites() for one in subjects]
    columns, sites = laid_out(sites_of)
    width = sum(site.d_in for site in sites)
    readers = []
    for one, settings, own, of_row in zip(subjects, wanted, sites_of, columns, strict=True):
        spec = spec_of(settings.model, one.encoding, *own)
        places = replace(settings, context=one.context, layer=spec.layer, layer_out=spec.layer_out)
        known = resolved(places, spec.d_in, d_out=spec.d_out, width=width)
        readers.append(Reader(of_row, _complete(spec, known), known, one.provenance()))
    contexts = _contexts_at_once(readers, subject.context)
    meter = Meter(min(contexts, -(-readers[0].settings.tokens // subject.context)))
    of_model = subjects[0].lm, sites, subjects[0].stream("train", epochs=None), contexts, meter
    made = ModelBlocks(*of_model) if ranks.alone else SharedBlocks(*of_model, ranks)
    ends = list(accumulate(site.d_in for site in sites))
    of_sites = {site.title: slice(end - site.d_in, end) for site, end in zip(sites, ends, strict=True)}
    return Source(OrdinaryBlocks(made, of_sites, wanted[0].max_norm), readers, subjects[0], meter)


def laid_out(sites_of: Sequence[Sequence[Site]]) -> tuple[list[Columns], list[Site]]:
    """Return who reads which columns of a row in which every site stands once, and the sites in that order."""
    place: dict[Site, slice] = {}
    end = 0
    for sites in sites_of:
        for site in sites:
            if site not in place:
                place[site] = slice(end, end + site.d_in)
                end += site.d_in
    return [Columns(place[own[0]], place[own[1]] if len(own) > 1 else None) for own in sites_of], list(place)


def _array_source(wanted: Sequence[TrainSettings], progress: Progress) -> Source:
    array = open_array(str(wanted[0].activations))
    blocks = array_blocks(array, wanted[0], progress)
    digest = array.digest(progress)
    readers = []
    for settings in wanted:
        known = resolved(settings, array.d_in)
        spec = _complete(SaeSpec(d_in=array.d_in, excluded="none"), known)
        readers.append(Reader(Columns(slice(None)), spec, known, array_provenance(array, digest, known)))
    return Source(OrdinaryBlocks(blocks, {array.spec: slice(None)}, wanted[0].max_norm), readers, array)


def _shard_source(wanted: Sequence[TrainSettings], progress: Progress) -> Source:
    reader = shard_reader(str(wanted[0].activations))
    info = reader.info
    if reader.n_contexts < info.n_contexts:
        progress.say(f"{wanted[0].activations} is unfinished: {reader.n_contexts} of {info.n_contexts} contexts")
    readers = []
    for settings in wanted:
        known = resolved(settings, info.d_in)
        spec = SaeSpec(model=known.model, layer=info.layer, site=info.site, d_in=info.d_in, excluded=info.excluded)
        made = replace(
            made_on(device_of(known)), model=known.model, corpus=known.data, seed=known.seed, dtype=known.dtype
        )
        weights = "" if info.weights == FULL else info.weights
        provenance = replace(made, model_digest=info.model_digest, corpus_digest=info.corpus_digest, weights=weights)
        readers.append(Reader(Columns(slice(None)), _complete(spec, known), known, provenance))
    shards = ShardBlocks(reader, _contexts_at_once(readers, info.context))
    blocks = OrdinaryBlocks(shards, {readers[0].spec.place(): slice(None)}, wanted[0].max_norm)
    return Source(blocks, readers, info)


def _complete(spec: SaeSpec, settings: TrainSettings) -> SaeSpec:
    return replace(spec, arch=settings.arch, d_sae=settings.d_sae or 0, k=settings.k, l1=settings.l1)


def _contexts_at_once(readers: Sequence[Reader], context: int) -> int:
    buffer = readers[0].settings.buffer
    assert buffer is not None
    return whole_forwards(buffer // context, context)
