"""SAEDashboard's feature pages of a TopK SAE: seconds until their JSON is written. Runs in .venv-dashboard.

    python feature_pages.py MODEL TOKENS.npy BOS SAE.npz LAYER K FEATURES CONTEXTS PAGES.json

MODEL is a LLaMA's folder, TOKENS holds ids [contexts, positions], SAE the tensors W_enc [d_in, d_sae], b_enc,
W_dec and b_dec; PAGES is written. Prints one JSON line: seconds from the loaded model and SAE to the last byte of
PAGES, bytes (of PAGES), examples (texts it shows of all features together), and densities (for each feature, the share
of tokens on which it fires; BOS counts as a token on which nothing does).

Settings are SAEDashboard's defaults, but for what it works on at a time: FEATURES features and CONTEXTS contexts.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

import numpy as np
import torch
from sae_dashboard.sae_vis_data import SaeVisConfig, SaeVisData
from sae_dashboard.sae_vis_runner import SaeVisRunner
from sae_lens import TopKSAE, TopKSAEConfig
from transformer_lens import HookedTransformer, HookedTransformerConfig
from transformer_lens.pretrained.weight_conversions import convert_llama_weights
from transformers import LlamaForCausalLM


def lens(folder: str) -> HookedTransformer:
    """The model as TransformerLens runs it, its weights as they are."""
    llama = LlamaForCausalLM.from_pretrained(folder, local_files_only=True)
    given = llama.config
    shared_heads = given.num_key_value_heads != given.num_attention_heads
    config = HookedTransformerConfig(
        d_model=given.hidden_size,
        d_head=given.hidden_size // given.num_attention_heads,
        n_heads=given.num_attention_heads,
        n_key_value_heads=given.num_key_value_heads if shared_heads else None,
        d_mlp=given.intermediate_size,
        n_layers=given.num_hidden_layers,
        n_ctx=given.max_position_embeddings,
        d_vocab=given.vocab_size,
        eps=given.rms_norm_eps,
        act_fn=given.hidden_act,
        normalization_type="RMS",
        positional_embedding_type="rotary",
        rotary_adjacent_pairs=False,
        rotary_dim=given.hidden_size // given.num_attention_heads,
        rotary_base=10_000,
        final_rms=True,
        gated_mlp=True,
        device="cpu",
    )
    model = HookedTransformer(config)
    model.load_state_dict(convert_llama_weights(llama, config), strict=False)
    return model.eval()


def topk(file: str, hook: str, k: int) -> TopKSAE:
    """The SAE with its weights."""
    with np.load(file) as tensors:
        weights = {name: torch.from_numpy(tensors[name]) for name in tensors}
    d_in, d_sae = weights["W_enc"].shape
    sae = TopKSAE(TopKSAEConfig(d_in=d_in, d_sae=d_sae, k=k, rescale_acts_by_decoder_norm=True))
    sae.load_state_dict(weights)
    sae.cfg.metadata.hook_name = hook
    return sae


def densities(pages: SaeVisData) -> list[float]:
    """Titles of the histograms, by feature."""
    titles = [pages.feature_data_dict[i].acts_histogram_data.title for i in sorted(pages.feature_data_dict)]
    found = [re.search(r"([\d.]+)%", title or "") for title in titles]
    return [float(one.group(1)) / 100 if one else 0.0 for one in found]


def main() -> None:
    """Make all pages of the SAE."""
    folder, tokens_file, bos, sae_file, layer, k, features, contexts, target = sys.argv[1:]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    hook = f"blocks.{layer}.hook_resid_post"
    model, sae = lens(folder), topk(sae_file, hook, int(k))
    tokens_CT = torch.from_numpy(np.load(tokens_file))
    config = SaeVisConfig(
        hook_point=hook,
        features=list(range(sae.cfg.d_sae)),
        minibatch_size_features=int(features),
        minibatch_size_tokens=int(contexts),
        device="cpu",
        ignore_tokens={int(bos)},
    )
    start = time.perf_counter()
    pages = SaeVisRunner(config).run(encoder=sae, model=model, tokens=tokens_CT)
    made = time.perf_counter()
    pages.save_json(target)
    seconds = time.perf_counter() - start
    shown = [one.sequence_data.seq_group_data for one in pages.feature_data_dict.values()]
    found = {
        "seconds": seconds,
        "writing": time.perf_counter() - made,
        "bytes": Path(target).stat().st_size,
        "examples": sum(len(group.seq_data) for groups in shown for group in groups),
        "densities": densities(pages),
    }
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
