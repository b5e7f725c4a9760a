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
from store.settings.subject import DEVICE_HINT, OLD_AUTO, SPREAD

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PACKAGES = ("torch", "transformers", "tokenizers", "h5py", "numpy", "monosem")
"""Packages whose versions a run's provenance records."""


def pick_device(name: str) -> torch.device:
    """Return the device for `auto`, `cpu`, `cuda`, `cuda:1` or `mps`; auto prefers cuda, then mps, then cpu.

    Of a model that is `spread` over devices it is that of its inputs, as with `auto`.

    Raises:
        MonosemError: the name is not a device's, or this machine has no such device.
    """
    if name in ("auto", SPREAD):
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if not re.fullmatch(r"cpu|mps|cuda(:[0-9]+)?", name):
        raise MonosemError(f"no device is called {name!r}", DEVICE_HINT)
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


def pick_dtype(name: str, device: torch.device, own: torch.dtype = torch.float32) -> torch.dtype:
    """Return the dtype for `auto`, `float32`, `bfloat16` or `float16`; `own` is that of the model's weights.

    `auto` is the model's own where the device multiplies it natively, else float32; a model in float32 is computed in
    bfloat16 by GPUs that multiply it natively.

    Raises:
        MonosemError: the name is not a dtype's.
    """
    if name in ("auto", OLD_AUTO):
        half = own if own.itemsize == 2 and name == "auto" else torch.bfloat16 if device.type == "cuda" else None
        return half if half is not None and multiplies(half, device) else torch.float32
    if name not in DTYPES:
        raise MonosemError(f"no dtype is called {name!r}", f"Use auto, {', '.join(DTYPES)}.")
    return DTYPES[name]


def dtype_remark(name: str, chosen: torch.dtype, own: torch.dtype, device: torch.device) -> str:
    """Return why `auto` chose another dtype than the model's own, or that the one asked for is emulated; else ""."""
    where, type_ = "this processor" if device.type == "cpu" else "this GPU", dtype_name(chosen)
    if chosen.itemsize == 2 and not multiplies(chosen, device) and device.type != "mps":
        return f"{where} does not multiply {type_} natively: float32 may be faster"
    if name != "auto" or chosen == own:
        return ""
    if own.itemsize == 2:
        return f"computing in {type_}: {where} does not multiply the model's {dtype_name(own)} natively"
    return f"computing in {type_}" + f", faster on {where} than the model's {dtype_name(own)}" * (chosen.itemsize == 2)


def dtype_name(dtype: torch.dtype) -> str:
    """Return `bfloat16` for torch.bfloat16."""
    return str(dtype).removeprefix("torch.")


def multiplies(dtype: torch.dtype, device: torch.device) -> bool:
    """Return whether the device multiplies matrices in a 16-bit dtype faster than in float32, without emulation."""
    if device.type == "cuda":
        if dtype == torch.float16:
            return torch.cuda.get_device_capability(device) >= (7, 0)
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and dtype == torch.bfloat16 and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        able = torch.cpu.get_capabilities()
        return any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))  # the last is ARM's
    return device.type == "mps" and dtype == torch.float16


def products_in_bfloat16(dtype: str, device: torch.device) -> bool:
    """Return whether training multiplies in bfloat16: when asked to, or with `auto` where that is faster."""
    return dtype == "bfloat16" or (dtype in ("auto", OLD_AUTO) and multiplies(torch.bfloat16, device))


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
