"""A subject: a model, one of its sites, and a corpus cut into contexts."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import torch

from engine.corpus.documents import Corpus, names_files
from engine.corpus.reading_order import Split
from engine.data.arrays import names_array, split_spec
from engine.data.contexts import ContextSettings, ContextStream
from engine.data.text_encoder import Encoding
from engine.model.hooks import runs_before
from engine.model.language_model import LanguageModel, describe_model
from engine.model.placement import Placement, memory_of_part
from engine.model.sites import SITES, Site, resolve_site
from engine.ranks.group import ranks_here
from engine.runtime.devices import dtype_name, made_on, pick_device
from engine.runtime.progress import Progress
from store.files.errors import MonosemError
from store.run.folder import Provenance
from store.run.spec import SaeSpec
from store.settings.setting import Settings
from store.settings.subject import FULL, SPREAD, SubjectSettings

S = TypeVar("S", bound=Settings)
DEFAULT_CONTEXT = 256


@dataclass(frozen=True)
class Subject:
    """An opened model with a corpus."""

    settings: SubjectSettings
    lm: LanguageModel
    corpus: Corpus
    encoding: Encoding
    context: int

    def site(self) -> Site:
        """Return the site read; see `site_of`."""
        return site_of(self.settings, self.lm)

    def target(self) -> Site:
        """Return the site reconstructed; see `target_of`."""
        return target_of(self.settings, self.lm)

    def sites(self) -> list[Site]:
        """Return the sites of a training: the one read, then the one reconstructed if it differs."""
        site, target = self.site(), self.target()
        return [site] if target == site else [site, target]

    def stream(self, split: Split, *, epochs: int | None = 1, located: bool = False) -> ContextStream:
        """Return the contexts of one split of the corpus, in seeded order; see `ContextSettings` for the rest."""
        s = self.settings
        return ContextStream(
            self.corpus,
            self.encoding,
            ContextSettings(self.context, s.packing, s.order_seed, split, epochs, s.held_out, located),
        )

    def on(self, settings: SubjectSettings) -> Subject:
        """Return the same model and text with other settings."""
        return replace(self, settings=settings)

    def provenance(self) -> Provenance:
        """Everything needed to repeat what is computed here."""
        corpus = self.corpus
        of_lm, seed = model_provenance(self.lm), self.settings.seed
        return replace(of_lm, corpus=corpus.spec, corpus_digest=corpus.digest(), seed=seed)


def model_provenance(lm: LanguageModel) -> Provenance:
    """Return the provenance of work with a model, without a text."""
    made, dtype = made_on(lm.device), dtype_name(lm.network.dtype)
    weights = "" if lm.weights == FULL else lm.weights
    return replace(
        made, model=lm.name, model_revision=lm.revision, model_digest=lm.digest, dtype=dtype, weights=weights
    )


def spec_of(model: str, encoding: Encoding, site: Site, target: Site | None = None) -> SaeSpec:
    """Return the part of a spec that names what is read, and what a transcoder explains."""
    spec = SaeSpec(model=model, layer=site.layer, site=site.name, d_in=site.d_in, excluded=encoding.excluded)
    return spec if target is None else replace(spec, layer_out=target.layer, site_out=target.name, d_out=target.d_in)


def site_of(settings: SubjectSettings, lm: LanguageModel) -> Site:
    """Return the site to read; without a layer, a named site of the middle one."""
    name, layer = settings.site, settings.layer
    if layer is None and name in SITES:
        layer = lm.n_layers // 2
    return resolve_site(lm, name, layer)


def target_of(settings: SubjectSettings, lm: LanguageModel) -> Site:
    """Return the site to reconstruct: the site read, or a transcoder's other one.

    Raises:
        MonosemError: there is no such site, or it does not come after the one that is read.
    """
    site, name, layer = site_of(settings, lm), settings.site_out, settings.layer_out
    if not name:
        if layer is not None:
            raise MonosemError("`layer_out` says where a transcoder's `site_out` is", "Give `site_out` too.")
        return site
    if layer is None and name in SITES:
        layer = lm.n_layers // 2 if site.layer is None else site.layer
    target = resolve_site(lm, name, layer)
    if target == site:
        raise MonosemError("`site_out` is the site that is read", "Leave it out: that is an autoencoder.")
    if not runs_before(lm, site, target):
        raise MonosemError(
            f"{target.title} comes before {site.title}: nothing can be put in its place then",
            "Read the earlier site, and explain the later one.",
        )
    return target


def encoding_of(lm: LanguageModel, *, for_plan: bool = False) -> Encoding:
    """Return how a model reads text; a plan needs no tokenizer.

    Raises:
        MonosemError: it has no tokenizer.
    """
    lm.read_tokenizer()
    if lm.tokenizer is None and not for_plan:
        raise MonosemError(f"{lm.name} has no tokenizer, so it cannot read text", "Put tokenizer.json into its folder.")
    return Encoding(cast("Any", lm.tokenizer), lm.bos_id, lm.separator_id, lm.name)


def context_of(settings: SubjectSettings, lm: LanguageModel) -> int:
    """Return the tokens per context.

    Raises:
        MonosemError: more than the model was made for are asked for.
    """
    limit = lm.max_context
    if settings.context is None:
        return min(DEFAULT_CONTEXT, limit or DEFAULT_CONTEXT)
    if limit is not None and settings.context > limit:
        raise MonosemError(f"{lm.name} was made for contexts of up to {limit} tokens, not {settings.context}")
    return settings.context


def pinned(settings: S) -> S:
    """Return the settings with given paths made absolute, so that a run can be worked on from another folder."""
    changes = {}
    for name in settings.given:
        value = getattr(settings, name)
        if name in ("model", "activations") and Path(value).exists():
            changes[name] = str(Path(value).absolute())
        elif name == "activations" and names_array(value):
            path, within = split_spec(value)
            changes[name] = f"{path.absolute()}:{within}" if within else str(path.absolute())
        elif name == "data" and names_files(value):
            home = os.path.expanduser(value) if value.startswith("~/") else value  # noqa: PTH111 - may be a glob
            changes[name] = os.path.abspath(home)  # noqa: PTH100
    return settings.changed(**changes)


def open_subject(settings: SubjectSettings, progress: Progress, *, for_plan: bool = False) -> Subject:
    """Find the corpus, describe the model, and read its tokenizer; weights are loaded when they are needed.

    What fails sooner comes first: the corpus, then the site and the context, then the tokenizer. A plan needs neither
    weights nor a tokenizer.

    Raises:
        MonosemError: either cannot be used, or they do not fit together.
    """
    from engine.corpus.data_argument import open_corpus  # the readers of all formats: a live model needs none

    corpus = open_corpus(settings.data, progress)
    progress.say(corpus.describe())
    lm = open_model(settings, progress, for_plan=for_plan)
    target_of(settings, lm)
    context = context_of(settings, lm)
    return Subject(settings, lm, corpus, encoding_of(lm, for_plan=for_plan), context)


def open_model(settings: SubjectSettings, progress: Progress, *, for_plan: bool = False) -> LanguageModel:
    """Describe the language model, without its weights and tokenizer; a plan needs neither."""
    device, ranks = pick_device(settings.device), ranks_here()
    placement = Placement(memory=memory_of_part(ranks.local, ranks.on_machine)) if settings.device == SPREAD else None
    return describe_model(
        settings.model,
        device=device,
        dtype=settings.dtype,
        weights=settings.weights,
        placement=placement,
        progress=progress,
        for_plan=for_plan,
    )


def device_of(settings: SubjectSettings) -> torch.device:
    """Return the device of the settings."""
    return pick_device(settings.device)
