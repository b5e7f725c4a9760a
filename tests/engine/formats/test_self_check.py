"""The self-check: it believes what is right, and names the mistake where there is one.

The dictionary of these tests explains everything, 2 D features along ±the axes around a centre μ, so that what it is
read as, and nothing else, decides how much is explained. Shapes: N tokens, D = d_in, F = d_sae.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from engine.formats.fold import folded
from engine.formats.foreign_sae import Conventions, Foreign, Stated
from engine.formats.self_check import ReadPlace, SiteActs, as_sae, captured, checked, places_to_try
from engine.formats.verdict import Trial, verdict
from engine.model.sites import resolve_site
from engine.sae.token_norm import normalised
from tests.engine.small import tiny_subject
from tests.engine.tiny_models import tiny

D, N = 32, 400


def rows(spread: float = 1.0) -> SiteActs:
    """Activations around 2 · spread, of which the first of every 20 is a BOS and enormous."""
    x_ND = spread * (torch.randn(N, D, generator=torch.Generator().manual_seed(0)) + 2)
    counted_N = torch.arange(N) % 20 != 0
    x_ND[~counted_N] = 1000 * torch.sin(torch.arange(D) + 1.0)
    return SiteActs(x_ND, counted_N)


def perfect(mean_D: Tensor, *, reads_raw: bool = False, scale: float = 1.0, **conventions: object) -> Foreign:
    """f = ReLU(±(s · x - μ)), x̂ = (Σ ± f + μ) / s; or with μ in b_enc, for an input as it is."""
    axes_FD = torch.cat([torch.eye(D), -torch.eye(D)])
    b_enc = -axes_FD @ mean_D * scale if reads_raw else torch.zeros(2 * D)
    tensors = {"W_enc": axes_FD.T.clone(), "b_enc": b_enc, "W_dec": axes_FD, "b_dec": mean_D * scale}
    how = Conventions(**conventions)  # type: ignore[arg-type]
    return Foreign(format="test", source="test", arch="relu", tensors=tensors, conventions=how)


def check(foreign: Foreign, found: SiteActs, **stated: float) -> tuple[str, str, float]:
    """Verdict, sentence and explained variance."""
    site = ReadPlace(resolve_site(tiny("llama"), "resid_post", 0))
    result = checked(foreign, [site], [found], "text", Stated(**stated))
    assert result.tokens == int(found.counted_N.sum())
    return result.verdict, result.text, result.trials[0].explained_variance


def mean_of(found: SiteActs) -> Tensor:
    """Mean of what counts."""
    return found.acts_ND[found.counted_N].mean(0)


def test_what_is_right_is_believed() -> None:
    found = rows()
    foreign = perfect(mean_of(found))
    assert check(foreign, found)[0] == "plausible"
    kind, text, explained = check(foreign, found, explained_variance=0.99, l0=32.0)
    assert (kind, round(explained, 4)) == ("agrees", 1.0)
    assert "stated: explained variance 0.990, L0 32.0" in text


@pytest.mark.parametrize("stated", [{}, {"explained_variance": 1.0}])
def test_b_dec_subtracted_twice(stated: dict[str, float]) -> None:
    found = rows()
    kind, text, _ = check(perfect(mean_of(found), reads_raw=True), found, **stated)
    assert kind == "differs"
    assert "likely b_dec subtracted twice (--no-subtract-b-dec)" in text
    right = perfect(mean_of(found), reads_raw=True, subtracts_b_dec=False)
    assert check(right, found, **stated)[0] in ("plausible", "agrees")


def test_b_dec_not_subtracted() -> None:
    found = rows()
    kind, text, _ = check(perfect(mean_of(found), subtracts_b_dec=False), found)
    assert (kind, "likely b_dec not subtracted from the input (--subtract-b-dec)" in text) == ("differs", True)


def test_an_input_scale_that_is_not_folded() -> None:
    found = rows(25.0)
    counted_ND = found.acts_ND[found.counted_N]
    scale = D**0.5 / float(counted_ND.norm(dim=1).mean())
    centred_ND = scale * (counted_ND - mean_of(found))
    l0 = float((centred_ND.abs() > 0.2).sum(1).float().mean())

    def jumping(foreign: Foreign) -> Foreign:
        return replace(foreign, arch="jumprelu", tensors=foreign.tensors | {"threshold": torch.full((2 * D,), 0.2)})

    kind, text, _ = check(jumping(perfect(mean_of(found), scale=scale)), found, l0=l0)
    assert kind == "differs"
    assert f"input scale not folded (√d_in / mean length = {scale:.4g})? It has the stated L0 then" in text
    right = perfect(mean_of(found), scale=scale, input_scale=scale, output_scale=scale)
    assert check(jumping(right), found, l0=l0)[0] == "agrees"


def jumping_of(found: Tensor, threshold: float, **conventions: object) -> Foreign:
    """A perfect dictionary of these rows, but for what stays below a threshold: the size of tokens matters to it."""
    foreign = perfect(found.mean(0), **conventions)  # type: ignore[arg-type]
    return replace(foreign, arch="jumprelu", tensors=foreign.tensors | {"threshold": torch.full((2 * D,), threshold)})


def test_tokens_that_are_normalised_one_by_one() -> None:
    found = rows(25.0)
    right = jumping_of(normalised(found.acts_ND[found.counted_N], "layer_norm"), 0.2, token_norm="layer_norm")
    kind, _, explained = check(right, found)
    assert (kind, explained > 0.97) == ("plausible", True)
    site = ReadPlace(resolve_site(tiny("llama"), "resid_post", 0))
    readings = [trial.reading for trial in checked(right, [site], [found], "text", Stated()).trials]
    assert "no token norm" in readings
    assert not any("scale" in reading or "mean" in reading for reading in readings)  # which are no matter to n(x)


def test_tokens_that_are_not_normalised_though_their_source_says_so() -> None:
    found = rows(25.0)
    found = SiteActs(
        found.acts_ND - mean_of(found), found.counted_N
    )  # else the distance of n(x) to their mean is explained
    wrong = jumping_of(found.acts_ND[found.counted_N], 5.0, token_norm="layer_norm")
    kind, text, _ = check(wrong, found)
    assert kind == "differs"
    assert "likely no token norm (--token-norm none)" in text
    told = replace(wrong, conventions=replace(wrong.conventions, token_norm="none"))
    assert check(told, found)[0] == "plausible"


def test_a_wrong_place_is_named() -> None:
    """A dictionary of layer 0 that is said to be of layer 1; resid_pre 1 is layer 0 by another name, and not tried."""
    subject = tiny_subject(documents=80, site="resid_post")
    wrong = ReadPlace(resolve_site(subject.lm, "resid_post", 1))
    sites = places_to_try(subject.lm, wrong)
    assert sites[0].title == "resid_post 1"
    assert "resid_pre 1" not in [site.title for site in sites]
    found = captured(subject.lm, sites, subject.stream("all").batches(8, 16))
    right = found[[site.title for site in sites].index("resid_post 0")]
    acts_ND = right.acts_ND[right.counted_N]
    # Directions of layer 0 alone: what explains them explains little elsewhere.
    _, _, axes_DD = torch.linalg.svd(acts_ND - acts_ND.mean(0), full_matrices=False)
    axes_FD = torch.cat([axes_DD[:20], -axes_DD[:20]])
    tensors = {"W_enc": axes_FD.T, "b_enc": torch.zeros(40), "W_dec": axes_FD, "b_dec": acts_ND.mean(0)}
    foreign = Foreign(format="test", source="test", arch="relu", tensors=tensors)
    told = checked(foreign, sites, found, "text", Stated())
    assert told.verdict == "differs"
    assert "wrong layer, resid_post 0 fits (--site resid_post --layer 0)" in told.text


def test_figures_with_bos_are_told() -> None:
    """The published figure counted BOS positions, ours does not."""
    own = Trial("as read", 0.80, 10.0)
    other = Trial("BOS positions counted", 0.97, 10.0)
    assert "likely has BOS positions counted" in verdict([own, other], Stated(explained_variance=0.97))[1]
    assert verdict([own, other], Stated())[0] == "plausible"


def test_topk_cannot_prove_itself_by_its_l0() -> None:
    found = rows()
    foreign = replace(perfect(mean_of(found)), arch="topk", k=32)
    kind, text, _ = check(foreign, found, l0=32.0)
    assert (kind, "not comparable: L0 32.0 (k, or a target" in text) == ("plausible", True)


@pytest.mark.parametrize("arch", ["relu", "topk", "jumprelu"])
def test_weights_that_reconstruct_only_without_the_nonlinearity(arch: str) -> None:
    """One feature for each direction of a rotation, of either sign: whatever is below 0 is lost with a nonlinearity."""
    found = rows()
    made = torch.Generator().manual_seed(2)
    turn_DD = torch.linalg.qr(torch.randn(D, D, generator=made))[0]
    tensors = {"W_enc": turn_DD, "b_enc": torch.zeros(D), "W_dec": turn_DD.T.contiguous(), "b_dec": mean_of(found)}
    tensors |= {"threshold": torch.full((D,), 0.1)} if arch == "jumprelu" else {}
    k = D // 2 if arch == "topk" else None
    foreign = Foreign(format="test", source="test", arch=arch, tensors=tensors, k=k)
    for stated in ({}, {"explained_variance": 1.0}):
        kind, text, explained = check(foreign, found, **stated)
        assert (kind, explained < 0.7) == ("differs", True), text
        assert "it is linear: without the nonlinearity explained variance is 1.000" in text
    assert "linear" not in check(perfect(mean_of(found)), found)[1]


def test_what_explains_nothing_is_doubtful() -> None:
    found = rows()
    foreign = perfect(mean_of(found))
    noise = torch.randn(D, 2 * D, generator=torch.Generator().manual_seed(1))
    broken = replace(foreign, tensors=foreign.tensors | {"W_enc": noise})
    assert check(broken, found)[0] == "doubtful"
    kind, text, _ = check(broken, found, explained_variance=0.9)
    assert (kind, text.startswith("another model? ")) == ("doubtful", True)


def trial(reading: str, explained: float, l0: float = 10.0, ordinary: float | None = None, **more: object) -> Trial:
    """A trial by its figures."""
    return Trial(reading, explained, l0, explained_variance_ordinary=ordinary, **more)  # type: ignore[arg-type]


def test_no_reading_that_explains_less_is_advised() -> None:
    """On ordinary tokens or on all; and none that explains more by many more active features."""
    own = trial("as read", 0.95, 10, 0.6)
    for other in (
        trial("a place", 0.80, ordinary=0.59),
        trial("outliers alone", 0.99, ordinary=0.58),
        trial("ordinary ones alone", 0.94, ordinary=0.8),
        trial("everything fires", 0.99, 40, 0.9),
    ):
        for stated in (Stated(), Stated(explained_variance=0.8), Stated(l0=10.0), Stated(l0=12.0, nominal=True)):
            assert verdict([own, other], stated)[0] in ("plausible", "agrees"), (other, stated)
    assert verdict([own, trial("right", 0.96, ordinary=0.9)], Stated())[0] == "differs"
    named = trial("wrong layer, b fits", 0.96, 40, 0.9, place="b", flag="--layer 2", named=True)
    nearer = trial("wrong layer, c fits", 0.96, 18, 0.85, place="c", flag="--layer 3")
    assert "b fits, which the file names (--layer 2)" in verdict([own, nearer, named], Stated())[1]
    assert verdict([trial("as read", 0.9, 7), trial("x", 0.92, 34)], Stated(l0=33.0))[0] == "differs"


def test_below_the_floor_nothing_is_advised() -> None:
    own = trial("as read", 0.999, 10, 0.059)
    kind, text = verdict([own, trial("wrong layer", 0.9995, ordinary=0.3, flag="--layer 2", place="x")], Stated())
    assert (kind, text.startswith("another model? "), "--layer" in text) == ("doubtful", True, False)


def test_what_explains_as_much_anywhere_is_doubtful() -> None:
    own = trial("as read", 0.53)
    places = [trial(f"{name} fits", 0.5 + 0.01 * number, place=name) for number, name in enumerate("abcd")]
    kind, text = verdict([own, *places], Stated())
    assert kind == "doubtful" and text.startswith("another model? ") and "at most other places" in text
    assert verdict([own, *places[:3]], Stated())[0] == "plausible"
    far = [trial(f"{name} fits", 0.2, place=name) for name in "efghi"]
    assert verdict([own, *places, *far], Stated())[0] == "plausible"
    assert verdict([replace(own, explained_variance=0.9), *places], Stated())[0] == "plausible"
    assert verdict([own, *places], Stated(explained_variance=0.54))[0] == "agrees"


def test_places_too_close_to_tell_apart() -> None:
    own = trial("as read", 0.9, place="")
    near = trial("wrong layer, b fits", 0.92, flag="--b", place="b")
    assert "it cannot tell this place from b (0.920)" in verdict([own, near], Stated())[1]
    far = trial("as read", 0.6)
    two = [near, trial("wrong layer, c fits", 0.9, flag="--c", place="c")]
    kind, text = verdict([far, *two], Stated())
    assert (kind, "b (0.920) or c (0.900) fit: it cannot tell them apart" in text, "--b" in text) == (
        "differs",
        True,
        False,
    )
    told = verdict([far, near, replace(two[1], named=True)], Stated())[1]
    assert "wrong layer, c fits, which the file names (--c)" in told


def test_a_target_of_the_training_is_shown_and_not_judged_by() -> None:
    kind, text = verdict([trial("as read", 0.8, 30)], Stated(l0=50.0, nominal=True))
    assert (kind, "L0 50.0 (k, or a target of its training)" in text) == ("plausible", True)


def test_a_skip_connection_that_is_transposed_and_a_gain_that_is_left_out() -> None:
    """Each of the two is named, from a transcoder that is linear in what lies before the norm's gain."""
    made = torch.Generator().manual_seed(3)
    x_ND, W_OD = torch.randn(N, D, generator=made), torch.randn(D, D, generator=made) / D**0.5
    gain_D = torch.rand(D, generator=made) * 2 + 0.2
    axes_FD = torch.cat([torch.eye(D), -torch.eye(D)])
    tensors = {"W_enc": axes_FD.T.clone(), "b_enc": torch.zeros(2 * D), "W_dec": axes_FD @ W_OD.T / 2}
    tensors |= {"b_dec": torch.zeros(D), "W_skip": W_OD / 2, "threshold": torch.zeros(2 * D)}
    right = Foreign(format="test", source="test", arch="jumprelu", tensors=tensors, d_out=D, gain=gain_D)
    right = replace(right, conventions=Conventions(subtracts_b_dec=False, before_gain=True))
    rows_ND = torch.cat([x_ND * gain_D, x_ND @ W_OD.T], 1)
    found = SiteActs(rows_ND, torch.ones(N, dtype=torch.bool))
    assert check(right, found) == ("plausible", check(right, found)[1], pytest.approx(1, abs=1e-5))
    for change, flag in (
        ({"before_gain": False}, "--before-gain"),
        ({"skip_transposed": True}, "--no-skip-transposed"),
    ):
        wrong = replace(right, conventions=replace(right.conventions, **change))
        kind, text, _ = check(wrong, found)
        assert (kind, f"({flag})" in text) == ("differs", True), text


@pytest.mark.parametrize("arch", ["batchtopk", "matryoshka"])
def test_one_threshold_by_decoder_norms_is_a_threshold_for_each_feature(arch: str) -> None:
    found = rows()
    foreign = perfect(mean_of(found), by_norm="selection")
    norms_F = torch.linspace(0.5, 2, 2 * D)
    tensors = {"threshold": torch.full((1,), 0.2), "W_dec": foreign.tensors["W_dec"] * norms_F[:, None]}
    foreign = replace(foreign, arch=arch, k=32, tensors=foreign.tensors | tensors)
    made = folded(foreign)
    assert made.arch == "jumprelu"
    torch.testing.assert_close(made.tensors["threshold"], 0.2 / norms_F)
    acts = as_sae(foreign, made, torch.device("cpu")).encode(found.acts_ND[:9])
    assert bool((acts.act_BK > 0).any())
    plain = replace(foreign, conventions=Conventions())
    assert "--by-norm selection" in [one.flag for one in checked_trials(plain, found)]


def checked_trials(foreign: Foreign, found: SiteActs) -> tuple[Trial, ...]:
    """The trials of a check."""
    return checked(foreign, [ReadPlace(resolve_site(tiny("llama"), "resid_post", 0))], [found], "text", Stated()).trials
