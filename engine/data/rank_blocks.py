"""Blocks of activations whose forwards are shared among processes; each gets all rows, in corpus order.

Shapes: N counted tokens, D width of a row.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch

from engine.data.activations import Meter, ModelBlocks, captured_rows, forward_contexts
from engine.data.contexts import ContextBatch, ContextStream
from engine.model.language_model import LanguageModel
from engine.model.sites import Site
from engine.ranks.exchange import Exchange
from engine.ranks.group import Ranks
from store.files.errors import MonosemError


class SharedBlocks(ModelBlocks):
    """`ModelBlocks` with the same pieces and positions, to the bit: forwards go round the ranks.

    Every rank reads the whole text, so each knows how many rows the others have before they are computed.
    """

    def __init__(
        self,
        lm: LanguageModel,
        sites: Sequence[Site],
        stream: ContextStream,
        contexts_per_block: int,
        meter: Meter,
        ranks: Ranks,
    ) -> None:
        super().__init__(lm, sites, stream, contexts_per_block, meter)
        self._exchange = Exchange(ranks)

    def next_block(self, rows: int) -> Iterator[torch.Tensor]:
        """Run the model over the next contexts until there are `rows` rows, a forward of each rank at a time."""
        given, began = 0, time.perf_counter()
        batches = self.stream.batches(forward_contexts(self.stream.settings.context), self.contexts_per_block)
        while given < rows and (texts := self._round(batches, rows - given)):
            read = time.perf_counter()
            pieces = self._captured(texts)
            self.meter.text_seconds += read - began
            self.meter.model_seconds += time.perf_counter() - read
            self._report(sum(len(text.tokens_BT) for text in texts))
            for piece_ND in pieces:
                wanted_ND = piece_ND[: rows - given]
                given += len(wanted_ND)
                yield wanted_ND
            began = time.perf_counter()
        if not given:
            raise MonosemError(f"{self.stream.corpus.spec} has no further activations", "Use a larger corpus.")

    def _round(self, batches: Iterator[ContextBatch], wanted: int) -> list[ContextBatch]:
        """Return the text of the next forwards, at most one a rank, and none that `wanted` rows do not need.

        The stream then ends up where that of one process does.
        """
        found: list[ContextBatch] = []
        while len(found) < self._exchange.ranks.number and wanted > 0:
            if (batch := next(batches, None)) is None:
                break
            found.append(batch)
            wanted -= int(batch.counted_BT.sum())
        return found

    def _captured(self, texts: Sequence[ContextBatch]) -> list[torch.Tensor]:
        """Return the rows of each forward [N, D]; this rank computes its own."""
        ranks, lm = self._exchange.ranks, self.lm
        if ranks.rank < len(texts):
            own = texts[ranks.rank]
            rows_ND = captured_rows(lm, self.sites, own, own)
        else:
            rows_ND = torch.empty(0, self.d_in, dtype=lm.network.dtype, device=lm.device)
        counts = [int(text.counted_BT.sum()) for text in texts] + [0] * (ranks.number - len(texts))
        return self._exchange.gathered(rows_ND, counts)[: len(texts)]

    def _report(self, contexts: int) -> None:
        if self.meter.report is not None and self.meter.contexts > 0:
            made = min(contexts, self.meter.contexts)
            self.meter.contexts -= made
            self.meter.report(made)
