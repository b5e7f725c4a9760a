"""Tiny random models of many architectures, from transformers' own configuration classes, by a name of ours.

Each has two layers, which differ where real ones do: dense and experts, linear and full attention.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig

from engine.model.language_model import LanguageModel
from tests.engine.tiny_models import D_MLP, D_MODEL, LAYERS, SHAPE, VOCAB, randomised

_SPECIAL: dict[str, Any] = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
_GQA = SHAPE | {"num_key_value_heads": 2}
_GPT: dict[str, Any] = _SPECIAL | {"vocab_size": VOCAB, "n_embd": D_MODEL, "n_layer": LAYERS, "n_head": 4}
_GPT |= {"n_positions": 64, "n_inner": D_MLP}
_EXPERTS: dict[str, Any] = {"num_experts_per_tok": 2, "moe_intermediate_size": 24}
_LATENT: dict[str, Any] = (
    SHAPE
    | {
        "num_key_value_heads": 4,
        "kv_lora_rank": 8,
        "q_lora_rank": 8,
        "qk_rope_head_dim": 4,
        "qk_nope_head_dim": 8,
        "v_head_dim": 8,
        "n_routed_experts": 4,
        "n_group": 1,
        "topk_group": 1,
        "first_k_dense_replace": 1,
    }
    | _EXPERTS
)
_DELTA: dict[str, Any] = {
    "head_dim": 8,
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "layer_types": ["linear_attention", "full_attention"],
}
_STATE: dict[str, Any] = _SPECIAL | {"vocab_size": VOCAB, "hidden_size": D_MODEL, "num_hidden_layers": LAYERS}
_MAMBA: dict[str, Any] = {
    "mamba_d_state": 8,
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_n_groups": 1,
    "mamba_chunk_size": 16,
}
_GEMMA4: dict[str, Any] = _GQA | {
    "head_dim": 8,
    "global_head_dim": 12,
    "num_global_key_value_heads": 1,
    "sliding_window": 16,
    "layer_types": ["sliding_attention", "full_attention"],
    "vocab_size_per_layer_input": VOCAB,
}
ZOO: dict[str, tuple[str, dict[str, Any]]] = {
    "gptj": ("gptj", _GPT | {"rotary_dim": 4}),
    "falcon": ("falcon", SHAPE | {"ffn_hidden_size": D_MLP}),
    "bloom": ("bloom", SHAPE),
    "opt": ("opt", SHAPE | {"ffn_dim": D_MLP, "word_embed_proj_dim": D_MODEL}),
    "granite": ("granite", _GQA | {"residual_multiplier": 0.22, "logits_scaling": 8.0}),
    "olmo2": ("olmo2", _GQA),
    "gemma4": ("gemma4_text", _GEMMA4 | {"hidden_size_per_layer_input": 8}),
    "gemma4_without_further_terms": ("gemma4_text", _GEMMA4 | {"hidden_size_per_layer_input": 0}),
    "gemma3n": ("gemma3n_text", _GQA | {"head_dim": 8, "num_kv_shared_layers": 0, "vocab_size_per_layer_input": VOCAB}),
    "gpt_oss": ("gpt_oss", _GQA | {"head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen3_5": ("qwen3_5_text", _GQA | _DELTA),
    "deepseek_v3": ("deepseek_v3", _LATENT),
    "granitemoehybrid": (
        "granitemoehybrid",
        _GQA
        | _MAMBA
        | {"residual_multiplier": 0.22, "layer_types": ["mamba", "attention"], "shared_intermediate_size": 24}
        | {"num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "mamba": ("mamba", _STATE | {"state_size": 8}),
    "rwkv": ("rwkv", _STATE | {"attention_hidden_size": D_MODEL, "intermediate_size": D_MLP}),
    "jamba": (
        "jamba",
        _GQA
        | {"num_experts": 4, "num_experts_per_tok": 2, "attn_layer_period": 2, "attn_layer_offset": 1}
        | {"mamba_d_state": 8, "mamba_dt_rank": 4, "use_mamba_kernels": False},
    ),
    # The rest are tried by `make test-all`.
    "gpt_neo": (
        "gpt_neo",
        {
            "vocab_size": VOCAB,
            "hidden_size": D_MODEL,
            "num_layers": LAYERS,
            "num_heads": 4,
            "intermediate_size": D_MLP,
            "max_position_embeddings": 64,
            "attention_types": [[["global", "local"], 1]],
        },
    ),
    "codegen": ("codegen", _GPT | {"rotary_dim": 4}),
    "falcon_40b": ("falcon", SHAPE | {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon_serial": ("falcon", SHAPE | {"parallel_attn": False}),
    "mpt": ("mpt", {"vocab_size": VOCAB, "d_model": D_MODEL, "n_layers": LAYERS, "n_heads": 4, "max_seq_len": 64}),
    "opt_350m": ("opt", SHAPE | {"ffn_dim": D_MLP, "word_embed_proj_dim": 16, "do_layer_norm_before": False}),
    "xglm": (
        "xglm",
        _SPECIAL
        | {
            "vocab_size": VOCAB,
            "d_model": D_MODEL,
            "ffn_dim": D_MLP,
            "num_layers": LAYERS,
            "attention_heads": 4,
            "max_position_embeddings": 64,
        },
    ),
    "phi": ("phi", _GQA),
    "phi3": ("phi3", _GQA),
    "phimoe": ("phimoe", _GQA | {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "starcoder2": ("starcoder2", _GQA),
    "stablelm": ("stablelm", _GQA),
    "stablelm_parallel": ("stablelm", _GQA | {"use_parallel_residual": True}),
    "cohere": ("cohere", _GQA),
    "cohere2": ("cohere2", _GQA),
    "smollm3": ("smollm3", _GQA),
    "ministral3": ("ministral3", _GQA | {"head_dim": 8}),
    "glm4": ("glm4", _GQA | {"head_dim": 8}),
    "exaone4": ("exaone4", _GQA),
    "nemotron": ("nemotron", _GQA | {"head_dim": 8}),
    "olmo": ("olmo", _GQA),
    "olmo3": ("olmo3", _GQA | {"sliding_window": 16}),
    "olmoe": ("olmoe", _GQA | {"num_experts": 4, "num_experts_per_tok": 2}),
    "olmo_hybrid": ("olmo_hybrid", _GQA | _DELTA),
    "granitemoe": (
        "granitemoe",
        _GQA | {"residual_multiplier": 0.22, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "deepseek_v2": ("deepseek_v2", _LATENT),
    "minicpm3": ("minicpm3", _LATENT),
    "llama4": (
        "llama4_text",
        _GQA | {"head_dim": 8, "intermediate_size_mlp": D_MLP, "num_local_experts": 4, "num_experts_per_tok": 1},
    ),
    "qwen2_moe": ("qwen2_moe", _GQA | _EXPERTS | {"num_experts": 4, "shared_expert_intermediate_size": 24}),
    "qwen3_next": ("qwen3_next", _GQA | _EXPERTS | _DELTA | {"num_experts": 4, "shared_expert_intermediate_size": 24}),
    "qwen3_5_moe": (
        "qwen3_5_moe_text",
        _GQA | _EXPERTS | _DELTA | {"num_experts": 4, "shared_expert_intermediate_size": 24},
    ),
    "doge": ("doge", _GQA),
    "minimax": ("minimax", _GQA | {"head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "falcon_h1": ("falcon_h1", _GQA | _MAMBA | {"mamba_d_ssm": 64, "head_dim": 8}),
    "nemotron_h": (
        "nemotron_h",
        _GQA
        | {
            "num_hidden_layers": 3,
            "hybrid_override_pattern": "M*-",
            "mamba_num_heads": 8,
            "mamba_head_dim": 8,
            "ssm_state_size": 8,
            "n_groups": 1,
            "head_dim": 8,
            "chunk_size": 16,
        },
    ),
    "bamba": ("bamba", _GQA | _MAMBA | {"attn_layer_indices": [1]}),
    "lfm2": ("lfm2", _GQA | {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False}),
    "recurrent_gemma": (
        "recurrent_gemma",
        _GQA | {"lru_width": D_MODEL, "attention_window_size": 16, "block_types": ["recurrent", "attention"]},
    ),
    "falcon_mamba": ("falcon_mamba", _STATE | {"state_size": 8}),
    "mamba2": ("mamba2", _STATE | {"state_size": 8, "num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 16}),
    "xlstm": ("xlstm", _STATE | {"hidden_size": 64, "qk_dim_factor": 1.0, "num_heads": 4}),
    "deepseek_v4": ("deepseek_v4", _GQA | _EXPERTS | {"head_dim": 8, "n_routed_experts": 4}),
}
"""transformers' model type and the settings of its configuration."""
USUAL = tuple(ZOO)[: tuple(ZOO).index("gpt_neo")]
"""One of each kind; the rest are slow tests."""


def config_of(kind: str) -> PreTrainedConfig:
    """Return the configuration of a model of the zoo."""
    name, settings = ZOO[kind]
    return AutoConfig.for_model(name, **settings)


def zoo_model(kind: str, dtype: torch.dtype = torch.float32, tokenizer: Any = None) -> LanguageModel:
    """Return a model of the zoo whose every parameter is random."""
    network = randomised(AutoModelForCausalLM.from_config(config_of(kind)))
    return LanguageModel(kind, network.to(dtype).eval().requires_grad_(False), tokenizer, torch.device("cpu"))
