"""Autoencoders on the Hugging Face hub: `hf:OWNER/NAME`, or `hf:OWNER/NAME/FOLDER/OR/FILE`."""

from __future__ import annotations

from pathlib import Path

from engine.runtime.hub import HubFiles
from engine.runtime.progress import Progress
from store.files.errors import MonosemError

MARK = "hf:"
_WANTED = ("*.json", "*.safetensors", "*.npz", "*.pt", "*.pth", "*.yaml")


def located(source: str, progress: Progress) -> Path:
    """Return where a source is on this disk, fetching it into the hub's cache if it is on the hub.

    Raises:
        MonosemError: the hub cannot be reached or does not have it.
    """
    if not source.startswith(MARK):
        return Path(source).expanduser()
    parts = [part for part in source.removeprefix(MARK).split("/") if part]
    if len(parts) < 2:
        raise MonosemError(f"{source} names no repository", "Write hf:OWNER/NAME or hf:OWNER/NAME/FOLDER.")
    repository, within = "/".join(parts[:2]), "/".join(parts[2:])
    wanted = [f"{within}/{kind}" for kind in _WANTED] + [within] if within else list(_WANTED)
    # In a repository of many, the folder above may say what all of them were trained on.
    wanted += [f"{within.rpartition('/')[0]}/config.json"] if "/" in within else ["config.json"] if within else []
    path = HubFiles(repository, tuple(wanted)).fetch(progress) / within
    if not path.exists():
        raise MonosemError(f"{repository} has no {within}", f"See https://huggingface.co/{repository}/tree/main.")
    return path
