"""Devices and dtypes by name, and what provenance records about the machine."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from store.files.errors import MonosemError
from store.run.folder import Provenance

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PACKAGES = ("torch", "transformers", "tokenizers", "h5py", "numpy", "monosem")
"""Packages whose versions a run's provenance records."""


def pick_device(name: str) -> torch.device:
    """Return the device for `auto`, `cpu`, `cuda`, `cuda:1` or `mps`; auto prefers cuda, then mps, then cpu.

    Raises:
        MonosemError: the name is not a device's, or this machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if not re.fullmatch(r"cpu|mps|cuda(:[0-9]+)?", name):
        raise MonosemError(f"no device is called {name!r}", "Use auto, cpu, cuda, cuda:1 or mps.")
    if name == "mps" and not torch.backends.mps.is_available():
        raise MonosemError("mps was asked for, but this machine has no Apple GPU", "Use `device=auto` or cpu.")
    if name.startswith("cuda"):
        _check_cuda(name, int(name.partition(":")[2] or 0))
    return torch.device(name)


def _check_cuda(name: str, number: int) -> None:
    if not torch.cuda.is_available():
        raise MonosemError(f"{name} was asked for, but PyTorch sees no CUDA GPU here", "Use `device=auto` or cpu.")
    count = torch.cuda.device_count()
    if number >= count:
        raise MonosemError(f"{name} was asked for, but the last CUDA GPU here is cuda:{count - 1}")


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the dtype for `auto`, `float32`, `bfloat16` or `float16`; auto is bfloat16 on GPUs with native support.

    Raises:
        MonosemError: the name is not a dtype's.
    """
    if name == "auto":
        native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float32
    if name not in DTYPES:
        raise MonosemError(f"no dtype is called {name!r}", f"Use auto, {', '.join(DTYPES)}.")
    return DTYPES[name]


def hardware(device: torch.device) -> str:
    """Describe the machine in one line: CPU, cores, memory, and the GPU if `device` is one."""
    parts = [_cpu_model(), f"{os.cpu_count() or 1} cores", f"{_memory_bytes() / 2**30:.0f} GiB"]
    if device.type == "cuda":
        parts.append(torch.cuda.get_device_name(device))
    elif device.type != "cpu":
        parts.append(f"{device.type} GPU")
    return ", ".join(parts)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def made_on(device: torch.device) -> Provenance:
    """Return the provenance of work on this machine: versions and hardware; the caller adds what it works with."""
    return Provenance(versions=versions(), hardware=hardware(device))


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def products_in_bfloat16(dtype: str, device: torch.device) -> bool:
    """Return whether training multiplies in bfloat16: when asked to, or with `auto` where that is faster."""
    return dtype == "bfloat16" or (dtype == "auto" and multiplies_bfloat16(device))


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether matrix products in bfloat16 are faster than in float32 on this device."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        capability = torch.cpu.get_capabilities()
        return bool(capability.get("avx512_bf16") or capability.get("amx_bf16") or capability.get("bf16"))
    return False
