"""Named sites in many architectures: what each offers, that the sums hold, and what writing into a site does."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.model.blocks import Block, matrix_in_out
from engine.model.hooks import capture_all, logits, replaced
from engine.model.language_model import LanguageModel
from engine.model.norms import final_norm
from engine.model.sites import SITES, Site, block_of, resolve_site
from store.files.errors import MonosemError
from tests.engine.model_zoo import USUAL, ZOO, zoo_model
from tests.engine.tiny_models import tokens

PAGE = Path(__file__).resolve().parents[3] / "docs" / "architectures.md"
STREAMLESS = {"gemma3n": "[4, 2, 4, 32]", "deepseek_v4": "[2, 4, 4, 32]"}
"""Several streams per token: nothing is offered."""
RESIDUAL_ONLY = ("gemma4", "opt_350m", "doge", "minimax", "falcon_h1")
PARALLEL = ("gptj", "falcon", "codegen", "falcon_40b", "phi", "stablelm_parallel", "cohere", "cohere2")
EXPERTS = {"gpt_oss", "phimoe", "olmoe", "granitemoe", "llama4", "qwen2_moe", "qwen3_next", "qwen3_5_moe"}
NO_HIDDEN = {(kind, layer) for kind in EXPERTS for layer in (0, 1)} | {
    ("deepseek_v3", 1),
    ("deepseek_v2", 1),
    ("jamba", 1),
    ("rwkv", 1),
}
ENDS = ("resid_pre", "resid_post")
NO_ATTENTION = {("jamba", 0), ("bamba", 0), ("lfm2", 0), ("recurrent_gemma", 0), ("xlstm", 0), ("xlstm", 1)}
OTHERS: dict[tuple[str, int], tuple[str, ...]] = {
    ("granitemoehybrid", 0): (*ENDS, "resid_mid", "mlp_in"),
    ("granitemoehybrid", 1): (*ENDS, "resid_mid", "mlp_in", "attn_out"),
    ("nemotron_h", 0): ENDS,
    ("nemotron_h", 1): (*ENDS, "attn_out"),
    ("nemotron_h", 2): (*ENDS, "mlp_in", "mlp_out", "mlp_act"),
    ("rwkv", 0): ENDS,
    **{(kind, layer): ENDS for kind in ("mamba", "mamba2", "falcon_mamba", *RESIDUAL_ONLY) for layer in (0, 1)},
}
KINDS = [
    kind if kind in USUAL else pytest.param(kind, marks=pytest.mark.slow) for kind in ZOO if kind not in STREAMLESS
]
each_kind = pytest.mark.parametrize("kind", KINDS)


@cache
def model(kind: str) -> LanguageModel:
    return zoo_model(kind)


def offered(kind: str, layer: int) -> set[str]:
    """Return the sites that a layer should have."""
    if (kind, layer) in OTHERS:
        return set(OTHERS[kind, layer])
    missing = {"resid_mid"} if kind in PARALLEL else set()
    missing |= {"mlp_act"} if (kind, layer) in NO_HIDDEN else set()
    return set(SITES) - missing - ({"attn_out"} if (kind, layer) in NO_ATTENTION else set())


def test_the_page_lists_what_each_offers() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:7]] for line in lines if line.startswith("| `")]
    listed = ("resid_mid", "attn_out", "mlp_in", "mlp_out", "mlp_act")
    expected = []
    for kind in (kind for kind in ZOO if kind not in STREAMLESS):
        found = [offered(kind, layer) for layer in range(3 if kind == "nemotron_h" else 2)]
        counts = [sum(site in one for one in found) for site in listed]
        cells = ["yes" if count == len(found) else "some" if count else "–" for count in counts]
        expected.append([f"`{kind}`", *cells])
    assert rows == expected


def sites(lm: LanguageModel, layer: int) -> dict[str, Site]:
    found = {}
    for name in SITES:
        try:
            found[name] = resolve_site(lm, name, layer)
        except MonosemError as refused:
            assert len(str(refused).splitlines()) == 2
            assert f"has no {name} in layer {layer}: the block " in str(refused)
    return found


def acts_of(lm: LanguageModel, found: dict[str, Site]) -> dict[str, Tensor]:
    return dict(zip(found, capture_all(lm, list(found.values()), tokens()), strict=True))


def near(found: Tensor, expected: Tensor) -> None:
    assert float((found - expected).norm()) <= 1e-5 * float(expected.norm())


@each_kind
def test_what_is_offered_adds_up(kind: str) -> None:
    lm, before = model(kind), torch.zeros(0)
    for layer in range(lm.n_layers):
        found = sites(lm, layer)
        assert set(found) == offered(kind, layer), layer
        acts = acts_of(lm, found)
        assert all(one.shape == (2, 9, found[name].d_in) for name, one in acts.items())
        if "resid_mid" in acts and "attn_out" in acts:
            near(acts["resid_pre"] + acts["attn_out"], acts["resid_mid"])
        if "mlp_out" in acts and "resid_mid" in acts:
            near(acts["resid_mid"] + acts["mlp_out"], acts["resid_post"])
        if kind in PARALLEL:
            near(acts["resid_pre"] + acts["attn_out"] + acts["mlp_out"], acts["resid_post"])
        if "mlp_act" in acts:
            near(through_mlp_by_hand(lm, block_of(lm, layer), acts["mlp_act"]), acts["mlp_out"])
        if layer:
            assert torch.equal(acts["resid_pre"], before)
        before = acts["resid_post"]


def through_mlp_by_hand(lm: LanguageModel, block: Block, acts: Tensor) -> Tensor:
    down = lm.network.get_submodule(block.places["mlp_act"].module)
    out = acts @ matrix_in_out(down)
    out = out if down.bias is None else out + down.bias
    return (lm.network.get_submodule(block.mlp_norm)(out) if block.mlp_norm else out) * block.scale


@each_kind
def test_what_is_written_reaches_the_stream(kind: str) -> None:
    lm = model(kind)
    change = partial(torch.add, other=torch.linspace(-0.3, 0.3, lm.d_model))
    for layer in range(lm.n_layers):
        found = sites(lm, layer)
        before = acts_of(lm, found)
        for name in found.keys() & {"resid_mid", "attn_out", "mlp_out"}:
            with replaced(lm, found[name], torch.clone):
                assert torch.equal(acts_of(lm, found)["resid_post"], before["resid_post"])
            with replaced(lm, found[name], change):
                after = acts_of(lm, found)
            near(after[name], change(before[name]))
            if name == "mlp_out" or kind in PARALLEL:
                near(after["resid_post"], change(before["resid_post"]))
            elif "resid_mid" in after:
                near(after["resid_mid"], change(before["resid_mid"]))
                if "mlp_out" in after:
                    near(after["resid_mid"] + after["mlp_out"], after["resid_post"])


@each_kind
def test_the_sums_hold_to_the_bit_in_half_precision(kind: str) -> None:
    lm = zoo_model(kind, torch.bfloat16)
    for layer in range(lm.n_layers):
        assert set(sites(lm, layer)) == offered(kind, layer)


@each_kind
def test_the_final_norm_and_the_unembedding_make_the_logits(kind: str) -> None:
    lm = model(kind)
    norm, head = final_norm(lm), lm.network.get_output_embeddings()
    if kind == "opt_350m":  # another matrix lies between them
        assert norm is None
        return
    assert norm is not None
    given, ran = list[Tensor](), list[torch.nn.Module]()
    with head.register_forward_pre_hook(lambda _, args: given.append(args[0])):
        last = acts_of(lm, {"resid_post": resolve_site(lm, "resid_post", lm.n_layers - 1)})["resid_post"]
        hooks = [
            part.register_forward_hook(lambda part, *_: ran.append(part))
            for part in lm.network.modules()
            if "Norm" in type(part).__name__
        ]
        logits(lm, tokens())
    for hook in hooks:
        hook.remove()
    bias = getattr(ran[-1], "bias", None)
    directions = given[0] if bias is None else given[0] - bias
    expected = norm.through(last.flatten(0, 1)).view_as(last)
    cosine = torch.nn.functional.cosine_similarity(directions, expected, dim=-1)
    assert float(cosine.min()) > 1 - 1e-4


def test_streams_that_are_not_one_vector_are_refused() -> None:
    for kind, shape in STREAMLESS.items():
        with pytest.raises(MonosemError) as refused:
            resolve_site(model(kind), "resid_post", 0)
        assert f"{kind} has no named sites" in str(refused.value)
        assert shape in str(refused.value)


def test_a_block_that_changes_its_sum_is_refused_by_name() -> None:
    lm = zoo_model("gemma4_without_further_terms")
    lm.network.model.layers[1].layer_scalar.fill_(0.5)
    assert resolve_site(lm, "mlp_out", 0).scale == 1
    with pytest.raises(MonosemError, match="no mlp_out in layer 1: the block does not add up") as refused:
        resolve_site(lm, "mlp_out", 1)
    assert "resid_mid + mlp_out differs from resid_post by 1 of its norm" in str(refused.value)
    assert "Use resid_pre, resid_post, or a module path such as model.layers.1." in str(refused.value)


def test_granites_factor_belongs_to_what_is_added() -> None:
    lm = model("granite")
    site = resolve_site(lm, "attn_out", 1)
    raw = resolve_site(lm, "model.layers.1.self_attn", None)
    added, returned = capture_all(lm, [site, raw], tokens())
    assert site.scale == 0.22
    assert torch.equal(added, returned * 0.22)


def test_what_a_block_overwrites_later_is_kept() -> None:
    lm = model("falcon")
    out, post = resolve_site(lm, "mlp_out", 0), resolve_site(lm, "resid_post", 0)
    alone = capture_all(lm, [out], tokens())[0]
    assert out.overwritten
    assert torch.equal(capture_all(lm, [out, post], tokens())[0], alone)


def test_a_proof_runs_once_a_layer() -> None:
    lm, runs = zoo_model("gptj"), 0

    def count(*_: object) -> None:
        nonlocal runs
        runs += 1

    lm.network.register_forward_pre_hook(count)
    for name in ("resid_post", "attn_out", "mlp_act"):
        resolve_site(lm, name, 1)
    assert runs == 2
