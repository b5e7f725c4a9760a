"""Run by the other libraries' own Python: circuit-tracer's sets of transcoders, written and read by its own code. No
monosem here.

    python peer_traces.py FOLDER

Leaves FOLDER/NAME/ with a set of two layers and its config.yaml, and FOLDER/NAME.pt with x [N, D], acts [N, F] and out
[N, D] of layer 1, computed once its loader has read the set again. Files of Gemma Scope, FOLDER/NAME/params.npz, and of
Gemma Scope 2, FOLDER/NAME/params.safetensors, that are there already are read by its loaders for them, and noted too.
Ends with 77 where circuit-tracer is not installed.
"""

import sys
from pathlib import Path

import torch
import yaml

D, F, N = 24, 96, 50
ROOT = Path(sys.argv[1])

try:
    from circuit_tracer.transcoder.activation_functions import JumpReLU
    from circuit_tracer.transcoder.single_layer_transcoder import (
        SingleLayerTranscoder,
        TranscoderSet,
        load_gemma_scope_2_transcoder,
        load_gemma_scope_transcoder,
        load_transcoder_set,
    )
except ImportError as error:
    print(error)
    sys.exit(77)


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) / D**0.5


def made(layer, *, jumps, skips):
    activation = JumpReLU(random(F, seed=layer).abs(), 0.1) if jumps else torch.nn.functional.relu
    one = SingleLayerTranscoder(D, F, activation, layer, skip_connection=skips, dtype=torch.float32)
    names = ("W_enc", "W_dec", "b_enc", "b_dec", *(["W_skip"] if skips else []))
    for number, name in enumerate(names):
        parameter = getattr(one, name)
        parameter.data = random(*parameter.shape, seed=10 * layer + number)
    return one


def note(name, transcoder):
    x = torch.randn(N, D, generator=torch.Generator().manual_seed(0)) + 0.5
    held = {"x": x, "acts": transcoder.encode(x), "out": transcoder(x)}
    torch.save({key: value.detach().contiguous() for key, value in held.items()}, ROOT / f"{name}.pt")


def main():
    hooks = {"feature_input_hook": "mlp.hook_in", "feature_output_hook": "mlp.hook_out"}
    for name, how in {
        "relu": {"jumps": False, "skips": False},
        "jumprelu": {"jumps": True, "skips": False},
        "skip": {"jumps": False, "skips": True},
        "jumprelu_skip": {"jumps": True, "skips": True},
    }.items():
        TranscoderSet({layer: made(layer, **how) for layer in (0, 1)}, *hooks.values()).to_safetensors(ROOT / name)
        config = {"model_name": "tiny", "model_kind": "transcoder_set", **hooks}
        (ROOT / name / "config.yaml").write_text(yaml.safe_dump(config))
        paths = {layer: str(ROOT / name / f"layer_{layer}.safetensors") for layer in (0, 1)}
        again = load_transcoder_set(paths, "tiny", **hooks, lazy_encoder=False, lazy_decoder=False)
        note(name, again[1])
    for path in sorted(ROOT.glob("*/params.*")):
        load = load_gemma_scope_transcoder if path.suffix == ".npz" else load_gemma_scope_2_transcoder
        note(path.parent.name, load(str(path), 1))


if __name__ == "__main__":
    main()
