"""Families that no architecture here computes: recognised by their files, so that the refusal names them."""

from __future__ import annotations

from pathlib import Path

from engine.formats.foreign_sae import Foreign
from engine.formats.tensor_file import SUFFIXES, Shape, shapes_of
from store.files.errors import MonosemError

READS = "It reads autoencoders, and transcoders from one place to one other."


class Refused:
    """Recognises temporal autoencoders and crosscoders."""

    name = "refused"

    def recognise(self, path: Path) -> bool:
        """Recognise tensors that only such a family has."""
        return bool(_family(path))

    def read(self, path: Path) -> Foreign:
        """Refuse it by name."""
        raise MonosemError(f"{path} is {_family(path)}, which monosem does not compute", READS)


def _family(path: Path) -> str:
    if path.is_dir():
        return _family(path / "latest_ckpt.safetensors") if (path / "conf.yaml").is_file() else ""
    return family_of(shapes_of(path)) if path.suffix in SUFFIXES else ""


def family_of(shapes: dict[str, Shape]) -> str:
    """Return the family of these tensors, with its article; empty without one."""
    if {"D", "E", "b"} <= set(shapes) and any(name.startswith("attn_layers.") for name in shapes):
        return "a temporal autoencoder, with attention inside"
    if any(len(shape) == 3 and "dec" in name.lower() for name, shape in shapes.items()):
        return "a crosscoder, or crosses layers (its decoder has three dimensions)"
    return ""
