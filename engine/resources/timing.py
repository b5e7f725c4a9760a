"""Speed of this machine: pieces of the real work, timed for `--dry-run` within a limit that ends a forward pass too.

Shapes: N tokens, B contexts, T positions, D = d_in, O = d_out, F = d_sae, M = d_model, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GPT2LMHeadModel

from engine.data.activations import BlockSource
from engine.data.contexts import ContextBatch
from engine.evaluation.cross_entropy import rows_at_once
from engine.evaluation.size import PER_LOGIT
from engine.indexing.encoder import encode_rows
from engine.jobs.subject import Subject
from engine.jobs.train_settings import trainer_settings
from engine.lm.trainer import LmTrainer, network_config
from engine.model.head import Head
from engine.model.hooks import capture_all
from engine.model.language_model import LanguageModel
from engine.model.sites import Site
from engine.runtime.sizes import LISTED, SAMPLE_ROWS
from engine.sae.base import Sae
from engine.sae.neighbours import neighbours
from engine.training.trainer import SaeTrainer
from store.settings.lm import LmSettings
from store.settings.train import TrainSettings

SECONDS = 2.5
"""Time for each kind of work; at least one piece of it is done."""
MOST = 20
"""Most pieces timed of each kind."""
FIRST_ROWS, ROWS = 64, 2048
"""Rows in the first and the largest piece of encoding."""
CONTEXTS, DOCUMENTS = 8, 100
"""Contexts in the largest forward pass, and documents that they are cut from."""
COMPARED = 1024
"""Features in the timed search for neighbours, whose time grows with their square."""
SORTED = 1 << 20
SORTS = 5
"""Cost of a non-zero after its encoding (both orders, columns, merge, digests), in sorts of a 64-bit key."""
EFFECTS = 1.7
"""Time of logit effects, in times of the product alone (docs/benchmarks.md)."""


class _Piece(NamedTuple):
    size: int
    seconds: float


def seconds_for(
    work: Callable[[int], object], full: int, device: torch.device, *, first: int = 1, limit: float = SECONDS
) -> float:
    """Return the seconds that `work(full)` takes, from pieces whose size doubles as long as `limit` seconds allow.

    The first piece warms up, and counts only if there is time for no other. Beyond the largest piece, time follows the
    straight line through the smallest and the largest, but grows at most in proportion. Work that ended early returns
    the share that was done.
    """
    size, began = min(first, full), time.perf_counter()
    found: list[_Piece] = []
    while True:
        started = time.perf_counter()
        share = work(size)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        took = time.perf_counter() - started
        found.append(_Piece(size, took / share if isinstance(share, float) else took))
        left = limit - (time.perf_counter() - began)
        if took > left or len(found) > MOST:
            break
        if len(found) > 1 and size < full and 2 * took < left:
            size = min(2 * size, full)
    warm = found[1:] or found
    least, most = warm[0].seconds, fmean(piece.seconds for piece in warm if piece.size == size)
    slope = (most - least) / (size - warm[0].size) if size > warm[0].size else most / size
    return most + min(max(slope, 0.0), most / size) * (full - size)


class _TimeUp(BaseException):
    """Ends a forward pass; no `except Exception` in a model can swallow it."""


def weights_until(lm: LanguageModel, site: Site | None = None) -> dict[nn.Module, float]:
    """Return the multiplications per token of each module up to a site, in order of their definition, or of all blocks.

    Of several experts in one tensor those count that a token meets. Attention's own products are left out.
    """
    head = lm.network.get_output_embeddings()
    experts = getattr(lm.text_config, "num_local_experts", None) or getattr(lm.text_config, "num_experts", None) or 1
    met = (getattr(lm.text_config, "num_experts_per_tok", None) or experts) / experts
    found, inside = dict[nn.Module, float](), False
    for name, module in lm.network.named_modules():
        within = site is not None and f"{name}.".startswith(f"{site.module}.")
        inside = inside or within
        if inside and (not within or (site is not None and site.side == "input")):
            break
        if module is not head and not isinstance(module, nn.Embedding):
            own = (one for one in module.parameters(recurse=False) if one.ndim > 1)
            found[module] = sum(one.numel() * (met if one.ndim > 2 else 1.0) for one in own)
    return {module: size for module, size in found.items() if size}


def limited(lm: LanguageModel, site: Site | None, limit: float, work: Callable[[], object]) -> float:
    """Do work that runs the model, as far as a site; return 1, or the share done when `limit` seconds had passed."""
    weights, done, until = weights_until(lm, site), 0.0, time.perf_counter() + limit

    def see(module: nn.Module, _: Any) -> None:
        nonlocal done
        if done and time.perf_counter() > until:
            raise _TimeUp
        done += weights[module]

    hooks = [module.register_forward_pre_hook(see) for module in weights]
    try:
        work()
    except _TimeUp:
        return min(1.0, done / sum(weights.values()))
    finally:
        for hook in hooks:
            hook.remove()
    return 1.0


@dataclass
class ModelSeconds:
    """Seconds per token of a model and its text, and activations to try an autoencoder on."""

    text: float
    """Reading and tokenizing."""
    site: float
    """A forward pass to the last site."""
    blocks: float
    """A forward pass through all blocks; 0, as `head`, where it was not to be timed."""
    head: float
    """Logits and their loss."""
    sample_ND: Tensor


@torch.no_grad()
def model_seconds(
    subject: Subject, sites: Sequence[Site], device: torch.device, *, whole: bool, limit: float = SECONDS
) -> ModelSeconds:
    """Time text and model on a few contexts. Where only the model's sizes are known, time one product instead."""
    lm, text = subject.lm, 0.0
    width, context = sum(site.d_in for site in sites), subject.context
    sample_ND, ids = torch.randn(ROWS, width, device=device), [0]
    if lm.tokenizer is not None:
        began = time.perf_counter()
        documents = list(islice(subject.corpus.documents(), DOCUMENTS))
        ids = [token for one in subject.encoding.documents(documents) for token in one.ids] or ids
        text = (time.perf_counter() - began) / len(ids)
    if not lm.has_weights:
        a_product = _product_seconds(lm.d_model, lm.network.dtype, device, limit)
        near, far = (sum(weights_until(lm, site).values()) * a_product for site in (sites[-1], None))
        head = a_product * lm.vocab_size * (lm.d_model + PER_LOGIT)
        return ModelSeconds(text, near, far, head, sample_ND)
    lm.load([] if whole else [site.module for site in sites])
    tokens_BT = torch.from_numpy(np.resize(np.array(ids), (CONTEXTS, context))).to(device)
    kept = [sample_ND]

    def up_to_site(n: int) -> float:
        def run() -> None:
            found = capture_all(lm, sites, tokens_BT[:n])
            kept[0] = torch.cat([acts_BTD[:, 1:].flatten(0, 1) for acts_BTD in found], dim=1).float()

        return limited(lm, sites[-1], limit, run)

    to_site = seconds_for(up_to_site, CONTEXTS, device, limit=limit) / tokens_BT.numel()
    blocks, head = _blocks_and_head(lm, tokens_BT, limit) if whole else (0.0, 0.0)
    return ModelSeconds(text, to_site, blocks, head, kept[0])


def _blocks_and_head(lm: LanguageModel, tokens_BT: Tensor, limit: float) -> tuple[float, float]:
    """Return the seconds per token of all blocks, and of the head with its loss as an evaluation computes it."""
    head, device = Head(lm), lm.device
    hidden_NM = torch.zeros(1, head.width, dtype=lm.network.dtype, device=device)
    rows, few = rows_at_once(lm)

    def to_end(n: int) -> float:
        def run() -> None:
            nonlocal hidden_NM
            hidden_NM = head.hidden(tokens_BT[:n], None).flatten(0, 1)

        return limited(lm, None, limit, run)

    def loss(n: int) -> None:
        for logits_NV in torch.split(head.logits(_repeated(hidden_NM, n)), few):
            functional.log_softmax(logits_NV, 1, dtype=torch.float32)

    blocks = seconds_for(to_end, CONTEXTS, device, limit=limit) / tokens_BT.numel()
    return blocks, seconds_for(loss, rows, device, first=-(-rows // 4), limit=limit / 2) / rows


def _product_seconds(width: int, dtype: torch.dtype, device: torch.device, limit: float) -> float:
    """Return the seconds of a multiplication and addition in a product of the model's width."""
    x_NM, W_MM = (
        torch.randn(ROWS, width, device=device).to(dtype),
        torch.randn(width, 4 * width, device=device).to(dtype),
    )
    spent = seconds_for(lambda n: x_NM[:n] @ W_MM, ROWS, device, first=FIRST_ROWS, limit=limit)
    return spent / (ROWS * W_MM.numel())


def block_seconds(blocks: BlockSource, rows: int) -> tuple[float, Tensor]:
    """Return the seconds per row of stored activations, read as a block, and some of them [N, D] in float32."""
    began = time.perf_counter()
    pieces = list(blocks.next_block(rows))
    spent, given = time.perf_counter() - began, sum(len(piece) for piece in pieces)
    sample_ND = torch.cat([piece[:SAMPLE_ROWS] for piece in pieces])[:SAMPLE_ROWS]
    return spent / max(given, 1), sample_ND.float()


def step_seconds(
    settings: TrainSettings, sample_ND: Tensor, y_NO: Tensor | None, device: torch.device, limit: float = SECONDS
) -> tuple[float, Sae, Tensor]:
    """Return the seconds of a training step with resolved settings, the autoencoder, and inputs scaled for it [N, D].

    `y_NO` is a transcoder's target.
    """
    wanted = trainer_settings(settings, sample_ND.shape[1], None if y_NO is None else y_NO.shape[1])
    trainer = SaeTrainer(wanted, device)
    trainer.start(sample_ND, y_NO)
    x_BD, y_BO = (None if one is None else _repeated(one, wanted.batch) for one in (sample_ND, y_NO))
    assert x_BD is not None

    def work(n: int) -> None:
        trainer.step(x_BD[:n], None if y_BO is None else y_BO[:n])

    spent = seconds_for(work, wanted.batch, device, first=FIRST_ROWS, limit=limit)
    sae = trainer.sae.requires_grad_(requires_grad=False)
    sae.zero_grad(set_to_none=True)
    return spent, sae, sample_ND[:ROWS].to(device) * trainer.scale


def _repeated(rows_ND: Tensor, n: int) -> Tensor:
    return rows_ND.repeat(-(-n // len(rows_ND)), 1)[:n]


@dataclass
class SaeSeconds:
    """Seconds of an autoencoder outside of its training."""

    forward: float
    """Encoding and decoding, per token."""
    encode: float
    """Encoding in the form that the index takes, per token."""
    entries: float
    """Sorting and writing the index, per token."""
    static: float
    """Logit effects and neighbours, which an index holds of the weights."""


@torch.no_grad()
def sae_seconds(lm: LanguageModel | None, sae: Sae, x_ND: Tensor, limit: float = SECONDS) -> SaeSeconds:
    """Time an autoencoder on inputs at its own scale; without a model there are no logit effects."""
    device, x_ND = x_ND.device, _repeated(x_ND, ROWS)
    counts = [0, 0]

    def encode(n: int) -> None:
        counts[:] = n, len(encode_rows(sae, x_ND[:n], np.ones(n, bool)).feature)

    def each(work: Callable[[int], object]) -> float:
        return seconds_for(work, ROWS, device, first=FIRST_ROWS, limit=limit / 2) / ROWS

    encoding, forward = each(encode), each(lambda n: sae(x_ND[:n]))
    entries = counts[1] / counts[0] * SORTS * _sort_seconds()
    return SaeSeconds(forward, encoding, entries, _static_seconds(lm, sae, limit))


def _static_seconds(lm: LanguageModel | None, sae: Sae, limit: float) -> float:
    W_FD, device = sae.W_dec, sae.W_dec.device
    n, d_sae = min(COMPARED, len(W_FD)), len(W_FD)
    near = seconds_for(lambda some: neighbours(W_FD[:some], LISTED), n, device, first=n, limit=limit / 2)
    spent = near * (d_sae / n) ** 2
    if lm is None:
        return spent
    product = _product_seconds(lm.d_model, torch.float32, device, limit)
    return spent + EFFECTS * product * d_sae * lm.vocab_size * lm.d_model


def lm_seconds(settings: LmSettings, device: torch.device) -> float:
    """Return the seconds per token of a language model's training steps, on random tokens."""
    trainer = LmTrainer(GPT2LMHeadModel(network_config(settings, settings.vocab, 0)), settings, device)
    shape = (settings.batch_contexts, settings.context)
    tokens = np.random.default_rng(0).integers(0, settings.vocab, shape).astype(np.int32)
    whole = np.ones(shape, bool)
    batch = ContextBatch(0, tokens, whole, whole, np.zeros(shape, np.int64), np.zeros(shape, np.uint8))
    spent = seconds_for(lambda n: trainer.step(batch.head(n)), settings.batch_contexts, device)
    return spent / settings.batch_tokens


def _sort_seconds() -> float:
    """Return the seconds per 64-bit key of a sort."""
    keys = np.random.default_rng(0).integers(0, 1 << 62, SORTED, np.int64)
    began = time.perf_counter()
    keys.sort()
    return (time.perf_counter() - began) / SORTED
