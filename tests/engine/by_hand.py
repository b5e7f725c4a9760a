"""Every family's forward pass written out, calling only the smallest parts of its blocks: the truth for hooks.

Shapes: B contexts, T positions, M = d_model, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from engine.model.language_model import LanguageModel

Place = tuple[str, int]
"""A site's name and its layer."""
Change = Callable[[torch.Tensor], torch.Tensor]


@dataclass
class Walk:
    """A forward pass in progress: what was seen at every site, and where the stream is to be changed."""

    change_at: Place | None = None
    change: Change | None = None
    seen: dict[Place, torch.Tensor] = field(default_factory=dict)

    def at(self, site: str, layer: int, acts: torch.Tensor) -> torch.Tensor:
        """Note a site's tensor and hand on what takes its place."""
        self.seen[site, layer] = acts
        if (site, layer) == self.change_at and self.change is not None:
            return self.change(acts)
        return acts


@torch.no_grad()
def run_by_hand(
    lm: LanguageModel, tokens_BT: torch.Tensor, change_at: Place | None = None, change: Change | None = None
) -> tuple[dict[Place, torch.Tensor], torch.Tensor]:
    """All sites' activations and the logits [B, T, V], with one site's tensor changed on the way if wished."""
    walk = Walk(change_at, change)
    kind = lm.network.config.model_type
    run = {"gpt2": _gpt2, "gpt_neox": _neox}.get(kind, _llama_like)
    return walk.seen, run(lm.network, tokens_BT, walk)


def _causal(tokens_BT: torch.Tensor) -> torch.Tensor:
    length = tokens_BT.shape[1]
    return torch.full((length, length), torch.finfo(torch.float32).min).triu(1)[None, None]


def _positions(tokens_BT: torch.Tensor) -> torch.Tensor:
    return torch.arange(tokens_BT.shape[1])[None]


def _gpt2(network: Any, tokens_BT: torch.Tensor, walk: Walk) -> torch.Tensor:
    body = network.transformer
    x = body.wte(tokens_BT) + body.wpe(_positions(tokens_BT))
    for i, block in enumerate(body.h):
        x = walk.at("resid_pre", i, x)
        attn = walk.at("attn_out", i, block.attn(block.ln_1(x), attention_mask=_causal(tokens_BT))[0])
        x = walk.at("resid_mid", i, x + attn)
        read = walk.at("mlp_in", i, block.ln_2(x))
        act = walk.at("mlp_act", i, block.mlp.act(block.mlp.c_fc(read)))
        x = walk.at("resid_post", i, x + walk.at("mlp_out", i, block.mlp.c_proj(act)))
    return network.lm_head(body.ln_f(x))


def _neox(network: Any, tokens_BT: torch.Tensor, walk: Walk) -> torch.Tensor:
    body = network.gpt_neox
    x = body.embed_in(tokens_BT)
    turn = body.rotary_emb(x, _positions(tokens_BT))
    for i, block in enumerate(body.layers):
        x = walk.at("resid_pre", i, x)
        attn = block.attention(block.input_layernorm(x), attention_mask=_causal(tokens_BT), position_embeddings=turn)[0]
        attn = walk.at("attn_out", i, attn)
        if network.config.use_parallel_residual:
            before_mlp = x
        else:
            before_mlp = walk.at("resid_mid", i, x + attn)
        read = walk.at("mlp_in", i, block.post_attention_layernorm(before_mlp))
        act = block.mlp.act(block.mlp.dense_h_to_4h(read))
        mlp = walk.at("mlp_out", i, block.mlp.dense_4h_to_h(walk.at("mlp_act", i, act)))
        x = walk.at("resid_post", i, x + attn + mlp if network.config.use_parallel_residual else before_mlp + mlp)
    return network.lm_head(body.final_layer_norm(x))


def _llama_like(network: Any, tokens_BT: torch.Tensor, walk: Walk) -> torch.Tensor:
    kind = network.config.model_type
    body = network.model.language_model if kind == "gemma3" else network.model
    x = body.embed_tokens(tokens_BT)
    for i, block in enumerate(body.layers):
        x = walk.at("resid_pre", i, x)
        x = _llama_block(block, x, _rotary(body, x, tokens_BT, i), _causal(tokens_BT), walk, i)
    logits = network.lm_head(body.norm(x))
    cap = getattr(network.config, "final_logit_softcapping", None) if kind == "gemma2" else None
    return logits if cap is None else torch.tanh(logits / cap) * cap


def _rotary(body: Any, x: torch.Tensor, tokens_BT: torch.Tensor, layer: int) -> Any:
    kind = (body.config.layer_types[layer],) if body.config.model_type == "gemma3_text" else ()
    return body.rotary_emb(x, _positions(tokens_BT), *kind)


def _llama_block(block: Any, x: torch.Tensor, turn: Any, mask: torch.Tensor, walk: Walk, i: int) -> torch.Tensor:
    after_norms = hasattr(block, "pre_feedforward_layernorm")
    attn = block.self_attn(
        hidden_states=block.input_layernorm(x), position_embeddings=turn, attention_mask=mask, past_key_values=None
    )[0]
    attn = walk.at("attn_out", i, block.post_attention_layernorm(attn) if after_norms else attn)
    x = walk.at("resid_mid", i, x + attn)
    norm = block.pre_feedforward_layernorm if after_norms else block.post_attention_layernorm
    mlp = _gated_mlp(block.mlp, walk.at("mlp_in", i, norm(x)), walk, i)
    mlp = walk.at("mlp_out", i, block.post_feedforward_layernorm(mlp) if after_norms else mlp)
    return walk.at("resid_post", i, x + mlp)


def _gated_mlp(mlp: nn.Module, x: torch.Tensor, walk: Walk, i: int) -> torch.Tensor:
    if not hasattr(mlp, "down_proj"):
        return mlp(x)  # a mixture of experts has no single hidden layer
    parts: Any = mlp
    return parts.down_proj(walk.at("mlp_act", i, parts.act_fn(parts.gate_proj(x)) * parts.up_proj(x)))
