"""How much memory and disk there is, and how much of it this process has."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")


def free_disk(path: Path) -> int | None:
    """Bytes free to this user where `path` is, or is to be."""
    for folder in (path.absolute(), *path.absolute().parents):
        try:
            return shutil.disk_usage(folder).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


def free_memory() -> int | None:
    """MemAvailable, or what the control group's limit leaves, if that is less."""
    found = [size for size in (_available(), _cgroup_room()) if size is not None]
    return min(found) if found else None


def resident() -> int:
    """Bytes of memory that this process has now."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _available() -> int | None:
    try:
        lines = MEMINFO.read_text().splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else None


def _cgroup_room() -> int | None:
    """Limit minus use, of control groups 2 or 1; page cache that can be given back is not counted as used."""
    for limit_name, used_name, stat_name, cache in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
    ):
        try:
            limit, used = (int((CGROUP / name).read_text()) for name in (limit_name, used_name))
            stat = dict(line.split() for line in (CGROUP / stat_name).read_text().splitlines())
        except (OSError, ValueError):  # not there, or "max"
            continue
        return max(0, limit - used + int(stat.get(cache, 0)))
    return None


def gigabytes(n_bytes: int) -> str:
    """`3.2 GB`, `45 MB`: with two figures at the least."""
    if n_bytes >= 10**9:
        return f"{n_bytes / 1e9:.1f} GB"
    return f"{n_bytes / 1e6:.0f} MB" if n_bytes >= 10**7 else f"{n_bytes / 1e6:.1f} MB"
