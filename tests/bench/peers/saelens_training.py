"""SAELens from tokens to a trained TopK SAE: tokens/s, and what it makes of held-out activations. Runs in .venv-peers.

    python saelens_training.py MODEL CONTEXTS.npy LAYER D_SAE K TOKENS HELD_OUT.npy RECONSTRUCTED.npy [DTYPE]

CONTEXTS holds token ids [contexts, 256], HELD_OUT activations [n, d_in] behind LAYER; RECONSTRUCTED is written. Prints
one JSON line: seconds and tokens_s of its training runner (the model's forward included), alive (share of features that
fire on HELD_OUT), peak (bytes resident at most). DTYPE is the language model's, float32 if left out.

Settings are SAELens' defaults, but for the learning rate: 1e-3 instead of 3e-4, at which it ends better here.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

import numpy as np
import torch
from datasets import Dataset, concatenate_datasets
from sae_lens import (
    LanguageModelSAERunnerConfig,
    LanguageModelSAETrainingRunner,
    LoggingConfig,
    TopKTrainingSAEConfig,
)

ROWS = 4096
"""Held-out activations encoded at once."""


def settings(
    model: str, d_in: int, context: int, layer: int, d_sae: int, k: int, tokens: int, dtype: str
) -> LanguageModelSAERunnerConfig:
    """Settings of the runner."""
    return LanguageModelSAERunnerConfig(
        sae=TopKTrainingSAEConfig(d_in=d_in, d_sae=d_sae, k=k),
        model_name=model,
        model_class_name="AutoModelForCausalLM",
        model_from_pretrained_kwargs={"dtype": dtype},
        hook_name=f"model.layers.{layer}",
        dataset_path="local",
        is_dataset_tokenized=True,
        streaming=False,
        context_size=context,
        prepend_bos=False,  # the contexts hold BOS already
        training_tokens=tokens,
        train_batch_size_tokens=4096,
        store_batch_size_prompts=32,
        lr=1e-3,
        device="cpu",
        n_checkpoints=0,
        output_path=None,
        checkpoint_path=None,
        logger=LoggingConfig(log_to_wandb=False),
        verbose=False,
    )


def main() -> None:
    """Train, then reconstruct the held-out activations."""
    model, contexts_file, layer_, d_sae_, k_, tokens_, held_out_file, target, *dtype = sys.argv[1:]
    layer, d_sae, k, tokens = map(int, (layer_, d_sae_, k_, tokens_))
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    contexts_CT, held_out_ND = np.load(contexts_file), torch.from_numpy(np.load(held_out_file))
    once = Dataset.from_dict({"input_ids": contexts_CT.tolist()}).with_format("torch")
    dataset = concatenate_datasets([once] * (tokens // contexts_CT.size + 2))
    config = settings(
        model, held_out_ND.shape[1], contexts_CT.shape[1], layer, d_sae, k, tokens, *(dtype or ["float32"])
    )
    runner = LanguageModelSAETrainingRunner(config, override_dataset=dataset)
    start = time.perf_counter()
    sae = runner.run()
    seconds = time.perf_counter() - start
    fired_F = torch.zeros(d_sae, dtype=torch.bool)
    reconstructed = []
    with torch.no_grad():
        for x_ND in torch.split(held_out_ND, ROWS):
            acts_NF = sae.encode(x_ND)
            fired_F |= (acts_NF > 0).any(0)
            reconstructed.append(sae.decode(acts_NF))
    np.save(target, torch.cat(reconstructed).numpy())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    alive = fired_F.float().mean().item()
    found = {"seconds": seconds, "tokens_s": tokens / seconds, "alive": alive, "peak": peak}
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
