"""Run by the other libraries' own Python: train an autoencoder of each of their kinds for a step, with their trainers,
save it their way, and note what it computes once their own loader has read it. Nothing of monosem is imported here.

    python peer_trains.py FOLDER

leaves FOLDER/NAME/ as the library writes it, and FOLDER/NAME.pt with x [N, D], acts [N, F] and out [N, D].
"""

import sys
from pathlib import Path

import torch

D, F, K, N, STEPS = 24, 96, 7, 64, 2
ROOT = Path(sys.argv[1])
META = {"model_name": "stories260K", "hook_name": "model.layers.2", "hook_head_index": None, "context_size": 128}


def inputs(seed=0, n=N):
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed)) + 0.5


def note(name, acts, out):
    held = {"x": inputs(), "acts": acts.detach().contiguous(), "out": out.detach().contiguous()}
    torch.save(held, ROOT / f"{name}.pt")


def saelens():
    from sae_lens.saes import batchtopk_sae, gated_sae, jumprelu_sae, matryoshka_batchtopk_sae, standard_sae, topk_sae
    from sae_lens.saes.sae import SAE, SAEMetadata, TrainStepInput

    kinds = {
        "standard": (standard_sae.StandardTrainingSAE, standard_sae.StandardTrainingSAEConfig, {}),
        "gated": (gated_sae.GatedTrainingSAE, gated_sae.GatedTrainingSAEConfig, {}),
        "jumprelu": (jumprelu_sae.JumpReLUTrainingSAE, jumprelu_sae.JumpReLUTrainingSAEConfig, {}),
        "topk": (topk_sae.TopKTrainingSAE, topk_sae.TopKTrainingSAEConfig, {"k": K}),
        "batchtopk": (batchtopk_sae.BatchTopKTrainingSAE, batchtopk_sae.BatchTopKTrainingSAEConfig, {"k": K}),
        "matryoshka": (
            matryoshka_batchtopk_sae.MatryoshkaBatchTopKTrainingSAE,
            matryoshka_batchtopk_sae.MatryoshkaBatchTopKTrainingSAEConfig,
            {"k": K, "matryoshka_widths": [24, 96]},
        ),
    }
    for kind, (make, configure, settings) in kinds.items():
        torch.manual_seed(0)
        sae = make(configure(d_in=D, d_sae=F, **settings, metadata=SAEMetadata(**META)))
        optimiser = torch.optim.Adam(sae.parameters(), 0.01)
        coefficients = {name: getattr(value, "value", value) for name, value in sae.get_coefficients().items()}
        for step in range(STEPS):
            given = TrainStepInput(
                sae_in=inputs(1 + step, 512),
                coefficients=coefficients,
                dead_neuron_mask=torch.zeros(F, dtype=torch.bool),
                n_training_steps=step,
                is_logging_step=False,
            )
            sae.training_forward_pass(given).loss.backward()
            optimiser.step()
            optimiser.zero_grad()
        name = f"trained_saelens_{kind}"
        sae.save_inference_model(ROOT / name)
        loaded = SAE.load_from_disk(ROOT / name)
        note(name, loaded.encode(inputs()), loaded(inputs()))


def sparsify():
    from sparsify import SparseCoder, SparseCoderConfig

    torch.manual_seed(0)
    name = "trained_sparsify"
    coder = SparseCoder(D, SparseCoderConfig(num_latents=F, k=K))
    optimiser = torch.optim.Adam(coder.parameters(), 0.01)
    for step in range(STEPS):
        coder(inputs(1 + step, 512)).fvu.backward()
        coder.remove_gradient_parallel_to_decoder_directions()
        optimiser.step()
        optimiser.zero_grad()
        coder.set_decoder_norm_to_unit_norm()
    coder.save_to_disk(ROOT / name)
    loaded = SparseCoder.load_from_disk(ROOT / name)
    found = loaded.encode(inputs())
    note(name, torch.zeros(N, F).scatter_(1, found.top_indices, found.top_acts), loaded(inputs()).sae_out)


def dictionary_learning():
    from dictionary_learning.dictionary import AutoEncoderNew
    from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer
    from dictionary_learning.trainers.gdm import GatedSAETrainer
    from dictionary_learning.trainers.jumprelu import JumpReluTrainer
    from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKTrainer
    from dictionary_learning.trainers.standard import StandardTrainer, StandardTrainerAprilUpdate
    from dictionary_learning.trainers.top_k import TopKTrainer
    from dictionary_learning.training import trainSAE
    from dictionary_learning.utils import load_dictionary

    warm = {"sparsity_warmup_steps": 1}
    kinds = {
        "standard": (StandardTrainer, warm),
        "april": (StandardTrainerAprilUpdate, warm | {"dict_class": AutoEncoderNew}),
        "gated": (GatedSAETrainer, warm),
        "jumprelu": (JumpReluTrainer, warm),
        "topk": (TopKTrainer, {"k": K, "threshold_start_step": 0}),
        "batchtopk": (BatchTopKTrainer, {"k": K, "threshold_start_step": 0}),
        "matryoshka": (
            MatryoshkaBatchTopKTrainer,
            {"k": K, "group_fractions": [0.25, 0.75], "threshold_start_step": 0},
        ),
    }
    same = {"steps": 10, "activation_dim": D, "dict_size": F, "layer": 2, "lm_name": "stories260K", "lr": 0.01}
    for kind, (trainer, settings) in kinds.items():
        name = f"trained_dictionary_{kind}"
        config = same | {"trainer": trainer, "warmup_steps": 0, "seed": 0, "device": "cpu"} | settings
        batches = iter([inputs(1 + step, 512) for step in range(STEPS)])
        trainSAE(batches, [config], steps=STEPS, save_dir=str(ROOT / f"{name}.run"), device="cpu")
        (ROOT / f"{name}.run" / "trainer_0").rename(ROOT / name)
        # What it writes of AutoEncoderNew says AutoEncoder, which its own loader then fails on.
        new = settings.get("dict_class") is AutoEncoderNew
        weights = str(ROOT / name / "ae.pt")
        loaded = AutoEncoderNew.from_pretrained(weights) if new else load_dictionary(str(ROOT / name), "cpu")[0]
        acts = loaded.encode(inputs())
        note(name, acts, loaded.decode(acts))


if __name__ == "__main__":
    saelens()
    sparsify()
    dictionary_learning()
