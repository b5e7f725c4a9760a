"""Round trips through the libraries themselves: what they save computes the same here, what we export the same there.

They live in an environment of their own, which `make bench` installs; without it the tests are skipped.

Shapes: N tokens, D = d_in, O = d_out, F = d_sae.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.commands.export_sae import export
from engine.formats.fold import folded, signed_as_two
from engine.formats.registry import read
from engine.formats.saelens import SIGNED
from engine.formats.self_check import as_sae
from engine.sae.base import Sae, SaeSettings
from engine.sae.registry import architecture, from_weights
from engine.sae.token_norm import TOKEN_NORMS, TokenNorm
from store.run.folder import RunFolder, RunRecord
from store.run.spec import SaeSpec
from store.run.weights import SaeWeights, load_sae, save_sae
from store.settings.architectures import TABLE
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PYTHON = Path(os.environ.get("MONOSEM_PEERS", ROOT / ".venv-peers")) / "bin" / "python"
CPU = torch.device("cpu")
ABSENT = 77
"""How a script ends that misses its library."""
D, F, D_OUT, K, N = 24, 96, 16, 7, 50

SAELENS_NORMS = ("layer_norm", "constant_norm_rescale")
SAVED = (
    *(f"saelens_{kind}{end}" for kind in ("standard", "jumprelu", "gated", "topk") for end in ("", "_raw_input")),
    *("saelens_topk_by_norm", "saelens_topk_raw_input_by_norm", "saelens_batchtopk", "saelens_matryoshka"),
    *(
        f"saelens_{kind}{end}{by}"
        for kind in ("abstopk", "topk_whitened")
        for end in ("", "_raw_input")
        for by in ("", "_by_norm")
    ),
    *("saelens_transcoder", "saelens_jumprelu_transcoder", "saelens_scaled"),
    *("saelens_before_6_standard", "saelens_before_6_topk"),
    *("saelens_skip_transcoder", "saelens_jumprelu_skip_transcoder_layer_norm"),
    *(f"saelens_{kind}_{how}" for kind in ("standard", "topk_by_norm") for how in SAELENS_NORMS),
    *("sparsify_sae", "sparsify_transcoder", "sparsify_skip_transcoder"),
    *("dictionary_AutoEncoder", "dictionary_AutoEncoderNew", "dictionary_AutoEncoderTopK"),
    *("dictionary_BatchTopKSAE", "dictionary_BatchTopKSAE_unset", "dictionary_MatryoshkaBatchTopKSAE"),
    *("dictionary_JumpReluAutoEncoder", "dictionary_GatedAutoEncoder"),
)
TRAINED = (
    *(f"trained_saelens_{kind}" for kind in ("standard", "gated", "jumprelu", "topk", "batchtopk", "matryoshka")),
    "trained_sparsify",
    *(f"trained_dictionary_{kind}" for kind in ("standard", "april", "gated", "jumprelu", "topk", "batchtopk")),
    "trained_dictionary_matryoshka",
)
EXPORTED = (
    *((arch, "saelens") for arch in TABLE),
    *((arch, "dictionary-learning") for arch in TABLE),
    ("topk", "sparsify"),
    ("topk-signed", "saelens"),
    ("topk-transcoder", "sparsify"),
    ("jumprelu-transcoder", "saelens"),
    ("batchtopk-transcoder", "saelens"),
    ("topk-skip-transcoder", "sparsify"),
    ("jumprelu-skip-transcoder", "saelens"),
    *((f"{arch}-{how}", "saelens") for arch in TABLE for how in ("layer_norm", "rms_norm")),
    ("batchtopk-layer_norm-skip-transcoder", "saelens"),
)


def run_peer(script: str, *arguments: Path | str, patience: float = PATIENCE) -> None:
    """One of the scripts beside this file, with the libraries' own Python."""
    if not PYTHON.is_file():
        pytest.skip(f"needs the other libraries: {PYTHON} is missing (make bench installs them)")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [PYTHON, "-W", "ignore", Path(__file__).parent / script, *arguments],
        capture_output=True,
        text=True,
        env=environment | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled"},
        timeout=patience,
        check=False,
    )
    if done.returncode == ABSENT:
        pytest.skip(f"needs another library: {done.stdout.strip()}")
    assert done.returncode == 0, done.stderr[-2000:]


def dense(sae: Sae, x_ND: Tensor) -> Tensor:
    """Activations of every feature [N, F]."""
    acts = sae.encode(x_ND)
    return torch.zeros(len(x_ND), sae.settings.d_sae).scatter_add_(1, acts.feature_BK, acts.act_BK)


def signed(acts_NF: Tensor) -> Tensor:
    """Signed latents of the two features that each became."""
    positive_NF, negative_NF = acts_NF.chunk(2, dim=1)
    return positive_NF - negative_NF


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files and results of the libraries, with random weights and after a step of training."""
    folder = tmp_path_factory.mktemp("saved")
    run_peer("peer_writes.py", folder)
    run_peer("peer_trains.py", folder)
    return folder


@pytest.mark.parametrize("name", SAVED + TRAINED)
def test_what_they_save_computes_the_same_here(saved: Path, name: str) -> None:
    truth = torch.load(saved / f"{name}.pt")
    foreign = read(saved / name)
    sae = as_sae(foreign, folded(foreign), CPU)
    assert (truth["acts"] > 0).any() and not (truth["acts"] > 0).all()
    acts_NF = signed(dense(sae, truth["x"])) if "abstopk" in name else dense(sae, truth["x"])
    torch.testing.assert_close(acts_NF, truth["acts"], rtol=0, atol=1e-5)
    torch.testing.assert_close(sae(truth["x"]), truth["out"], rtol=0, atol=2e-5 if "whitened" in name else 1e-5)
    assert foreign.model == "stories260K" or "sparsify" in name


def test_every_one_they_saved_is_looked_at(saved: Path) -> None:
    assert {path.stem for path in saved.glob("*.pt")} == set(SAVED + TRAINED)


def random_run(folder: Path, name: str) -> RunFolder:
    """A run with random weights of an architecture; its name says what else it is."""
    # "l1-norm" has a dash of its own.
    arch = max((one for one in TABLE if name.startswith(one)), key=len)
    made = torch.Generator().manual_seed(len(name))
    k = K if "k" in TABLE[arch].steered_by and arch != "jumprelu" else None
    d_out = None if not name.endswith("transcoder") else D if arch == "topk" else D_OUT
    norm: TokenNorm = next((how for how in TOKEN_NORMS if how in name), "none")
    more = {"k": k, "l1": None if k or arch == "jumprelu" else 1.0, "d_out": d_out, "skip": "skip" in name}
    d_sae = 2 * F if "signed" in name else F
    settings = SaeSettings(d_in=D, d_sae=F, token_norm=norm, **more)
    tensors = {}
    for key, tensor in architecture(arch)(settings).state_dict().items():
        noise = torch.randn(tensor.shape, generator=made) / (D**0.5 if tensor.ndim == 2 else 3)
        noise = noise.abs() + 0.2 if key == "threshold" else noise
        # Its library brings an AutoEncoder's rows to length 1 as it loads it.
        noise = noise / noise.norm(dim=1, keepdim=True) if key == "W_dec" else noise
        tensors[key] = noise.numpy().astype(np.float32)
    if "signed" in name:
        both = signed_as_two({key: torch.from_numpy(value) for key, value in tensors.items()})
        tensors = {key: value.numpy() for key, value in both.items()}
    place = {"model": "gpt2", "layer": 1, "site": "resid_post"}
    spec = SaeSpec(**place, arch=arch, d_in=D, d_sae=d_sae, token_norm=norm, **more)
    if d_out:
        spec = SaeSpec(**(spec.__dict__ | {"layer_out": 2, "site_out": "mlp_out"}))
    run = RunFolder(folder / f"run-{name}")
    run.path.mkdir(parents=True)
    run.create(RunRecord(spec=spec, config={"import": {SIGNED: True}} if "signed" in name else {}))
    save_sae(run.sae, SaeWeights(spec, tensors))
    return run


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our exports, and the results of the libraries on them."""
    folder = tmp_path_factory.mktemp("exported")
    x_ND = torch.randn(N, D, generator=torch.Generator().manual_seed(1)) + 0.3
    for name, library in EXPORTED:
        run = RunFolder(folder / "runs" / f"run-{name}")
        if not run.exists():
            random_run(folder / "runs", name)
        (folder / name).mkdir(exist_ok=True)
        export(run, library, folder / name / library)
        torch.save(x_ND, folder / f"{name}.x.pt")
    run_peer("peer_reads.py", folder)
    return folder


@pytest.mark.parametrize(("name", "library"), EXPORTED)
def test_what_we_export_computes_the_same_there(exported: Path, name: str, library: str) -> None:
    sae = from_weights(load_sae(exported / "runs" / f"run-{name}" / "sae.h5"), CPU)
    x_ND, theirs = torch.load(exported / f"{name}.x.pt"), torch.load(exported / f"{name}.{library}.pt")
    assert (theirs["acts"] > 0).any() and not (theirs["acts"] > 0).all()
    acts_NF = signed(dense(sae, x_ND)) if "signed" in name else dense(sae, x_ND)
    torch.testing.assert_close(theirs["acts"], acts_NF, rtol=0, atol=1e-5)
    torch.testing.assert_close(theirs["out"], sae(x_ND), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "library"), EXPORTED)
def test_what_we_export_is_imported_again(exported: Path, name: str, library: str) -> None:
    sae = from_weights(load_sae(exported / "runs" / f"run-{name}" / "sae.h5"), CPU)
    foreign = read(exported / name / library)
    again, x_ND = as_sae(foreign, folded(foreign), CPU), torch.load(exported / f"{name}.x.pt")
    torch.testing.assert_close(dense(again, x_ND), dense(sae, x_ND), rtol=0, atol=1e-5)
    torch.testing.assert_close(again(x_ND), sae(x_ND), rtol=0, atol=1e-5)
