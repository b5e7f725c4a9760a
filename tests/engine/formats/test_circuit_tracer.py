"""circuit-tracer's own code against ours: its sets, and Gemma Scope's transcoders as it reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.formats.fold import folded
from engine.formats.foreign_sae import Conventions
from engine.formats.registry import found_under, read
from engine.formats.self_check import as_sae
from tests.engine.formats.test_peers import CPU, D, F, dense, run_peer

pytestmark = pytest.mark.slow

SETS = ("relu", "jumprelu", "skip", "jumprelu_skip")
GEMMA = ("gemma-scope-2b-pt-transcoders", "gemma-scope-2-transcoder", "gemma-scope-2-transcoder-affine")


def gemma_scopes(folder: Path) -> None:
    """Random transcoders in both layouts."""
    rng = np.random.default_rng(0)
    shapes = {"W_enc": (D, F), "W_dec": (F, D), "b_enc": (F,), "b_dec": (D,), "threshold": (F,)}
    arrays = {name: (rng.standard_normal(shape) / D**0.5).astype(np.float32) for name, shape in shapes.items()}
    arrays["threshold"] = np.abs(arrays["threshold"])
    tensors = {name.lower(): torch.from_numpy(one) for name, one in arrays.items()}
    affine = torch.from_numpy((rng.standard_normal((D, D)) / D**0.5).astype(np.float32))
    for name in GEMMA:
        (folder / name).mkdir()
    np.savez(folder / GEMMA[0] / "params.npz", **arrays)
    save_file(tensors, folder / GEMMA[1] / "params.safetensors")
    save_file(tensors | {"affine_skip_connection": affine}, folder / GEMMA[2] / "params.safetensors")
    point = '{"hf_hook_point_in": "model.layers.1.pre_feedforward_layernorm.output", '
    point += '"hf_hook_point_out": "model.layers.1.post_feedforward_layernorm.output"}'
    for name in GEMMA[1:]:
        (folder / name / "config.json").write_text(point)


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files and results of circuit-tracer."""
    folder = tmp_path_factory.mktemp("traced")
    gemma_scopes(folder)
    run_peer("peer_traces.py", folder)
    return folder


@pytest.mark.parametrize("name", SETS + GEMMA)
def test_what_it_computes_is_computed_here(traced: Path, name: str) -> None:
    truth = torch.load(traced / f"{name}.pt")
    found = found_under(traced / name)
    assert [path.name for path in found] == (
        [name] if name in GEMMA else ["layer_0.safetensors", "layer_1.safetensors"]
    )
    foreign = read(found[-1])
    assert foreign.d_out == D
    # Its loaders know tensors and no models: the gain of Gemma Scope's norm is not theirs to fold.
    sae = as_sae(foreign, folded(foreign, Conventions(subtracts_b_dec=foreign.conventions.subtracts_b_dec)), CPU)
    assert (truth["acts"] > 0).any() and not (truth["acts"] > 0).all()
    torch.testing.assert_close(dense(sae, truth["x"]), truth["acts"], rtol=0, atol=1e-5)
    torch.testing.assert_close(sae(truth["x"]), truth["out"], rtol=0, atol=1e-5)
