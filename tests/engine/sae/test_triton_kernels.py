"""The Triton kernels: interpreted in a Python of their own, compiled for absent GPUs, run on one that is there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from engine.sae.sparse import products as sparse
from engine.sae.sparse.products import TopKEntries
from store.files.errors import MonosemError
from tests.engine.kernel_truth import check, operands, same, trained

ROOT = Path(__file__).parents[3]
INTERPRETED = "tests/engine/interpreted_kernels.py"
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")


def _measured() -> tuple[list[str], dict[str, str]]:
    """Command of a child whose coverage is added to that of this process, if it is measured."""
    coverage = sys.modules.get("coverage")
    current = coverage.Coverage.current() if coverage is not None else None
    if current is None:
        return [], {}
    return ["-m", "coverage", "run", "--parallel-mode"], {
        "COVERAGE_FILE": str(Path(current.config.data_file).resolve())
    }


@needs_triton
def test_the_kernels_interpreted() -> None:
    """All of interpreted_kernels.py; see there why it is not collected here."""
    measured, where = _measured()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, *measured, "-m", "pytest", INTERPRETED, "-p", "no:cacheprovider", "-p", "no:xdist", "-rs"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=inherited | where | {"TRITON_INTERPRET": "1", sparse.KERNELS: "auto"},
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout, done.stdout


def test_the_engine_does_without_triton() -> None:
    """No module of the autoencoders imports it; torch itself may, when it compiles."""
    script = "import sys\nimport engine.sae.registry, engine.training.trainer\nassert 'triton' not in sys.modules\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing known yet of what works here."""
    monkeypatch.delenv(sparse.KERNELS, raising=False)
    sparse._tried.cache_clear()
    return monkeypatch


def faulty(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Kernels that fail when they are first called, as without a C compiler."""

    def fail(*operands: torch.Tensor) -> torch.Tensor:
        raise error

    kernels = ModuleType("engine.sae.sparse.triton_kernels")
    kernels.weighted_rows = fail  # type: ignore[attr-defined]
    monkeypatch.setattr(sparse, "find_spec", lambda name: True)
    monkeypatch.setattr(sparse, "import_module", lambda name: kernels)


class OnGpu:
    """As much of a tensor as the choice looks at."""

    is_cuda = True
    dtype = torch.float32
    requires_grad = False
    device = torch.device("cpu")


def test_kernels_that_fail_are_done_without_and_it_is_said(fresh: pytest.MonkeyPatch) -> None:
    faulty(fresh, RuntimeError("Failed to find C compiler.\nPlease specify via CC"))
    with pytest.warns(UserWarning, match=r"plain PyTorch .* Failed to find C compiler\.$"):
        assert sparse.launchers(OnGpu()) is None  # type: ignore[arg-type]


def test_kernels_that_fail_but_are_insisted_on(fresh: pytest.MonkeyPatch) -> None:
    faulty(fresh, RuntimeError("0 active drivers"))
    fresh.setenv(sparse.KERNELS, "triton")
    with pytest.raises(MonosemError, match="0 active drivers"):
        sparse.weighted_rows(torch.ones(1, 1), torch.ones(1, 1), torch.zeros(1, 1, dtype=torch.int64))


def test_triton_missing_is_silent_unless_insisted_on(
    fresh: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    fresh.setattr(sparse, "find_spec", lambda name: None)
    assert sparse.launchers(OnGpu()) is None  # type: ignore[arg-type]
    assert not recwarn
    fresh.setenv(sparse.KERNELS, "triton")
    with pytest.raises(MonosemError, match="triton is not installed"):
        sparse.launchers(OnGpu())  # type: ignore[arg-type]


def test_the_plain_products_on_request(fresh: pytest.MonkeyPatch) -> None:
    faulty(fresh, AssertionError("not to be called"))
    fresh.setenv(sparse.KERNELS, "torch")
    assert sparse.launchers(OnGpu()) is None  # type: ignore[arg-type]


def test_an_unknown_choice(fresh: pytest.MonkeyPatch) -> None:
    fresh.setenv(sparse.KERNELS, "cuda")
    with pytest.raises(MonosemError, match="MONOSEM_KERNELS is 'cuda'"):
        sparse.launchers(torch.ones(1))


def test_order_by_feature() -> None:
    feature_BK = torch.tensor([[4, 0], [2, 4], [4, 2]])
    entries = TopKEntries(feature_BK, 6, piece=2)
    assert entries.by_feature.entry_E.tolist() == [1, 2, 5, 0, 3, 4]
    assert entries.by_feature.token_E.tolist() == [0, 1, 2, 0, 1, 2]
    assert entries.by_feature.start_G.tolist() == [0, 1, 1, 3, 3, 6, 6]
    assert entries.pieces.first_G.tolist() == [0, 0, 0, 0, 0, 2, 2]  # feature 4 alone has more than 2 entries
    assert entries.pieces.feature_P.tolist() == [4, 4, 6, 6, 6, 6]


@pytest.mark.parametrize("counts", [[3], [4], [5], [3, 3, 3, 3], [5, 5], [1, 9, 0, 4, 13], [0, 0], [2, 2, 2]])
def test_there_are_always_pieces_enough(counts: list[int]) -> None:
    feature_B1 = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))[:, None]
    pieces = TopKEntries(feature_B1, len(counts), piece=2).pieces
    expected = [feature for feature, count in enumerate(counts) for _ in range(-(-count // 2)) if count > 2]
    found = pieces.feature_P.tolist()
    assert found[: len(expected)] == expected
    assert set(found[len(expected) :]) <= {len(counts)}


def _signature(kernel: Any, rows: str, constants: dict[str, int]) -> dict[str, str]:
    """Types of a kernel's arguments: lists of numbers int64, partial sums float32, weights and rows as asked."""
    types = {}
    for name in kernel.arg_names:
        if name in constants:
            types[name] = "constexpr"
        elif name.startswith(("feature_", "entry_", "token_", "start_", "first_")):
            types[name] = "*i64"
        elif name == "part_PD":
            types[name] = "*fp32"
        else:
            types[name] = f"*{rows}" if "_" in name and name[-1].isupper() else "i32"
    return types


@needs_triton
@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="Triton interprets, and does not compile")
@pytest.mark.parametrize(
    ("capability", "rows"),
    [(80, "fp32"), (90, "bf16"), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((80, "bf16"), (90, "fp32")))],
)
def test_the_kernels_compile(capability: int, rows: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter forgives what the compiler does not; the compiler needs no GPU."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    from engine.sae.sparse import triton_kernels

    for name in ("_weighted_rows", "_row_products", "_summed_by_feature", "_joined_pieces"):
        kernel = getattr(triton_kernels, name)
        sizes = {"R": triton_kernels.ROWS, "W": triton_kernels.WIDTH, "LENGTH": 128}
        constants = {key: value for key, value in sizes.items() if key in kernel.arg_names}
        types = _signature(kernel, rows, constants)
        aligned = {(at,): [["tt.divisibility", 16]] for at, kind in enumerate(types.values()) if kind != "constexpr"}
        made = compile(
            ASTSource(kernel, types, constants, aligned),
            target=GPUTarget("cuda", capability, 32),
            options={"num_warps": 2},
        )
        assert made.asm["cubin"]
        assert "ld.global.v4" in made.asm["ptx"] or "ld.global.v2" in made.asm["ptx"]


def on_gpu(test: Callable[..., None]) -> Callable[..., None]:
    """Marks of a test that needs CUDA and Triton."""
    for mark in (pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"), needs_triton):
        test = mark(test)
    return pytest.mark.gpu(test)  # type: ignore[no-any-return]


@on_gpu
@pytest.mark.parametrize("index", [torch.int32, torch.int64])
@pytest.mark.parametrize("weight", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "shape", [(0, 4, 6, 2), (3, 1, 9, 5), (65, 77, 130, 9), (2048, 768, 3072, 32), (512, 4097, 999, 64)]
)
def test_products_on_a_gpu(
    shape: tuple[int, int, int, int], rows: torch.dtype, weight: torch.dtype, index: torch.dtype
) -> None:
    from engine.sae.sparse import triton_kernels

    check(triton_kernels, operands(shape, device="cuda", dtypes=(weight, rows), index=index))


@on_gpu
def test_the_same_bits_every_time_on_a_gpu() -> None:
    from engine.sae.sparse import triton_kernels

    made = operands((4096, 768, 4096, 32), device="cuda")
    sums = [
        triton_kernels.summed_by_feature(each.weight_BK, each.left_BD, TopKEntries(each.feature_BK, 4096))
        for each in (made, made, made.reordered(torch.Generator().manual_seed(1)))
    ]
    assert torch.equal(sums[0], sums[1])
    assert torch.equal(sums[0], sums[2])


@on_gpu
def test_rows_beyond_what_32_bits_count() -> None:
    if torch.cuda.get_device_properties(0).total_memory < 16e9:
        pytest.skip("takes 5 GB of a GPU's memory")
    from engine.sae.sparse import triton_kernels

    d_sae, d_in = 600_000, 4096
    rows_FD = torch.zeros(d_sae, d_in, dtype=torch.bfloat16, device="cuda")
    rows_FD[-1] = 3
    last_BK = torch.full((1, 1), d_sae - 1, device="cuda")
    weight_BK = torch.full((1, 1), 2.0, device="cuda")
    assert bool((triton_kernels.weighted_rows(weight_BK, rows_FD, last_BK) == 6).all())
    assert triton_kernels.row_products(rows_FD[-1:], rows_FD, last_BK).item() == 9 * d_in
    sum_FD = triton_kernels.summed_by_feature(weight_BK, rows_FD[-1:], TopKEntries(last_BK, d_sae))
    assert bool((sum_FD[-1] == 6).all())
    assert not bool(sum_FD[:-1].any())


@on_gpu
@pytest.mark.parametrize("products", ["float32", "bfloat16"])
def test_training_on_a_gpu_is_that_of_the_plain_products(fresh: pytest.MonkeyPatch, products: str) -> None:
    """Weights, gradients and moments after two steps, with dead features; by default it is the kernels that train."""
    assert sparse.launchers(torch.ones(1, device="cuda")) is not None
    ours, plain = (trained(fresh, choice, products, device="cuda") for choice in ("auto", "torch"))
    same(ours, plain, within=1e-5 if products == "float32" else 1e-3)
    again = trained(fresh, "auto", products, device="cuda")
    assert all(torch.equal(tensor, again[name]) for name, tensor in ours.items())
