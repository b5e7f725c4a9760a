"""The part of `monosem import` that needs no language model: an autoencoder measured on a user's own activations.

Its place is what the array holds: no other is tried, but the misreadings that need no model are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from engine.data.arrays import Array, sample_spans
from engine.data.ordinary_tokens import OrdinaryTokens, places_of
from engine.evaluation.figures import Evaluation
from engine.evaluation.quality import evaluate_rows
from engine.formats.fold import Folded, folded
from engine.formats.foreign_sae import Foreign, Stated
from engine.formats.self_check import EVALUATED, SelfCheck, SiteActs, as_sae, checked
from engine.jobs.array_source import array_provenance, check_row_width, named_array, refuse_of_text
from engine.runtime.devices import pick_device
from engine.runtime.progress import Progress
from engine.runtime.sizes import SAMPLE_ROWS
from engine.sae.base import Sae
from store.run.folder import Provenance
from store.run.spec import SaeSpec
from store.settings.import_sae import ImportSettings
from store.settings.subject import SubjectSettings
from store.settings.train import MAX_NORM, TrainSettings

PREPARED = (
    "it reads a norm's output before the gain, which is unknown without the model: rows must be what it reads, that is "
    "before the gain"
)


class CheckedImport(NamedTuple):
    """The result of the check of an import."""

    evaluation: Evaluation
    check: SelfCheck
    ordinary: OrdinaryTokens


@dataclass(frozen=True)
class ReadImport:
    """An autoencoder that was read, and what is recorded of it."""

    foreign: Foreign
    made: Folded
    spec: SaeSpec
    settings: SubjectSettings
    provenance: Provenance
    found: CheckedImport | None


def import_for_array(foreign: Foreign, asked: ImportSettings, stated: Stated, progress: Progress) -> ReadImport:
    """Fold an autoencoder, and measure it on the rows of `activations`.

    Raises:
        MonosemError: a setting is given that needs a model, the array has another width or dtype, or a value is NaN or
            infinite.
    """
    refuse_of_text(asked, str(asked.activations))
    array = named_array(str(asked.activations))
    check_row_width(array, foreign.d_in, foreign.d_out)
    if foreign.conventions.before_gain:
        how = replace(foreign.conventions, before_gain=False)
        foreign = replace(foreign, conventions=how, notes=(*foreign.notes, PREPARED))
    made = folded(foreign)
    spec = SaeSpec(
        arch=made.arch,
        d_in=foreign.d_in,
        d_sae=foreign.d_sae,
        d_out=foreign.d_out,
        k=foreign.k,
        excluded="none",
        token_norm=made.token_norm,
        skip=foreign.skips,
    )
    settings = TrainSettings(
        model="",
        data="",
        site="",
        activations=array.spec,
        arch=made.arch,
        d_sae=foreign.d_sae,
        k=foreign.k,
        device=asked.device or "auto",
    )
    device = pick_device(settings.device)
    sae = as_sae(foreign, made, device)
    progress.say(array.describe())
    digest = array.digest(progress)
    found = _checked(foreign, sae, array, asked.tokens, stated, progress) if asked.check else None
    return ReadImport(foreign, made, spec, settings, array_provenance(array, digest, settings), found)


def _checked(
    foreign: Foreign, sae: Sae, array: Array, tokens: int, stated: Stated, progress: Progress
) -> CheckedImport:
    pieces = [piece_ND.float() for piece_ND in array.read(sample_spans(array, "all", tokens, seed=0))]
    rows_ND = torch.cat(pieces).to(sae.W_dec.device)
    ordinary = OrdinaryTokens.measured(rows_ND[:SAMPLE_ROWS], places_of(foreign.d_in, foreign.d_out), MAX_NORM)
    evaluation = evaluate_rows([rows_ND], sae, array.spec, "all", ordinary)
    progress.say("checking: the usual mistakes that need no model")
    rows = SiteActs(rows_ND, torch.ones(len(rows_ND), dtype=torch.bool, device=rows_ND.device))
    check = checked(foreign, (), [rows], array.spec, stated, ordinary, progress)
    check = replace(check, **{name: getattr(evaluation, name) for name in EVALUATED})
    return CheckedImport(evaluation, check, ordinary)
