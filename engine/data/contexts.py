"""Documents to token contexts: packing, BOS, and which positions count.

Shapes: B contexts of a batch, T positions of a context.

The rules, for every command alike:

- A document is encoded without special tokens; a special token's name inside a text is plain text.
- If the tokenizer has a BOS token it stands at the head of every document and of every context. If it has none but an
  end-of-text token, that closes every document.
- `packed` (the default) lays documents end to end and cuts the stream into contexts of T positions; a document may go
  on in the next context, and attention may look across document borders. `documents` gives every document contexts of
  its own, right-padded; contexts of similar length share a batch.
- The tail of an epoch is padded, so every token of the corpus is seen exactly once an epoch.
- BOS and padding do not count: they are left out of training, index and metrics. Where no BOS exists, the first
  position of each context is left out in its place, because it carries the same outlier (the attention sink).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from engine.corpus.documents import Corpus, Document
from engine.corpus.reading_order import Split, ordered
from store.files.errors import MonosemError
from store.settings.subject import Packing

CHUNK_CHARACTERS = 1 << 18
"""Text encoded at once: enough to keep the tokenizer's threads busy, little enough to redo when a run resumes."""
LOOKED_AHEAD = 1 << 21
"""Tokens kept by a look ahead: 12 bytes each."""


@dataclass(frozen=True)
class Encoding:
    """How text becomes token ids, and which id opens or closes a document."""

    tokenizer: PreTrainedTokenizerBase
    bos_id: int | None
    separator_id: int | None

    @property
    def excluded(self) -> str:
        """What is left out of every count: "bos" or "first"."""
        return "bos" if self.bos_id is not None else "first"

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, whole, no special tokens added or recognised."""
        backend = self._plain_backend()
        if backend is None:
            plain = {"add_special_tokens": False, "split_special_tokens": True}
            return [self.tokenizer.encode(text, **plain) for text in texts]
        return [encoding.ids for encoding in backend.encode_batch_fast(list(texts), add_special_tokens=False)]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """First character, and the one behind the last, of each token that `encode` gives for a text.

        Errors: MonosemError for a tokenizer that is not made with the `tokenizers` library.
        """
        backend = self._plain_backend()
        if backend is None:
            raise MonosemError(
                f"{type(self.tokenizer).__name__} does not say where in a text its tokens stand",
                "Use a model whose folder holds a tokenizer.json.",
            )
        offsets: list[tuple[int, int]] = backend.encode(text, add_special_tokens=False).offsets
        return offsets

    def _plain_backend(self) -> Any:
        """The fast tokenizer, set to neither add, recognise, cut nor pad; None where there is none."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is not None:
            backend.encode_special_tokens = True
            backend.no_truncation()  # tokenizer.json may ask for either
            backend.no_padding()
        return backend

    def frame(self, ids: list[int]) -> list[int]:
        """One document's ids with its BOS, or with its closing token where there is no BOS."""
        if self.bos_id is not None:
            return [self.bos_id, *ids]
        return [*ids, self.separator_id] if self.separator_id is not None else ids

    def counted(self, tokens: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which of a context's tokens count; the last axis of `tokens` runs over positions."""
        counted = np.ones(tokens.shape, bool)
        if self.bos_id is not None:
            counted[tokens == self.bos_id] = False
        else:
            counted[..., 0] = False
        return counted


@dataclass(frozen=True)
class ContextSettings:
    """What stream of contexts to make of a corpus."""

    context: int
    """Positions a context, BOS included."""
    packing: Packing = "packed"
    seed: int = 0
    split: Split = "all"
    epochs: int | None = 1
    """Passes over the corpus; None goes on for ever."""


@dataclass(frozen=True)
class ContextBatch:
    """Consecutive contexts of a stream."""

    first: int
    """Number in the stream of the first context."""
    tokens_BT: NDArray[np.int32]
    mask_BT: NDArray[np.bool_]
    """True where there is a token, False for padding on the right."""
    counted_BT: NDArray[np.bool_]
    document_BT: NDArray[np.int64]
    """Document each token is from; that of the first token for the padding."""

    def head(self, contexts: int) -> ContextBatch:
        """The first contexts of the batch."""
        return replace(
            self,
            tokens_BT=self.tokens_BT[:contexts],
            mask_BT=self.mask_BT[:contexts],
            counted_BT=self.counted_BT[:contexts],
            document_BT=self.document_BT[:contexts],
        )

    def tensors(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Token ids [B, T], and the attention mask [B, T] or None where nothing is padded."""
        tokens_BT = torch.from_numpy(self.tokens_BT).long().to(device)
        mask_BT = None if self.mask_BT.all() else torch.from_numpy(self.mask_BT).to(device)
        return tokens_BT, mask_BT


@dataclass(frozen=True)
class StreamPosition:
    """A place in a stream of contexts, enough to go on from there without encoding what came before."""

    epoch: int = 0
    documents: int = 0
    """Documents of this epoch before the current chunk."""
    contexts: int = 0
    """Contexts of the stream before the current chunk."""
    skip: int = 0
    """Contexts of the current chunk already given out."""
    carry_ids: list[int] = field(default_factory=list)
    carry_documents: list[int] = field(default_factory=list)
    """Tokens left over from before the chunk, too few for a context."""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Context:
    ids: NDArray[np.int32]
    documents: NDArray[np.int64]


class ContextStream:
    """The contexts of a corpus, in an order fixed by the settings. Bounded memory; `position` lets a run resume."""

    def __init__(
        self,
        corpus: Corpus,
        encoding: Encoding,
        settings: ContextSettings,
        position: StreamPosition | None = None,
    ) -> None:
        if settings.context < 2:
            raise MonosemError(f"a context needs at least 2 tokens, not {settings.context}", "Raise `context`.")
        self.corpus = corpus
        self.encoding = encoding
        self.settings = settings
        self.position = position or StreamPosition()
        """The place behind the last context given out."""
        self._contexts: Iterator[_Context] = self._run(self.position)

    def batches(self, size: int, limit: int | None = None) -> Iterator[ContextBatch]:
        """Up to `limit` further contexts, `size` at a time. Stops early where the stream ends."""
        left = limit
        while left is None or left > 0:
            first = self.position.contexts + self.position.skip
            wanted = size if left is None else min(size, left)
            group = list(islice(self._contexts, wanted))
            if group:
                yield self._batch(first, group)
            if len(group) < wanted:
                return
            left = None if left is None else left - len(group)

    def skip(self, count: int) -> int:
        """Pass over `count` contexts; gives how many there were."""
        return sum(1 for _ in islice(self._contexts, count))

    def skip_tokens(self, tokens: int, *, counted: bool = False) -> int:
        """Pass over as many contexts as hold `tokens` tokens, or as many that count; gives how many contexts."""
        seen = contexts = 0
        while seen < tokens and (context := next(self._contexts, None)) is not None:
            seen += int(self.encoding.counted(context.ids).sum()) if counted else len(context.ids)
            contexts += 1
        return contexts

    def look_ahead(self, tokens: int) -> int:
        """How many of the coming contexts hold `tokens` tokens, or all there are. The stream stays where it is.

        Up to LOOKED_AHEAD tokens are kept for when they are asked for; more of them are encoded again.
        """
        here, seen = self.position, 0
        kept: deque[tuple[StreamPosition, _Context]] = deque()
        contexts = 0
        while seen < tokens and (context := next(self._contexts, None)) is not None:
            seen += len(context.ids)
            contexts += 1
            if seen <= LOOKED_AHEAD:
                kept.append((self.position, context))
        self._contexts = chain(self._again(kept), self._contexts) if len(kept) == contexts else self._run(here)
        self.position = here
        return contexts

    def _again(self, kept: deque[tuple[StreamPosition, _Context]]) -> Iterator[_Context]:
        while kept:
            self.position, context = kept.popleft()
            yield context

    def _run(self, start: StreamPosition) -> Iterator[_Context]:
        epoch, position = start.epoch, start
        while self.settings.epochs is None or epoch < self.settings.epochs:
            counts = position.documents > 0
            order = ordered(self.corpus, split=self.settings.split, seed=self.settings.seed, epoch=epoch)
            chunks = _chunks(islice(order, position.documents, None))
            for chunk, is_last in chunks:
                contexts, carry = self._pack(chunk, position, flush=is_last)
                counts = counts or any(self.encoding.counted(context.ids).any() for context in contexts)
                for done, context in enumerate(contexts[position.skip :], position.skip + 1):
                    self.position = replace(position, skip=done)
                    yield context
                position = StreamPosition(
                    epoch, position.documents + len(chunk), position.contexts + len(contexts), 0, *carry
                )
                self.position = position
            if not counts:  # a further epoch would be no better, and who waits for activations would wait for ever
                raise MonosemError(
                    f"{self.corpus.spec} holds no token that counts, once encoded", "Use other text, or another model."
                )
            epoch += 1
            position = StreamPosition(epoch, 0, position.contexts)
            self.position = position

    def _pack(
        self, chunk: list[Document], position: StreamPosition, *, flush: bool
    ) -> tuple[list[_Context], tuple[list[int], list[int]]]:
        encoded = [self.encoding.frame(ids) for ids in self.encoding.encode([d.text for d in chunk])]
        numbers = [document.number for document in chunk]
        if self.settings.packing == "documents":
            return self._separate(encoded, numbers), ([], [])
        ids = np.fromiter(chain(position.carry_ids, *encoded), np.int32)
        documents = np.repeat(np.array(numbers, np.int64), [len(one) for one in encoded])
        carried = np.array(position.carry_documents, np.int64)
        return self._cut(ids, np.concatenate([carried, documents]), flush=flush)

    def _cut(
        self, ids: NDArray[np.int32], documents: NDArray[np.int64], *, flush: bool
    ) -> tuple[list[_Context], tuple[list[int], list[int]]]:
        """Cut a stream into contexts, each opened by BOS where there is one."""
        bos, size = self.encoding.bos_id, self.settings.context
        contexts, at = [], 0
        while at < len(ids):
            head = bos is not None and ids[at] != bos
            take = size - head
            if len(ids) - at < take and not flush:
                break
            piece, owners = ids[at : at + take], documents[at : at + take]
            if head:
                piece = np.concatenate([np.array([bos], np.int32), piece])
                owners = np.concatenate([owners[:1], owners])
            contexts.append(_Context(piece, owners))
            at += take
        return contexts, (ids[at:].tolist(), documents[at:].tolist())

    def _separate(self, encoded: list[list[int]], numbers: list[int]) -> list[_Context]:
        """Contexts of one document each, sorted by length so that a batch pads little."""
        contexts: list[_Context] = []
        for ids, number in zip(encoded, numbers, strict=True):
            array = np.array(ids, np.int32)
            cut, _ = self._cut(array, np.full(len(array), number, np.int64), flush=True)
            contexts += cut
        return sorted(contexts, key=lambda context: len(context.ids))

    def _batch(self, first: int, group: list[_Context]) -> ContextBatch:
        width = max(len(context.ids) for context in group)
        shape = (len(group), width)
        tokens, mask = np.zeros(shape, np.int32), np.zeros(shape, bool)
        document = np.zeros(shape, np.int64)
        for row, context in enumerate(group):
            n = len(context.ids)
            tokens[row, :n], mask[row, :n] = context.ids, True
            document[row] = context.documents[0]
            document[row, :n] = context.documents
        return ContextBatch(first, tokens, mask, mask & self.encoding.counted(tokens), document)


def _chunks(documents: Iterator[Document]) -> Iterator[tuple[list[Document], bool]]:
    """Documents by about CHUNK_CHARACTERS of text, and whether the chunk is the last."""
    chunk: list[Document] = []
    size = 0
    for document in documents:
        if size >= CHUNK_CHARACTERS:
            yield chunk, False
            chunk, size = [], 0
        chunk.append(document)
        size += len(document.text)
    if chunk:
        yield chunk, True
