"""Free disk and memory, and whether a plan fits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from engine.resources.estimates import Need, Plan, largest, peak
from engine.runtime.free_memory import free_disk, free_memory, gigabytes
from store.files.errors import MonosemError


@dataclass(frozen=True)
class Room:
    """Free bytes; None where the system does not report them."""

    disk: int | None
    host: int | None
    device: int | None


def room_for(path: Path, device: torch.device) -> Room:
    """Return the free bytes of a folder's disk, the host and the device."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
    return Room(free_disk(path), free_memory(), free)


def shortages(plan: Plan, room: Room, done: int = 0) -> list[MonosemError]:
    """Return an error for each need that does not fit; `done` bytes of the plan's disk are written already."""
    found = []
    for what, where, needs, free, times in (
        ("disk", "", plan.disk, room.disk, 1),
        ("memory", "", plan.host, room.host, plan.ranks),
        ("memory", " on the device", plan.device, room.device, sharing(plan)),
    ):
        needed = times * peak(needs, further=True) - (done if what == "disk" else 0)
        if free is not None and needed > free:
            said = f"this needs {gigabytes(needed)} of {what}{where}, and {gigabytes(free)} are free"
            said += f": {times} processes take {gigabytes(needed // times)} each" if times > 1 else ""
            found.append(MonosemError(said, f"Most of it: {'; '.join(map(_lowered, largest(needs)))}."))
    return found


def sharing(plan: Plan) -> int:
    """Return how many ranks share a GPU."""
    return -(-plan.ranks // max(1, torch.cuda.device_count()))


def check_room(plan: Plan, path: Path, device: torch.device) -> None:
    """Refuse work that would fill the disk or memory.

    Raises:
        MonosemError: how much is needed, how much is free, and what to change.
    """
    for error in shortages(plan, room_for(path, device), written(path)):
        raise error


def written(path: Path) -> int:
    """Return the bytes that interrupted work has left in a run's folder."""
    folders = (path / name for name in ("checkpoints", "activations", "index"))
    return sum(file.stat().st_size for folder in folders if folder.is_dir() for file in folder.rglob("*.h5"))


def _lowered(need: Need) -> str:
    """Return a need's name and size, and the settings that lower it."""
    return f"{need.what} {gigabytes(need.n_bytes)}" + (f" (lower {need.settings})" if need.settings else "")
