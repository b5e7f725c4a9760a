"""Files known by their tensors alone, and those that the user names: read, imported on a tiny model, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.commands.export_sae import export
from engine.commands.import_sae import import_sae
from engine.formats.fold import folded
from engine.formats.foreign_sae import Foreign
from engine.formats.named_tensors import Given
from engine.formats.registry import importer_of, read
from engine.formats.self_check import as_sae
from engine.runtime.progress import Silent
from store.files.errors import MonosemError
from store.run.folder import RunFolder
from store.settings.import_sae import ImportSettings
from tests.engine.formats.fitted import LAYER, Act, Case, Fitted, K
from tests.engine.formats.test_families import Wanted
from tests.engine.formats.written import D, F, saelens, weights, write_json
from tests.engine.formats.written import K as WRITTEN_K

LINEAR = {
    "W_enc": "encoder{}.weight",
    "b_enc": "encoder{}.bias",
    "W_dec": "decoder{}.weight",
    "b_dec": "decoder{}.bias",
}
WAY_IN = "--tensors W_enc=NAME,W_dec=NAME,b_enc=NAME,b_dec=NAME"


def computed(foreign: Foreign, x_ND: np.ndarray, d_sae: int = F) -> tuple[np.ndarray, np.ndarray]:
    """Activations and reconstructions of what was read, once folded."""
    sae = as_sae(foreign, folded(foreign), torch.device("cpu"))
    x = torch.from_numpy(x_ND.astype(np.float32))
    acts = sae.encode(x)
    dense_NF = torch.zeros(len(x), d_sae).scatter_add_(1, acts.feature_BK, acts.act_BK)
    return dense_NF.numpy(), sae(x).numpy()


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A tiny LLaMA."""
    return Case.of(tmp_path_factory.mktemp("llama"), "llama")


def fitted(case: Case, act: Act) -> Fitted:
    """A dictionary of the stream behind layer 1; b_dec is not subtracted."""
    return Fitted.to(case.places[""], case.places[""], act)


def linear(one: Fitted, part: str = "") -> dict[str, torch.Tensor]:
    """Two nn.Linear."""
    turned = {name: one.tensor(name).mT if name[0] == "W" else one.tensor(name) for name in LINEAR}
    return {LINEAR[name].format(part): tensor.contiguous() for name, tensor in turned.items()}


def plain(one: Fitted) -> dict[str, torch.Tensor]:
    """By our names."""
    return {name: one.tensor(name) for name in LINEAR}


@pytest.mark.parametrize(
    ("file", "part", "form", "model"),
    [
        ("Llama-3.1-8B-Instruct-SAE-l1.pth", "_linear", "Goodfire", "meta-llama/Llama-3.1-8B-Instruct"),
        (
            "DeepSeek-R1-Distill-Llama-8B-SAE-l1.pt",
            "",
            "DeepSeek-R1",
            "deepseek-ai/DeepSeek-R1-Distill-Llama-8B",
        ),
    ],
)
def test_two_linear_layers(case: Case, tmp_path: Path, file: str, part: str, form: str, model: str) -> None:
    one = fitted(case, "relu")
    torch.save(linear(one, part), tmp_path / file)
    foreign = read(tmp_path / file)
    assert (foreign.format, foreign.model, foreign.hook) == (form, model, "resid_post_layer_1")
    Wanted(case, one, case.places[""], case.places[""], "resid_post 1").check(tmp_path / file, tmp_path / "run")


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_a_name_says_nothing_and_wrappers_are_opened(tmp_path: Path, suffix: str) -> None:
    w = weights()
    tensors = {
        f"module.{LINEAR[name].format('_linear')}": (
            w.tensor(name).T if name[0] == "W" else w.tensor(name)
        ).contiguous()
        for name in LINEAR
    }
    file = tmp_path / f"anything{suffix}"
    if suffix == ".safetensors":
        save_file(tensors, file)
    else:
        torch.save({"state_dict": tensors, "step": 3, "optimizer": {"lr": 0.1}}, file)
    foreign = read(file)
    assert foreign.format == "Goodfire"
    torch.testing.assert_close(foreign.tensors["W_enc"], w.tensor("W_enc"))


def test_open_sae_in_shards(tmp_path: Path) -> None:
    w = weights()
    save_file(
        {"encoder.weight": w.tensor("W_enc").T.contiguous(), "b_dec": w.tensor("b_dec")}, tmp_path / "a.safetensors"
    )
    save_file({"encoder.bias": w.tensor("b_enc"), "W_dec": w.tensor("W_dec")}, tmp_path / "b.safetensors")
    where = {"encoder.weight": "a", "b_dec": "a", "encoder.bias": "b", "W_dec": "b"}
    index = {"weight_map": {name: f"{shard}.safetensors" for name, shard in where.items()}}
    write_json(tmp_path / "model.safetensors.index.json", index)
    config = {"feature_size": F, "hidden_size": D, "k": 4, "input_hookpoint": "layers.7", "model_name": "m/llama"}
    write_json(tmp_path / "config.json", config)
    foreign = read(tmp_path)
    assert (foreign.arch, foreign.k, foreign.hook) == ("topk", 4, "resid_post_layer_7")
    assert (foreign.conventions.token_norm, foreign.conventions.subtracts_b_dec) == ("layer_norm", True)
    torch.testing.assert_close(foreign.tensors["W_enc"], w.tensor("W_enc"))
    write_json(tmp_path / "model.safetensors.index.json", {"weight_map": {"W_dec": "../b.safetensors"}})
    with pytest.raises(MonosemError, match="does not name files next to it"):
        read(tmp_path)
    write_json(tmp_path / "config.json", config | {"activation": "jumprelu"})
    with pytest.raises(MonosemError, match="does not compute OpenSAE's jumprelu"):
        read(tmp_path)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("act", ["topk", "jumprelu"])
def test_tensors_that_the_user_names(case: Case, tmp_path: Path, act: Act, turned: bool) -> None:
    one = fitted(case, act)
    names = {name: f"net.{name[-3:]}.{name[0].lower()}" for name in LINEAR} | {"threshold": "net.theta"}
    names = names if act == "jumprelu" else {name: names[name] for name in LINEAR}
    tensors = {theirs: one.tensor(ours) for ours, theirs in names.items()}
    tensors |= {names[ours]: one.tensor(ours).T.contiguous() for ours in ("W_enc", "W_dec") if turned}
    file = tmp_path / "weights.npz"
    np.savez(file, **{name: tensor.numpy() for name, tensor in tensors.items()})
    with pytest.raises(MonosemError, match=r"no format that monosem knows: net.enc.w \[") as found:
        read(file)
    assert WAY_IN in str(found.value.hint)
    given = {"tensors": ",".join(f"{ours}={theirs}" for ours, theirs in names.items()), "subtracts_b_dec": False}
    given |= {"k": K} if act == "topk" else {}
    wanted = Wanted(case, one, case.places[""], case.places[""], f"resid_post {LAYER}")
    wanted.check(file, tmp_path / "run", site="resid_post", layer=LAYER, **given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Given(tensors="W_enc=a"), "W_dec is missing"),
        (Given(tensors="W_enc=a,W_dec=b,c=d"), "c is not a tensor of ours"),
        (Given(tensors="W_enc=a,W_dec=b"), "no architecture is not enough"),
        (Given(tensors="W_enc=a,W_dec=b", arch="topk"), "topk does not fit the rest"),
        (Given(tensors="W_enc=a,W_dec=b", arch="relu"), "lacks a, b"),
    ],
)
def test_names_that_do_not_suffice(tmp_path: Path, given: Given, said: str) -> None:
    save_file({"x": torch.zeros(3, 4)}, tmp_path / "w.safetensors")
    with pytest.raises(MonosemError, match=said):
        read(tmp_path / "w.safetensors", given)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"encoder.weight": torch.zeros(2, 3, 8), "decoder.weight": torch.zeros(2, 8, 3)}, "a crosscoder"),
        (
            {"D": torch.zeros(8, 3), "E": torch.zeros(3, 8), "b": torch.zeros(3), "attn_layers.0.q": torch.zeros(1)},
            "temporal",
        ),
    ],
)
def test_families_that_are_refused_by_name(tmp_path: Path, tensors: dict[str, torch.Tensor], said: str) -> None:
    save_file(tensors, tmp_path / "latest_ckpt.safetensors")
    with pytest.raises(MonosemError, match=said):
        read(tmp_path / "latest_ckpt.safetensors")
    (tmp_path / "conf.yaml").write_text("a: 1\n")
    if said == "temporal":
        with pytest.raises(MonosemError, match=said):
            read(tmp_path)


def test_no_code_of_a_pickle_is_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
            return Path.touch, (tmp_path / "boom",)

    torch.save({"encoder_linear.weight": Bomb()}, tmp_path / "x.pth")
    assert importer_of(tmp_path / "x.pth") is None
    with pytest.raises(MonosemError, match="never runs code from a file"):
        read(tmp_path / "x.pth")
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("name", ["tanh-relu", "gelu"])
def test_saelens_activations_are_never_taken_for_relu(tmp_path: Path, name: str, flat: bool) -> None:
    said = {"activation_fn_str": name} | ({"metadata": None} if flat else {})
    saelens(tmp_path, architecture="standard", **said)
    with pytest.raises(MonosemError, match=f"activation_fn {name}"):
        read(tmp_path)


@pytest.mark.parametrize("by_norm", [False, True])
@pytest.mark.parametrize("subtracts", [False, True])
def test_saelens_whitening_that_is_not_folded(tmp_path: Path, subtracts: bool, by_norm: bool) -> None:
    how = {"apply_b_dec_to_input": subtracts, "rescale_acts_by_decoder_norm": by_norm}
    truth, w = saelens(tmp_path, normalize_activations="covariance_whitening", **how), weights()
    rng = np.random.default_rng(4)
    mean_D, matrix_DD = rng.standard_normal(D), np.eye(D) + 0.3 * rng.standard_normal((D, D)) / D**0.5
    held = {"mean": mean_D, "matrix": matrix_DD, "inverse_matrix": np.linalg.inv(matrix_DD)}
    tensors = {name: torch.from_numpy(one).contiguous() for name, one in held.items()}
    save_file(tensors, tmp_path / "activation_whitening.safetensors")
    white_ND = (truth.x_ND - mean_D) @ matrix_DD
    norm_F = np.linalg.norm(w.W_dec, axis=1) if by_norm else np.ones(F)
    z_NF = ((white_ND - (w.b_dec if subtracts else 0)) @ w.W_enc + w.b_enc) * norm_F
    acts_NF = np.where(z_NF >= np.sort(z_NF, axis=1)[:, -WRITTEN_K][:, None], np.maximum(z_NF, 0), 0)
    out_ND = ((acts_NF / norm_F) @ w.W_dec + w.b_dec) @ held["inverse_matrix"] + mean_D
    found_NF, found_ND = computed(read(tmp_path), truth.x_ND)
    np.testing.assert_allclose(found_NF, acts_NF, atol=1e-5)
    np.testing.assert_allclose(found_ND, out_ND, atol=2e-5)


def test_signed_latents_are_two_features_each_and_put_together_at_export(case: Case, tmp_path: Path) -> None:
    one = fitted(case, "relu")
    folder = tmp_path / "signed"
    folder.mkdir()
    save_file(plain(one), folder / "sae_weights.safetensors")
    config = {"architecture": "abstopk", "k": 8, "d_in": len(one.W_enc), "d_sae": len(one.b_enc)}
    hook = {"hook_name": f"blocks.{LAYER}.hook_resid_post", "model_name": "tiny", "sae_lens_version": "6.54.12"}
    rest = {"apply_b_dec_to_input": False, "normalize_activations": "none", "metadata": hook}
    write_json(folder / "cfg.json", config | rest)
    x_ND = case.places[""][:100]
    z_NF = x_ND @ one.W_enc + one.b_enc
    kept = np.abs(z_NF) >= np.sort(np.abs(z_NF), axis=1)[:, -8][:, None]
    signed_NF = np.where(kept, z_NF, 0)
    found_NF, found_ND = computed(read(folder), x_ND, 2 * len(one.b_enc))
    half = len(one.b_enc)
    np.testing.assert_allclose(found_NF[:, :half] - found_NF[:, half:], signed_NF, atol=1e-5 * np.abs(z_NF).max())
    assert not (found_NF[:, :half] * found_NF[:, half:]).any()
    np.testing.assert_allclose(found_ND, signed_NF @ one.W_dec + one.b_dec, atol=1e-4 * np.abs(x_ND).max())
    run = RunFolder(tmp_path / "run")
    fixed = {"model": str(case.model), "data": str(case.text), "device": "cpu", "context": 64, "check": False}
    import_sae(run, folder, ImportSettings().changed(**fixed), Silent())
    export(run, "saelens", tmp_path / "out")
    again = json.loads((tmp_path / "out" / "cfg.json").read_text())
    assert (again["architecture"], again["d_sae"], again["k"]) == ("abstopk", half, 8)
    tensors = load_file(tmp_path / "out" / "sae_weights.safetensors")
    torch.testing.assert_close(tensors["W_enc"], one.tensor("W_enc"))
    shifted_F = one.tensor("b_enc") + one.tensor("b_dec") @ one.tensor("W_enc")  # ours subtracts b_dec
    torch.testing.assert_close(tensors["b_enc"], shifted_F, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(tensors["W_dec"], one.tensor("W_dec"))
