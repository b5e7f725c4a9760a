"""Hooks against forward passes written out by hand, for every family, site and layer."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from engine.model import hooks
from engine.model.hooks import capture, capture_all, logits, replaced
from engine.model.language_model import LanguageModel, load_model
from engine.model.sites import SITES, Site, resolve_site
from tests.engine.by_hand import Place, run_by_hand
from tests.engine.tiny_models import FAMILIES, LAYERS, tiny, tokens
from tests.shared_data import shared_path

ABSENT: set[tuple[str, str, int]] = {
    *(("gpt_neox", "resid_mid", layer) for layer in range(LAYERS)),
    *(("mixtral", "mlp_act", layer) for layer in range(LAYERS)),
    ("qwen3_moe", "mlp_act", 1),
}
PLACES = [
    pytest.param(family, site, layer, id=f"{family}-{site}-{layer}")
    for family in FAMILIES
    for site in SITES
    for layer in range(LAYERS)
    if (family, site, layer) not in ABSENT
]
everywhere = pytest.mark.parametrize(("family", "site", "layer"), PLACES)
each_family = pytest.mark.parametrize("family", FAMILIES)


@cache
def model(family: str) -> LanguageModel:
    """The tiny models never change, so tests share them."""
    return tiny(family)


@cache
def truth(family: str) -> tuple[dict[Place, torch.Tensor], torch.Tensor]:
    """Activations for `tokens()`, computed by hand."""
    return run_by_hand(model(family), tokens())


def sites_of(family: str) -> list[Site]:
    return [
        resolve_site(model(family), site, layer)
        for site in SITES
        for layer in range(LAYERS)
        if (family, site, layer) not in ABSENT
    ]


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def hook_count(lm: LanguageModel) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in lm.network.modules())


@each_family
def test_by_hand_is_the_model(family: str) -> None:
    close(logits(model(family), tokens()), truth(family)[1])


@everywhere
def test_capture_is_what_the_site_holds(family: str, site: str, layer: int) -> None:
    lm = model(family)
    found = capture(lm, resolve_site(lm, site, layer), tokens())
    assert found.dtype == torch.float32
    close(found, truth(family)[0][site, layer])


@everywhere
def test_nothing_behind_the_site_runs(family: str, site: str, layer: int) -> None:
    lm = model(family)
    place = resolve_site(lm, site, layer)
    started: list[str] = []
    handles = [
        module.register_forward_pre_hook(lambda *_, name=name: started.append(name))
        for name, module in lm.network.named_modules()
    ]
    try:
        logits(lm, tokens())
        whole = started.copy()
        started.clear()
        capture(lm, place, tokens())
    finally:
        for handle in handles:
            handle.remove()
    inside = [at for at, name in enumerate(whole) if f"{name}.".startswith(f"{place.module}.")]
    last = inside[0] if place.side == "input" else inside[-1]
    assert started == whole[: last + 1]
    assert len(started) < len(whole)


@each_family
def test_capture_all_is_one_pass_over_all(family: str) -> None:
    lm = model(family)
    sites = sites_of(family)
    order = sites[::-1] + sites[:1]
    for site, found in zip(order, capture_all(lm, order, tokens()), strict=True):
        close(found, truth(family)[0][site.name, site.layer or 0])


@everywhere
def test_replaced_by_itself_changes_nothing(family: str, site: str, layer: int) -> None:
    lm = model(family)
    before = logits(lm, tokens())
    with replaced(lm, resolve_site(lm, site, layer), lambda acts: acts.clone()):
        assert torch.equal(logits(lm, tokens()), before)
    assert torch.equal(logits(lm, tokens()), before)


@everywhere
def test_the_model_goes_on_from_what_was_put_in(family: str, site: str, layer: int) -> None:
    lm = model(family)
    place = resolve_site(lm, site, layer)
    bump = torch.randn(place.d_in, generator=torch.Generator().manual_seed(3))

    def change(acts: torch.Tensor) -> torch.Tensor:
        return acts * 0.5 + bump

    _, expected = run_by_hand(lm, tokens(), (site, layer), change)
    assert (expected - truth(family)[1]).abs().max() > 0.05
    with replaced(lm, place, change):
        close(logits(lm, tokens()), expected)


@pytest.mark.parametrize("site", SITES)
def test_capture_sees_what_was_put_in(site: str) -> None:
    lm = model("llama")
    place = resolve_site(lm, site, 0)
    with replaced(lm, place, lambda acts: torch.full_like(acts, 0.25)):
        assert torch.equal(capture(lm, place, tokens()), torch.full((2, 9, place.d_in), 0.25))


@pytest.mark.parametrize("site", SITES)
def test_what_was_there_before_can_be_kept(site: str) -> None:
    lm = model("gpt2")
    kept: list[torch.Tensor] = []

    def forget(acts: torch.Tensor) -> torch.Tensor:
        kept.append(acts)
        return torch.zeros_like(acts)

    with replaced(lm, resolve_site(lm, site, 1), forget):
        logits(lm, tokens())
    close(kept[0], truth("gpt2")[0][site, 1])


@pytest.mark.parametrize("site", SITES)
def test_replacing_while_generating_from_a_cache(site: str) -> None:
    lm = model("gemma2")
    place = resolve_site(lm, site, 0)
    torch.manual_seed(0)
    with replaced(lm, place, lambda acts: acts * 3 + 1):
        made = lm.network.generate(
            tokens(1, 4), max_new_tokens=8, do_sample=True, output_logits=True, return_dict_in_generate=True
        )
        expected = logits(lm, made.sequences)[:, 3:-1]
    found = torch.stack(made.logits, 1)
    close(found, expected)
    assert (found - logits(lm, made.sequences)[:, 3:-1]).abs().max() > 0.05


def test_replacements_nest() -> None:
    lm = model("gpt2")
    first, second = resolve_site(lm, "resid_mid", 0), resolve_site(lm, "resid_mid", 1)
    with replaced(lm, first, lambda acts: acts + 1), replaced(lm, second, torch.zeros_like):
        inner = logits(lm, tokens())
    with replaced(lm, second, torch.zeros_like):
        close(inner, logits(lm, tokens()))


@each_family
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_does_not_reach_real_positions(family: str, side: str) -> None:
    lm = model(family)
    short, long = tokens(1, 5, seed=1), tokens(1, 9, seed=2)
    padding = torch.zeros(1, 4, dtype=torch.long)
    row = torch.cat([padding, short] if side == "left" else [short, padding], 1)
    real = torch.cat([row != 0, torch.ones(1, 9, dtype=torch.bool)])
    both = torch.cat([row, long])
    for site in sites_of(family):
        found = capture(lm, site, both, real)
        close(found[0][real[0]], capture(lm, site, short)[0])
        close(found[1], capture(lm, site, long)[0])
    close(logits(lm, both, real)[0][real[0]], logits(lm, short)[0])


def test_a_wide_model_takes_contexts_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, passes = tiny("llama"), list[int]()
    sites = [resolve_site(lm, "resid_post", layer) for layer in (0, 1)]
    mask_BT = torch.ones_like(tokens(), dtype=torch.bool)
    mask_BT[1, :2] = False
    whole = capture_all(lm, sites, tokens(), mask_BT)
    token = 4 * lm.d_model * lm.network.dtype.itemsize
    lm.network.register_forward_pre_hook(lambda _m, _a, given: passes.append(len(given["input_ids"])), with_kwargs=True)
    for most, expected in ((10**6, [len(tokens())]), (2, [1] * len(tokens()))):
        passes.clear()
        monkeypatch.setattr(hooks, "PASS_BYTES", most * tokens().shape[1] // 2 * token)
        torch.testing.assert_close(capture_all(lm, sites, tokens(), mask_BT), whole)
        assert passes == expected


def test_the_mask_reaches_the_model() -> None:
    lm = model("llama")
    real = torch.tensor([[False, True, True], [True, True, False]])
    given: list[dict[str, object]] = []
    handle = lm.network.register_forward_pre_hook(lambda _m, _args, kwargs: given.append(kwargs), with_kwargs=True)
    try:
        logits(lm, tokens(2, 3), real)
    finally:
        handle.remove()
    mask, places = given[0]["attention_mask"], given[0]["position_ids"]
    assert isinstance(mask, torch.Tensor)
    assert isinstance(places, torch.Tensor)
    assert torch.equal(mask.bool(), real)
    assert places[0, 1:].tolist() == [0, 1]
    assert places[1, :2].tolist() == [0, 1]


def test_hooks_go_away_after_errors() -> None:
    lm = model("llama")
    place = resolve_site(lm, "resid_mid", 1)
    before = hook_count(lm)
    with pytest.raises(IndexError):
        capture(lm, place, torch.full((1, 3), 10_000))
    with pytest.raises(ZeroDivisionError), replaced(lm, place, lambda acts: acts * (1 // 0)):
        logits(lm, tokens())
    with pytest.raises(ValueError, match="resid_mid"), replaced(lm, place, lambda acts: acts[:1]):
        logits(lm, tokens())
    capture(lm, place, tokens())
    assert hook_count(lm) == before


def test_captured_activations_can_be_trained_on() -> None:
    lm = model("gpt2")
    acts = capture(lm, resolve_site(lm, "mlp_out", 0), tokens())
    weight = torch.ones(32, requires_grad=True)
    (acts @ weight).square().sum().backward()
    assert weight.grad is not None
    assert not acts.requires_grad


@pytest.mark.parametrize("site", SITES)
def test_half_precision_stays_half(site: str) -> None:
    lm = tiny("llama", torch.bfloat16)
    place = resolve_site(lm, site, 0)
    assert capture(lm, place, tokens()).dtype == torch.bfloat16
    before = logits(lm, tokens())
    with replaced(lm, place, lambda acts: acts.float()):
        assert torch.equal(logits(lm, tokens()), before)


def test_a_module_that_takes_its_input_by_name() -> None:
    lm = model("llama")
    attention = resolve_site(lm, "model.layers.1.self_attn:input", None)
    normed = resolve_site(lm, "model.layers.1.input_layernorm", None)
    assert torch.equal(capture(lm, attention, tokens()), capture(lm, normed, tokens()))
    with replaced(lm, normed, torch.zeros_like):
        expected = logits(lm, tokens())
    with replaced(lm, attention, torch.zeros_like):
        assert torch.equal(logits(lm, tokens()), expected)


def test_a_module_that_gives_a_tuple() -> None:
    lm = model("gpt2")
    place = resolve_site(lm, "transformer.h.1.attn", None)
    close(capture(lm, place, tokens()), truth("gpt2")[0]["attn_out", 1])
    _, expected = run_by_hand(lm, tokens(), ("attn_out", 1), torch.zeros_like)
    with replaced(lm, place, torch.zeros_like):
        close(logits(lm, tokens()), expected)


def test_the_sort_model_of_its_author() -> None:
    folder = shared_path("models/nano-gpt-sort")
    golden = np.load(folder / "golden_activations.npz")
    lm = load_model(str(folder), device=torch.device("cpu"), dtype=torch.float32)
    tokens_BT = torch.from_numpy(golden["input_ids"]).long()
    raw = {
        "tok_emb": "transformer.wte",
        "ln1_0": "transformer.h.0.ln_1",
        "ln2_0": "transformer.h.0.ln_2",
        "mlp_pre_0": "transformer.h.0.mlp.c_fc",
        "ln_f": "transformer.ln_f",
    }
    places = {name: resolve_site(lm, path, None) for name, path in raw.items()}
    for name in golden.files:
        site, _, layer = name.rpartition("_")
        if site in SITES:
            places[name] = resolve_site(lm, site, int(layer))
    assert len(places) == 13
    for name, place in places.items():
        np.testing.assert_allclose(capture(lm, place, tokens_BT).numpy(), golden[name], atol=1e-5)
    np.testing.assert_allclose(logits(lm, tokens_BT).numpy(), golden["logits"], atol=1e-5)
