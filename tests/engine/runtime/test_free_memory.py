"""Freed memory is kept for the next tensors, unless the user has said otherwise."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from importlib import import_module
from engine.runtime.free_memory import keep_freed_memory
ones = import_module(sys.argv[1]).ones
keep_freed_memory()
for _ in range(20):
    ones(2_000_000, dtype=float)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    ones(2_000_000, dtype=float)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(library: str, **environment: str) -> int:
    """Page faults of 200 arrays of 16 MB, each freed before the next."""
    names = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, library], env=kept | environment, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
@pytest.mark.parametrize("library", ["numpy", pytest.param("torch", marks=pytest.mark.slow)])
def test_freed_memory_is_kept_unless_the_user_decides_otherwise(library: str) -> None:
    """Both take their memory from malloc; torch takes two seconds more to start."""
    kept = page_faults(library)
    as_set = page_faults(library, MALLOC_MMAP_THRESHOLD_="1000000", THP_MEM_ALLOC_ENABLE="0")
    assert kept < 200 < as_set
