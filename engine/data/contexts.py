"""Token contexts from documents: packing, BOS, and which positions count.

Shapes: B contexts of a batch, T positions of a context.

The same rules hold for every command:

- Documents are encoded without special tokens; the name of a special token inside a text is plain text.
- A conversation is put into the model's chat template, whose special tokens are recognised; nothing is added to it.
  Documents that are token ids already stay as they are.
- If the tokenizer has a BOS token, it begins every document and every context. Otherwise an end-of-text token, if
  there is one, ends every document.
- `packed` (the default) concatenates documents and cuts the stream into contexts of T positions; a document may
  continue in the next context, and attention may cross document borders. `documents` gives every document contexts of
  its own, right-padded; contexts of similar length share a batch.
- The end of an epoch is padded, so that every token of the corpus is seen exactly once per epoch.
- BOS and padding do not count: training, index and metrics leave them out. Without BOS the first position of each
  context is left out instead, because it carries the same outlier (the attention sink).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from engine.corpus.documents import Corpus, Document
from engine.corpus.reading_order import Split, ordered
from engine.data.text_encoder import EncodedDocument, Encoding
from store.files.errors import MonosemError
from store.index.text_spans import TokenSpans
from store.settings.subject import HeldOut, Packing

CHUNK_CHARACTERS = 1 << 18
"""Characters encoded at once: enough to keep the tokenizer's threads busy, few enough to repeat on resuming."""
LOOKED_AHEAD = 1 << 21
"""Most tokens kept by `look_ahead`, 21 bytes each."""


@dataclass(frozen=True)
class ContextSettings:
    """Settings by which a corpus becomes contexts."""

    context: int
    """Positions per context, including BOS."""
    packing: Packing = "packed"
    seed: int = 0
    split: Split = "all"
    epochs: int | None = 1
    """Passes over the corpus; None for endless."""
    held_out: HeldOut = "texts"
    """The rule by which text is held out."""
    located: bool = False
    """Whether contexts say what their tokens cover of the original text, where the tokenizer tells."""


@dataclass(frozen=True)
class ContextBatch:
    """Consecutive contexts of a stream."""

    first: int
    """Index of the first context in the stream."""
    tokens_BT: NDArray[np.int32]
    mask_BT: NDArray[np.bool_]
    """True for tokens, False for padding on the right."""
    counted_BT: NDArray[np.bool_]
    document_BT: NDArray[np.int64]
    """The document of each token; for padding that of the first token."""
    role_BT: NDArray[np.uint8]
    """The role of each token's turn (store.settings.roles); 0 for tokens of no turn, and padding."""
    spans_B: tuple[TokenSpans, ...] = ()
    """The spans of the original text of each context's tokens, without padding; empty unless asked for."""

    def head(self, contexts: int) -> ContextBatch:
        """Return the first contexts of the batch."""
        return replace(
            self,
            tokens_BT=self.tokens_BT[:contexts],
            mask_BT=self.mask_BT[:contexts],
            counted_BT=self.counted_BT[:contexts],
            document_BT=self.document_BT[:contexts],
            role_BT=self.role_BT[:contexts],
            spans_B=self.spans_B[:contexts],
        )

    def tensors(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return token ids [B, T] and the attention mask [B, T], or None if nothing is padded."""
        tokens_BT = torch.from_numpy(self.tokens_BT).long().to(device)
        mask_BT = None if self.mask_BT.all() else torch.from_numpy(self.mask_BT).to(device)
        return tokens_BT, mask_BT


@dataclass(frozen=True)
class StreamPosition:
    """A position in a stream of contexts, from which it continues without encoding what came before."""

    epoch: int = 0
    documents: int = 0
    """Documents of this epoch before the current chunk."""
    contexts: int = 0
    """Contexts of the stream before the current chunk."""
    skip: int = 0
    """Contexts of the current chunk already returned."""
    carry_ids: list[int] = field(default_factory=list)
    carry_documents: list[int] = field(default_factory=list)
    """Documents of `carry_ids`: tokens before the chunk that were too few for a context."""
    carry_roles: list[int] = field(default_factory=list)
    """Roles of `carry_ids`; empty if they have none."""
    carry_spans: Any = None
    """The `TokenSpans` of `carry_ids`, in an index, which keeps no position; else None."""


class EncodedContext(NamedTuple):
    """A context's token ids, the number of each token's document, and the role of its turn."""

    ids: NDArray[np.int32]
    documents: NDArray[np.int64]
    roles: NDArray[np.uint8]
    """See store.settings.roles; 0 for tokens of no turn."""
    spans: TokenSpans | None = None
    """The span of the original text of each token; None unless asked for."""


Carry: TypeAlias = tuple[list[int], list[int], list[int], TokenSpans | None]
"""Tokens too few for a context: the `carry_` fields of a position."""


class ContextStream:
    """The contexts of a corpus, in an order fixed by the settings, in bounded memory, resumable from `position`."""

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
        """The position after the last context returned."""
        self.duplicates = 0
        """Held-out documents left out of this epoch so far because the training split has them too."""
        self._contexts: Iterator[EncodedContext] = self._run(self.position)

    def batches(self, size: int, limit: int | None = None) -> Iterator[ContextBatch]:
        """Yield up to `limit` further contexts, `size` at a time, as far as the stream goes."""
        left = limit
        while left is None or left > 0:
            first = self.position.contexts + self.position.skip
            wanted = size if left is None else min(size, left)
            group = list(islice(self._contexts, wanted))
            if group:
                yield padded(self.encoding, group, first)
            if len(group) < wanted:
                return
            left = None if left is None else left - len(group)

    def skip(self, count: int) -> int:
        """Skip up to `count` contexts, and return how many there were."""
        return sum(1 for _ in islice(self._contexts, count))

    def pass_over(self, count: int) -> int:
        """Skip up to `count` contexts, and return how many tokens they hold."""
        return sum(len(context.ids) for context in islice(self._contexts, count))

    def skip_tokens(self, tokens: int, *, counted: bool = False) -> int:
        """Skip as many contexts as hold `tokens` tokens (or counted tokens), and return the number of contexts."""
        seen = contexts = 0
        while seen < tokens and (context := next(self._contexts, None)) is not None:
            seen += int(self.encoding.counted(context.ids).sum()) if counted else len(context.ids)
            contexts += 1
        return contexts

    def look_ahead(self, tokens: int, keep: int = LOOKED_AHEAD) -> int:
        """Return how many of the next contexts hold `tokens` tokens, or all that are left, without advancing.

        Up to `keep` tokens are kept for the following calls; beyond that, contexts are encoded again.
        """
        here, seen = self.position, 0
        kept: deque[tuple[StreamPosition, EncodedContext]] = deque()
        contexts = 0
        while seen < tokens and (context := next(self._contexts, None)) is not None:
            seen += len(context.ids)
            contexts += 1
            if seen <= keep:
                kept.append((self.position, context))
        self._contexts = chain(self._again(kept), self._contexts) if len(kept) == contexts else self._run(here)
        self.position = here
        return contexts

    def _again(self, kept: deque[tuple[StreamPosition, EncodedContext]]) -> Iterator[EncodedContext]:
        while kept:
            self.position, context = kept.popleft()
            yield context

    def _run(self, start: StreamPosition) -> Iterator[EncodedContext]:
        epoch, position = start.epoch, start
        while self.settings.epochs is None or epoch < self.settings.epochs:
            counts = position.documents > 0
            s, self.duplicates = self.settings, 0
            order = ordered(
                self.corpus, split=s.split, seed=s.seed, epoch=epoch, rule=s.held_out, left_out=self._leave_out
            )
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
            if not counts:  # further epochs would not be better: the caller would wait forever
                raise MonosemError(
                    f"{self.corpus.spec} has no token that counts once encoded", "Use other text, or another model."
                )
            epoch += 1
            position = StreamPosition(epoch, 0, position.contexts)
            self.position = position

    def _leave_out(self, _document: Document) -> None:
        self.duplicates += 1

    def _pack(
        self, chunk: list[Document], position: StreamPosition, *, flush: bool
    ) -> tuple[list[EncodedContext], Carry]:
        encoded = self.encoding.documents(chunk, located=self.settings.located)
        if self.settings.packing == "documents":
            return self._separate(encoded), ([], [], [], None)
        carried = np.array(position.carry_ids, np.int32)
        parts = [
            EncodedContext(
                carried,
                np.array(position.carry_documents, np.int64),
                np.array(position.carry_roles or np.zeros(len(carried)), np.uint8),
                position.carry_spans or TokenSpans.nothing(len(carried)),
            ),
            *map(whole_document, encoded),
        ]
        *columns, spans = zip(*parts, strict=True)
        ids, documents, roles = (np.concatenate(each) for each in columns)
        known = None if any(one is None for one in spans) else TokenSpans.joined(spans)
        stream = EncodedContext(ids, documents, roles, known)
        return cut_contexts(stream, self.settings.context, self.encoding.bos_id, flush=flush)

    def _separate(self, encoded: list[EncodedDocument]) -> list[EncodedContext]:
        """Return contexts of one document each, sorted by length so that batches need little padding."""
        size, bos = self.settings.context, self.encoding.bos_id
        contexts = [context for one in encoded for context in cut_contexts(whole_document(one), size, bos)[0]]
        return sorted(contexts, key=lambda context: len(context.ids))


def cut_contexts(
    stream: EncodedContext, size: int, bos: int | None, *, flush: bool = True
) -> tuple[list[EncodedContext], Carry]:
    """Cut a stream into contexts, each beginning with BOS if there is one; return them and the rest."""
    ids, documents, roles, spans = stream
    contexts, at = [], 0
    while at < len(ids):
        head = bos is not None and ids[at] != bos
        take = size - head
        if len(ids) - at < take and not flush:
            break
        piece, owners = ids[at : at + take], documents[at : at + take]
        of_turns = roles[at : at + take]
        if head:
            piece = np.concatenate([np.array([bos], np.int32), piece])
            owners = np.concatenate([owners[:1], owners])
            of_turns = np.concatenate([np.zeros(1, np.uint8), of_turns])
        covered = None if spans is None else spans.part(at, at + take, documents, head=head)
        contexts.append(EncodedContext(piece, owners, of_turns, covered))
        at += take
    rest = roles[at:].tolist() if roles[at:].any() else []
    left = None if spans is None else spans.part(at, len(ids), documents, head=False)
    return contexts, (ids[at:].tolist(), documents[at:].tolist(), rest, left)


def whole_document(encoded: EncodedDocument) -> EncodedContext:
    """Return a document as one long context."""
    ids = np.array(encoded.ids, np.int32)
    roles = np.zeros(len(ids), np.uint8) if encoded.role_N is None else encoded.role_N
    return EncodedContext(ids, np.full(len(ids), encoded.number, np.int64), roles, encoded.spans)


def padded(encoding: Encoding, contexts: Sequence[EncodedContext], first: int = 0) -> ContextBatch:
    """Lay contexts, the first of which has number `first`, side by side, padded on the right."""
    shape = (len(contexts), max(len(context.ids) for context in contexts))
    tokens, mask = np.zeros(shape, np.int32), np.zeros(shape, bool)
    document, role = np.zeros(shape, np.int64), np.zeros(shape, np.uint8)
    for row, context in enumerate(contexts):
        n = len(context.ids)
        tokens[row, :n], mask[row, :n] = context.ids, True
        document[row] = context.documents[0]
        document[row, :n] = context.documents
        role[row, :n] = context.roles
    spans = tuple(context.spans for context in contexts if context.spans is not None)
    return ContextBatch(first, tokens, mask, mask & encoding.counted(tokens), document, role, spans)


def _chunks(documents: Iterator[Document]) -> Iterator[tuple[list[Document], bool]]:
    """Yield documents in chunks of about CHUNK_CHARACTERS, and whether each chunk is the last."""
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
