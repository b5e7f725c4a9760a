"""Activations in corpus order, from the model or from HDF5 shards, and their shuffling into batches.

Both sources give bit-identical vectors: forward passes always start at multiples of `forward_contexts`, whatever the
caller's batch, because the number of rows of a matrix product may change how each of them rounds.

Activations of several sites are concatenated per token: one forward pass serves all autoencoders trained on any.

Shapes: N counted tokens, D width of a row, B contexts, T positions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from engine.data.contexts import ContextBatch, ContextStream, StreamPosition
from engine.model.hooks import capture_all
from engine.model.language_model import LanguageModel
from engine.model.sites import Site
from engine.runtime.sizes import FORWARD_TOKENS, SHORT_TOKENS
from store.files.errors import MonosemError, WorkFailed
from store.run.shards import ShardReader


@dataclass
class Meter:
    """Measures where the time of making activations goes."""

    contexts: int = 0
    """Contexts still to be reported: those of the first block, which is all that a training waits for."""
    model_seconds: float = 0.0
    text_seconds: float = 0.0
    """Reading, tokenizing and laying out contexts."""
    report: Callable[[int], None] | None = None
    """Called with the number of contexts after each forward pass."""


class Captured(NamedTuple):
    """Activations of the counted positions of a batch of contexts."""

    batch: ContextBatch
    acts_ND: torch.Tensor
    """Rows in corpus order, in the model's dtype on its device."""


def forward_contexts(context: int) -> int:
    """Return how many contexts of `context` tokens one forward pass takes."""
    return max(1, FORWARD_TOKENS // context)


def whole_forwards(contexts: int, context: int) -> int:
    """Round `contexts` down to whole forward passes, but to at least one."""
    size = forward_contexts(context)
    return max(size, contexts - contexts % size)


def captured_batches(
    lm: LanguageModel,
    sites: Sequence[Site],
    stream: ContextStream,
    contexts: int,
    meter: Meter | None = None,
    *,
    whole: bool = True,
) -> Iterator[Captured]:
    """Run the model up to the last of the sites over the next `contexts` contexts of a stream, measured by `meter`.

    The stream advances by whole forward passes, even if `contexts` ends within one: the same context then gives the
    same bits, however many follow. If not `whole`, and nothing is padded, the last pass is no longer than it must be,
    and the stream must not be read further.
    """
    size, meter = forward_contexts(stream.settings.context), meter or Meter()
    began, short = time.perf_counter(), contexts % size
    fewest = (
        size if whole or stream.settings.packing != "packed" else min(size, -(-SHORT_TOKENS // stream.settings.context))
    )
    for batch in stream.batches(size, contexts - short + max(short, fewest) if short else contexts):
        read = time.perf_counter()
        if batch.first % size:
            raise ValueError(f"context {batch.first} is not the first of a forward of {size}")
        wanted = batch.head(contexts)
        contexts -= len(wanted.tokens_BT)
        captured = Captured(wanted, captured_rows(lm, sites, batch, wanted))
        meter.text_seconds += read - began
        meter.model_seconds += time.perf_counter() - read
        if meter.report is not None and meter.contexts > 0:
            made = min(len(wanted.tokens_BT), meter.contexts)
            meter.contexts -= made
            meter.report(made)
        yield captured
        began = time.perf_counter()


def captured_rows(lm: LanguageModel, sites: Sequence[Site], batch: ContextBatch, wanted: ContextBatch) -> torch.Tensor:
    """Run the model over a batch; return the activations of the counted positions of its first, `wanted` contexts.

    Raises:
        WorkFailed: one is NaN or infinite.
    """
    found = capture_all(lm, sites, *batch.tensors(lm.device))
    counted_BT = torch.from_numpy(wanted.counted_BT).to(lm.device)
    rows = [acts_BTD[: len(wanted.tokens_BT)][counted_BT] for acts_BTD in found]
    return finite(rows[0] if len(rows) == 1 else torch.cat(rows, dim=1))


def probed(lm: LanguageModel, site: Site, stream: ContextStream, tokens: int = 1024) -> torch.Tensor:
    """Return a site's activations [N, D], float32, on the counted positions of about `tokens` tokens of a stream."""
    contexts = max(1, tokens // stream.settings.context)
    pieces = [torch.empty(0, site.d_in, device=lm.device)]
    for batch in stream.batches(contexts, contexts):
        counted_BT = torch.from_numpy(batch.counted_BT).to(lm.device)
        pieces.append(capture_all(lm, [site], *batch.tensors(lm.device))[0][counted_BT].float())
    return finite(torch.cat(pieces))


def finite(acts_ND: torch.Tensor) -> torch.Tensor:
    """Return a model's activations.

    Raises:
        WorkFailed: one is NaN or infinite.
    """
    if not acts_ND.sum(dtype=torch.float32).isfinite():
        raise WorkFailed("some of the model's activations are NaN or infinite", "Use `dtype=float32` or bfloat16.")
    return acts_ND


class Columns(NamedTuple):
    """The columns of a row that an autoencoder is trained on."""

    read: slice
    explained: slice | None = None
    """A transcoder's targets; None for an autoencoder."""

    def of(self, rows_ND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return inputs and a transcoder's targets."""
        return rows_ND[:, self.read], None if self.explained is None else rows_ND[:, self.explained]

    def join(self, rows_ND: NDArray[Any]) -> NDArray[Any]:
        """Concatenate both, as in rows of a training on its own."""
        parts = [rows_ND[:, part] for part in self if part is not None]
        return np.ascontiguousarray(np.concatenate(parts, axis=1))

    def spread(self, joined_ND: NDArray[Any], rows_ND: NDArray[Any]) -> None:
        """Write the result of `join` back into whole rows."""
        split = joined_ND.shape[1] if self.explained is None else self.read.stop - self.read.start
        rows_ND[:, self.read] = joined_ND[:, :split]
        if self.explained is not None:
            rows_ND[:, self.explained] = joined_ND[:, split:]


class BlockSource(Protocol):
    """Returns activations block by block; a block is a fixed number of consecutive contexts."""

    @property
    def d_in(self) -> int:
        """Width of the activations."""

    def next_block(self, rows: int) -> Iterable[torch.Tensor]:
        """Return up to `rows` rows of the next block in pieces of [n, D]; a block that was cut is not continued.

        Pieces may be computed lazily; the caller must consume all of them.
        """

    def position(self) -> dict[str, Any]:
        """Return where the next block begins, as JSON values."""

    def seek(self, position: dict[str, Any]) -> None:
        """Continue from the `position` of an earlier run."""


@dataclass
class ModelBlocks:
    """Blocks computed by the model; nothing is stored on disk."""

    lm: LanguageModel
    sites: Sequence[Site]
    stream: ContextStream
    contexts_per_block: int
    """Whole forward passes."""
    meter: Meter = field(default_factory=Meter)

    @property
    def d_in(self) -> int:
        """Total width of all sites."""
        return sum(site.d_in for site in self.sites)

    def next_block(self, rows: int) -> Iterator[torch.Tensor]:
        """Run the model over the next contexts until there are `rows` rows."""
        given = 0
        for captured in captured_batches(self.lm, self.sites, self.stream, self.contexts_per_block, self.meter):
            piece_ND = captured.acts_ND[: rows - given]
            given += len(piece_ND)
            yield piece_ND
            if given == rows:
                break
        if not given:
            raise MonosemError(f"{self.stream.corpus.spec} has no further activations", "Use a larger corpus.")

    def position(self) -> dict[str, Any]:
        """Return the stream's position."""
        return asdict(self.stream.position)

    def seek(self, position: dict[str, Any]) -> None:
        """Restart the stream at `position`."""
        old = self.stream
        self.stream = ContextStream(old.corpus, old.encoding, old.settings, StreamPosition(**position))


class ShardBlocks:
    """Blocks read from shards, in endless repetition."""

    def __init__(self, reader: ShardReader, contexts_per_block: int) -> None:
        self._reader = reader
        self._per_block = contexts_per_block
        self._context = 0

    @property
    def d_in(self) -> int:
        """Width of the stored rows."""
        return self._reader.info.d_in

    def next_block(self, rows: int) -> list[torch.Tensor]:
        """Read the next contexts; the first follows the last."""
        stop = min(self._context + self._per_block, self._reader.n_contexts)
        acts_ND = to_tensor(self._reader.contexts(self._context, stop).acts_ND, self._reader.info.dtype)
        self._context = stop if stop < self._reader.n_contexts else 0
        return [acts_ND[:rows]]

    def position(self) -> dict[str, Any]:
        """Return the next context."""
        return {"context": self._context}

    def seek(self, position: dict[str, Any]) -> None:
        """Continue at a context."""
        self._context = int(position["context"])


def to_tensor(acts_ND: NDArray[Any], dtype: str) -> torch.Tensor:
    """Convert stored rows to a tensor; bfloat16 is stored as uint16 bits, as NumPy lacks it."""
    tensor = torch.from_numpy(acts_ND)
    return tensor.view(torch.bfloat16) if dtype == "bfloat16" else tensor


def to_array(acts_ND: torch.Tensor, dtype: str) -> NDArray[Any]:
    """Convert rows to the array to store (see `to_tensor`)."""
    cast = acts_ND.to(getattr(torch, dtype)).cpu().contiguous()
    return cast.view(torch.uint16).numpy() if dtype == "bfloat16" else cast.numpy()


class BlockShuffle:
    """Batches of activations in random order, reproducible and resumable.

    Returns the source's first `rows` activations, a whole number of batches. Each block is shuffled together with the
    rows left over from the previous one, and returned in batches of a fixed size. Nothing else is carried from block to
    block, so a checkpoint needs only the left-over rows (fewer than a batch), the position where the block began, and
    how many of its batches were used.
    """

    def __init__(
        self, source: BlockSource, batch: int, seed: int, rows: int, device: torch.device | None = None
    ) -> None:
        """`device` is where batches are returned; None for the source's own."""
        if rows % batch:
            raise ValueError(f"{rows} rows are not a whole number of batches of {batch}")
        self._source = source
        self._batch = batch
        self._seed = seed
        self._rows = rows
        self._device = device
        self._taken = 0
        """Rows taken from the source before the current block."""
        self._block = 0
        self._used = 0
        self._begin: dict[str, Any] = source.position()
        self._carry_ND = torch.empty(0, source.d_in)
        self._pool_ND: torch.Tensor | None = None

    @property
    def width(self) -> int:
        """Width of the rows, D."""
        return self._source.d_in

    @property
    def after(self) -> dict[str, Any]:
        """The position of the source after the current block."""
        return self._source.position()

    def next_batch(self) -> torch.Tensor:
        """Return the next batch [batch, D], float32, on the device. Errors: ValueError after the last one."""
        if self._pool_ND is None:
            self._pool_ND = self._fill()
        while (self._used + 1) * self._batch > len(self._pool_ND):
            self._taken += len(self._pool_ND) - len(self._carry_ND)
            self._carry_ND = self._pool_ND[self._used * self._batch :].clone()
            self._pool_ND = None  # free the used block before allocating the next one
            self._block += 1
            self._used = 0
            self._begin = self._source.position()
            self._pool_ND = self._fill()
        start = self._used * self._batch
        self._used += 1
        return self._wanted(self._pool_ND[start : start + self._batch])

    def _fill(self) -> torch.Tensor:
        if self._taken >= self._rows:
            raise ValueError(f"all {self._rows} activations were given out")
        pieces = [self._carry_ND, *self._source.next_block(self._rows - self._taken)]
        total = sum(len(piece) for piece in pieces)
        generator = torch.Generator().manual_seed(_mix(self._seed, self._block))
        order = torch.randperm(total, generator=generator).to(pieces[-1].device)
        # From page-locked memory, batches are copied to the GPU while it computes.
        pinned = self._device is not None and self._device.type == "cuda" and pieces[-1].device.type == "cpu"
        pool_ND = torch.empty(
            total, self._source.d_in, dtype=pieces[-1].dtype, device=pieces[-1].device, pin_memory=pinned
        )
        at = 0
        while pieces:
            piece = pieces.pop(0)
            pool_ND[order[at : at + len(piece)]] = piece.to(pool_ND)
            at += len(piece)
        return pool_ND

    def _wanted(self, rows_ND: torch.Tensor) -> torch.Tensor:
        return rows_ND.to(self._device or rows_ND.device, non_blocking=True).float()

    def peek(self, rows: int) -> torch.Tensor:
        """Return the first rows of the current block [rows, D], float32, without consuming them."""
        if self._pool_ND is None:
            self._pool_ND = self._fill()
        return self._wanted(self._pool_ND[:rows])

    def state(self) -> tuple[dict[str, Any], NDArray[np.float32]]:
        """Return what `restore` needs: JSON values and the left-over rows."""
        values = {"begin": self._begin, "block": self._block, "used": self._used, "taken": self._taken}
        return values, self._carry_ND.float().cpu().numpy()

    def restore(self, values: dict[str, Any], carry_ND: NDArray[np.float32]) -> None:
        """Continue exactly where `state` was taken: recompute the block and skip its used batches."""
        self._source.seek(values["begin"])
        self._begin, self._taken = values["begin"], int(values["taken"])
        self._block, self._used = int(values["block"]), int(values["used"])
        self._carry_ND = torch.from_numpy(np.ascontiguousarray(carry_ND))
        self._pool_ND = None


def _mix(seed: int, block: int) -> int:
    return int(np.random.SeedSequence([seed, block]).generate_state(1, np.uint64)[0] >> np.uint64(1))
