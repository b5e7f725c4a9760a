"""What is looked at: a model, one of its sites, and a corpus cut into contexts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from engine.arrays import names_array, split_spec
from engine.contexts import ContextSettings, ContextStream, Encoding, Packing
from engine.corpus.documents import Corpus
from engine.corpus.opening import open_corpus
from engine.corpus.order import Split
from engine.devices import hardware, pick_device, pick_dtype, versions
from engine.models import LanguageModel, load_model
from engine.planted.corpus import is_planted
from engine.progress import Progress
from engine.sites import SITES, Site, resolve_site
from store.errors import MonosemError
from store.run import Provenance

DEFAULT_CONTEXT = 256


@dataclass(frozen=True, kw_only=True)
class SubjectSettings:
    """Settings that every command on a model shares."""

    model: str = "gpt2"
    layer: int | None = None
    site: str = "resid_post"
    data: str = "stdlib"
    context: int | None = None
    """Tokens a context; None for 256, or for what the model was made for if that is less."""
    packing: Packing = "packed"
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"


@dataclass(frozen=True)
class Subject:
    """An opened model with a corpus."""

    settings: SubjectSettings
    lm: LanguageModel
    corpus: Corpus
    encoding: Encoding
    context: int

    def site(self) -> Site:
        """The place in the model; without a layer, a named site of the middle one."""
        name, layer = self.settings.site, self.settings.layer
        if layer is None and name in SITES:
            layer = self.lm.n_layers // 2
        return resolve_site(self.lm, name, layer)

    def stream(self, split: Split, *, epochs: int | None = 1) -> ContextStream:
        """The contexts of one split of the corpus, in seeded order."""
        s = self.settings
        return ContextStream(
            self.corpus, self.encoding, ContextSettings(self.context, s.packing, s.seed, split, epochs)
        )

    def with_data(self, data: str) -> Subject:
        """The same model on another corpus."""
        return replace(self, corpus=open_corpus(data), settings=replace(self.settings, data=data))

    def provenance(self) -> Provenance:
        """Everything needed to repeat what is computed here."""
        return Provenance(
            versions=versions(),
            model=self.lm.name,
            model_revision=self.lm.revision,
            model_digest=self.lm.digest,
            corpus=self.corpus.spec,
            corpus_digest=self.corpus.digest(),
            seed=self.settings.seed,
            hardware=hardware(self.lm.device),
        )


def pinned(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with their paths made absolute, so that a run can be worked on from another folder."""
    found = dict(given)
    for name in ("model", "activations"):
        if name in found and Path(found[name]).exists():
            found[name] = str(Path(found[name]).absolute())
        elif name == "activations" and name in found and names_array(found[name]):
            path, within = split_spec(found[name])
            found[name] = f"{path.absolute()}:{within}" if within else str(path.absolute())
    data = found.get("data")
    if data is not None and data != "stdlib" and not data.startswith("hf:") and not is_planted(data):
        if data.startswith("~/"):
            data = os.path.expanduser(data)  # noqa: PTH111 - a glob or PATH:FIELD, not always a path
        found["data"] = os.path.abspath(data)  # noqa: PTH100
    return found


def open_subject(settings: SubjectSettings, progress: Progress) -> Subject:
    """Load the model and find the corpus. The corpus comes first: its faults show within a second.

    Raises:
        MonosemError: either cannot be used, or they do not fit together.
    """
    corpus = open_corpus(settings.data)
    progress.say(corpus.describe())
    lm = open_model(settings, progress)
    if lm.tokenizer is None:
        raise MonosemError(f"{lm.name} has no tokenizer, so it cannot read text", "Put tokenizer.json into its folder.")
    encoding = Encoding(lm.tokenizer, lm.bos_id, lm.separator_id)
    return Subject(settings, lm, corpus, encoding, _context(settings, lm))


def open_model(settings: SubjectSettings, progress: Progress) -> LanguageModel:
    """Load the language model on its device."""
    if settings.seed < 0:
        raise MonosemError(f"the seed must not be negative: {settings.seed}")
    device = pick_device(settings.device)
    return load_model(settings.model, device=device, dtype=pick_dtype(settings.dtype, device), progress=progress)


def device_of(settings: SubjectSettings) -> torch.device:
    """The device that the settings ask for."""
    return pick_device(settings.device)


def _context(settings: SubjectSettings, lm: LanguageModel) -> int:
    limit = lm.max_context
    if settings.context is None:
        return min(DEFAULT_CONTEXT, limit or DEFAULT_CONTEXT)
    if limit is not None and settings.context > limit:
        raise MonosemError(f"{lm.name} was made for contexts of up to {limit} tokens, not {settings.context}")
    return settings.context
