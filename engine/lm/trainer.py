"""One language model in training: a step and all of its state.

Shapes: B contexts, T positions, V vocabulary.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel

from engine.data.contexts import ContextBatch
from engine.runtime.devices import products_in_bfloat16
from engine.training.optim import adam_arrays, adam_state, all_finite
from store.settings.lm import LmSettings

BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.1
WARMUP_SHARE = 0.05
FINAL_LR_SHARE = 0.1


def network_config(settings: LmSettings, vocab_size: int, end_of_text: int) -> GPT2Config:
    """Return the network's configuration; `end_of_text` is the id of the token that opens and closes texts."""
    return GPT2Config(
        vocab_size=vocab_size,
        n_positions=settings.context,
        n_embd=settings.d_model,
        n_layer=settings.layers,
        n_head=settings.n_heads,
        n_inner=settings.mlp_width,
        activation_function=settings.activation,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=end_of_text,
        eos_token_id=end_of_text,
    )


class LmTrainer:
    """AdamW with warm-up and cosine decay, as GPT-2-like models are trained everywhere."""

    def __init__(self, network: GPT2LMHeadModel, settings: LmSettings, device: torch.device) -> None:
        self.network = network.to(device).train()
        self.settings = settings
        self.device = device
        self.step_count = 0
        self.bf16 = products_in_bfloat16(settings.dtype, device)
        matrices = [p for p in network.parameters() if p.dim() > 1]
        others = [p for p in network.parameters() if p.dim() <= 1]
        groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=settings.peak_lr, betas=BETAS, fused=True)

    def lr(self) -> float:
        """Learning rate of the next step."""
        warmup = max(1, round(self.settings.steps * WARMUP_SHARE))
        if self.step_count < warmup:
            return self.settings.peak_lr * (self.step_count + 1) / warmup
        done = (self.step_count - warmup) / max(1, self.settings.steps - warmup)
        cosine = 0.5 * (1 + math.cos(math.pi * done))
        return self.settings.peak_lr * (FINAL_LR_SHARE + (1 - FINAL_LR_SHARE) * cosine)

    def step(self, batch: ContextBatch) -> Tensor:
        """Take an optimizer step; return the mean loss in nats per token."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            loss = next_token_loss(self.network, batch, self.device).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr()
        self.optimizer.step()
        self.step_count += 1
        return loss.detach()

    def is_sound(self) -> bool:
        """Return whether every weight is finite."""
        return all_finite(self.network)

    def state(self) -> dict[str, NDArray[Any]]:
        """Weights and optimizer moments by name."""
        arrays: dict[str, NDArray[Any]] = {}
        for name, parameter in self.network.named_parameters():
            arrays[f"network.{name}"] = parameter.detach().cpu().numpy()
            arrays |= adam_arrays(name, self.optimizer.state[parameter])
        return arrays

    @torch.no_grad()
    def restore(self, step: int, arrays: dict[str, NDArray[Any]]) -> None:
        """Go on exactly where `state` was taken."""
        self.step_count = step
        for name, parameter in self.network.named_parameters():
            parameter.copy_(torch.from_numpy(arrays[f"network.{name}"]))
            self.optimizer.state[parameter] = adam_state(name, parameter, arrays)


def next_token_loss(network: GPT2LMHeadModel, batch: ContextBatch, device: torch.device) -> Tensor:
    """-log p in nats of every real next token of a batch: [n]."""
    tokens_BT, mask_BT = batch.tensors(device)
    logits_BTV = network(tokens_BT, attention_mask=mask_BT, use_cache=False).logits[:, :-1]
    loss = functional.cross_entropy(logits_BTV.flatten(0, 1).float(), tokens_BT[:, 1:].flatten(), reduction="none")
    return loss if mask_BT is None else loss[mask_BT[:, 1:].flatten()]
