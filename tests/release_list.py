"""Reads a small file in the layout of every release in the list of the installed sae-lens.

    MONOSEM_PEERS=.venv-peers python -m tests.release_list

The list gives repository, path and kind of loader of each release; the kind decides which layout is written, from its
description and with random weights, at the path's own name. Not the weights but names and layouts are tried. The
list itself is not part of this repository: without sae-lens there is nothing to do.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml  # type: ignore[import-untyped]
from safetensors.torch import save_file
from torch import Tensor

from engine.formats.registry import found_under, read
from store.files.errors import MonosemError
from tests.engine.formats.written import D, F, K, weights, write_json

ROOT = Path(__file__).parents[1]
REFUSED = {"temporal", "mntss_clt_layer_transcoder"}
"""Kinds that no architecture of monosem computes."""
PLAIN = ("W_enc", "b_enc", "W_dec", "b_dec")

Writer = Callable[[Path, "Release"], Path]


@dataclass(frozen=True)
class Release:
    """A release, and the first of its autoencoders."""

    name: str
    loader: str
    repository: str
    id: str
    path: str


def releases() -> list[Release]:
    """Return the list of the installed sae-lens; nothing without it."""
    peers = Path(os.environ.get("MONOSEM_PEERS", ROOT / ".venv-peers"))
    lists = sorted(peers.glob("lib/python3*/site-packages/sae_lens/pretrained_saes.yaml"))
    values: dict[str, Any] = yaml.safe_load(lists[0].read_text(encoding="utf-8")) if lists else {}
    found = []
    for name, value in values.items():
        first, loader = value["saes"][0], value.get("conversion_func") or "sae_lens"
        path = str(first.get("path", first["id"]))
        found.append(Release(name, loader, value["repo_id"], first["id"], path))
    return found


def outcome(release: Release, folder: Path) -> str:
    """Write a release's layout, and return `read`, `refused` (both with the format), or `unknown` with the reason."""
    root = folder / release.name / release.repository.replace("/", "+")
    source = WRITERS[release.loader](root, release)
    try:
        found = found_under(source)
        foreign = read(found[0] if found else source)
    except MonosemError as error:
        return "unknown: " + error.what if "no format" in error.what or release.loader not in REFUSED else "refused"
    placed = bool(foreign.hook) and (foreign.d_out is None or bool(foreign.hook_out))
    return "read" if placed else f"unknown: {foreign.format} without a place"


def tensors(*names: str, turned: bool = False) -> dict[str, Tensor]:
    """Return random tensors by our names, matrices as nn.Linear's if turned."""
    w = weights()
    return {one: (w.tensor(one).T if turned and one[0] == "W" else w.tensor(one)).contiguous() for one in names}


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _saelens(root: Path, release: Release) -> Path:
    folder = _made(root / release.path)
    save_file(tensors(*PLAIN), folder / "sae_weights.safetensors")
    config = {"d_in": D, "d_sae": F, "hook_point": release.id, "model_name": "gpt2-small", "activation_fn_str": "relu"}
    write_json(folder / "cfg.json", config)
    return folder


def _gemma_3(root: Path, release: Release) -> Path:
    folder = _made(root / release.path)
    state = {name.lower(): one for name, one in tensors(*PLAIN, "threshold").items()}
    if "_affine" in folder.name:
        state["affine_skip_connection"] = torch.eye(D)
    save_file(state, folder / "params.safetensors")
    return folder


def _gemma_2(root: Path, release: Release) -> Path:
    folder = _made(root / release.path)
    np.savez(folder / "params.npz", **{name: one.numpy() for name, one in tensors(*PLAIN, "threshold").items()})
    return folder


def _qwen(root: Path, release: Release) -> Path:
    torch.save(tensors(*PLAIN, turned=True), _made(root) / release.path)
    return root / release.path


def _mwhanna(root: Path, release: Release) -> Path:
    state = tensors(*PLAIN)
    save_file(state | {"W_enc": state["W_enc"].T.contiguous()}, _made(root) / release.path)
    hooks = "feature_input_hook: mlp.hook_in\nfeature_output_hook: mlp.hook_out\n"
    (root / "config.yaml").write_text(f"model_name: Qwen/Qwen3-4B\nmodel_kind: transcoder_set\n{hooks}")
    return root / release.path


def _clt(root: Path, release: Release) -> Path:
    del release
    save_file({"W_enc_0": torch.zeros(F, D)}, _made(root) / "W_enc_0.safetensors")
    (root / "config.yaml").write_text("model_kind: cross_layer_transcoder\n")
    return root


def _temporal(root: Path, release: Release) -> Path:
    folder = _made(root / release.path)
    state = {"D": torch.zeros(F, D), "E": torch.zeros(D, F), "b": torch.zeros(D), "attn_layers.0.q": torch.zeros(D)}
    save_file(state, folder / "latest_ckpt.safetensors")
    (folder / "conf.yaml").write_text("a: 1\n")
    return folder


def _linear(part: str) -> Writer:
    def write(root: Path, release: Release) -> Path:
        one = tensors(*PLAIN, turned=True)
        places = {"W_enc": f"encoder{part}.weight", "b_enc": f"encoder{part}.bias"}
        places |= {"W_dec": f"decoder{part}.weight", "b_dec": f"decoder{part}.bias"}
        torch.save({places[name]: one[name] for name in PLAIN}, _made(root) / release.path)
        return root / release.path

    return write


def _hook_z(root: Path, release: Release) -> Path:
    torch.save(tensors(*PLAIN), _made(root) / release.path)
    config = {"act_name": "blocks.0.attn.hook_z", "act_size": D, "dict_size": F}
    write_json(root / f"{release.path.removesuffix('.pt')}_cfg.json", config)
    return root / release.path


def _dictionary_learning(root: Path, release: Release) -> Path:
    folder, one, name = (
        _made(root / release.path),
        tensors(*PLAIN, turned=True),
        f"{release.name} {release.path}".lower(),
    )
    rows = {"encoder.weight": one["W_enc"], "encoder.bias": one["b_enc"], "decoder.weight": one["W_dec"]}
    chosen = {"k": torch.tensor(K), "threshold": torch.tensor(0.1)}
    if "matryoshka" in name:
        kind, state = "MatryoshkaBatchTopKSAE", {**tensors(*PLAIN), **chosen, "group_sizes": torch.tensor([F])}
    elif "gated" in name:
        del rows["encoder.bias"]
        biases = {"gate_bias": one["b_enc"], "mag_bias": one["b_enc"], "r_mag": one["b_enc"]}
        kind, state = "GatedAutoEncoder", {**rows, **biases, "decoder_bias": one["b_dec"]}
    elif "topk" in name:
        kind, state = "AutoEncoderTopK", {**rows, **chosen, "b_dec": one["b_dec"]}
    elif "andyrdt" in name:
        kind, state = "BatchTopKSAE", {**rows, **chosen, "b_dec": one["b_dec"]}
    else:
        kind, state = "AutoEncoder", {**rows, "bias": one["b_dec"]}
    torch.save(state, folder / "ae.pt")
    trainer = {"dict_class": kind, "lm_name": "EleutherAI/pythia-70m-deduped", "layer": 3}
    write_json(folder / "config.json", {"trainer": trainer | {"submodule_name": "resid_post_layer_3"}})
    return folder


def _llama_scope(root: Path, release: Release) -> Path:
    folder = _made(root / release.path)
    places = {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "decoder.weight", "b_dec": "decoder.bias"}
    one = tensors(*PLAIN, turned=True)
    save_file({places[name]: one[name] for name in PLAIN}, _made(folder / "checkpoints") / "final.safetensors")
    norms = {"dataset_average_activation_norm": {"in": 9.0, "out": 9.0}, "jump_relu_threshold": 0.2}
    hook = "blocks.0.hook_resid_post"
    points = {"hook_point_in": hook, "hook_point_out": hook, "act_fn": "jumprelu", "d_model": D, "d_sae": F}
    write_json(folder / "hyperparams.json", norms | points)
    return folder


def _r1(root: Path, release: Release) -> Path:
    folder, one = _made(root / release.path), tensors(*PLAIN)
    theirs = {"W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "decoder.weight", "b_dec": "decoder.bias"}
    turned = {theirs[name]: (one[name].T if name[0] == "W" else one[name]).contiguous() for name in PLAIN}
    turned["activation_function.log_jumprelu_threshold"] = torch.zeros(F)
    save_file(turned, folder / "sae_weights.safetensors")
    hook = "blocks.0.hook_resid_post"
    config = {"sae_type": "sae", "d_model": D, "act_fn": "jumprelu", "hook_point_in": hook, "hook_point_out": hook}
    write_json(folder / "config.json", config)
    return folder


WRITERS: dict[str, Writer] = {
    "sae_lens": _saelens,
    "gemma_2": _gemma_2,
    "gemma_2_transcoder": _gemma_2,
    "gemma_3": _gemma_3,
    "goodfire": _linear("_linear"),
    "deepseek_r1": _linear(""),
    "connor_rob_hook_z": _hook_z,
    "dictionary_learning_1": _dictionary_learning,
    "llama_scope": _llama_scope,
    "llama_scope_r1_distill": _r1,
    "qwen_scope": _qwen,
    "mwhanna_transcoder": _mwhanna,
    "mntss_clt_layer_transcoder": _clt,
    "temporal": _temporal,
}


def main() -> int:
    """Print read, refused, unknown, and every release that is unknown; return 1 if one is."""
    found = releases()
    if not found:
        print("sae-lens is not installed (make bench installs it): nothing to do")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        outcomes = {one.name: outcome(one, Path(folder)) for one in found}
    counts = Counter(one.partition(":")[0] for one in outcomes.values())
    print(
        f"{len(found)} releases: read {counts['read']}, refused by name {counts['refused']}, "
        f"unknown {counts['unknown']}"
    )
    for name, one in outcomes.items():
        if one.startswith("unknown"):
            print(f"  {name}: {one}")
    return int(counts["unknown"] > 0)


if __name__ == "__main__":
    sys.exit(main())
