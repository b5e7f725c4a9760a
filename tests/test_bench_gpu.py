"""The GPU benchmark on a CPU: its figures mean nothing here, but it runs."""

from __future__ import annotations

import pytest
import torch

from engine.sae.sparse import products as sparse
from tests import bench_gpu


def test_all_of_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sparse.KERNELS, "auto")  # which the benchmark changes
    cpu = torch.device("cpu")
    best = bench_gpu.machine(cpu, side=64, copied=2**16)
    size = bench_gpu.Size(d_in=8, d_sae=64, k=4, batch=16)
    parts, steps = bench_gpu.table_of_parts(size, best), bench_gpu.steps(size, best)
    assert len({len(row.split("|")) for row in parts}) == len({len(row.split("|")) for row in steps}) == 1
    assert [row.split("|")[-2].strip() for row in parts[-3:]] == ["0.0e+00"] * 3  # the same products twice
    assert len(steps) == 5


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA device"):
        bench_gpu.main([])
