"""stories260K and the contexts on which dictionaries of it are measured: documents laid end to end, each after a BOS.

Shapes: C contexts, T positions.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from engine.data.contexts import ContextBatch
from engine.model.language_model import LanguageModel, load_model
from tests.shared_data import shared_path

CONTEXT, LAST = 256, 100
"""Tokens of a context, and contexts to measure on: the last ones."""


def stories_lm() -> LanguageModel:
    """The model; the test is skipped without it."""
    return load_model(str(shared_path("models/stories260K")), device=torch.device("cpu"), dtype=torch.float32)


def stories_tokens(lm: LanguageModel) -> NDArray[np.int32]:
    """The sample's contexts [C, T]."""
    text = shared_path("text/tinystories_sample_2MB.txt").read_text(encoding="utf-8")
    assert lm.tokenizer is not None and lm.bos_id is not None
    ids: list[int] = []
    for document in text.split("<|endoftext|>"):
        ids += [lm.bos_id, *lm.tokenizer.encode(document.strip(), add_special_tokens=False)]
    count = len(ids) // CONTEXT
    return np.array(ids[: count * CONTEXT], np.int32).reshape(count, CONTEXT)


def last_contexts(tokens_CT: NDArray[np.int32], number: int = LAST) -> ContextBatch:
    """The last contexts, without the first position of each."""
    tokens_BT = tokens_CT[-number:]
    counted_BT = np.ones(tokens_BT.shape, bool)
    counted_BT[:, 0] = False
    plain = np.zeros(tokens_BT.shape, np.int64), np.zeros(tokens_BT.shape, np.uint8)
    return ContextBatch(0, tokens_BT, np.ones_like(counted_BT), counted_BT, *plain)
