"""The self-check of an import: does it explain what it should, and if not, which misreading would?

Libraries handle b_dec, scales and norms differently, and a wrong guess gives an autoencoder that runs but is silently
bad. So an import is measured on text at once, and compared with the figures that the source states and with those of
the usual mistakes (engine.formats.readings) and of other places in the model. engine.formats.verdict judges them.

Shapes: N positions, D = d_in, O = d_out, F = d_sae.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engine.data.contexts import ContextBatch
from engine.data.ordinary_tokens import OrdinaryTokens
from engine.evaluation.quality import evaluate_rows
from engine.evaluation.reconstruction import TINY
from engine.formats.fold import Folded, folded, small_gains
from engine.formats.foreign_sae import Conventions, Foreign, Stated
from engine.formats.readings import usual_mistakes
from engine.formats.verdict import ALL_POSITIONS, LINEAR, Kind, Trial, verdict
from engine.model.hooks import capture_all
from engine.model.language_model import LanguageModel
from engine.model.norms import gain_before
from engine.model.sites import SITES, Site, block_of, resolve_site
from engine.runtime.progress import Progress, Silent
from engine.sae.base import Sae, SparseActs, variance_of
from engine.sae.registry import from_weights
from store.files.errors import MonosemError
from store.run.spec import SaeSpec
from store.run.variance_shares import VarianceShares
from store.run.weights import SaeWeights

EVALUATED = (
    "ce_recovered_zero",
    "explained_variance_ordinary",
    "explained_variance_standardised",
    "outlier_tokens",
    "variance_shares",
)
"""Figures of a `SelfCheck` that an evaluation of the autoencoder as read gives."""
MOST_BYTES = 2**28
"""Activations of other layers to hold; of a larger model only the next layers are tried."""
MOST_PRODUCTS = 2e11
"""Multiply-adds of encoders that all trials together may take; more, and most are tried on a few tokens."""
SURELY = 0.9
"""Explained variance of ordinary tokens from which nobody asks whether it is linear."""
FEW_TOKENS, FINALISTS = 512, 5
"""Tokens of a first round, and how many trials get into the second."""
SILENT = Silent()


@dataclass(frozen=True)
class ReadPlace:
    """A site, and a transcoder's target."""

    site: Site
    target: Site | None = None
    named: bool = False
    """Whether the file names it."""

    @property
    def ends(self) -> tuple[Site, ...]:
        """The site, and the target where there is one."""
        return (self.site,) if self.target is None else (self.site, self.target)

    @property
    def title(self) -> str:
        """`resid_post 2`, or `mlp_in 2 → mlp_out 2`."""
        return self.site.title if self.target is None else f"{self.site.title} → {self.target.title}"

    @property
    def flags(self) -> str:
        """The flags that choose it."""
        return " ".join(_flags(self.site) + (_flags(self.target, "-out") if self.target else []))


def _flags(site: Site, end: str = "") -> list[str]:
    return [f"--site{end} {site.name}", *([] if site.layer is None else [f"--layer{end} {site.layer}"])]


class SiteActs(NamedTuple):
    """Activations of a place at every position of some text, including BOS."""

    acts_ND: Tensor
    """The activations read, with a transcoder's target beside them."""
    counted_N: Tensor
    gain: Tensor | None = None
    """g [D] of the norm before it, where there is one."""


@dataclass(frozen=True)
class SelfCheck:
    """The result of the check."""

    verdict: Kind
    text: str
    """The verdict in one sentence."""
    tokens: int
    data: str
    stated: Stated
    trials: tuple[Trial, ...]
    """As read, then the usual mistakes."""
    ce_recovered_zero: float | None = None
    explained_variance_ordinary: float | None = None
    explained_variance_standardised: float | None = None
    outlier_tokens: int | None = None
    variance_shares: VarianceShares | None = None


def as_sae(foreign: Foreign, made: Folded, device: torch.device) -> Sae:
    """Return a folded autoencoder, ready to encode raw activations."""
    sizes = SaeSpec(arch=made.arch, d_in=foreign.d_in, d_sae=foreign.d_sae, k=foreign.k, d_out=foreign.d_out)
    spec = replace(sizes, token_norm=made.token_norm, skip=foreign.skips)
    return from_weights(SaeWeights(spec, {name: tensor.numpy() for name, tensor in made.tensors.items()}), device)


def places_to_try(
    lm: LanguageModel, own: ReadPlace, tokens: int = 4096, named: Sequence[ReadPlace] = ()
) -> list[ReadPlace]:
    """Return a place, then those of the same width that it may be confused with.

    Args:
        lm: the model.
        own: the place that is read; for a transcoder with what it explains.
        tokens: how many will be held of each place: a small model is tried at all layers.
        named: places that the file names.
    """
    found, seen = [own], {_tensors(own)}
    for place in [*named, *_elsewhere(lm, own, tokens)]:
        if [one.d_in for one in place.ends] == [one.d_in for one in own.ends] and _tensors(place) not in seen:
            seen.add(_tensors(place))
            found.append(place)
    return found


def _elsewhere(lm: LanguageModel, own: ReadPlace, tokens: int) -> Iterator[ReadPlace]:
    """Yield other layers, nearest first, the layer's other sites, and what its MLP returns before a norm."""
    site, target = own.site, own.target
    if site.layer is None:
        return
    width = site.d_in + (target.d_in if target else 0)
    reach = lm.n_layers if 4 * tokens * width * lm.n_layers <= MOST_BYTES else 1
    for step in sorted(range(-reach, reach + 1), key=abs):
        moved = (target.name, None if target.layer is None else target.layer + step) if target else None
        yield from _place(lm, (site.name, site.layer + step), moved)
    for name in SITES:
        yield from _place(lm, (name, site.layer), (target.name, target.layer) if target else None)
    end = target or site
    if end.name == "mlp_out" and end.layer is not None:
        raw = (block_of(lm, end.layer).mlp, None)
        yield from _place(lm, (site.name, site.layer) if target else raw, raw if target else None)


def _place(
    lm: LanguageModel, site: tuple[str, int | None], target: tuple[str, int | None] | None
) -> Iterator[ReadPlace]:
    """Yield the place if the model has it."""
    try:
        place = ReadPlace(resolve_site(lm, *site), resolve_site(lm, *target) if target else None)
    except MonosemError:
        return
    if place.site != place.target:
        yield place


def _tensors(place: ReadPlace) -> tuple[tuple[str, int | None], ...]:
    """Return a key that is equal for equal tensors: a block's output is the next block's input."""
    return tuple(
        ("resid_post", one.layer - 1)
        if one.name == "resid_pre" and one.layer is not None
        else (one.name, one.layer)
        if one.layer is not None
        else (f"{one.module}:{one.side}", None)
        for one in place.ends
    )


@torch.no_grad()
def captured(
    lm: LanguageModel,
    places: Sequence[ReadPlace],
    batches: Iterator[ContextBatch],
    first_positions: int = 0,
    gains: Mapping[str, Tensor | None] = MappingProxyType({}),
) -> list[SiteActs]:
    """Return the activations of every place over some contexts, without padding.

    Args:
        lm: the model.
        places: where to read.
        batches: the contexts.
        first_positions: positions at the start of a context that do not count.
        gains: what is known of the norms before some modules.
    """
    sites = list(dict.fromkeys(site for place in places for site in place.ends))
    parts: list[list[Tensor]] = [[] for _ in sites]
    counted: list[Tensor] = []
    for batch in batches:
        tokens_BT, mask_BT = batch.tensors(lm.device)
        real_BT = torch.from_numpy(batch.mask_BT).to(lm.device)
        for part, acts_BTD in zip(parts, capture_all(lm, sites, tokens_BT, mask_BT), strict=True):
            part.append(acts_BTD[real_BT].float())
        counted_BT = batch.counted_BT & (np.arange(batch.counted_BT.shape[1]) >= first_positions)
        counted.append(torch.from_numpy(counted_BT).to(lm.device)[real_BT])
    counted_N = torch.cat(counted) if counted else torch.zeros(0, dtype=torch.bool)
    acts = {site: torch.cat(part) if part else torch.zeros(0, 1) for site, part in zip(sites, parts, strict=True)}
    read_at = {place.site.module for place in places if place.site.name == "mlp_in"}
    found = dict(gains) | {module: gain_before(lm, module) for module in sorted(read_at - gains.keys())}
    return [
        SiteActs(
            torch.cat([acts[one] for one in place.ends], 1) if place.target else acts[place.site],
            counted_N,
            found.get(place.site.module) if place.site.name == "mlp_in" else None,
        )
        for place in places
    ]


class _Attempt(NamedTuple):
    """A trial to make."""

    reading: str
    conventions: Conventions
    flag: str
    rows: SiteActs
    place: str = ""
    named: bool = False


def checked(
    foreign: Foreign,
    places: Sequence[ReadPlace],
    rows: Sequence[SiteActs],
    data: str,
    stated: Stated,
    ordinary: OrdinaryTokens | None = None,
    progress: Progress = SILENT,
) -> SelfCheck:
    """Measure an autoencoder as it was read, with each of the usual mistakes corrected, and elsewhere.

    Args:
        foreign: the autoencoder.
        places: its place, then others it may be confused with.
        rows: their activations.
        data: the text's name.
        stated: figures to compare with.
        ordinary: tells outliers at its own place; None to measure what is ordinary on the first tokens.
        progress: receives reports.
    """
    first, how = rows[0], foreign.conventions
    counted = int(first.counted_N.sum())
    if not counted:
        raise MonosemError(f"{data} has no tokens to check on", "Use other text as `data`.")
    x_ND = chosen(first)[:, : foreign.d_in]
    attempts = [_Attempt(*reading, first) for reading in usual_mistakes(foreign, x_ND)]
    for place, acts in zip(places[1:], rows[1:], strict=True):
        wrong = "wrong layer" if _names(place) == _names(places[0]) else "wrong site"
        reading = f"{wrong}, {place.title} fits"
        there = replace(how, before_gain=how.before_gain and acts.gain is not None)
        attempts.append(_Attempt(reading, there, place.flags, acts, place.title, place.named))
    trials = [
        _trial(foreign, _Attempt("as read", how, "", first), counted, ordinary),
        *_tried(foreign, attempts, ordinary, progress),
    ]
    if counted < len(first.counted_N):
        whole = SiteActs(first.acts_ND, torch.ones_like(first.counted_N))
        trials.append(_trial(foreign, _Attempt(ALL_POSITIONS, how, "", whole), len(first.counted_N)))
    if trials[0].ordinary < SURELY:
        trials.append(_linear(foreign, chosen(first)[:FEW_TOKENS], ordinary))
    # TopK has the stated L0 in any case, so its L0 proves nothing.
    by_k = stated.nominal or foreign.arch == "topk" or (foreign.k is not None and stated.l0 == foreign.k)
    stated = replace(stated, nominal=stated.l0 is not None and by_k)
    kind, text = verdict(trials, stated)
    return SelfCheck(kind, text, counted, data, stated, tuple(trials))


def _names(place: ReadPlace) -> list[str]:
    return [one.name for one in place.ends]


def _tried(
    foreign: Foreign, attempts: Sequence[_Attempt], ordinary: OrdinaryTokens | None, progress: Progress
) -> list[Trial]:
    """Return the trials; of many with a large dictionary, only the best on a few tokens are measured on all."""
    attempts = [one for one in attempts if _can_be_folded(foreign, one)]
    tokens = [int(one.rows.counted_N.sum()) for one in attempts]
    few = sum(tokens) * foreign.d_in * foreign.d_sae > MOST_PRODUCTS
    trials = []
    with progress.task("other readings" + " on few tokens" * few, len(attempts), "readings") as bar:
        for one, n in zip(attempts, tokens, strict=True):
            trials.append(_trial(foreign, one, FEW_TOKENS if few else n, ordinary))
            bar.advance(1)
    if not few:
        return trials
    strongest = sorted(range(len(trials)), key=lambda number: -trials[number].ordinary)
    again = {*strongest[:FINALISTS], *(i for i, one in enumerate(attempts) if one.named)}
    with progress.task("the best of them", len(again), "readings") as bar:
        for number in sorted(again):
            trials[number] = _trial(foreign, attempts[number], tokens[number], ordinary)
            bar.advance(1)
    return trials


@torch.no_grad()
def _linear(foreign: Foreign, rows_ND: Tensor, ordinary: OrdinaryTokens | None) -> Trial:
    """Return the figures of the autoencoder without its nonlinearity: of every feature, negative ones too."""
    sae = as_sae(foreign, folded(foreign), rows_ND.device)
    x_ND = rows_ND[:, : foreign.d_in]
    y_NO = x_ND if foreign.d_out is None else rows_ND[:, foreign.d_in :]
    nothing = SparseActs(x_ND.new_zeros(len(x_ND), 1), torch.zeros(len(x_ND), 1, dtype=torch.long, device=x_ND.device))
    unit_N1 = sae.unit_of(x_ND)
    found_NO = (sae.pre_acts(x_ND) @ sae.W_dec) * (1.0 if unit_N1 is None else unit_N1) + sae.decode(nothing, x_ND)
    usual_N = torch.ones(len(x_ND), dtype=torch.bool, device=x_ND.device)
    if ordinary is not None:
        usual_N = ~ordinary.outliers(rows_ND)
    parts = ((y_NO, found_NO), (y_NO[usual_N], found_NO[usual_N]))
    explained = [1 - float((y - found).square().sum() / variance_of(y).clamp_min(TINY)) for y, found in parts]
    return Trial(LINEAR, explained[0], float(foreign.d_sae), "", explained[1], None, len(x_ND))


def _can_be_folded(foreign: Foreign, attempt: _Attempt) -> bool:
    """Return whether weights can express a reading: not where a norm's gain is unknown or near 0."""
    how, gain = attempt.conventions, _there(foreign, attempt).gain
    return not how.before_gain or (gain is not None and how.token_norm == "none" and not small_gains(gain))


def _there(foreign: Foreign, attempt: _Attempt) -> Foreign:
    gain = attempt.rows.gain
    return foreign if gain is None else replace(foreign, gain=gain)


def chosen(rows: SiteActs) -> Tensor:
    """Return the counted rows of a place."""
    return rows.acts_ND[rows.counted_N]


def _trial(foreign: Foreign, attempt: _Attempt, tokens: int, ordinary: OrdinaryTokens | None = None) -> Trial:
    rows_ND = chosen(attempt.rows)[:tokens]
    sae = as_sae(foreign, folded(_there(foreign, attempt), attempt.conventions), rows_ND.device)
    found = evaluate_rows([rows_ND], sae, "the check's text", "all", None if attempt.place else ordinary)
    return Trial(
        attempt.reading,
        found.explained_variance,
        found.l0,
        attempt.flag,
        found.explained_variance_ordinary,
        found.explained_variance_standardised,
        len(rows_ND),
        attempt.place,
        attempt.named,
    )
