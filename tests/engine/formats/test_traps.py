"""The self-check on every format: it agrees with a file that is read rightly, and names the mistake made with another.

Each file lies at layer 1 of a tiny random model of its family, in its own layout (`trapped`). The check is told nothing
but what the reader found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.data.contexts import ContextBatch
from engine.formats.foreign_sae import Foreign, Stated
from engine.formats.hook_names import site_of_hook
from engine.formats.registry import read
from engine.formats.self_check import ReadPlace, SelfCheck, SiteActs, captured, checked, places_to_try
from engine.formats.verdict import verdict
from engine.jobs.subject import Subject, open_subject
from engine.model.norms import gain_before
from engine.model.sites import resolve_site
from engine.runtime.progress import Silent
from store.settings.train import TrainSettings
from tests.engine.formats.fitted import F64, LAYER, Case, Fitted
from tests.engine.formats.trapped import FORMATS, Format, Trap, file_of, fitted_to, told_apart
from tests.engine.trained import contexts_of

MEASURED = 600
"""Positions to measure on; dictionaries are fitted to all."""
FORMS_AND_TRAPS = [
    pytest.param(name, trap, marks=[pytest.mark.slow] if number > 0 else [], id=f"{name}-{trap}")
    for name, form in FORMATS.items()
    for number, trap in enumerate(form.traps())
]
"""Of every format the first trap is tried always."""
READ_THE_STREAM = [
    pytest.param(name, marks=[pytest.mark.slow] if number > 1 else [])
    for number, name in enumerate(name for name, form in FORMATS.items() if form.reads == "" and not form.normalises)
]


@dataclass(frozen=True)
class Checks:
    """A model, its text, and the activations of the places that a check has asked for."""

    case: Case
    subject: Subject
    contexts: Sequence[ContextBatch]
    rows: dict[str, list[SiteActs]] = field(default_factory=dict)
    fits: dict[object, tuple[Fitted, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, case: Case) -> Checks:
        """Open the model."""
        settings = TrainSettings(model=str(case.model), data=str(case.text), device="cpu", dtype="float32", context=64)
        subject = open_subject(settings, Silent())
        return cls(case, replace(subject, lm=subject.lm.load()), contexts_of(subject, "all"))

    def stream(self) -> tuple[Tensor, Tensor]:
        """Return what the layer computes at the measured positions, and which of them are not BOS."""
        place = ReadPlace(resolve_site(self.subject.lm, "resid_post", LAYER))
        ((x_ND, counted_N, _),) = captured(self.subject.lm, [place], iter(self.contexts))
        return x_ND[:MEASURED], counted_N[:MEASURED]

    def fitted(self, form: Format, trap: Trap) -> tuple[Fitted, float]:
        """Return what `fitted_to` does; that is the same for many traps."""
        fits_elsewhere = trap if trap in ("gain", "site", "scale", "token norm") else "none"
        key = (form.reads, form.after, form.other, form.explains, form.act, form.skips, form.normalises, fits_elsewhere)
        if key not in self.fits:
            self.fits[key] = fitted_to(self.case, form, fits_elsewhere)
        return self.fits[key]

    def told(self, foreign: Foreign, stated: Stated, bos_D: Tensor | None = None) -> SelfCheck:
        """Check it where the file says it is, with other activations of BOS there if wished."""
        lm = self.subject.lm
        target = site_of_hook(lm, foreign.hook_out) if foreign.hook_out else None
        own = ReadPlace(site_of_hook(lm, foreign.hook), target)
        if own.site.name == "mlp_in":
            foreign = replace(foreign, gain=gain_before(lm, own.site.module))
        named = [replace(own, site=site_of_hook(lm, one), named=True) for one in foreign.places]
        places = places_to_try(lm, own, named=named)
        key = " ".join(one.title for one in places)
        if key not in self.rows:
            rows = captured(lm, places, iter(self.contexts), foreign.first_positions)
            self.rows[key] = [SiteActs(x_ND[:MEASURED], counted_N[:MEASURED], gain) for x_ND, counted_N, gain in rows]
        (x_ND, counted_N, gain), *others = self.rows[key]
        x_ND = x_ND if bos_D is None else torch.where(counted_N[:, None], x_ND, bos_D)
        first = SiteActs(x_ND, counted_N, gain)
        return checked(foreign, places, [first, *others], "its text", stated)


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Checks]:
    """One for each family, made when it is asked for."""
    made: dict[str, Checks] = {}

    def of(family: str) -> Checks:
        if family not in made:
            made[family] = Checks.of(Case.of(tmp_path_factory.mktemp(family), family, told_apart))
        return made[family]

    return of


def named_by(form: Format, trap: Trap) -> str:
    """The flag, or the words, by which a check names a mistake."""
    before = form.reads != "gain"
    flags: dict[Trap, str] = {
        "b_dec": "(--no-subtract-b-dec)" if form.subtracts else "(--subtract-b-dec)",
        "gain": "(--before-gain)" if before else "(--no-before-gain)",
        "skip": "(--skip-transposed)",
        "scale": "(--input-scale ",
        "token norm": "(--token-norm none)",
        "layer": f"--layer {LAYER}",
        "site": "wrong site, ",
    }
    return flags[trap]


@pytest.mark.parametrize("name", list(FORMATS))
def test_what_is_read_rightly_agrees(checks: Callable[[str], Checks], tmp_path: Path, name: str) -> None:
    form = FORMATS[name]
    one = checks(form.family)
    fitted, explained = one.fitted(form, "none")
    found = one.told(read(form.write(tmp_path, file_of(fitted, form))), Stated(explained_variance=explained))
    assert (found.verdict, found.trials[0].explained_variance) == ("agrees", pytest.approx(explained, abs=0.03))
    assert found.trials[0].l0 == pytest.approx(fitted.l0, rel=0.1)
    assert verdict(found.trials, Stated())[0] == "plausible"


@pytest.mark.parametrize(("name", "trap"), FORMS_AND_TRAPS)
def test_every_mistake_is_named(checks: Callable[[str], Checks], tmp_path: Path, name: str, trap: Trap) -> None:
    form = FORMATS[name]
    one = checks(form.family)
    fitted, explained = one.fitted(form, trap)
    foreign = read(form.write(tmp_path, file_of(fitted, form, trap)))
    found = one.told(foreign, Stated(explained_variance=explained, l0=fitted.l0))
    assert found.verdict == "differs" and named_by(form, trap) in found.text, found.text


def with_bos(fitted: Fitted, bos_D: F64) -> Fitted:
    """Feature 0 fires for BOS alone, and makes up for what the others leave of it."""
    W_enc, b_enc, W_dec = fitted.W_enc.copy(), fitted.b_enc.copy(), fitted.W_dec.copy()
    W_enc[:, 0], b_enc[0], W_dec[0] = 1000 * bos_D / np.square(bos_D).sum(), -500.0, 0.0
    found = replace(fitted, W_enc=W_enc, b_enc=b_enc, W_dec=W_dec)
    W_dec[0] = (bos_D - found.out(bos_D[None])[0]) / found.acts(bos_D[None])[0, 0]
    return found


@pytest.mark.parametrize("name", READ_THE_STREAM)
def test_figures_that_counted_bos(checks: Callable[[str], Checks], tmp_path: Path, name: str) -> None:
    """BOS holds most of the variance, and one feature explains it: the library says more than is true of the others."""
    form = FORMATS[name]
    one = checks(form.family)
    x_ND, counted_N = one.stream()
    bos_D = 20 * x_ND[~counted_N].mean(0)
    all_ND = torch.where(counted_N[:, None], x_ND, bos_D).double().numpy()
    fitted = Fitted.to(one.case.places[""], one.case.places[""], form.act, rank=8)
    fitted = with_bos(fitted, bos_D.double().numpy())
    error_ND = all_ND - fitted.out(all_ND)
    explained = float(1 - np.square(error_ND).sum() / np.square(all_ND - all_ND.mean(0)).sum())
    foreign = read(form.write(tmp_path, file_of(fitted, form)))
    found = one.told(foreign, Stated(explained_variance=explained), bos_D)
    assert found.trials[0].explained_variance < explained - 0.05
    said = f"which likely has BOS positions counted: with them it is {explained:.3f}"
    assert found.verdict == "agrees" and said in found.text, found.text
