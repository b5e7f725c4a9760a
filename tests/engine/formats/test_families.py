"""Releases of 2024 to 2026, written from their descriptions on tiny models of their families, imported and measured.

Each is read at the place that its release means, computes the same to 1e-5, and agrees with what it explains there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import engine
from engine.commands.import_sae import Imported, choose, import_sae, name_of
from engine.formats.registry import read
from engine.runtime.progress import Silent
from store.files.errors import MonosemError
from store.run.folder import RunFolder
from store.settings.import_sae import ImportSettings
from tests.engine.formats.fitted import F64, LAYER, Case, F, Fitted, K
from tests.engine.formats.written import write_json

POINTS = {"in": f"model.layers.{LAYER}", "out": f"model.layers.{LAYER}.post_feedforward_layernorm.output"}
IT = "google+gemma-scope-2-270m-it"


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    """Cases by family, made once."""
    made: dict[str, Case] = {}

    def case(family: str) -> Case:
        if family not in made:
            made[family] = Case.of(tmp_path_factory.mktemp(family), family)
        return made[family]

    return case


@dataclass(frozen=True)
class Wanted:
    """What an import must find: inputs as our site has them, and as the source reads them."""

    case: Case
    fitted: Fitted
    x_ND: F64
    read_ND: F64
    title: str
    title_out: str = ""

    def check(self, source: Path, out: Path, **given: object) -> Imported:
        """Import it, and compare places, activations, outputs and the self-check's verdict."""
        fixed = {"model": str(self.case.model), "data": str(self.case.text), "device": "cpu", "context": 64}
        figures = {"explained_variance": self.fitted.explained_variance, "l0": self.fitted.l0}
        asked = ImportSettings().changed(**(fixed | figures | given))
        made = import_sae(RunFolder(out), source, asked, Silent())
        spec = made.spec
        assert f"{spec.site} {spec.layer}" == self.title
        assert self.title_out == (f"{spec.site_out} {spec.layer_out}" if spec.site_out else "")
        sae, x = engine.load(out), torch.from_numpy(self.x_ND[:200].astype(np.float32))
        acts = sae.encode(x)
        dense_NF = torch.zeros(len(x), F).scatter_add_(1, acts.feature_BK, acts.act_BK).numpy()
        wanted_NF, wanted_NO = self.fitted.acts(self.read_ND[:200]), self.fitted.out(self.read_ND[:200])
        assert 0.02 < (wanted_NF > 0).mean() < 0.8
        np.testing.assert_allclose(dense_NF, wanted_NF, atol=1e-5 * max(1, np.abs(wanted_NF).max()))
        np.testing.assert_allclose(sae(x).numpy(), wanted_NO, atol=1e-5 * max(1, np.abs(wanted_NO).max()))
        assert made.check is not None and self.fitted.explained_variance > 0.6
        assert (made.check.verdict, made.check.trials[0].explained_variance) == (
            "agrees",
            pytest.approx(self.fitted.explained_variance, abs=1e-3),
        ), made.check.text
        return made


def gemma_scope_2(folder: Path, fitted: Fitted, *, config: dict[str, object] | None = None) -> Path:
    """params.safetensors, in lower case; the affine connection [d_in, d_out]."""
    folder.mkdir(parents=True)
    tensors = {name.lower(): fitted.tensor(name) for name in ("W_enc", "W_dec", "b_enc", "b_dec", "threshold")}
    if fitted.skip.any():
        tensors["affine_skip_connection"] = fitted.tensor("skip")
    save_file(tensors, folder / "params.safetensors")
    if config is not None:
        standard = {"architecture": "jump_relu", "model_name": "google/gemma-v3-270m-pt", "width": F, "l0": 20}
        write_json(folder / "config.json", standard | config)
    return folder


@pytest.mark.parametrize("family", ["gemma3_text", "gemma3"])
@pytest.mark.parametrize(
    ("place", "kind", "title"),
    [
        (".output", "resid_post", "resid_post 1"),
        (".post_feedforward_layernorm.output", "mlp_out_all", "mlp_out 1"),
        (".self_attn.o_proj.input", "attn_out", ".layers.1.self_attn.o_proj:input None"),
    ],
)
def test_gemma_scope_2(
    cases: Callable[[str], Case], tmp_path: Path, family: str, place: str, kind: str, title: str
) -> None:
    """With config.json or without it: then the folders' names say where it is."""
    if family == "gemma3" and kind != "resid_post":
        pytest.skip("the larger models differ in the names of modules alone")
    case = cases(family)
    x_ND = case.places[place.replace(".input", ":input").removesuffix(".output").removeprefix(".")]
    fitted = Fitted.to(x_ND, x_ND, "jumprelu")
    source = tmp_path / "google+gemma-scope-2-270m-pt" / kind / f"layer_{LAYER}_width_16k_l0_small"
    gemma_scope_2(source, fitted, config={"hf_hook_point_in": f"model.layers.{LAYER}{place}", "type": "sae"})
    foreign = read(source)
    assert (foreign.model, foreign.first_positions) == ("google/gemma-3-270m", 0)
    site = title if not title.startswith(".") else f"{'model.language_model' if family == 'gemma3' else 'model'}{title}"
    Wanted(case, fitted, x_ND, x_ND, site).check(source, tmp_path / "run")
    (source / "config.json").unlink()
    assert (read(source).model, read(source).stated.l0) == ("google/gemma-3-270m", None)
    if family == "gemma3_text":
        Wanted(case, fitted, x_ND, x_ND, site).check(source, tmp_path / "again")


@pytest.mark.parametrize("skips", [False, True])
def test_gemma_scope_2_transcoders(cases: Callable[[str], Case], tmp_path: Path, skips: bool) -> None:
    """They read what follows the gain; the affine connection is x · affine."""
    case = cases("gemma3_text")
    x_ND, y_ND = case.places["pre_feedforward_layernorm"], case.places["post_feedforward_layernorm"]
    np.testing.assert_array_equal(x_ND, case.places["mlp:input"])
    fitted = Fitted.to(x_ND, y_ND, "jumprelu", skips=skips)
    source = tmp_path / f"transcoder_all/layer_{LAYER}_width_16k_l0_big{'_affine' * skips}"
    point = f"model.layers.{LAYER}.pre_feedforward_layernorm.output"
    config = {"hf_hook_point_in": point, "hf_hook_point_out": POINTS["out"], "affine_connection": skips}
    gemma_scope_2(source, fitted, config=config)
    made = Wanted(case, fitted, x_ND, x_ND, "mlp_in 1", "mlp_out 1").check(source, tmp_path / "run")
    assert made.spec.skip == skips
    assert made.foreign.places == (f"blocks.{LAYER}.hook_mlp_in",)


def test_gemma_scope_2_of_a_chat_model_leaves_the_first_positions_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x_ND = rng.standard_normal((50, 8))
    source = tmp_path / IT / "resid_post" / "layer_5_width_16k_l0_medium"
    gemma_scope_2(source, Fitted.to(x_ND, x_ND, "jumprelu"))
    foreign = read(source)
    assert (foreign.model, foreign.hook, foreign.first_positions) == ("google/gemma-3-270m-it", "resid_post_layer_5", 4)
    assert any("first" in note or "begin" in note for note in foreign.notes)
    write_json(source / "config.json", {"hf_hook_point_in": "model.layers.6.output", "model_name": "gemma-3-1b-it"})
    again = read(source)
    assert (again.model, again.hook) == ("google/gemma-3-1b-it", "resid_post_layer_6")
    assert again.places == ("resid_post_layer_5",) and "the folder's name resid_post_layer_5" in again.notes[0]


def test_gemma_scope_2s_other_kinds_are_refused_by_name(tmp_path: Path) -> None:
    for kind, name, said in (
        ("crosscoder", "layer_5_9_12_15_width_65k_l0_big", "is a crosscoder"),
        ("clt", "width_262k_l0_big_affine", "is a cross-layer transcoder"),
    ):
        folder = tmp_path / "gemma-scope-2-270m-pt" / kind / name
        folder.mkdir(parents=True)
        for layer in range(2):
            parts = {"w_enc": torch.zeros(8, 4), "w_dec": torch.zeros(4, 2, 8), "b_enc": torch.zeros(4)}
            save_file(parts | {"b_dec": torch.zeros(8)}, folder / f"params_layer_{layer}.safetensors")
        for path in (*choose(folder, None, everything=False), folder / "params_layer_1.safetensors"):
            with pytest.raises(MonosemError, match=said):
                read(path)


def before_gain(case: Case) -> F64:
    """Gemma 2's norm before the MLP without its gain, written out."""
    h_ND = case.places["pre_feedforward_layernorm:input"]
    pre_ND: F64 = h_ND / np.sqrt(np.square(h_ND).mean(1, keepdims=True) + 1e-6)
    return pre_ND


def gemma_scope_transcoder(folder: Path, fitted: Fitted) -> Path:
    """Gemma Scope 1's file."""
    place = folder / "gemma-scope-2b-pt-transcoders" / f"layer_{LAYER}" / "width_16k" / "average_l0_20"
    place.mkdir(parents=True)
    names = ("W_enc", "W_dec", "b_enc", "b_dec", "threshold")
    np.savez(place / "params.npz", **{name: getattr(fitted, name).astype(np.float32) for name in names})
    return place


def test_gemma_scope_1_transcoders_read_before_the_gain(cases: Callable[[str], Case], tmp_path: Path) -> None:
    case = cases("gemma2")
    pre_ND = before_gain(case)
    fitted = Fitted.to(pre_ND, case.places["post_feedforward_layernorm"], "jumprelu")
    source = gemma_scope_transcoder(tmp_path, fitted)
    wanted = Wanted(case, fitted, case.places["mlp:input"], pre_ND, "mlp_in 1", "mlp_out 1")
    made = wanted.check(source, tmp_path / "run")
    assert any("before its gain" in step for step in made.steps)
    fixed = {"model": str(case.model), "data": str(case.text), "device": "cpu"}
    settings = ImportSettings().changed(**fixed, before_gain=False, check=False)
    other = import_sae(RunFolder(tmp_path / "other"), source, settings, Silent())
    assert not any("gain" in step for step in other.steps)


def test_a_gain_near_0_is_refused(cases: Callable[[str], Case], tmp_path: Path) -> None:
    case = cases("gemma2")
    lm_folder = tmp_path / "model"
    engine_model = engine_network(case.model)
    with torch.no_grad():
        engine_model.model.layers[LAYER].pre_feedforward_layernorm.weight[3] = -1.0
    engine_model.save_pretrained(lm_folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (lm_folder / name).write_bytes((case.model / name).read_bytes())
    pre_ND = before_gain(case)
    source = gemma_scope_transcoder(tmp_path, Fitted.to(pre_ND, pre_ND, "jumprelu"))
    settings = ImportSettings().changed(model=str(lm_folder), device="cpu", check=False)
    with pytest.raises(MonosemError, match="near 0 in 1 of 32"):
        import_sae(RunFolder(tmp_path / "run"), source, settings, Silent())
    assert not (tmp_path / "run").exists()


def engine_network(folder: Path) -> torch.nn.Module:
    """The model of a folder, for a test to change."""
    from transformers import AutoModelForCausalLM

    network: torch.nn.Module = AutoModelForCausalLM.from_pretrained(folder)
    return network


def test_qwen_scope(cases: Callable[[str], Case], tmp_path: Path) -> None:
    """Matrices are laid out as nn.Linear's; k is in config.json, or in the repository's name."""
    case = cases("qwen3")
    x_ND = case.places[""]
    fitted = Fitted.to(x_ND, x_ND, "topk")
    folder = tmp_path / f"SAE-Res-Qwen3-1.7B-Base-W32K-L0_{K}"
    folder.mkdir()
    tensors = {name: fitted.tensor(name).T.contiguous() for name in ("W_enc", "W_dec")}
    for layer in (0, LAYER):
        biases = {"b_enc": fitted.tensor("b_enc"), "b_dec": fitted.tensor("b_dec")}
        torch.save(tensors | biases, folder / f"layer{layer}.sae.pt")
    found = choose(folder, None, everything=True)
    assert [name_of(one, folder) for one in found] == ["layer0", "layer1"]
    assert (read(found[1]).k, read(found[1]).model) == (K, "Qwen/Qwen3-1.7B-Base")
    config = {"model_type": "topk_sae", "base_model": "Qwen/Qwen3-1.7B-Base", "k": K, "hook_point": "resid_post"}
    write_json(folder / "config.json", config)
    Wanted(case, fitted, x_ND, x_ND, "resid_post 1").check(found[1], tmp_path / "run")


def circuit_tracer(folder: Path, fitted: Fitted, config: str) -> list[Path]:
    """A set of two layers, both the same; W_skip [d_out, d_in]."""
    folder.mkdir(parents=True)
    tensors = {name: fitted.tensor(name) for name in ("W_dec", "b_enc", "b_dec")}
    tensors["W_enc"] = fitted.tensor("W_enc").T.contiguous()
    if fitted.act == "jumprelu":
        tensors["activation_function.threshold"] = fitted.tensor("threshold")
    if fitted.skip.any():
        tensors["W_skip"] = fitted.tensor("skip").T.contiguous()
    for layer in range(2):
        save_file(tensors, folder / f"layer_{layer}.safetensors")
    (folder / "config.yaml").write_text(f"model_name: tiny\nmodel_kind: transcoder_set\n{config}", encoding="utf-8")
    return choose(folder, None, everything=True)


@pytest.mark.parametrize(
    ("family", "act", "skips", "hook", "place", "title"),
    [
        ("qwen3", "relu", False, "mlp.hook_in", "mlp:input", "mlp_in 1"),
        ("llama", "topk", False, "mlp.hook_in", "mlp:input", "mlp_in 1"),
        ("llama", "jumprelu", True, "hook_resid_mid", "post_attention_layernorm:input", "resid_mid 1"),
        ("gemma2", "jumprelu", True, "ln2.hook_normalized", "", "mlp_in 1"),
    ],
)
def test_circuit_tracers_sets(
    cases: Callable[[str], Case],
    tmp_path: Path,
    family: str,
    act: str,
    skips: bool,
    hook: str,
    place: str,
    title: str,
) -> None:
    """A run per layer; behind ln2.hook_normalized there is no gain, and a skip connection reads the same."""
    case = cases(family)
    read_ND = case.places[place] if place else before_gain(case)
    x_ND = case.places[place or "mlp:input"]
    y_ND = case.places["post_feedforward_layernorm" if family == "gemma2" else "mlp"]
    fitted = Fitted.to(read_ND, y_ND, act, skips=skips)  # type: ignore[arg-type]
    config = f"feature_input_hook: {hook}\nfeature_output_hook: hook_mlp_out\n"
    config += f"activation: topk\nk: {K}\n" if act == "topk" else ""
    found = circuit_tracer(tmp_path / "set", fitted, config)
    assert [name_of(one, tmp_path / "set") for one in found] == ["layer_0", "layer_1"]
    Wanted(case, fitted, x_ND, read_ND, title, "mlp_out 1").check(found[LAYER], tmp_path / "run")


def test_a_set_without_config_and_sets_that_are_refused(tmp_path: Path) -> None:
    x_ND = np.random.default_rng(0).standard_normal((50, 8))
    fitted = Fitted.to(x_ND, x_ND, "jumprelu")
    folder = tmp_path / "transcoders-qwen3-14b"
    found = circuit_tracer(folder, fitted, "")
    (folder / "config.yaml").rename(folder / "wanb-config.yaml")
    foreign = read(found[1])
    assert (foreign.model, foreign.hook, foreign.hook_out) == (
        "Qwen/Qwen3-14B",
        "blocks.1.mlp.hook_in",
        "blocks.1.mlp.hook_out",
    )
    (folder / "config.yaml").write_text("model_kind: transcoder_set\nfeature_input_hook: mlp.hook_in\n")
    below = {name: fitted.tensor(name) for name in ("W_dec", "b_enc", "b_dec")} | {"W_enc": fitted.tensor("W_enc").T}
    threshold = -fitted.tensor("threshold")
    save_file(
        {name: one.contiguous() for name, one in below.items()} | {"activation_function.threshold": threshold}, found[0]
    )
    with pytest.raises(MonosemError, match=f"{F} thresholds below 0"):
        read(found[0])
    crossing = tmp_path / "clt"
    crossing.mkdir()
    (crossing / "config.yaml").write_text("model_kind: cross_layer_transcoder\n")
    save_file({"W_enc_0": torch.zeros(4, 8)}, crossing / "W_enc_0.safetensors")
    for given in (False, True):
        if given:
            (crossing / "config.yaml").unlink()
        (one,) = choose(crossing, None, everything=False)
        with pytest.raises(MonosemError, match="is a cross-layer transcoder"):
            read(one)
    listed = tmp_path / "listed"
    listed.mkdir()
    uri = "hf://google/gemma-scope-2b-pt-transcoders/layer_0/width_16k/average_l0_76/params.npz?revision=main"
    (listed / "config.yaml").write_text(f"model_kind: transcoder_set\ntranscoders:\n- {uri}\n")
    with pytest.raises(MonosemError, match="a list of 1 transcoders that lie elsewhere"):
        read(listed)


@pytest.mark.parametrize("given", [False, True])
def test_llama_scope_r1(cases: Callable[[str], Case], tmp_path: Path, given: bool) -> None:
    """The older names of tensors with log_jumprelu_threshold; a factor on inputs that may be missing from the files."""
    case = cases("llama")
    x_ND = case.places[""]
    scale = float(x_ND.shape[1] ** 0.5 / np.linalg.norm(x_ND, axis=1).mean()) if given else 1.0
    fitted = Fitted.to(scale * x_ND, scale * x_ND, "jumprelu")
    folder = tmp_path / "Llama-Scope-R1-Distill" / "400M-Slimpajama-400M-OpenR1-Math-220k" / f"L{LAYER}R"
    folder.mkdir(parents=True)
    tensors = {"encoder.weight": fitted.tensor("W_enc").T, "decoder.weight": fitted.tensor("W_dec").T}
    tensors |= {"encoder.bias": fitted.tensor("b_enc"), "decoder.bias": fitted.tensor("b_dec")}
    tensors["log_jumprelu_threshold"] = torch.from_numpy(np.log(fitted.threshold).astype(np.float32))
    save_file({name: one.contiguous() for name, one in tensors.items()}, folder / "sae_weights.safetensors")
    config = {"d_model": x_ND.shape[1], "expansion_factor": 5, "hook_point_in": f"blocks.{LAYER}.hook_resid_post"}
    write_json(folder / "config.json", config)
    foreign = read(folder)
    assert (foreign.format, foreign.model) == ("Llama Scope R1", "deepseek-ai/DeepSeek-R1-Distill-Llama-8B")
    assert any("--input-scale" in note for note in foreign.notes)
    if not given:
        Wanted(case, fitted, x_ND, x_ND, "resid_post 1").check(folder, tmp_path / "run")
        return
    fixed = {"model": str(case.model), "data": str(case.text), "device": "cpu", "context": 64, "input_scale": scale}
    figures = {"explained_variance": fitted.explained_variance}
    made = import_sae(RunFolder(tmp_path / "run"), folder, ImportSettings().changed(**fixed, **figures), Silent())
    assert made.check is not None and made.check.verdict == "agrees"
