"""The real model and texts of the end-to-end measurements, which are not in the repository.

Found by STORIES (a Hugging Face folder of a LLaMA), TEXT and HELD_OUT (documents separated by <|endoftext|>), else
where tests/shared_data.py looks. Shapes: C contexts, T positions, N tokens that count, D = d_in.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.shared_data import ROOT

CONTEXT = 256
CONTEXTS_AT_ONCE = 32
LAYER = 2
PLACES = {
    "STORIES": "models/stories260K",
    "TEXT": "text/tinystories_sample_2MB.txt",
    "HELD_OUT": "text/tinystories_val_0.8MB.txt",
}


class Missing(Exception):
    """Something that a part needs is not here; the message says what, and how to name it."""


@dataclass(frozen=True)
class Stories:
    """A model, the text to train on, and other text to judge by."""

    model: Path
    text: Path
    held_out: Path

    @classmethod
    def find(cls, environment: Mapping[str, str] = os.environ) -> Stories:
        """Paths from the environment, else the shared test data.

        Raises:
            Missing: one of them is not there.
        """
        paths = {name: Path(environment.get(name) or ROOT / place) for name, place in PLACES.items()}
        for name, path in paths.items():
            if not path.exists():
                raise Missing(f"{path} is missing; name another by make bench {name}=...")
        return cls(paths["STORIES"], paths["TEXT"], paths["HELD_OUT"])

    def contexts(self, text: Path) -> NDArray[np.int64]:
        """Token ids [C, T]: documents with BOS at their head, laid end to end and cut; the tail is left out."""
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self.model, local_files_only=True)
        documents = [one.strip() for one in text.read_text(encoding="utf-8").split("<|endoftext|>") if one.strip()]
        return contexts_of(tokenizer(documents)["input_ids"])

    def network(self) -> Any:
        """The model, cut off after LAYER: its output is the activations there."""
        from transformers import AutoModelForCausalLM
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        network = AutoModelForCausalLM.from_pretrained(self.model, local_files_only=True).eval().model
        network.layers = network.layers[: LAYER + 1]
        network.norm = torch.nn.Identity()
        return network


def contexts_of(documents: Iterable[Sequence[int]]) -> NDArray[np.int64]:
    """Return the token ids of documents [C, T], laid end to end and cut; the tail is left out."""
    ids = [token for document in documents for token in document]
    return np.array(ids[: len(ids) - len(ids) % CONTEXT], np.int64).reshape(-1, CONTEXT)


@torch.inference_mode()
def forward(network: Any, contexts_CT: NDArray[np.int64]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Token ids [c, T] and the network's output [c, T, D], some contexts at a time."""
    for ids_CT in torch.split(torch.from_numpy(contexts_CT), CONTEXTS_AT_ONCE):
        yield ids_CT, network(ids_CT, use_cache=False).last_hidden_state


def activations(network: Any, contexts_CT: NDArray[np.int64]) -> NDArray[np.float32]:
    """The network's output [N, D], BOS and the first position of each context left out."""
    pieces = []
    for ids_CT, hidden_CTD in forward(network, contexts_CT):
        counted_CT = ids_CT != network.config.bos_token_id
        counted_CT[:, 0] = False
        pieces.append(hidden_CTD[counted_CT])
    return torch.cat(pieces).numpy()
