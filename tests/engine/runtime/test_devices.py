"""Choosing device and precision, and naming the machine."""

from __future__ import annotations

import platform

import numpy as np
import pytest
import torch

from engine.runtime.devices import (
    OLD_AUTO,
    dtype_remark,
    hardware,
    pick_device,
    pick_dtype,
    products_in_bfloat16,
    versions,
)
from store.files.errors import MonosemError


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Two CUDA GPUs that do bfloat16, as far as PyTorch is asked."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    return monkeypatch


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_without_a_gpu(no_gpu: None) -> None:
    assert pick_device("auto") == pick_device("cpu") == torch.device("cpu")
    for name in ("cuda", "cuda:1", "mps"):
        with pytest.raises(MonosemError, match=name):
            pick_device(name)


def test_with_gpus(gpus: pytest.MonkeyPatch) -> None:
    assert pick_device("auto") == torch.device("cuda")
    assert pick_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(MonosemError, match="cuda:2 was asked for, but the last CUDA GPU here is cuda:1"):
        pick_device("cuda:2")


def test_apple(no_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device("auto") == pick_device("mps") == torch.device("mps")


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "mps:0", "CUDA"])
def test_unknown_devices(name: str, gpus: pytest.MonkeyPatch) -> None:
    with pytest.raises(MonosemError, match="no device is called"):
        pick_device(name)


def test_dtypes(gpus: pytest.MonkeyPatch) -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert pick_dtype("auto", cpu) == torch.float32
    assert pick_dtype("auto", cuda) == torch.bfloat16
    assert pick_dtype("float16", cuda) == torch.float16
    assert pick_dtype("bfloat16", cpu) == torch.bfloat16
    gpus.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    assert pick_dtype("auto", cuda) == torch.float32
    assert pick_dtype("auto", cuda, torch.bfloat16) == torch.float32
    with pytest.raises(MonosemError, match="'half'"):
        pick_dtype("half", cpu)


@pytest.mark.parametrize(
    ("able", "native"),
    [
        ({"avx2": True, "avx512_f": True}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"architecture": "aarch64", "bf16": True}, True),
        ({"architecture": "aarch64"}, False),
    ],
    ids=str,
)
def test_bfloat16_only_where_the_processor_multiplies_it(
    able: dict[str, object], native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu, half = torch.device("cpu"), torch.bfloat16
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert pick_dtype("auto", cpu, half) == (half if native else torch.float32)
    assert pick_dtype("auto", cpu, torch.float16) == pick_dtype("auto", cpu) == torch.float32
    assert pick_dtype(OLD_AUTO, cpu, half) == torch.float32
    assert products_in_bfloat16("auto", cpu) == products_in_bfloat16(OLD_AUTO, cpu) == native
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert pick_dtype("auto", cpu, half) == torch.float32


def test_dtypes_of_models_on_gpus(gpus: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda")
    gpus.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert pick_dtype("auto", cuda, torch.float16) == torch.float16
    gpus.setattr(torch.cuda, "get_device_capability", lambda device: (6, 1))
    assert pick_dtype("auto", cuda, torch.float16) == torch.float32
    assert dtype_remark("auto", torch.bfloat16, torch.float32, cuda).endswith(
        "faster on this GPU than the model's float32"
    )
    assert dtype_remark("auto", torch.bfloat16, torch.bfloat16, cuda) == ""


def test_the_machine_in_one_line(gpus: pytest.MonkeyPatch) -> None:
    line = hardware(torch.device("cpu"))
    assert "GiB" in line
    assert "cores" in line
    assert "\n" not in line
    assert hardware(torch.device("cuda", 1)) == f"{line}, GPU 1"


def test_versions() -> None:
    found = versions()
    assert set(found) <= {"python", "torch", "transformers", "tokenizers", "h5py", "numpy", "monosem"}
    assert (found["python"], found["numpy"]) == (platform.python_version(), np.__version__)
