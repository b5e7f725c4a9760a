"""The same architecture with weights drawn anew: a baseline for what a model has learnt."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from transformers import PreTrainedModel

from engine.model.language_model import STORED, LanguageModel
from store.files.errors import disk_errors

_SMALL = ("*.json", "*.model", "*.txt", "*.jinja")
"""Files of a model's folder other than weights: those of its tokenizer are among them."""
_OF_WEIGHTS = ("config.json", "generation_config.json", "model.safetensors.index.json")


def reinitialised(lm: LanguageModel, seed: int) -> LanguageModel:
    """Return the same architecture with random weights, drawn as transformers does for training from scratch."""
    network = _drawn(lm, seed).to(lm.device, lm.network.dtype).eval().requires_grad_(False)
    return LanguageModel(f"{lm.name}, random weights", network, lm.tokenizer, lm.device)


def save_reinitialised(lm: LanguageModel, seed: int, folder: Path) -> None:
    """Write a model folder: config.json and tokenizer of `lm`, weights drawn anew in the dtype that its own have.

    Args:
        lm: a model with files, whose weights need not be here.
        seed: of the weights.
        folder: exists, and is empty.

    Raises:
        MonosemError: the disk is full.
    """
    assert lm.origin is not None
    files = lm.origin.files
    with disk_errors(folder):
        _drawn(lm, seed).to(STORED.get(files.dtype, torch.float32)).save_pretrained(folder)
        if files.source:  # a GGUF file has its tokenizer in its header
            lm.read_tokenizer()
            if lm.tokenizer is not None:
                lm.tokenizer.save_pretrained(folder)
            return
        for pattern in _SMALL:
            for path in files.folder.glob(pattern):
                if path.name not in _OF_WEIGHTS and path.is_file():
                    shutil.copyfile(path, folder / path.name)


def _drawn(lm: LanguageModel, seed: int) -> PreTrainedModel:
    """Return a network on the CPU in float32 with all its blocks."""
    whole = lm.whole
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: PreTrainedModel = type(whole)(whole.config)
    return network.float()
