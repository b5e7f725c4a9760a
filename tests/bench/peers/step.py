"""Tokens/s of one TopK training step of another library, on random activations. Runs in .venv-peers.

    python step.py NAME D_IN D_SAE K BATCH STEPS [--bf16]

NAME is saelens, dictionary_learning or sparsify. Each does what its own training does at a step. Prints one JSON line:
tokens_s, the median over STEPS, with two more before them as a warm-up.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

WARM_UP = 2
BATCHES = 4


def saelens(x_NBD: Tensor, d_sae: int, k: int, steps: int, bf16: bool) -> list[float]:
    """SAELens' own trainer; bf16 is its `autocast`. A step lasts from one batch asked for to the next."""
    from sae_lens import LoggingConfig, TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    batch, d_in = x_NBD.shape[1:]
    asked: list[float] = []

    def batches() -> Iterator[Tensor]:
        while True:
            asked.append(time.perf_counter())
            yield x_NBD[len(asked) % len(x_NBD)]

    config = SAETrainerConfig(
        total_training_samples=batch * (steps + 1),
        train_batch_size_samples=batch,
        lr=3e-4,
        lr_end=3e-5,
        lr_scheduler_name="constant",
        lr_warm_up_steps=0,
        lr_decay_steps=0,
        n_restart_cycles=1,
        adam_beta1=0.9,
        adam_beta2=0.999,
        dead_feature_window=1000,
        feature_sampling_window=1000,
        n_checkpoints=0,
        checkpoint_path=None,
        save_final_checkpoint=False,
        device="cpu",
        autocast=bf16,
        logger=LoggingConfig(log_to_wandb=False),
    )
    sae = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=d_in, d_sae=d_sae, k=k))
    SAETrainer(cfg=config, sae=sae, data_provider=batches()).fit()
    return [later - earlier for earlier, later in pairwise(asked)]


def dictionary_learning(x_NBD: Tensor, d_sae: int, k: int, steps: int, bf16: bool) -> list[float]:
    """dictionary_learning's TopKTrainer, which works in float32."""
    from dictionary_learning.trainers.top_k import TopKTrainer

    if bf16:
        raise SystemExit("dictionary_learning's trainer has no bfloat16")
    trainer = TopKTrainer(
        steps=1000,
        activation_dim=x_NBD.shape[2],
        dict_size=d_sae,
        k=k,
        layer=0,
        lm_name="none",
        device="cpu",
        warmup_steps=0,
    )
    times = []
    for step in range(steps):
        start = time.perf_counter()
        trainer.update(step, x_NBD[step % len(x_NBD)])
        times.append(time.perf_counter() - start)
    return times


def sparsify(x_NBD: Tensor, d_sae: int, k: int, steps: int, bf16: bool) -> list[float]:
    """sparsify's coder with what its trainer does around it; bf16 puts weights and activations in bfloat16."""
    from sparsify.config import SparseCoderConfig
    from sparsify.sparse_coder import SparseCoder

    dtype = torch.bfloat16 if bf16 else torch.float32
    sae = SparseCoder(x_NBD.shape[2], SparseCoderConfig(num_latents=d_sae, k=k), device="cpu", dtype=dtype)
    optimizer = torch.optim.Adam(sae.parameters(), lr=1e-3, fused=True)
    x_NBD = x_NBD.to(dtype)
    times = []
    for step in range(steps):
        start = time.perf_counter()
        sae(x_NBD[step % len(x_NBD)]).fvu.backward()
        sae.remove_gradient_parallel_to_decoder_directions()
        optimizer.step()
        optimizer.zero_grad()
        sae.set_decoder_norm_to_unit_norm()
        times.append(time.perf_counter() - start)
    return times


PEERS = {"saelens": saelens, "dictionary_learning": dictionary_learning, "sparsify": sparsify}


def main() -> None:
    """Measure the library that the command line names."""
    measured = PEERS[sys.argv[1]]
    d_in, d_sae, k, batch, steps = map(int, sys.argv[2:7])
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    torch.manual_seed(0)
    x_NBD = torch.randn(BATCHES, batch, d_in)
    times = measured(x_NBD, d_sae, k, WARM_UP + steps, "--bf16" in sys.argv)[WARM_UP:]
    tokens_s = batch / statistics.median(times)
    sys.stdout.write("\n" + json.dumps({"tokens_s": tokens_s}) + "\n")


if __name__ == "__main__":
    main()
