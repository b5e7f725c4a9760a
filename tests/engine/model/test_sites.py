"""Resolving sites: the width each promises, and what is said to a wrong one."""

from __future__ import annotations

import pytest

from engine.model.language_model import LanguageModel
from engine.model.sites import SITES, Site, block_of, resolve_site
from store.files.errors import MonosemError
from tests.engine.model_zoo import zoo_model
from tests.engine.tiny_models import D_MLP, D_MODEL, FAMILIES, tiny


def refusal(lm: LanguageModel, site: str, layer: int | None) -> str:
    with pytest.raises(MonosemError) as caught:
        resolve_site(lm, site, layer)
    assert caught.value.exit_code == 2
    assert len(str(caught.value).splitlines()) <= 2
    return str(caught.value)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "gemma3", "gpt_neox_sequential"])
def test_widths(family: str) -> None:
    lm = tiny(family)
    widths = {site: resolve_site(lm, site, 1).d_in for site in SITES}
    assert widths == {site: D_MODEL for site in SITES} | {"mlp_act": D_MLP}


def test_the_default_width_of_gpt2s_mlp(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = tiny("gpt2")
    assert lm.network.config.n_inner == D_MLP
    # The width comes from the weights, not from the configuration.
    monkeypatch.setattr(lm.network.config, "n_inner", None)
    assert resolve_site(lm, "mlp_act", 0).d_in == D_MLP


def test_a_named_site_is_what_it_says() -> None:
    assert resolve_site(tiny("gemma2"), "attn_out", 1) == Site(
        "attn_out", 1, D_MODEL, "model.layers.1.post_attention_layernorm", "output"
    )


@pytest.mark.parametrize(
    ("path", "d_in"),
    [
        ("model.layers.1", D_MODEL),
        ("model.layers.1.mlp.gate_proj", D_MLP),
        ("model.layers.1.mlp.down_proj:input", D_MLP),
        ("model.layers.0.self_attn.k_proj", D_MODEL // 2),
        ("model.layers.0.self_attn:input", D_MODEL),
        ("lm_head:input", D_MODEL),
        ("lm_head:output", 67),
    ],
)
def test_raw_paths(path: str, d_in: int) -> None:
    site = resolve_site(tiny("llama"), path, None)
    assert (site.name, site.layer, site.d_in) == (path, None, d_in)
    assert site.is_raw


def test_layers() -> None:
    lm = tiny("llama")
    for layer in (2, -1):
        message = refusal(lm, "resid_post", layer)
        assert f"no layer {layer}" in message
        assert "0 to 1" in message
    assert "needs a layer" in refusal(lm, "resid_post", None)
    assert "Leave `layer` out" in refusal(lm, "model.layers.0", 0)


def test_unknown_sites_list_the_known() -> None:
    message = refusal(tiny("llama"), "residual", 0)
    assert "'residual'" in message
    assert ", ".join(SITES) in message


def test_unknown_paths_name_the_nearest() -> None:
    message = refusal(tiny("llama"), "model.layer.1.mlp", None)
    assert "no module model.layer.1.mlp" in message
    assert "model.layers.1.mlp" in message.splitlines()[1]
    assert "not 'outside'" in refusal(tiny("llama"), "model.layers.1:outside", None)


def test_modules_that_never_run() -> None:
    message = refusal(tiny("llama"), "model.layers", None)
    assert "never runs" in message
    assert "model.layers.0" in message


@pytest.mark.parametrize(
    ("family", "path", "shape"),
    [
        ("gpt2", "transformer", "not a tensor"),
        ("gpt2", "transformer.wpe", "[1, 3, 32]"),
        ("gpt2", "transformer.wte:input", "[2, 3]"),
        ("mixtral", "model.layers.0.mlp.gate", "[6, 4]"),
    ],
)
def test_modules_without_a_vector_a_token(family: str, path: str, shape: str) -> None:
    assert shape in refusal(tiny(family), path, None)


def test_side_by_side_there_is_no_middle() -> None:
    message = refusal(tiny("gpt_neox"), "resid_mid", 0)
    assert "no resid_mid in layer 0: the block adds attention and MLP to resid_pre together" in message
    assert "Use resid_pre, resid_post, attn_out, mlp_in, mlp_out, mlp_act, or a module path" in message


def test_experts_have_no_single_hidden_layer() -> None:
    assert "mixture of experts" in refusal(tiny("mixtral"), "mlp_act", 0)
    lm = tiny("qwen3_moe")
    assert resolve_site(lm, "mlp_act", 0).d_in == D_MLP
    assert "layer 1" in refusal(lm, "mlp_act", 1)


def test_without_a_list_of_blocks_there_are_only_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = tiny("gpt2")
    monkeypatch.setattr(lm.network.config, "n_layer", 3)
    assert "is a gpt2 model, in which monosem finds no list of blocks" in refusal(lm, "resid_post", 0)


def test_contexts_one_after_the_other_are_for_named_sites_alone() -> None:
    lm = zoo_model("opt")
    assert resolve_site(lm, "mlp_act", 1).d_in == D_MLP
    assert "[6, 48]" in refusal(lm, "model.decoder.layers.1.fc1", None)


def of_llama(**others: str) -> dict[str, str]:
    names = {"resid_mid": "post_attention_layernorm", "attn_out": "self_attn", "mlp_act": "mlp.down_proj"}
    return names | {"mlp_in": "mlp", "mlp_out": "mlp"} | others


OF_GEMMA = of_llama(
    attn_out="post_attention_layernorm",
    mlp_out="post_feedforward_layernorm",
    resid_mid="pre_feedforward_layernorm",
)
OF_NEOX = of_llama(attn_out="attention", mlp_act="mlp.dense_4h_to_h")
MODULES = {
    "gpt2": of_llama(attn_out="attn", mlp_act="mlp.c_proj", resid_mid="ln_2"),
    **dict.fromkeys(("llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe", "gemma"), of_llama()),
    **dict.fromkeys(("gemma2", "gemma3_text", "gemma3"), OF_GEMMA),
    "gpt_neox": OF_NEOX,
    "gpt_neox_sequential": OF_NEOX,
}


@pytest.mark.parametrize("family", FAMILIES)
def test_modules_of_known_families(family: str) -> None:
    """Runs of earlier versions were trained at these modules."""
    block = block_of(tiny(family), 0)
    assert [block.places[site].module for site in ("resid_pre", "resid_post")] == [block.path] * 2
    wanted = {site: f"{block.path}.{module}" for site, module in MODULES[family].items() if site not in block.missing}
    assert {site: block.places[site].module for site in wanted} == wanted
    assert block.scale == 1
    assert not any(place.flat or place.overwritten for place in block.places.values())
