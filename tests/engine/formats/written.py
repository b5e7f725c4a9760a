"""Files in the layouts of other libraries, written from their descriptions, and what they compute, written out by hand.

Shapes: N tokens, D = d_in, O = d_out, F = d_sae.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

F64 = NDArray[np.float64]
D, F, K, N = 12, 40, 4, 80


@dataclass(frozen=True)
class Weights:
    """Random weights, none of them at a value that would hide a mistake."""

    W_enc: F64
    b_enc: F64
    W_dec: F64
    b_dec: F64
    threshold: F64

    def tensor(self, name: str) -> torch.Tensor:
        """One of them, float32."""
        return torch.from_numpy(getattr(self, name).astype(np.float32))


@dataclass(frozen=True)
class Truth:
    """Inputs, activations and outputs of the function that a file defines."""

    x_ND: F64
    acts_NF: F64
    out_NO: F64


Writer = Callable[[Path], Truth]


def weights(seed: int = 0, d_in: int = D) -> Weights:
    """Seeded; decoder rows are of lengths from 0.5 to 2."""
    rng = np.random.default_rng(seed)
    rows_FD = rng.standard_normal((F, d_in)) / d_in**0.5
    return Weights(
        rng.standard_normal((d_in, F)) / d_in**0.5,
        0.3 * rng.standard_normal(F),
        rows_FD * rng.uniform(0.5, 2, (F, 1)),
        0.4 * rng.standard_normal(d_in),
        rng.uniform(0.05, 0.6, F),
    )


def inputs(scale: float = 1.0) -> F64:
    """Activations, not around 0."""
    return scale * (np.random.default_rng(9).standard_normal((N, D)) + 0.4)


def relu(z: F64) -> F64:
    """max(z, 0)."""
    return np.maximum(z, 0)


def jump(z: F64, threshold: F64 | float) -> F64:
    """z where it is above the threshold."""
    return np.where(z > threshold, relu(z), 0)


def top(z: F64) -> F64:
    """The K largest of each row, negatives set to 0."""
    kth = np.sort(z, axis=1)[:, -K][:, None]
    return np.where(z >= kth, relu(z), 0)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """A configuration."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def layer_normed(x_ND: F64) -> tuple[F64, F64, F64]:
    """OpenAI's LN: tokens less their mean, over their standard deviation and 1e-5; then these means and deviations."""
    mean_N1 = x_ND.mean(1, keepdims=True)
    deviation_N1 = x_ND.std(1, ddof=1, keepdims=True)
    return (x_ND - mean_N1) / (deviation_N1 + 1e-5), mean_N1, deviation_N1


def saelens(folder: Path, **config: Any) -> Truth:
    """SAELens 6: topk; a reader of `config` may change it."""
    w = weights()
    tensors = {name: w.tensor(name) for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "sae_weights.safetensors")
    metadata = {"sae_lens_version": "6.54.12", "model_name": "gpt2-small", "hook_name": "blocks.1.hook_resid_post"}
    standard = {"architecture": "topk", "k": K, "d_in": D, "d_sae": F, "apply_b_dec_to_input": False}
    norms = {"rescale_acts_by_decoder_norm": True, "normalize_activations": "none", "metadata": metadata}
    write_json(folder / "cfg.json", standard | norms | config)
    norm_F = np.linalg.norm(w.W_dec, axis=1)
    x_ND = inputs()
    acts_NF = top((x_ND @ w.W_enc + w.b_enc) * norm_F)
    return Truth(x_ND, acts_NF, (acts_NF / norm_F) @ w.W_dec + w.b_dec)


def sparsify(folder: Path, **config: Any) -> Truth:
    """EleutherAI sparsify."""
    w = weights(1)
    folder.mkdir(parents=True, exist_ok=True)
    matrices = {"encoder.weight": w.tensor("W_enc").T.contiguous(), "W_dec": w.tensor("W_dec")}
    biases = {"encoder.bias": w.tensor("b_enc"), "b_dec": w.tensor("b_dec")}
    save_file(matrices | biases, folder / "sae.safetensors")
    standard = {"activation": "topk", "num_latents": F, "k": K, "d_in": D, "transcode": False}
    write_json(folder / "cfg.json", standard | config)
    x_ND = inputs()
    acts_NF = top(relu((x_ND - w.b_dec) @ w.W_enc + w.b_enc))
    return Truth(x_ND, acts_NF, acts_NF @ w.W_dec + w.b_dec)


def gemma_scope(folder: Path) -> Truth:
    """Gemma Scope; an older file with names in lower case."""
    w, x_ND = weights(2), inputs()
    place = folder / "gemma-scope-2b-pt-res" / "layer_1" / "width_16k" / "average_l0_7"
    place.mkdir(parents=True)
    arrays = {"w_enc": w.W_enc, "w_dec": w.W_dec, "b_enc": w.b_enc, "b_dec": w.b_dec, "threshold": w.threshold}
    np.savez(place / "params.npz", **{name: array.astype(np.float32) for name, array in arrays.items()})
    acts_NF = jump(x_ND @ w.W_enc + w.b_enc, w.threshold)
    return Truth(x_ND, acts_NF, acts_NF @ w.W_dec + w.b_dec)


def llama_scope(folder: Path) -> Truth:
    """Llama Scope v1: inputs scaled, one threshold, compared after the decoder rows' lengths."""
    w, x_ND = weights(3), inputs(5.0)
    (folder / "checkpoints").mkdir(parents=True)
    matrices = {"encoder.weight": w.tensor("W_enc").T.contiguous(), "decoder.weight": w.tensor("W_dec").T.contiguous()}
    biases = {"encoder.bias": w.tensor("b_enc"), "decoder.bias": w.tensor("b_dec")}
    save_file(matrices | biases, folder / "checkpoints" / "final.safetensors")
    config = {
        "d_model": D,
        "d_sae": F,
        "act_fn": "jumprelu",
        "jump_relu_threshold": 0.3,
        "norm_activation": "dataset-wise",
        "dataset_average_activation_norm": {"in": 19.0, "out": 19.0},
        "sparsity_include_decoder_norm": True,
        "apply_decoder_bias_to_pre_encoder": False,
        "hook_point_in": "blocks.1.hook_resid_post",
        "hook_point_out": "blocks.1.hook_resid_post",
    }
    write_json(folder / "hyperparams.json", config)
    scale = D**0.5 / 19.0
    z_NF = (scale * x_ND) @ w.W_enc + w.b_enc
    acts_NF = np.where(z_NF * np.linalg.norm(w.W_dec, axis=1) > 0.3, relu(z_NF), 0)
    return Truth(x_ND, acts_NF, (acts_NF @ w.W_dec + w.b_dec) / scale)


def llamascopium(folder: Path) -> Truth:
    """Llamascopium: names of its own, logarithms of thresholds, lengths among the tensors."""
    w, x_ND = weights(4), inputs(5.0)
    hook = "blocks.1.hook_resid_post"
    tensors = {"W_E": w.tensor("W_enc"), "b_E": w.tensor("b_enc"), "W_D": w.tensor("W_dec"), "b_D": w.tensor("b_dec")}
    tensors["activation_function.log_jumprelu_threshold"] = w.tensor("threshold").log()
    tensors[f"dataset_average_activation_norm.{hook}"] = torch.tensor(19.0)
    folder.mkdir(parents=True)
    save_file(tensors, folder / "sae_weights.safetensors")
    config = {"sae_type": "sae", "d_model": D, "act_fn": "jumprelu", "norm_activation": "dataset-wise"}
    hooks = {"sparsity_include_decoder_norm": True, "hook_point_in": hook, "hook_point_out": hook}
    write_json(folder / "config.json", config | hooks)
    scale = D**0.5 / 19.0
    z_NF = (scale * x_ND) @ w.W_enc + w.b_enc
    acts_NF = np.where(z_NF * np.linalg.norm(w.W_dec, axis=1) > w.threshold, relu(z_NF), 0)
    return Truth(x_ND, acts_NF, (acts_NF @ w.W_dec + w.b_dec) / scale)


def openai(folder: Path) -> Truth:
    """OpenAI, with ReLU."""
    w, x_ND = weights(5), inputs()
    folder.mkdir(parents=True, exist_ok=True)
    state: dict[str, Any] = {
        "pre_bias": w.tensor("b_dec"),
        "encoder.weight": w.tensor("W_enc").T.contiguous(),
        "latent_bias": w.tensor("b_enc"),
        "decoder.weight": w.tensor("W_dec").T.contiguous(),
        "stats_last_nonzero": torch.zeros(F, dtype=torch.long),
        "latents_activation_frequency": torch.ones(F),
        "activation": "ReLU",
        "activation_state_dict": {},
    }
    torch.save(state, folder / "0.pt")
    acts_NF = relu((x_ND - w.b_dec) @ w.W_enc + w.b_enc)
    return Truth(x_ND, acts_NF, acts_NF @ w.W_dec + w.b_dec)


def openai_topk(folder: Path) -> Truth:
    """OpenAI, with TopK (v5): every token normalised by itself, of which the file has nothing but its activation."""
    openai(folder)
    k = {"activation": "TopK", "activation_state_dict": {"k": K, "postact_fn": "ReLU"}}
    torch.save(torch.load(folder / "0.pt") | k, folder / "0.pt")
    w, x_ND = weights(5), inputs(3.0) * np.logspace(-1, 1, N)[:, None]
    n_ND, mean_N1, deviation_N1 = layer_normed(x_ND)
    acts_NF = top((n_ND - w.b_dec) @ w.W_enc + w.b_enc)
    return Truth(x_ND, acts_NF, (acts_NF @ w.W_dec + w.b_dec) * deviation_N1 + mean_N1)


def open_sae(folder: Path) -> Truth:
    """OpenSAE: every token normalised by itself, b_dec subtracted from that."""
    w, x_ND = weights(7), inputs(3.0) * np.logspace(-1, 1, N)[:, None]
    folder.mkdir(parents=True)
    matrices = {"encoder.weight": w.tensor("W_enc").T.contiguous(), "W_dec": w.tensor("W_dec")}
    biases = {"encoder.bias": w.tensor("b_enc"), "b_dec": w.tensor("b_dec")}
    save_file(matrices | biases, folder / "model.safetensors")
    config = {"feature_size": F, "hidden_size": D, "k": K, "input_hookpoint": "layers.1", "activation": "topk"}
    write_json(folder / "config.json", config | {"input_normalize": True, "input_normalize_eps": 1e-5})
    n_ND, mean_N1, deviation_N1 = layer_normed(x_ND)
    acts_NF = top((n_ND - w.b_dec) @ w.W_enc + w.b_enc)
    return Truth(x_ND, acts_NF, (acts_NF @ w.W_dec + w.b_dec) * deviation_N1 + mean_N1)


def dictionary_learning(folder: Path) -> Truth:
    """dictionary_learning: JumpReLU, which reads x unchanged; recognised by its tensors, without config.json."""
    w, x_ND = weights(6), inputs()
    folder.mkdir(parents=True)
    torch.save({name: w.tensor(name) for name in ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")}, folder / "ae.pt")
    acts_NF = jump(x_ND @ w.W_enc + w.b_enc, w.threshold)
    return Truth(x_ND, acts_NF, acts_NF @ w.W_dec + w.b_dec)


WRITERS: dict[str, Writer] = {
    "SAELens": saelens,
    "sparsify": sparsify,
    "Gemma Scope": gemma_scope,
    "Llama Scope": llama_scope,
    "Llamascopium": llamascopium,
    "OpenAI": openai,
    "OpenAI TopK": openai_topk,
    "OpenSAE": open_sae,
    "dictionary_learning": dictionary_learning,
}
