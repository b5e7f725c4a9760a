"""Every format's file written with one mistake in it, of those that were made with published autoencoders.

A file holds what `Fitted` computes. A trap changes what it says, or what it was fitted to, but not its layout: the
reader cannot notice it, only the self-check can. Shapes: N tokens, D = d_in, O = d_out, F = d_sae.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from tests.engine.formats.fitted import F64, LAYER, Act, Case, F, Fitted, K
from tests.engine.formats.written import layer_normed, write_json

Trap = Literal["none", "b_dec", "gain", "skip", "scale", "layer", "site", "token norm"]
GAIN = "gain"
"""The place of what a norm returns before it multiplies by its gain."""
UNEVEN, QUIET = 0.8, 0.15
"""Deviation of the logarithm of gains, and a factor on embeddings."""
RANK = 16
"""Principal components that an autoencoder reads: all 32 would explain any place."""
NAMES = ("W_enc", "W_dec", "b_enc", "b_dec")
LINEAR = {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "decoder.weight", "b_dec": "decoder.bias"}


@dataclass(frozen=True)
class File:
    """What a writer writes: tensors by our names, W_enc [D, F], W_skip [O, D], and the layer that the file names."""

    tensors: dict[str, Tensor]
    layer: int

    def named(self, *names: str, turned: bool = False) -> dict[str, Tensor]:
        """Return some of them, matrices as nn.Linear's if turned."""
        chosen = {one: self.tensors[one] for one in names}
        return {one: (t.T if turned and one[0] == "W" else t).contiguous() for one, t in chosen.items()}


Writer = Callable[[Path, File], Path]


@dataclass(frozen=True)
class Format:
    """A format: the function its library computes, where that reads, and its layout."""

    family: str
    act: Act
    reads: str
    """A place of the layer, as in `Case`, or GAIN."""
    write: Writer
    explains: str = ""
    """Where a transcoder's target is; empty for an autoencoder."""
    subtracts: bool = False
    skips: bool = False
    normalises: bool = False
    after: str = ""
    """The same norm's output on the other side of its gain, where it reads one."""
    other: str = ""
    """A place of the layer with which its own may be confused."""

    def traps(self) -> list[Trap]:
        """Return the mistakes that can be made with it."""
        found: list[Trap] = ["layer"]
        found += ["b_dec"] if not self.explains else []
        # What a norm returns has the length √d anyway.
        found += ["token norm"] if self.normalises else ["scale"] if self.reads == "" else []
        found += ["gain"] if self.after else []
        found += ["skip"] if self.skips else []
        return [*found, *(["site"] if self.other else [])]


@torch.no_grad()
def told_apart(network: PreTrainedModel) -> None:
    """Make a random model's places differ as a trained model's do: uneven gains, and layers that add much."""
    generator = torch.Generator().manual_seed(3)
    start = 1.0 if "gemma" in network.config.model_type else 0.0
    for name, parameter in network.named_parameters():
        if "norm" in name:
            parameter.copy_(torch.exp(UNEVEN * torch.randn(parameter.shape, generator=generator)) - start)
    network.get_input_embeddings().weight.mul_(QUIET)


def place_of(case: Case, place: str) -> F64:
    """Return what a layer computes at a place; for GAIN, Gemma's or LLaMA's norm before the MLP, written out."""
    if place != GAIN:
        return case.places[place]
    norm = "pre_feedforward_layernorm" if "pre_feedforward_layernorm" in case.places else "post_attention_layernorm"
    h_ND = case.places[f"{norm}:input"]
    before_ND: F64 = h_ND / np.sqrt(np.square(h_ND).mean(1, keepdims=True) + 1e-6)
    return before_ND


def fitted_to(case: Case, form: Format, trap: Trap = "none") -> tuple[Fitted, float]:
    """Return what the file holds, and the explained variance of what its library computes with it."""
    reads = {"gain": form.after, "site": form.other}.get(trap, form.reads)
    x_ND = place_of(case, reads)
    y_NO = place_of(case, form.explains) if form.explains else x_ND
    if trap == "scale":
        scale = x_ND.shape[1] ** 0.5 / float(np.linalg.norm(x_ND, axis=1).mean())
        x_ND, y_NO = scale * x_ND, y_NO if form.explains else scale * x_ND
    if form.normalises and trap != "token norm":
        n_ND, mean_N1, deviation_N1 = layer_normed(x_ND)
        fitted = Fitted.to(n_ND, n_ND, form.act, rank=RANK)
        error_ND = x_ND - (fitted.out(n_ND) * deviation_N1 + mean_N1)
        return fitted, float(1 - np.square(error_ND).sum() / np.square(x_ND - x_ND.mean(0)).sum())
    fitted = Fitted.to(x_ND, y_NO, form.act, skips=form.skips, rank=None if form.explains else RANK)
    return fitted, fitted.explained_variance


def file_of(fitted: Fitted, form: Format, trap: Trap = "none") -> File:
    """Return the file's tensors in the library's convention, or in the other one for a trap."""
    if form.subtracts != (trap == "b_dec"):
        fitted = replace(fitted, b_enc=fitted.b_enc + fitted.b_dec @ fitted.W_enc)
    tensors = {name: fitted.tensor(name) for name in (*NAMES, "threshold")}
    if form.skips:
        tensors["W_skip"] = fitted.tensor("skip") if trap == "skip" else fitted.tensor("skip").T
    return File(tensors, LAYER - 1 if trap == "layer" else LAYER)


def gemma_scope_2(kind: str) -> Writer:
    """params.safetensors in lower case, and no config.json: the folder says where it is."""

    def write(folder: Path, file: File) -> Path:
        path = folder / "gemma-scope-2-270m-pt" / kind / f"layer_{file.layer}_width_16k_l0_small"
        path.mkdir(parents=True)
        state = {name.lower(): one for name, one in file.named(*NAMES, "threshold").items()}
        if "W_skip" in file.tensors:
            state["affine_skip_connection"] = file.tensors["W_skip"].T.contiguous()
        save_file(state, path / "params.safetensors")
        return path

    return write


def gemma_scope(kind: str) -> Writer:
    """params.npz."""

    def write(folder: Path, file: File) -> Path:
        path = folder / f"gemma-scope-2b-pt-{kind}" / f"layer_{file.layer}" / "width_16k" / "average_l0_20"
        path.mkdir(parents=True)
        np.savez(path / "params.npz", **{name: one.numpy() for name, one in file.named(*NAMES, "threshold").items()})
        return path

    return write


def qwen_scope(folder: Path, file: File) -> Path:
    """layerN.sae.pt."""
    path = folder / f"SAE-Res-Qwen3-1.7B-Base-W32K-L0_{K}"
    path.mkdir()
    torch.save(file.named(*NAMES, turned=True), path / f"layer{file.layer}.sae.pt")
    return path / f"layer{file.layer}.sae.pt"


def circuit_tracer(hook: str, act: Act) -> Writer:
    """layer_N.safetensors beside config.yaml; W_skip [O, D]."""

    def write(folder: Path, file: File) -> Path:
        tensors = file.named("W_dec", "b_enc", "b_dec") | file.named("W_enc", turned=True)
        if act == "jumprelu":
            tensors |= {"activation_function.threshold": file.tensors["threshold"]}
        if "W_skip" in file.tensors:
            tensors |= file.named("W_skip")
        save_file(tensors, folder / f"layer_{file.layer}.safetensors")
        config = f"feature_input_hook: {hook}\nfeature_output_hook: hook_mlp_out\n"
        config += f"activation: topk\nk: {K}\n" if act == "topk" else ""
        (folder / "config.yaml").write_text(f"model_name: tiny\nmodel_kind: transcoder_set\n{config}", encoding="utf-8")
        return folder / f"layer_{file.layer}.safetensors"

    return write


def two_linear_layers(name: str, part: str) -> Writer:
    """One .pt of Goodfire or DeepSeek-R1."""

    def write(folder: Path, file: File) -> Path:
        state = file.named(*NAMES, turned=True)
        path = folder / name.format(file.layer)
        torch.save({LINEAR[one].replace(".", f"{part}."): tensor for one, tensor in state.items()}, path)
        return path

    return write


def open_sae(folder: Path, file: File) -> Path:
    """config.json and model.safetensors."""
    state = file.named("W_enc", turned=True) | file.named("W_dec", "b_enc", "b_dec")
    names = LINEAR | {"W_dec": "W_dec", "b_dec": "b_dec"}
    save_file({names[one]: tensor for one, tensor in state.items()}, folder / "model.safetensors")
    config = {"feature_size": F, "hidden_size": len(file.tensors["b_dec"]), "k": K, "model_name": "tiny"}
    write_json(folder / "config.json", config | {"input_hookpoint": f"layers.{file.layer}"})
    return folder


def llama_scope_r1(folder: Path, file: File) -> Path:
    """sae_weights.safetensors with a logarithm of thresholds."""
    path = folder / "Llama-Scope-R1-Distill" / f"L{file.layer}R"
    path.mkdir(parents=True)
    state = {LINEAR[name]: one for name, one in file.named(*NAMES, turned=True).items()}
    save_file(state | {"log_jumprelu_threshold": file.tensors["threshold"].log()}, path / "sae_weights.safetensors")
    config = {"d_model": len(file.tensors["b_dec"]), "hook_point_in": f"blocks.{file.layer}.hook_resid_post"}
    write_json(path / "config.json", config)
    return path


def saelens(hook: str, hook_out: str = "", *, whitens: bool = False, **config: object) -> Writer:
    """cfg.json and sae_weights.safetensors; whitened weights read (x - mean) M."""

    def write(folder: Path, file: File) -> Path:
        tensors = file.named(*(one for one in file.tensors if one != "threshold" or "jumprelu" in str(config)))
        d = len(tensors["W_enc"])
        metadata = {"hook_name": hook.format(file.layer), "model_name": "tiny", "sae_lens_version": "6.54.12"}
        if hook_out:
            metadata["hook_name_out"] = hook_out.format(file.layer)
        if whitens:
            tensors = _whitened(tensors, folder)
        save_file(tensors, folder / "sae_weights.safetensors")
        norms = {"normalize_activations": "covariance_whitening" if whitens else "none"}
        write_json(folder / "cfg.json", {"d_in": d, "d_sae": F, "metadata": metadata} | norms | config)
        return folder

    return write


def _whitened(tensors: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    """Return the tensors for (x - mean) M, and write both; b_dec is subtracted before and after."""
    generator = torch.Generator().manual_seed(2)
    d = len(tensors["W_enc"])
    matrix_DD = torch.eye(d).double() + 0.3 * torch.randn(d, d, generator=generator).double() / d**0.5
    mean_D, inverse_DD = torch.randn(d, generator=generator).double() / 4, matrix_DD.inverse()
    held = {"mean": mean_D, "matrix": matrix_DD, "inverse_matrix": inverse_DD.contiguous()}
    save_file(held, folder / "activation_whitening.safetensors")
    new = {"W_enc": inverse_DD @ tensors["W_enc"].double(), "W_dec": tensors["W_dec"].double() @ matrix_DD}
    new["b_dec"] = (tensors["b_dec"].double() - mean_D) @ matrix_DD
    return tensors | {name: one.float().contiguous() for name, one in new.items()}


def sparsify(folder: Path, file: File) -> Path:
    """A hookpoint's folder: of the MLP for a transcoder, which is told by its skip connection."""
    transcodes = "W_skip" in file.tensors
    path = folder / (f"layers.{file.layer}.mlp" if transcodes else f"layers.{file.layer}")
    path.mkdir()
    names = LINEAR | {"W_dec": "W_dec", "b_dec": "b_dec"}
    state = file.named("W_enc", turned=True) | file.named("W_dec", "b_enc", "b_dec")
    rest = file.named("W_skip") if transcodes else {}
    save_file({names[one]: tensor for one, tensor in state.items()} | rest, path / "sae.safetensors")
    d = len(file.tensors["W_enc"])
    write_json(path / "cfg.json", {"activation": "topk", "num_latents": F, "k": K, "d_in": d, "transcode": transcodes})
    return path


def dictionary_learning(folder: Path, file: File) -> Path:
    """ae.pt of an AutoEncoder, and config.json."""
    state = {LINEAR[name]: one for name, one in file.named(*NAMES, turned=True).items()}
    torch.save({name.replace("decoder.bias", "bias"): one for name, one in state.items()}, folder / "ae.pt")
    trainer = {"dict_class": "AutoEncoder", "lm_name": "tiny", "submodule_name": f"resid_post_layer_{file.layer}"}
    write_json(folder / "config.json", {"trainer": trainer})
    return folder


PRE, POST = "pre_feedforward_layernorm", "post_feedforward_layernorm"
STREAM, NORMALISED, OUT = "blocks.{}.hook_resid_post", "blocks.{}.ln2.hook_normalized", "blocks.{}.hook_mlp_out"
JUMPING = {"architecture": "jumprelu_skip_transcoder"}
FORMATS: dict[str, Format] = {
    "Gemma Scope": Format("gemma2", "jumprelu", "", gemma_scope("res")),
    "Gemma Scope transcoder": Format("gemma2", "jumprelu", GAIN, gemma_scope("transcoders"), POST, after="mlp:input"),
    "Gemma Scope 2": Format("gemma3_text", "jumprelu", "", gemma_scope_2("resid_post")),
    "Gemma Scope 2 mlp_out": Format("gemma3_text", "jumprelu", POST, gemma_scope_2("mlp_out"), other="mlp"),
    "Gemma Scope 2 transcoder": Format(
        "gemma3_text",
        "jumprelu",
        "mlp:input",
        gemma_scope_2("transcoder"),
        POST,
        after=GAIN,
        other=f"{PRE}:input",
    ),
    "Gemma Scope 2 affine": Format(
        "gemma3_text", "jumprelu", "mlp:input", gemma_scope_2("transcoder"), POST, skips=True, after=GAIN
    ),
    "Qwen Scope": Format("qwen3", "topk", "", qwen_scope),
    "circuit-tracer relu": Format(
        "qwen3", "relu", "mlp:input", circuit_tracer("mlp.hook_in", "relu"), "mlp", after=GAIN
    ),
    "circuit-tracer topk": Format(
        "llama", "topk", "mlp:input", circuit_tracer("mlp.hook_in", "topk"), "mlp", after=GAIN
    ),
    "circuit-tracer resid_mid": Format(
        "llama",
        "jumprelu",
        "post_attention_layernorm:input",
        circuit_tracer("hook_resid_mid", "jumprelu"),
        "mlp",
        skips=True,
        other="mlp:input",
    ),
    "circuit-tracer hook_normalized": Format(
        "gemma2",
        "jumprelu",
        GAIN,
        circuit_tracer("ln2.hook_normalized", "jumprelu"),
        POST,
        skips=True,
        after="mlp:input",
    ),
    "Goodfire": Format("llama", "relu", "", two_linear_layers("Llama-3.1-8B-Instruct-SAE-l{}.pth", "_linear")),
    "DeepSeek-R1": Format("llama", "relu", "", two_linear_layers("DeepSeek-R1-Distill-Llama-8B-SAE-l{}.pt", "")),
    "OpenSAE": Format("llama", "topk", "", open_sae, subtracts=True, normalises=True),
    "Llama Scope R1": Format("llama", "jumprelu", "", llama_scope_r1),
    "SAELens": Format("llama", "topk", "", saelens(STREAM, architecture="topk", k=K), subtracts=True),
    "SAELens raw input": Format(
        "llama", "topk", "", saelens(STREAM, architecture="topk", k=K, apply_b_dec_to_input=False)
    ),
    "SAELens whitened": Format(
        "llama", "topk", "", saelens(STREAM, whitens=True, architecture="topk", k=K), subtracts=True
    ),
    "SAELens hook_normalized": Format(
        "llama",
        "jumprelu",
        GAIN,
        saelens(NORMALISED, architecture="jumprelu"),
        subtracts=True,
        after="mlp:input",
    ),
    "SAELens transcoder": Format(
        "gemma3_text",
        "jumprelu",
        GAIN,
        saelens(NORMALISED, OUT, **JUMPING),
        POST,
        skips=True,
        after="mlp:input",
    ),
    "sparsify": Format("llama", "topk", "", sparsify, subtracts=True),
    "sparsify transcoder": Format("llama", "topk", "mlp:input", sparsify, "mlp", skips=True, after=GAIN),
    "dictionary_learning": Format("llama", "relu", "", dictionary_learning, subtracts=True),
}
