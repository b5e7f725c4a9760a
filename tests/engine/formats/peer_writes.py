"""Run by the other libraries' own Python: make an autoencoder of each of their kinds, save it their way, and note what
it computes. Nothing of monosem is imported here.

    python peer_writes.py FOLDER

leaves FOLDER/NAME/ as the library writes it, and FOLDER/NAME.pt with x [N, D], acts [N, F] and out [N, O].
"""

import json
import sys
from pathlib import Path

import torch

D, F, D_OUT, K, N = 24, 96, 16, 7, 64
ROOT = Path(sys.argv[1])
META = {"model_name": "stories260K", "hook_name": "model.layers.2", "hook_head_index": None, "context_size": 128}


def stir(module):
    """Random values everywhere, so that no bias, threshold or norm is what a fresh one has."""
    made = torch.Generator().manual_seed(len(list(module.named_parameters())))
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            noise = torch.randn(tensor.shape, generator=made)
            if "threshold" in name:
                tensor.copy_(0.3 * noise + 0.2)
            elif tensor.ndim == 2:
                tensor.copy_(noise / D**0.5)
            else:
                tensor.copy_(0.3 * noise)


def note(name, x, acts, out):
    torch.save({"x": x, "acts": acts.detach().contiguous(), "out": out.detach().contiguous()}, ROOT / f"{name}.pt")


def save_whitened(name, sae):
    """A checkpoint of a training whose whitening is not folded into the weights yet."""
    from sae_lens.training.activation_scaler import ActivationScaler, ActivationWhitening

    made = torch.Generator().manual_seed(5)
    matrix = torch.eye(D) + 0.3 * torch.randn(D, D, generator=made) / D**0.5
    mean = torch.randn(D, generator=made)
    scaler = ActivationScaler(whitening=ActivationWhitening(mean, matrix, torch.linalg.inv(matrix)))
    sae.save_model(ROOT / name)
    scaler.save(str(ROOT / name / "activation_scaler.json"))
    x = inputs()
    acts = sae.encode(scaler.scale(x))
    note(name, x, acts, scaler.unscale(sae.decode(acts)))


def inputs():
    return torch.randn(N, D, generator=torch.Generator().manual_seed(0)) + 0.5


def saelens():
    from sae_lens.saes.abstopk_sae import AbsTopKSAE, AbsTopKSAEConfig
    from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
    from sae_lens.saes.gated_sae import GatedSAE, GatedSAEConfig
    from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig
    from sae_lens.saes.matryoshka_batchtopk_sae import (
        MatryoshkaBatchTopKTrainingSAE,
        MatryoshkaBatchTopKTrainingSAEConfig,
    )
    from sae_lens.saes.sae import SAE, SAEMetadata
    from sae_lens.saes.standard_sae import StandardSAE, StandardSAEConfig
    from sae_lens.saes.topk_sae import TopKSAE, TopKSAEConfig
    from sae_lens.saes.transcoder import (
        JumpReLUSkipTranscoder,
        JumpReLUSkipTranscoderConfig,
        JumpReLUTranscoder,
        JumpReLUTranscoderConfig,
        SkipTranscoder,
        SkipTranscoderConfig,
        Transcoder,
        TranscoderConfig,
    )

    same = {"d_in": D, "d_sae": F}

    def save(name, sae):
        stir(sae)
        sae.save_model(ROOT / name)
        x = inputs()
        note(name, x, sae.encode(x), sae(x))

    def meta():
        return SAEMetadata(**META)

    for applied in (True, False):
        end = "" if applied else "_raw_input"
        more = same | {"apply_b_dec_to_input": applied}
        save(f"saelens_standard{end}", StandardSAE(StandardSAEConfig(**more, metadata=meta())))
        save(f"saelens_jumprelu{end}", JumpReLUSAE(JumpReLUSAEConfig(**more, metadata=meta())))
        save(f"saelens_gated{end}", GatedSAE(GatedSAEConfig(**more, metadata=meta())))
        for by_norm in (True, False):
            more_k = more | {"k": K, "rescale_acts_by_decoder_norm": by_norm}
            by = "_by_norm" if by_norm else ""
            save(f"saelens_topk{end}{by}", TopKSAE(TopKSAEConfig(**more_k, metadata=meta())))
            save(f"saelens_abstopk{end}{by}", AbsTopKSAE(AbsTopKSAEConfig(**more_k, metadata=meta())))
            white = TopKSAE(TopKSAEConfig(**more_k, normalize_activations="covariance_whitening", metadata=meta()))
            stir(white)
            save_whitened(f"saelens_topk_whitened{end}{by}", white)
    out = same | {"d_out": D_OUT, "apply_b_dec_to_input": False}
    metadata = SAEMetadata(**META, hook_name_out="model.layers.3")
    save("saelens_transcoder", Transcoder(TranscoderConfig(**out, metadata=metadata)))
    save("saelens_jumprelu_transcoder", JumpReLUTranscoder(JumpReLUTranscoderConfig(**out, metadata=metadata)))

    save("saelens_skip_transcoder", SkipTranscoder(SkipTranscoderConfig(**out, metadata=metadata)))
    normed = out | {"normalize_activations": "layer_norm"}
    jumps = JumpReLUSkipTranscoder(JumpReLUSkipTranscoderConfig(**normed, metadata=metadata))
    save("saelens_jumprelu_skip_transcoder_layer_norm", jumps)
    for how in ("layer_norm", "constant_norm_rescale"):
        normed = same | {"normalize_activations": how}
        save(f"saelens_standard_{how}", StandardSAE(StandardSAEConfig(**normed, metadata=meta())))
        topk = TopKSAEConfig(**normed, k=K, rescale_acts_by_decoder_norm=True, metadata=meta())
        save(f"saelens_topk_by_norm_{how}", TopKSAE(topk))

    for kind, sae in (
        ("batchtopk", BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(**same, k=K, metadata=meta()))),
        (
            "matryoshka",
            MatryoshkaBatchTopKTrainingSAE(
                MatryoshkaBatchTopKTrainingSAEConfig(**same, k=K, matryoshka_widths=[24, 96], metadata=meta())
            ),
        ),
    ):
        stir(sae)
        sae.topk_threshold.fill_(0.7)
        sae.save_inference_model(ROOT / f"saelens_{kind}")
        loaded = SAE.load_from_disk(ROOT / f"saelens_{kind}")
        x = inputs()
        note(f"saelens_{kind}", x, loaded.encode(x), loaded(x))


def saelens_scaled():
    """A checkpoint of a training on scaled inputs: the scale beside weights without it."""
    from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig
    from sae_lens.saes.sae import SAEMetadata

    scale, name = 0.37, "saelens_scaled"
    metadata = SAEMetadata(**META)
    sae = JumpReLUSAE(JumpReLUSAEConfig(D, F, normalize_activations="expected_average_only_in", metadata=metadata))
    stir(sae)
    sae.save_model(ROOT / name)
    (ROOT / name / "activation_scaler.json").write_text(json.dumps({"scaling_factor": scale}))
    sae.fold_activation_norm_scaling_factor(scale)
    x = inputs() * 3
    note(name, x, sae.encode(x), sae(x))


def saelens_before_6():
    """Flat configurations of older versions, read by today's library."""
    from sae_lens.saes.sae import SAE
    from sae_lens.saes.standard_sae import StandardSAE, StandardSAEConfig

    shared = {"d_in": D, "d_sae": F, "dtype": "float32", "device": "cpu", "model_name": "stories260K"}
    topk = {"hook_name": "blocks.2.hook_resid_post", "activation_fn_str": "topk", "activation_fn_kwargs": {"k": K}}
    for kind, config in (("standard", {"hook_point": "blocks.2.hook_resid_post"}), ("topk", topk)):
        name = f"saelens_before_6_{kind}"
        sae = StandardSAE(StandardSAEConfig(d_in=D, d_sae=F))
        stir(sae)
        sae.save_model(ROOT / name)
        (ROOT / name / "cfg.json").write_text(json.dumps(shared | config))
        loaded = SAE.load_from_disk(ROOT / name)
        x = inputs()
        note(name, x, loaded.encode(x), loaded(x))


def sparsify():
    from sparsify import SparseCoder, SparseCoderConfig

    for name, transcode, skips in (
        ("sparsify_sae", False, False),
        ("sparsify_transcoder", True, False),
        ("sparsify_skip_transcoder", True, True),
    ):
        coder = SparseCoder(D, SparseCoderConfig(num_latents=F, k=K, transcode=transcode, skip_connection=skips))
        stir(coder)
        coder.save_to_disk(ROOT / name)
        x = inputs()
        found = coder.encode(x)
        note(name, x, torch.zeros(N, F).scatter_(1, found.top_indices, found.top_acts), coder(x).sae_out)


def dictionary_learning():
    from dictionary_learning.dictionary import AutoEncoder, AutoEncoderNew, GatedAutoEncoder, JumpReluAutoEncoder
    from dictionary_learning.trainers.batch_top_k import BatchTopKSAE
    from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKSAE
    from dictionary_learning.trainers.top_k import AutoEncoderTopK

    made = [
        AutoEncoder(D, F),
        AutoEncoderNew(D, F),
        GatedAutoEncoder(D, F),
        JumpReluAutoEncoder(D, F),
        AutoEncoderTopK(D, F, K),
        BatchTopKSAE(D, F, K),
        MatryoshkaBatchTopKSAE(D, F, K, [32, 64]),
    ]
    for dictionary in made:
        stir(dictionary)
        kind = type(dictionary).__name__
        if kind in ("BatchTopKSAE", "MatryoshkaBatchTopKSAE"):
            dictionary.threshold.fill_(0.7)
        save_dictionary(kind, dictionary)
    unset = BatchTopKSAE(D, F, K)
    stir(unset)
    save_dictionary("BatchTopKSAE", unset, "_unset")


def save_dictionary(kind, dictionary, end=""):
    name = f"dictionary_{kind}{end}"
    (ROOT / name).mkdir()
    torch.save({key: value.cpu() for key, value in dictionary.state_dict().items()}, ROOT / name / "ae.pt")
    trainer = {"dict_class": kind, "activation_dim": D, "dict_size": F, "layer": 2, "lm_name": "stories260K"}
    (ROOT / name / "config.json").write_text(json.dumps({"trainer": trainer, "buffer": {"ctx_len": 128}}))
    x = inputs()
    acts = dictionary.encode(x)
    note(name, x, acts, dictionary.decode(acts))


if __name__ == "__main__":
    saelens()
    saelens_scaled()
    saelens_before_6()
    sparsify()
    dictionary_learning()
