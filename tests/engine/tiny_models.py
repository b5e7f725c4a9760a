"""One tiny random model of every family, made from its own configuration class; grouped-query attention where real."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
)

from engine.model.language_model import LanguageModel

VOCAB, D_MODEL, D_MLP, LAYERS = 67, 32, 48, 2
SHAPE: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": D_MODEL,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": D_MLP,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_GQA: dict[str, Any] = SHAPE | {"num_key_value_heads": 2}
_WIDE: dict[str, Any] = _GQA | {"head_dim": 12}  # heads need not divide d_model
_EXPERTS: dict[str, Any] = {"num_experts_per_tok": 2}
_VISION = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
FAMILIES: dict[str, PreTrainedConfig] = {
    "gpt2": GPT2Config(
        vocab_size=VOCAB, n_embd=D_MODEL, n_layer=LAYERS, n_head=4, n_inner=D_MLP, n_positions=64, bos_token_id=1
    ),
    "llama": LlamaConfig(**_GQA),
    "mistral": MistralConfig(**_GQA),
    "qwen2": Qwen2Config(**_GQA),
    "qwen3": Qwen3Config(**_WIDE),
    "gemma": GemmaConfig(**_WIDE),
    "gemma2": Gemma2Config(**_WIDE, query_pre_attn_scalar=12, sliding_window=16),
    "gemma3_text": Gemma3TextConfig(**_WIDE, query_pre_attn_scalar=12, sliding_window=16),
    "gemma3": Gemma3Config(
        text_config=_WIDE | {"query_pre_attn_scalar": 12},
        vision_config=_VISION,
        mm_tokens_per_image=4,
        image_token_index=60,
        boi_token_index=61,
        eoi_token_index=62,
    ),
    "gpt_neox": GPTNeoXConfig(**SHAPE, use_parallel_residual=True),
    "gpt_neox_sequential": GPTNeoXConfig(**SHAPE, use_parallel_residual=False),
    "mixtral": MixtralConfig(**_GQA, num_local_experts=4, **_EXPERTS),
    "qwen3_moe": Qwen3MoeConfig(**_WIDE, num_experts=4, moe_intermediate_size=24, mlp_only_layers=[0], **_EXPERTS),
}
"""Configurations by family; qwen3_moe has an ordinary MLP in layer 0 and experts in layer 1."""


def tiny(
    family: str, dtype: torch.dtype = torch.float32, tokenizer: PreTrainedTokenizerFast | None = None
) -> LanguageModel:
    """A model of 2 layers whose every parameter is random, so that no term of a formula is hidden by a 0 or a 1."""
    network = randomised(AutoModelForCausalLM.from_config(FAMILIES[family]))
    return LanguageModel(family, network.to(dtype).eval().requires_grad_(False), tokenizer, torch.device("cpu"))


def randomised(network: PreTrainedModel) -> PreTrainedModel:
    """Draw every parameter anew."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in network.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            # Vectors are biases and norm weights, which keep their starting point; matrices are drawn anew.
            parameter.copy_(parameter + 0.2 * noise if parameter.ndim == 1 else 0.2 * noise)
    return network


def words_tokenizer(**special: str) -> PreTrainedTokenizerFast:
    """A tokenizer of single words; special tokens by role, as in bos_token="<s>"."""
    words = [*special.values(), *(f"w{number}" for number in range(VOCAB - len(special)))]
    vocab = {word: number for number, word in enumerate(words)}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(vocab, unk_token="w0")), **special)


def tokens(batch: int = 2, length: int = 9, seed: int = 0) -> torch.Tensor:
    """Random token ids [B, T], none of them special."""
    return torch.randint(3, 60, (batch, length), generator=torch.Generator().manual_seed(seed))
