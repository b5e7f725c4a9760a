"""How much room there is, and whether a plan fits into it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.planning import Need, Plan, largest, peak
from store.errors import MonosemError

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True)
class Room:
    """Bytes that can be taken; None where nobody says."""

    disk: int | None
    host: int | None
    device: int | None


def room_for(path: Path, device: torch.device) -> Room:
    """The room at a folder, in this machine's memory, and in that of the device."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
    return Room(free_disk(path), free_memory(), free)


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


def shortages(plan: Plan, room: Room, done: int = 0) -> list[MonosemError]:
    """What does not fit, an error each; `done` bytes of the plan's disk are written already."""
    found = []
    for what, where, needs, free in (
        ("disk", "", plan.disk, room.disk),
        ("memory", "", plan.host, room.host),
        ("memory", " on the device", plan.device, room.device),
    ):
        needed = peak(needs, further=True) - (done if what == "disk" else 0)
        if free is not None and needed > free:
            found.append(
                MonosemError(
                    f"this needs {gigabytes(needed)} of {what}{where}, and there are {gigabytes(free)} free",
                    _advice(needs),
                )
            )
    return found


def check_room(plan: Plan, path: Path, device: torch.device) -> None:
    """Refuse work that would fill the disk or the memory.

    Raises:
        MonosemError: how much is needed, how much there is, and what to change.
    """
    for error in shortages(plan, room_for(path, device), written(path)):
        raise error


def written(path: Path) -> int:
    """Bytes that earlier, interrupted work has left in a run's folder."""
    folders = (path / name for name in ("checkpoints", "activations", "index"))
    return sum(file.stat().st_size for folder in folders if folder.is_dir() for file in folder.rglob("*.h5"))


def _advice(needs: tuple[Need, ...]) -> str:
    return (
        "Most of it: "
        + "; ".join(
            f"{need.what} {gigabytes(need.n_bytes)}" + (f" (lower {need.flags})" if need.flags else "")
            for need in largest(needs)
        )
        + "."
    )


def gigabytes(n_bytes: int) -> str:
    """`3.2 GB`, `45 MB`: with two figures at the least."""
    if n_bytes >= 10**9:
        return f"{n_bytes / 1e9:.1f} GB"
    return f"{n_bytes / 1e6:.0f} MB" if n_bytes >= 10**7 else f"{n_bytes / 1e6:.1f} MB"
