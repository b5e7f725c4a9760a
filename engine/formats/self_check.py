"""The self-check of an import: does it explain what it should, and if not, which misreading would?

Libraries handle b_dec, scales and norms differently, and a wrong guess gives an autoencoder that runs but is silently
bad. So an import is measured on text at once, and compared with the figures that the source states and with those of
the usual mistakes: a mistake whose figures fit better is the likely one.

Shapes: N positions, D = d_in, O = d_out, F = d_sae.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from engine.data.contexts import ContextBatch
from engine.evaluation.quality import evaluate_rows
from engine.formats.fold import Folded, folded
from engine.formats.foreign_sae import Conventions, Foreign, Stated
from engine.model.hooks import capture_all
from engine.model.language_model import LanguageModel
from engine.model.sites import SITES, Site, resolve_site
from engine.sae.base import Sae
from engine.sae.registry import from_weights
from store.files.errors import MonosemError
from store.run.spec import SaeSpec
from store.run.variance_shares import VarianceShares
from store.run.weights import SaeWeights

NEAR = 0.03
"""Difference in explained variance that other text of the same kind may cause (docs/formats.md)."""
NEAR_L0 = 0.15
"""Relative difference in L0 that other text may cause."""
BETTER = 0.05
"""Least gain in explained variance for a misreading to be likely."""
POOR = 0.5
"""Explained variance below which something is probably wrong, even if no mistake fits better."""

EVALUATED = (
    "ce_recovered_zero",
    "explained_variance_ordinary",
    "explained_variance_standardised",
    "outlier_tokens",
    "variance_shares",
)
"""Figures of a `SelfCheck` that an evaluation of the autoencoder as read gives."""
ALL_POSITIONS = "BOS positions counted"

Kind = Literal["agrees", "differs", "plausible", "doubtful"]


class SiteActs(NamedTuple):
    """Activations of a site at every position of some text, including BOS."""

    acts_ND: Tensor
    counted_N: Tensor


@dataclass(frozen=True)
class Trial:
    """The figures of one way of reading the file."""

    reading: str
    """The mistake that it would correct; "as read" for none."""
    explained_variance: float
    l0: float
    flag: str = ""
    """The flags to import with if this reading is right."""


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
    sizes = SaeSpec(arch=foreign.arch, d_in=foreign.d_in, d_sae=foreign.d_sae, k=foreign.k, d_out=foreign.d_out)
    spec = replace(sizes, token_norm=made.token_norm, skip=foreign.skips)
    return from_weights(SaeWeights(spec, {name: tensor.numpy() for name, tensor in made.tensors.items()}), device)


def places_to_try(lm: LanguageModel, site: Site, *, transcodes: bool) -> list[Site]:
    """Return the site, then those of the same width in its layer and the next ones that it may be confused with."""
    found, seen = [site], {_tensor(site)}
    if transcodes or site.layer is None:
        return found
    wanted = [(site.name, site.layer - 1), (site.name, site.layer + 1)]
    wanted += [(name, site.layer) for name in SITES if name != site.name]
    for name, layer in wanted:
        try:
            other = resolve_site(lm, name, layer)
        except MonosemError:
            continue
        if other.d_in == site.d_in and _tensor(other) not in seen:
            seen.add(_tensor(other))
            found.append(other)
    return found


def _tensor(site: Site) -> tuple[str, int | None]:
    """Return a key that is equal for equal tensors: a block's output is the next block's input."""
    if site.name == "resid_pre" and site.layer is not None:
        return "resid_post", site.layer - 1
    return site.name, site.layer


@torch.no_grad()
def captured(
    lm: LanguageModel, sites: Sequence[Site], batches: Iterator[ContextBatch], first_positions: int = 0
) -> list[SiteActs]:
    """Return the activations of every site over some contexts, without padding; first positions do not count."""
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
    return [SiteActs(torch.cat(part) if part else torch.zeros(0, 1), counted_N) for part in parts]


def checked(
    foreign: Foreign,
    sites: Sequence[Site],
    rows: Sequence[SiteActs],
    data: str,
    stated: Stated,
    target: SiteActs | None = None,
) -> SelfCheck:
    """Measure an autoencoder as it was read, and with each of the usual mistakes corrected.

    Args:
        foreign: the autoencoder.
        sites: its site, then others it may be confused with.
        rows: their activations.
        data: the text's name.
        stated: figures to compare with.
        target: a transcoder's target activations.
    """
    first = rows[0]
    counted = int(first.counted_N.sum())
    if not counted:
        raise MonosemError(f"{data} has no tokens to check on", "Use other text as `data`.")
    trials = [_trial("as read", foreign, foreign.conventions, chosen(first, target))]
    for reading, conventions, flag in _readings(foreign, first):
        trials.append(_trial(reading, foreign, conventions, chosen(first, target), flag))
    for site, other in zip(sites[1:], rows[1:], strict=True):
        flag = f"--site {site.name} --layer {site.layer}"
        trials.append(_trial(f"wrong site, {site.title} fits", foreign, foreign.conventions, chosen(other, None), flag))
    if counted < len(first.counted_N):
        whole = _beside(first.acts_ND, None if target is None else target.acts_ND)
        trials.append(_trial(ALL_POSITIONS, foreign, foreign.conventions, whole))
    # TopK has the stated L0 in any case, so its L0 proves nothing.
    kind, text = verdict(trials, replace(stated, l0=None) if foreign.arch == "topk" else stated)
    return SelfCheck(kind, text, counted, data, stated, tuple(trials))


def verdict(trials: Sequence[Trial], stated: Stated) -> tuple[Kind, str]:
    """Compare the first trial, which is as read, with the others and the stated figures."""
    own, best = trials[0], _better(trials[0], trials[1:], stated)
    figures = f"explained variance {own.explained_variance:.3f}, L0 {own.l0:.1f}"
    off = _off(own, stated)
    if best is not None:
        advice = f" ({best.flag})" if best.flag else ""
        than = f"{best.explained_variance:.3f}, L0 {best.l0:.1f}"
        return "differs", f"{figures}{off}; likely {best.reading}{advice}: with that it would be {than}"
    if off:
        return "differs", f"{figures}{off}; none of the usual mistakes explains it: other text, layer or model?"
    if own.explained_variance < POOR and stated.explained_variance is None:
        return "doubtful", f"{figures}: little is explained, and none of the usual mistakes would fit better"
    known = [] if stated.explained_variance is None else [f"explained variance {stated.explained_variance:.3f}"]
    known += [] if stated.l0 is None else [f"L0 {stated.l0:.1f}"]
    if known:
        return "agrees", f"{figures}; stated: {', '.join(known)}"
    return "plausible", f"{figures}; nothing is stated to compare with, and no usual mistake would fit better"


def _agrees(trial: Trial, stated: Stated) -> bool:
    near = stated.explained_variance is None or abs(trial.explained_variance - stated.explained_variance) <= NEAR
    return near and (stated.l0 is None or abs(trial.l0 - stated.l0) <= NEAR_L0 * stated.l0)


def _better(own: Trial, others: Sequence[Trial], stated: Stated) -> Trial | None:
    """Return the misreading that fits the stated figures, or else explains, clearly better; None if there is none."""
    goal = stated.explained_variance
    if goal is not None:
        if _agrees(own, stated):
            return None
        near = [one for one in others if abs(one.explained_variance - goal) <= abs(own.explained_variance - goal) / 3]
        near = [one for one in near if _agrees(one, Stated(l0=stated.l0))] or near
        return min(near, key=lambda one: abs(one.explained_variance - goal), default=None)
    fitting = [one for one in others if one.reading != ALL_POSITIONS]
    if stated.l0 is not None:
        fitting = [one for one in fitting if _agrees(one, stated) and one.explained_variance >= POOR]
        if not _agrees(own, stated):
            return max(fitting, key=lambda one: one.explained_variance, default=None)
    best = max(fitting, key=lambda one: one.explained_variance, default=None)
    return best if best is not None and best.explained_variance > own.explained_variance + BETTER else None


def _off(trial: Trial, stated: Stated) -> str:
    off = []
    if stated.explained_variance is not None and abs(trial.explained_variance - stated.explained_variance) > NEAR:
        off.append(f"{trial.explained_variance - stated.explained_variance:+.3f} from the stated variance")
    if stated.l0 is not None and abs(trial.l0 - stated.l0) > NEAR_L0 * stated.l0:
        off.append(f"{trial.l0 - stated.l0:+.1f} from the stated L0 of {stated.l0:.1f}")
    return f" ({', '.join(off)})" if off else ""


def _readings(foreign: Foreign, rows: SiteActs) -> Iterator[tuple[str, Conventions, str]]:
    """Yield the usual mistakes, each with the conventions that correct it and the flags to import with."""
    how = foreign.conventions
    by_token = how.token_norm != "none"
    if foreign.d_out is None:
        mistake = "b_dec subtracted twice" if how.subtracts_b_dec else "b_dec not subtracted from the input"
        flag = "--no-subtract-b-dec" if how.subtracts_b_dec else "--subtract-b-dec"
        yield mistake, replace(how, subtracts_b_dec=not how.subtracts_b_dec), flag
        if not how.centred and not by_token:
            yield "the stream's mean not subtracted (TransformerLens)", replace(how, centred=True), "--centred"
    length = float(rows.acts_ND[rows.counted_N].norm(dim=1).mean())
    natural = foreign.d_in**0.5 / length if length else 1.0
    scaled = replace(how, input_scale=natural, output_scale=natural if foreign.d_out is None else how.output_scale)
    if by_token:
        yield "no token norm", replace(how, token_norm="none"), "--token-norm none"
    if how.input_scale == 1 and not by_token:
        yield f"input scale not folded (√d_in / mean length = {natural:.4g})", scaled, f"--input-scale {natural:.4g}"
    elif how.input_scale != 1:
        yield "input scale folded twice", replace(how, input_scale=1.0, output_scale=1.0), "--input-scale 1"
    if how.by_norm == "none" and foreign.arch in ("topk", "jumprelu", "batchtopk", "matryoshka"):
        yield "decoder norms not folded into the selection", replace(how, by_norm="selection"), "--by-norm selection"
    elif how.by_norm != "none":
        yield "decoder norms folded twice", replace(how, by_norm="none"), "--by-norm none"


def chosen(rows: SiteActs, target: SiteActs | None) -> Tensor:
    """Return the counted rows of a site, with those of a transcoder's target beside them."""
    return _beside(rows.acts_ND[rows.counted_N], None if target is None else target.acts_ND[target.counted_N])


def _beside(x_ND: Tensor, y_NO: Tensor | None) -> Tensor:
    return x_ND if y_NO is None else torch.cat([x_ND, y_NO], dim=1)


def _trial(reading: str, foreign: Foreign, how: Conventions, rows_ND: Tensor, flag: str = "") -> Trial:
    sae = as_sae(foreign, folded(foreign, how), rows_ND.device)
    found = evaluate_rows([rows_ND], sae, "the check's text", "all")
    return Trial(reading, found.explained_variance, found.l0, flag)
