"""Blocks of a model that a further pass need not run, because it changes nothing before a site."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from engine.model.head import Head, replaced_forward
from engine.model.language_model import LanguageModel
from engine.model.sites import Site
from engine.model.weights import enclosing_block


class SkippedBlocks:
    """The blocks before a site: run and remembered in one pass, skipped in the next over the same tokens.

    Nothing is skipped in a model whose hidden states are then not the same to the bit (one whose later blocks read
    more of the earlier ones than the stream), which is tried on a few tokens.
    """

    def __init__(self, lm: LanguageModel, site: Site, head: Head) -> None:
        self._blocks = _blocks_before(lm, site)
        self._output: Any = None
        tokens_BT = torch.arange(16, device=lm.device).reshape(2, 8) % lm.vocab_size
        if self._blocks and not self._is_exact(head, tokens_BT):
            self._blocks = []

    def __len__(self) -> int:
        return len(self._blocks)

    @contextmanager
    def remembered(self) -> Iterator[None]:
        """Within the block, a pass runs whole, and what the last of the blocks returns is kept."""

        def see(_module: nn.Module, _args: Any, output: Any) -> None:
            self._output = output

        with ExitStack() as hooks:
            if self._blocks:
                hooks.enter_context(self._blocks[-1].register_forward_hook(see))
            yield

    @contextmanager
    def skipped(self) -> Iterator[None]:
        """Within the block, passes over the remembered tokens begin at the site."""
        with ExitStack() as stack:
            for block in self._blocks:
                stack.enter_context(replaced_forward(block, self._output))
            yield

    def _is_exact(self, head: Head, tokens_BT: Tensor) -> bool:
        with self.remembered():
            whole_BTD = head.hidden(tokens_BT)
        try:
            with self.skipped():  # twice: a model may change in place what is remembered
                return all(torch.equal(head.hidden(tokens_BT), whole_BTD) for _ in range(2))
        except Exception:  # any of hundreds of architectures
            return False


def _blocks_before(lm: LanguageModel, site: Site) -> list[nn.Module]:
    """Return the blocks whose outputs do not depend on the site, in order; none for a site outside all blocks."""
    found = enclosing_block(lm.network, site.module, lm.n_layers)
    if found is None:
        return []
    blocks, number = found
    is_output = site.module == f"{blocks}.{number}" and site.side == "output"
    return list(lm.network.get_submodule(blocks).children())[: number + is_output]
