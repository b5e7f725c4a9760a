"""The memory of a model: with it, the next token is read alone.

Attention keeps keys and values, which transformers calls `past_key_values`; Mamba and xLSTM call their running state
`cache_params`, RWKV `state`. A model that is given its memory under another name swallows it and reads each token as if
it were the first; in transformers' RWKV the rows of a batch read each other. So a memory is tried on a few tokens
before the first text: fed in parts, with rows chosen in between as generation does, it must give the logits of one pass
over all of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from engine.model.blocks import few_tokens
from engine.model.language_model import LanguageModel
from engine.runtime.hub import one_line
from store.files.errors import MonosemError

NAMES = ("past_key_values", "cache_params", "state")
"""Arguments of a model that take its memory, and fields of its output that return it."""
NEAR = {torch.float32: 1e-3, torch.float64: 1e-3}
"""Largest difference of logits, as a share of their norm, that counts as rounding; in half precision HALF."""
HALF = 0.1
_TRIED: WeakKeyDictionary[LanguageModel, bool] = WeakKeyDictionary()


class Memory:
    """The memory of rows of equal length."""

    def __init__(self, lm: LanguageModel) -> None:
        """Begin without any tokens.

        Raises:
            MonosemError: the model cannot be read token by token.
        """
        self._lm = lm
        self._held: Any = None
        known = inspect.signature(lm.network.forward).parameters
        name = next((name for name in NAMES if name in known), None)
        kinds = {type(layer) for layer in DynamicCache(config=lm.text_config).layers}
        self.croppable = name == NAMES[0] and kinds <= {DynamicLayer, DynamicSlidingWindowLayer}
        """Whether it consists of keys and values alone, of which the last can be dropped."""
        # Logits of the last position only: those of a long prompt would fill the memory.
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
        if name is None:
            raise _forgetful(lm, "transformers gives it no memory of the tokens before")
        self._name, self._length, self._counts = name, 0, "position_ids" in known
        if not self.croppable and lm not in _TRIED:
            _TRIED[lm] = True
            try:
                _try(lm)
            except MonosemError:
                del _TRIED[lm]
                raise

    def read(self, tokens_RT: Tensor) -> Tensor:
        """Return the logits after the last of these tokens [R, V], which follow those read before."""
        if self._held is None and self._name == NAMES[0]:
            # Layers with a sliding window would drop older positions; here all are kept, so that they can be cropped.
            self._held = DynamicCache() if self.croppable else DynamicCache(config=self._lm.text_config)
        more: dict[str, Any] = {self._name: self._held, **self._last_only}
        if self._counts and not self.croppable:  # some hybrids count from 0 again for every token
            rows, count = tokens_RT.shape
            more["position_ids"] = torch.arange(self._length, self._length + count, device=tokens_RT.device).expand(
                rows, -1
            )
        out = self._lm.network(input_ids=tokens_RT, use_cache=True, **more)
        self._length += tokens_RT.shape[1]
        self._held = getattr(out, self._name, None)
        if self._held is None:
            raise _forgetful(self._lm, "it keeps its memory of the tokens before to itself")
        logits_RV: Tensor = out.logits[:, -1].float()
        return logits_RV

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows in this order; a row may be repeated."""
        # Layers on several devices take indices from the processor.
        at = torch.tensor(rows, device=None if self._lm.placement else self._lm.device)
        if self.croppable:
            self._held.batch_select_indices(at)
        elif isinstance(self._held, Cache):
            self._held.reorder_cache(at)  # its other way leaves running states as they are
        else:
            self._held = _rows_of(self._held, at)

    def crop(self, dropped: int) -> None:
        """Drop the last positions of a croppable memory."""
        self._length -= dropped
        self._held.crop(-dropped)


def _rows_of(held: Any, at: Tensor) -> Any:
    """Return the rows of tensors in lists, dictionaries and objects; the latter are changed."""
    if isinstance(held, Tensor):
        return held.index_select(0, at.to(held.device)) if held.ndim else held
    if isinstance(held, list | tuple):
        return type(held)(_rows_of(one, at) for one in held)
    if isinstance(held, dict):
        return {name: _rows_of(one, at) for name, one in held.items()}
    if hasattr(held, "rnn_state"):
        held.rnn_state = _rows_of(held.rnn_state, at)
    return held


@torch.inference_mode()
def _try(lm: LanguageModel) -> None:
    """Refuse a model whose memory does not give the logits of one pass over all tokens.

    Raises:
        MonosemError: it does not, or the model fails.
    """
    tokens_BT, rows, memory = few_tokens(lm), [1, 0, 1], Memory(lm)
    try:
        whole_RV = lm.network(input_ids=tokens_BT[rows], use_cache=False).logits[:, -1].float()
        memory.read(tokens_BT[:, :2])
        memory.select(rows)
        memory.read(tokens_BT[rows, 2:3])
        found_RV = memory.read(tokens_BT[rows, 3:])
    except MonosemError:
        raise
    except Exception as error:  # any of hundreds of architectures
        raise _forgetful(lm, f"reading token by token fails: {one_line(error)}") from error
    off = float((found_RV - whole_RV).norm() / whole_RV.norm())
    if not off <= NEAR.get(lm.network.dtype, HALF):
        raise _forgetful(lm, f"its logits are then {off:.2g} of their norm off those of one pass")


def _forgetful(lm: LanguageModel, why: str) -> MonosemError:
    return MonosemError(
        f"{lm.name} cannot write text here: {why}",
        "Commands that read whole texts work: train, index, eval, inspect.",
    )
