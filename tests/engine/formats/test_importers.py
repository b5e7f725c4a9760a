"""Each format read from files written by its description, against its formulas written out in numpy.

Shapes: N tokens, D = d_in, F = d_sae.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.formats.fold import folded
from engine.formats.foreign_sae import ByNorm, Conventions, Foreign, Stated
from engine.formats.registry import found_under, importer_of, read
from engine.formats.self_check import as_sae
from store.files.errors import MonosemError
from tests.engine.formats.written import (
    WRITERS,
    D,
    F,
    K,
    inputs,
    layer_normed,
    openai_topk,
    saelens,
    sparsify,
    top,
    weights,
)


def computed(foreign: Foreign, x_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Activations and reconstructions of what was read, once folded."""
    sae = as_sae(foreign, folded(foreign), torch.device("cpu"))
    x = torch.from_numpy(x_ND.astype(np.float32))
    acts = sae.encode(x)
    dense_NF = torch.zeros(len(x), F).scatter_add_(1, acts.feature_BK, acts.act_BK)
    return dense_NF.numpy(), sae(x).numpy()


@pytest.mark.parametrize("name", list(WRITERS))
def test_what_is_read_computes_what_its_library_computes(tmp_path: Path, name: str) -> None:
    truth = WRITERS[name](tmp_path / "it")
    found = found_under(tmp_path / "it")
    assert len(found) == 1
    foreign = read(found[0])
    assert foreign.format.startswith(name)
    acts_NF, out_NO = computed(foreign, truth.x_ND)
    density = (truth.acts_NF > 0).mean()
    assert 0.02 < density < 0.8
    scale = np.abs(truth.out_NO).max()
    np.testing.assert_allclose(acts_NF, truth.acts_NF, atol=2e-6 * max(1, scale))
    np.testing.assert_allclose(out_NO, truth.out_NO, atol=2e-6 * max(1, scale))


def test_every_format_is_recognised_by_one_alone(tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        write(tmp_path / name)
        (path,) = found_under(tmp_path / name)
        importer = importer_of(path)
        assert importer is not None
        assert name.startswith(importer.name) or (name, importer.name) == ("Llamascopium", "Llama Scope")


@pytest.mark.parametrize("arch", ["relu", "gated", "jumprelu"])
@pytest.mark.parametrize("transcodes", [False, True])
@pytest.mark.parametrize("subtracts", [False, True])
@pytest.mark.parametrize("centred", [False, True])
def test_every_convention_folds_exactly(arch: str, transcodes: bool, subtracts: bool, centred: bool) -> None:
    """z = W_encᵀ(s · C x - σ b_dec) + b_enc, x̂ = (W_decᵀ f + b_dec) / t, with s and t apart."""
    if arch != "jumprelu" and transcodes:
        pytest.skip("of these only JumpReLU has transcoders")
    w, x_ND = weights(7), inputs(2.0)
    tensors = {name: w.tensor(name) for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
    magnitude = 0.2 * np.random.default_rng(3).standard_normal((2, F))
    if arch == "jumprelu":
        tensors["threshold"] = w.tensor("threshold")
    if arch == "gated":
        tensors |= dict(zip(("r_mag", "b_mag"), torch.from_numpy(magnitude.astype(np.float32)), strict=True))
    how = Conventions(subtracts_b_dec=subtracts, input_scale=0.6, output_scale=0.8, centred=centred)
    d_out = D if transcodes else None
    foreign = Foreign(format="", source="", arch=arch, tensors=tensors, conventions=how, d_out=d_out)
    read_ND = x_ND - x_ND.mean(1, keepdims=True) if centred else x_ND
    plain_NF = (0.6 * read_ND - subtracts * w.b_dec) @ w.W_enc
    acts_NF = np.maximum(plain_NF + w.b_enc, 0)
    if arch == "jumprelu":
        acts_NF = np.where(acts_NF > w.threshold, acts_NF, 0)
    if arch == "gated":
        acts_NF = np.maximum(np.exp(magnitude[0]) * plain_NF + magnitude[1], 0) * (plain_NF + w.b_enc > 0)
    found_NF, out_NO = computed(foreign, x_ND)
    np.testing.assert_allclose(found_NF, acts_NF, atol=5e-6)
    np.testing.assert_allclose(out_NO, (acts_NF @ w.W_dec + w.b_dec) / 0.8, atol=1e-5)


@pytest.mark.parametrize("arch", ["relu", "jumprelu", "topk"])
@pytest.mark.parametrize("transcodes", [False, True])
@pytest.mark.parametrize("subtracts", [False, True])
@pytest.mark.parametrize("by_norm", ["none", "activations", "selection"])
def test_a_norm_read_before_its_gain(arch: str, transcodes: bool, subtracts: bool, by_norm: ByNorm) -> None:
    """An autoencoder reads and explains x, ours g x; the target of a transcoder stays as it is."""
    if transcodes and arch == "relu":
        pytest.skip("of these only JumpReLU and TopK have transcoders")
    w, x_ND = weights(8), inputs()
    gain_D = np.random.default_rng(5).uniform(0.3, 3, D)
    tensors = {name: w.tensor(name) for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
    if arch == "jumprelu":
        tensors["threshold"] = w.tensor("threshold")
    how = Conventions(subtracts_b_dec=subtracts, by_norm=by_norm)
    foreign = Foreign(
        format="", source="", arch=arch, tensors=tensors, conventions=how, k=K if arch == "topk" else None
    )
    foreign = replace(foreign, d_out=D if transcodes else None)
    acts_NF, out_NO = computed(foreign, x_ND)
    before = replace(foreign, conventions=replace(how, before_gain=True), gain=torch.from_numpy(gain_D).float())
    found_NF, found_NO = computed(before, x_ND * gain_D)
    np.testing.assert_allclose(found_NF, acts_NF, atol=1e-5)
    np.testing.assert_allclose(found_NO, out_NO * (1 if transcodes else gain_D), atol=3e-5)


def test_tokens_normalised_after_a_norm_before_its_gain_are_refused() -> None:
    w = weights()
    tensors = {name: w.tensor(name) for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
    foreign = Foreign(format="", source="it", arch="relu", tensors=tensors, gain=torch.ones(D))
    with pytest.raises(MonosemError, match="it normalises tokens that it reads before a norm's gain"):
        folded(foreign, Conventions(before_gain=True, token_norm="layer_norm"))


def test_layers_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for layer in (10, 2, 0, 11):
        sparsify(tmp_path / f"layers.{layer}")
    assert [path.name for path in found_under(tmp_path)] == ["layers.0", "layers.2", "layers.10", "layers.11"]


def test_figures_in_saelens_metadata_are_stated(tmp_path: Path) -> None:
    saelens(tmp_path, architecture="standard", metadata={"explained_variance": 0.81, "l0": 33.5})
    assert read(tmp_path).stated == Stated(explained_variance=0.81, l0=33.5)


@pytest.mark.parametrize(("hook", "before"), [("ln2.hook_normalized", True), ("mlp.hook_in", False)])
def test_saelens_at_a_norms_output(tmp_path: Path, hook: str, before: bool) -> None:
    """Before the gain, also where fold_ln moved the gain into the MLP; mlp.hook_in lies after it."""
    for kwargs in ({}, {"fold_ln": True}):
        metadata = {"hook_name": f"blocks.1.{hook}", "model_from_pretrained_kwargs": kwargs}
        saelens(tmp_path, architecture="standard", metadata=metadata)
        foreign = read(tmp_path)
        assert foreign.conventions.before_gain == before
        assert any("--no-before-gain" in note for note in foreign.notes) == before


def test_a_folder_of_several(tmp_path: Path) -> None:
    for hookpoint in ("layers.0", "layers.1.mlp", "h.2.attn"):
        sparsify(tmp_path / "run" / hookpoint)
    found = found_under(tmp_path / "run")
    assert [path.name for path in found] == ["h.2.attn", "layers.0", "layers.1.mlp"]
    assert [read(path).hook for path in found] == ["h.2.attn", "layers.0", "layers.1.mlp"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"normalize_activations": "covariance_whitening"}, "whitens its input"),
        ({"architecture": "temporal"}, "monosem does not compute SAELens' temporal"),
        ({"k": 0}, "k is 0, not a positive number"),
        ({"metadata": {"hook_head_index": 3}}, "reads head 3 of its hook"),
    ],
)
def test_what_cannot_be_computed_is_refused(tmp_path: Path, config: dict[str, object], said: str) -> None:
    saelens(tmp_path, **config)
    with pytest.raises(MonosemError, match=said):
        read(tmp_path)


def test_openais_topk_with_something_else_behind_it_is_refused(tmp_path: Path) -> None:
    openai_topk(tmp_path)
    state = torch.load(tmp_path / "0.pt")
    for held, said in (
        ({"k": K, "postact_fn": "Identity"}, "TopK followed by Identity"),
        ({"postact_fn": "ReLU"}, "k is null, not a positive number"),
        (None, "k is null, not a positive number"),
    ):
        torch.save(state | {"activation_state_dict": held}, tmp_path / "0.pt")
        with pytest.raises(MonosemError, match=said):
            read(tmp_path / "0.pt")


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize(("theirs", "ours"), [("layer_norm", "layer_norm"), ("constant_norm_rescale", "rms_norm")])
def test_saelens_normalises_every_token(tmp_path: Path, theirs: str, ours: str, applied: bool) -> None:
    """n(x) - b_dec is encoded, and what is decoded turned back; SAELens' own words for both are in sae.py."""
    saelens(tmp_path, normalize_activations=theirs, apply_b_dec_to_input=applied, rescale_acts_by_decoder_norm=False)
    foreign = read(tmp_path)
    assert foreign.conventions.token_norm == ours
    w, x_ND = weights(), inputs(3.0) * np.logspace(-1, 1, 80)[:, None]
    n_ND, mean_N1, scale_N1 = layer_normed(x_ND)
    if theirs == "constant_norm_rescale":
        scale_N1, mean_N1 = np.sqrt((x_ND**2).mean(1, keepdims=True)), 0 * mean_N1
        n_ND = x_ND / scale_N1
    acts_NF = top((n_ND - applied * w.b_dec) @ w.W_enc + w.b_enc)
    found_NF, out_ND = computed(foreign, x_ND)
    np.testing.assert_allclose(found_NF, acts_NF, atol=5e-6)
    np.testing.assert_allclose(out_ND, (acts_NF @ w.W_dec + w.b_dec) * scale_N1 + mean_N1, rtol=2e-6, atol=5e-5)


def test_lengths_of_tokens_without_their_mean_are_refused(tmp_path: Path) -> None:
    rewritten = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
    metadata = {"model_name": "gpt2-small", "hook_name": "blocks.1.hook_resid_post"} | rewritten
    saelens(tmp_path, normalize_activations="constant_norm_rescale", metadata=metadata)
    with pytest.raises(MonosemError, match="scales centred tokens by their lengths"):
        folded(read(tmp_path))
    saelens(tmp_path, normalize_activations="layer_norm", metadata=metadata, rescale_acts_by_decoder_norm=False)
    w, x_ND = weights(), inputs(3.0)
    acts_NF = top(layer_normed(x_ND)[0] @ w.W_enc + w.b_enc)  # of which a mean less or more makes no difference
    np.testing.assert_allclose(computed(read(tmp_path), x_ND)[0], acts_NF, atol=5e-6)


def test_a_skip_connection_of_sparsify(tmp_path: Path) -> None:
    """ŷ = W_decᵀ f + b_dec + W_skip x; one of zeros is none, and an autoencoder with one explains nothing."""
    truth = sparsify(tmp_path, transcode=True)
    file = tmp_path / "sae.safetensors"
    tensors = load_file(file)
    save_file(tensors | {"W_skip": torch.zeros(D, D)}, file)
    assert read(tmp_path).d_out == D and not read(tmp_path).skips
    W_skip_OD = np.random.default_rng(8).standard_normal((D, D))
    save_file(tensors | {"W_skip": torch.from_numpy(W_skip_OD.astype(np.float32))}, file)
    w = weights(1)
    acts_NF = top(truth.x_ND @ w.W_enc + w.b_enc)
    found_NF, out_NO = computed(read(tmp_path), truth.x_ND)
    np.testing.assert_allclose(found_NF, acts_NF, atol=5e-6)
    np.testing.assert_allclose(out_NO, acts_NF @ w.W_dec + w.b_dec + truth.x_ND @ W_skip_OD.T, atol=1e-5)
    save_file(tensors | {"W_skip": torch.zeros(D, D + 1) + 1}, file)
    with pytest.raises(MonosemError, match=r"W_skip is \[12, 13\]"):
        read(tmp_path)
    sparsify(tmp_path, transcode=False)
    save_file(tensors | {"W_skip": torch.eye(D)}, file)
    with pytest.raises(MonosemError, match="adds W_skip x to x̂"):
        read(tmp_path)


@pytest.mark.parametrize("how", ["none", "layer_norm"])
def test_saelens_skips_past_the_norm_and_its_transcoders_turn_nothing_back(tmp_path: Path, how: str) -> None:
    saelens(tmp_path, architecture="skip_transcoder", normalize_activations=how, d_out=D)
    W_skip_OD = np.random.default_rng(8).standard_normal((D, D))
    tensors = load_file(tmp_path / "sae_weights.safetensors")
    skip = {"W_skip": torch.from_numpy(W_skip_OD.astype(np.float32))}
    save_file(tensors | skip, tmp_path / "sae_weights.safetensors")
    foreign = read(tmp_path)
    assert (foreign.arch, foreign.d_out, foreign.skips) == ("jumprelu", D, True)
    w, x_ND = weights(), inputs(3.0)
    norm_F = np.linalg.norm(w.W_dec, axis=1)
    read_ND = layer_normed(x_ND)[0] if how == "layer_norm" else x_ND
    acts_NF = np.maximum(read_ND @ w.W_enc + w.b_enc, 0) * norm_F
    found_NF, out_NO = computed(foreign, x_ND)
    np.testing.assert_allclose(found_NF, acts_NF, atol=1e-5)
    np.testing.assert_allclose(out_NO, (acts_NF / norm_F) @ w.W_dec + w.b_dec + x_ND @ W_skip_OD.T, atol=5e-5)


def test_a_scale_that_is_not_said_is_a_note(tmp_path: Path) -> None:
    saelens(tmp_path, normalize_activations="expected_average_only_in")
    foreign = read(tmp_path)
    assert foreign.conventions.input_scale == 1
    assert any("--input-scale" in note for note in foreign.notes)
    (tmp_path / "activation_scaler.json").write_text('{"scaling_factor": 0.25}')
    again = read(tmp_path)
    assert (again.conventions.input_scale, again.conventions.output_scale, again.notes) == (0.25, 0.25, ())
    assert replace(again.conventions, input_scale=1.0, output_scale=1.0) == foreign.conventions
