"""Run by the other libraries' own Python: short trainings with SAELens' own runner, of every kind it has, on a language
model; each is saved its way, and measured by its own classes on activations that were given. No monosem here.

    python peer_fits.py MODEL HOOK CONTEXTS.npy ACTIVATIONS.npy FOLDER

CONTEXTS holds token ids [contexts, positions] to train on, ACTIVATIONS [n, d_in] of HOOK to measure on. Leaves
FOLDER/NAME/ as the library writes it; the two called unfolded_ are checkpoints. Writes FOLDER/figures.json:
explained_variance and l0 by name.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset, concatenate_datasets
from sae_lens import LanguageModelSAERunnerConfig, LanguageModelSAETrainingRunner, LoggingConfig
from sae_lens.saes import batchtopk_sae, gated_sae, jumprelu_sae, matryoshka_batchtopk_sae, standard_sae, topk_sae
from sae_lens.saes.sae import SAE, TrainingSAE
from sae_lens.training.activation_scaler import ActivationScaler

MODEL, HOOK, CONTEXTS, ACTIVATIONS, FOLDER = sys.argv[1:]
ROOT = Path(FOLDER)
F, K, TOKENS, BATCH = 512, 24, 250_000, 1024
SCALED = {"normalize_activations": "expected_average_only_in"}


def kinds(d_in):
    sizes = {"d_in": d_in, "d_sae": F}
    standard = standard_sae.StandardTrainingSAEConfig(**sizes, l1_coefficient=1.0, **SCALED)
    topk = {"k": K, "normalize_activations": "covariance_whitening"}
    # Thresholds have to follow within 250 steps: of what was kept in a batch, and of JumpReLU from its start.
    batch = {"k": K, "topk_threshold_lr": 0.03}
    jump = {"jumprelu_init_threshold": 0.1, "jumprelu_bandwidth": 0.5, "jumprelu_ste_to_input": True}
    jump |= {"jumprelu_sparsity_loss_mode": "quadratic", "target_l0": 30.0, "l0_coefficient": 1.0}
    widths = {"matryoshka_widths": [64, 256, F]}
    return {
        "standard": standard,
        "jumprelu": jumprelu_sae.JumpReLUTrainingSAEConfig(**sizes, **jump, **SCALED),
        "gated": gated_sae.GatedTrainingSAEConfig(**sizes, l1_coefficient=1.0, **SCALED),
        "batchtopk": batchtopk_sae.BatchTopKTrainingSAEConfig(**sizes, **batch),
        "matryoshka": matryoshka_batchtopk_sae.MatryoshkaBatchTopKTrainingSAEConfig(**sizes, **batch, **widths),
        "whitened": topk_sae.TopKTrainingSAEConfig(**sizes, **topk),
    }


def trained(name, config, dataset):
    """Train, and return the folder of the last checkpoint, which is from the middle."""
    settings = LanguageModelSAERunnerConfig(
        sae=config,
        model_name=MODEL,
        model_class_name="AutoModelForCausalLM",
        hook_name=HOOK,
        dataset_path="local",
        is_dataset_tokenized=True,
        streaming=False,
        context_size=len(dataset[0]["input_ids"]),
        prepend_bos=False,
        training_tokens=TOKENS,
        train_batch_size_tokens=BATCH,
        store_batch_size_prompts=16,
        n_batches_in_buffer=4,
        n_batches_for_norm_estimate=20,
        lr=2e-3,
        device="cpu",
        n_checkpoints=1,
        output_path=str(ROOT / name),
        checkpoint_path=str(ROOT / "checkpoints" / name),
        logger=LoggingConfig(log_to_wandb=False),
        verbose=False,
    )
    LanguageModelSAETrainingRunner(settings, override_dataset=dataset).run()
    (weights,) = (ROOT / "checkpoints" / name).rglob("sae_weights.safetensors")
    return weights.parent


def measured(x, acts, out):
    """Explained variance, and active features per token."""
    explained = 1 - (x - out).square().sum() / (x - x.mean(0)).square().sum()
    return {"explained_variance": explained.item(), "l0": (acts != 0).float().sum(1).mean().item()}


@torch.no_grad()
def main():
    contexts, x = np.load(CONTEXTS), torch.from_numpy(np.load(ACTIVATIONS))
    once = Dataset.from_dict({"input_ids": contexts.tolist()}).with_format("torch")
    dataset = concatenate_datasets([once] * (2 * TOKENS // contexts.size + 2))
    figures = {}
    for name, config in kinds(x.shape[1]).items():
        with torch.enable_grad():
            checkpoint = trained(name, config, dataset)
        sae = SAE.load_from_disk(ROOT / name)
        acts = sae.encode(x)
        figures[name] = measured(x, acts, sae.decode(acts))
        if name in ("standard", "whitened"):
            target = checkpoint.rename(ROOT / f"unfolded_{name}")
            sae, scaler = TrainingSAE.load_from_disk(target), ActivationScaler()
            scaler.load(target / "activation_scaler.json")
            acts = sae.encode(scaler.scale(x))
            figures[target.name] = measured(x, acts, scaler.unscale(sae.decode(acts)))
    (ROOT / "figures.json").write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
