"""A language model in two parts: the body, up to the final hidden states, and the head, which makes logits of them.

The logits of a large vocabulary never exist for more rows than are asked for. Both parts are the model's own code: to
apply the head, the model runs with a body that returns the given hidden states, so that what it does besides the last
matrix (softcapping in Gemma 2, scaling in Granite) is done. The rows of a matrix product may round differently with
their number, so logits agree with those of a whole pass to rounding.

Shapes: B contexts, T positions, N rows, D width of the hidden states, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from engine.model.hooks import logits, stopped_at
from engine.model.language_model import LanguageModel

TOLERANCE = 0.02
"""Largest difference from the model's own logits, relative to the largest of them: some steps of bfloat16."""


class Head:
    """Makes hidden states of tokens, and logits of hidden states.

    A model that cannot be divided so keeps its logits as hidden states; `width` is then that of the vocabulary.
    """

    def __init__(self, lm: LanguageModel) -> None:
        """Try both parts on six tokens."""
        self._lm = lm
        self._body: nn.Module | None = lm.load().network.base_model
        tokens_BT = torch.arange(6, device=lm.device).reshape(2, 3) % lm.vocab_size
        whole_NV = logits(lm, tokens_BT).flatten(0, 1).float()
        try:
            if self._body is lm.network:
                raise TypeError("the model is its own body")
            found_NV = self.logits(self.hidden(tokens_BT).flatten(0, 1)).float()
            agrees = found_NV.shape == whole_NV.shape and bool(
                (found_NV - whole_NV).abs().max() <= TOLERANCE * whole_NV.abs().max()
            )
        except Exception:  # any of hundreds of architectures
            agrees = False
        if not agrees:
            self._body = None
        self.width = int(self.hidden(tokens_BT).shape[2])

    def hidden(self, tokens_BT: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        """Return what the head reads [B, T, D], with the hooks that are set now; `mask_BT` as in `capture`."""
        if self._body is None:
            return logits(self._lm, tokens_BT, mask_BT)
        output = stopped_at(self._lm, self._body, tokens_BT, mask_BT)
        found: Tensor = output if isinstance(output, Tensor) else output[0]
        return found.to(self._lm.device)

    @torch.no_grad()
    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Return the logits [N, V] of hidden states, in the model's dtype."""
        if self._body is None:
            return hidden_ND
        tokens_BT = torch.zeros(1, len(hidden_ND), dtype=torch.long, device=self._lm.device)
        output = BodyOutput(last_hidden_state=hidden_ND[None])
        with replaced_forward(self._body, output):
            logits_BTV: Tensor = self._lm.network(input_ids=tokens_BT, use_cache=False).logits
        return logits_BTV[0]


class BodyOutput(dict[str, Any]):
    """The output of a body: hidden states by name or by place, and nothing else."""

    def __getattr__(self, name: str) -> Any:
        return self.get(name)

    def __getitem__(self, key: Any) -> Any:
        return list(self.values())[key] if isinstance(key, int | slice) else super().__getitem__(key)


@contextmanager
def replaced_forward(module: nn.Module, output: Any) -> Iterator[None]:
    """Within the block, the module returns `output` and computes nothing; its hooks still run."""
    own = module.__dict__.get("forward")  # accelerate sets one of its own
    module.forward = lambda *_, **__: output
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own
