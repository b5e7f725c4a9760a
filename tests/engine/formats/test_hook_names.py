"""Other libraries' names for places in a model."""

from __future__ import annotations

import pytest

from engine.formats.hook_names import BACK, HOOKS, hook_of_site, hub_name, site_of_hook
from store.files.errors import MonosemError
from tests.engine.tiny_models import D_MLP, D_MODEL, FAMILIES, tiny


@pytest.mark.parametrize(
    ("hook", "site"),
    [
        ("blocks.1.hook_resid_pre", "resid_pre"),
        ("blocks.1.hook_resid_mid", "resid_mid"),
        ("blocks.1.hook_resid_post", "resid_post"),
        ("blocks.1.hook_attn_out", "attn_out"),
        ("blocks.1.hook_mlp_out", "mlp_out"),
        ("blocks.1.hook_mlp_in", "resid_mid"),
        ("blocks.1.mlp.hook_post", "mlp_act"),
        ("resid_post_layer_1", "resid_post"),
        ("attention_out_layer_1", "attn_out"),
        ("mlp_out_layer_1", "mlp_out"),
    ],
)
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
def test_hooks(family: str, hook: str, site: str) -> None:
    found = site_of_hook(tiny(family), hook)
    assert (found.name, found.layer) == (site, 1)
    assert found.d_in == (D_MLP if site == "mlp_act" else D_MODEL)


@pytest.mark.parametrize(
    ("family", "path", "site"),
    [
        ("llama", "model.layers.1", "resid_post"),
        ("llama", "layers.1", "resid_post"),
        ("llama", "layers.0.mlp", "mlp_out"),
        ("llama", "layers.0.mlp:input", "mlp_in"),
        ("llama", "layers.0.self_attn", "attn_out"),
        ("gpt2", "transformer.h.1", "resid_post"),
        ("gpt2", "h.1.attn", "attn_out"),
        ("gpt_neox", "gpt_neox.layers.1.mlp", "mlp_out"),
    ],
)
def test_paths_of_modules_become_our_sites(family: str, path: str, site: str) -> None:
    found = site_of_hook(tiny(family), path)
    assert (found.name, found.layer) == (
        site,
        int(next(part for part in path.replace(":", ".").split(".") if part.isdigit())),
    )


def test_a_path_that_is_no_site_of_ours_stays_a_path() -> None:
    """Gemma 2's MLP is followed by a norm: its own output is not what is added to the stream."""
    found = site_of_hook(tiny("gemma2"), "layers.1.mlp")
    assert (found.name, found.layer, found.d_in) == ("model.layers.1.mlp", None, D_MODEL)


@pytest.mark.parametrize(("family", "module"), [("gpt2", "attn.c_proj"), ("llama", "self_attn.o_proj")])
def test_hook_z_is_what_attentions_last_matrix_reads(family: str, module: str) -> None:
    found = site_of_hook(tiny(family), "blocks.1.attn.hook_z")
    assert found.module.endswith(f"1.{module}") and found.side == "input"


def test_gemmas_heads_are_wider_than_its_stream() -> None:
    config = FAMILIES["gemma2"]
    assert site_of_hook(tiny("gemma2"), "blocks.0.attn.hook_z").d_in == config.num_attention_heads * config.head_dim


def test_unknown_places_say_so() -> None:
    for hook in ("blocks.1.hook_mlp_gate", "layers.1.nothing", "blocks.1.attn.hook_q"):
        with pytest.raises(MonosemError, match="no place that monosem knows as"):
            site_of_hook(tiny("llama"), hook)
    with pytest.raises(MonosemError, match="has no layer 7"):
        site_of_hook(tiny("llama"), "blocks.7.hook_resid_post")


def test_names_go_back() -> None:
    assert {site: HOOKS[hook] for site, hook in BACK.items()} == {site: site for site in BACK}
    assert hook_of_site("resid_post", 3) == "blocks.3.hook_resid_post"
    assert hook_of_site("model.layers.3", None) == "model.layers.3"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("gpt2-small", "gpt2"),
        ("gemma-2-2b", "google/gemma-2-2b"),
        ("pythia-70m-deduped", "EleutherAI/pythia-70m-deduped"),
        ("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B"),
        ("stories260K", "stories260K"),
        ("", ""),
    ],
)
def test_models_by_their_names_elsewhere(name: str, wanted: str) -> None:
    assert hub_name(name) == wanted
