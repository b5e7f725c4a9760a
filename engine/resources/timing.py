"""Speed of this machine: a few real forward passes and training steps, timed for `--dry-run`.

Shapes: N tokens, D = d_in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from transformers import GPT2LMHeadModel

from engine.data.activations import BlockSource, captured_batches, forward_contexts
from engine.data.contexts import ContextBatch
from engine.indexing.encoder import encode_rows
from engine.indexing.index_run import token_rows
from engine.jobs.subject import Subject
from engine.jobs.train_settings import trainer_settings
from engine.lm.trainer import LmTrainer, network_config
from engine.model.hooks import logits
from engine.runtime.sizes import SAMPLE_ROWS
from engine.sae.base import Sae
from engine.training.trainer import SaeTrainer
from store.index.segment import SegmentBuilder
from store.settings.lm import LmSettings
from store.settings.train import TrainSettings

SECONDS = 2.0
"""Approximate time spent on each kind of work; at least one pass of it."""
MOST = 20
"""Most passes timed of each kind."""
PROBED_ROWS = 8192
SORTED = 1 << 20
SORTS = 5
"""Cost of a non-zero after its encoding (both orders, columns, merge, digests), in sorts of a 64-bit key."""


def rate(work: Callable[[], int], device: torch.device) -> float:
    """Return units per second of `work`, which does some and returns how many; its first call is not counted."""
    work()
    _settled(device)
    done, began = 0, time.perf_counter()
    for _ in range(MOST):
        done += work()
        _settled(device)
        if time.perf_counter() - began >= SECONDS:
            break
    return done / max(time.perf_counter() - began, 1e-9)


def source_rate(blocks: BlockSource, device: torch.device) -> tuple[float, torch.Tensor]:
    """Return the rows per second of a source, and some of them [N, D] in float32."""
    kept: list[torch.Tensor] = []

    def work() -> int:
        pieces = list(blocks.next_block(PROBED_ROWS))
        if sum(len(piece) for piece in kept) < SAMPLE_ROWS:
            kept.extend(piece.float() for piece in pieces)
        return sum(len(piece) for piece in pieces)

    return rate(work, device), torch.cat(kept)


def step_rate(
    settings: TrainSettings, sample_ND: torch.Tensor, y_NO: torch.Tensor | None, device: torch.device
) -> float:
    """Return tokens per second of training steps with resolved settings; `y_NO` is a transcoder's target."""
    wanted = trainer_settings(settings, sample_ND.shape[1], None if y_NO is None else y_NO.shape[1])
    trainer = SaeTrainer(wanted, device)
    trainer.start(sample_ND, y_NO)
    rows = [
        None if one is None else one.repeat(-(-wanted.batch // len(one)), 1)[: wanted.batch]
        for one in (sample_ND, y_NO)
    ]
    x_BD, y_BO = rows
    assert x_BD is not None

    def work() -> int:
        trainer.step(x_BD, y_BO)
        return wanted.batch

    return rate(work, device)


@torch.no_grad()
def evaluation_rate(subject: Subject, sae: Sae) -> float:
    """Return tokens per second of an evaluation: to the site, reconstruction, four passes of the whole model."""
    site, stream = subject.site(), subject.stream("train", epochs=None)
    contexts = forward_contexts(subject.context)

    def work() -> int:
        done = 0
        for captured in captured_batches(subject.lm, [site], stream, contexts):
            sae(captured.acts_ND.float())
            tokens_BT, mask_BT = captured.batch.tensors(subject.lm.device)
            for _ in range(4):
                logits(subject.lm, tokens_BT, mask_BT).float().log_softmax(-1)
            sae(captured.acts_ND.float())
            done += tokens_BT.numel()
        return done

    return rate(work, subject.lm.device)


class IndexRate(NamedTuple):
    """Speed of indexing."""

    tokens: float
    """Tokens per second from text to sparse rows."""
    active: float
    """Active features per token."""
    entries: float
    """Entries sorted and written per second."""

    def seconds(self, tokens: int) -> float:
        """Return the time for `tokens` tokens."""
        return tokens / self.tokens + tokens * self.active / self.entries


@torch.no_grad()
def index_rate(subject: Subject, sae: Sae) -> IndexRate:
    """Return how fast this model and autoencoder fill an index."""
    site, stream = subject.site(), subject.stream("all", epochs=None)
    contexts, counts = forward_contexts(subject.context), [0, 0]

    def work() -> int:
        builder, done = SegmentBuilder(sae.settings.d_sae), 0
        for captured in captured_batches(subject.lm, [site], stream, contexts):
            rows = token_rows(captured.batch)
            active = encode_rows(sae, captured.acts_ND, rows.counted_N)
            builder.add(rows, active)
            counts[0] += len(active.feature)
            counts[1] += len(rows.token_N)
            done += len(rows.token_N)
        return done

    return IndexRate(rate(work, subject.lm.device), counts[0] / max(counts[1], 1), _sort_rate() / SORTS)


def lm_rate(settings: LmSettings, device: torch.device) -> float:
    """Return tokens per second of a language model's training steps, on random tokens."""
    network = GPT2LMHeadModel(network_config(settings, settings.vocab, 0))
    trainer = LmTrainer(network, settings, device)
    shape = (settings.batch_contexts, settings.context)
    tokens = np.random.default_rng(0).integers(0, settings.vocab, shape).astype(np.int32)
    whole = np.ones(shape, bool)
    batch = ContextBatch(0, tokens, whole, whole, np.zeros(shape, np.int64), np.zeros(shape, np.uint8))

    def work() -> int:
        trainer.step(batch)
        return settings.batch_tokens

    return rate(work, device)


def _sort_rate() -> float:
    """Return 64-bit keys sorted per second."""
    keys = np.random.default_rng(0).integers(0, 1 << 62, SORTED, np.int64)
    began = time.perf_counter()
    keys.sort()
    return SORTED / (time.perf_counter() - began)


def _settled(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
